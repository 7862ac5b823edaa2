"""Footprints of windows in longitude and latitude, for masks of any CRSs."""

from __future__ import annotations

import json

import numpy as np
import shapely
from numpy.typing import NDArray

from geoseg.errors import GridError
from geoseg.grid import Grid
from geoseg.labels.polygons.lonlat import LONLAT, check_lonlat, to_lonlat
from geoseg.sampling.windowindex.boxes import Boxes
from geoseg.sampling.windowindex.columns import GEOMETRY
from geoseg.sampling.windowindex.masks import Masks
from geoseg.warn import warn

Geometries = NDArray[np.object_]

_BENDS = 8
"""Pieces of a window's longer edge at least: straight edges bend."""


def footprints(boxes: Boxes, masks: Masks, *, where: str) -> Geometries:
    """(row,) polygons in EPSG:4326 with densified edges; None where the mask has no place on the Earth.

    A window across the antimeridian becomes a multi-part polygon.

    Warns:
        UserWarning: Masks have no such place, and how many windows have no footprint for that.
    """
    found: Geometries = np.full(len(boxes), None, object)
    for mask, rows in masks.groups():
        found[rows] = _on_earth(boxes[rows], masks.grids[mask])
    missing = int(shapely.is_missing(found).sum())
    if missing:
        row = int(np.argmax(shapely.is_missing(found)))
        warn(
            f"{where}: {missing} of {len(boxes)} windows have no footprint, the first is of "
            f"{masks.path_of(row)}: it has no CRS, or no outline in longitude and latitude"
        )
    return found


def _on_earth(boxes: Boxes, grid: Grid) -> Geometries | None:
    if grid.crs is None:
        return None
    row, col, height, width = boxes.T.astype(float)
    pixels = shapely.box(col, row, col + width, row + height, ccw=False)
    pixels = shapely.segmentize(pixels, np.maximum(height, width) / _BENDS)
    try:
        check_lonlat(grid, "")
        made = to_lonlat(pixels, grid, "")
    except GridError:
        return None
    outlines: Geometries = shapely.orient_polygons(made)
    return outlines


def geo_metadata(footprints: Geometries) -> str:
    """What GeoParquet says of the column `geometry`."""
    import pyproj

    known = footprints[~shapely.is_missing(footprints)]
    column = {
        "encoding": "WKB",
        "geometry_types": sorted(_names(known)),
        "crs": pyproj.CRS.from_user_input(LONLAT).to_json_dict(),
        "orientation": "counterclockwise",
        "edges": "planar",
    }
    if len(known):
        column["bbox"] = [float(value) for value in shapely.total_bounds(known)]
    geo = {"version": "1.1.0", "primary_column": GEOMETRY, "columns": {GEOMETRY: column}}
    return json.dumps(geo, sort_keys=True)


def _names(geometries: Geometries) -> set[str]:
    kinds = {
        shapely.GeometryType.POLYGON: "Polygon",
        shapely.GeometryType.MULTIPOLYGON: "MultiPolygon",
    }
    return {
        kinds[shapely.GeometryType(kind)] for kind in np.unique(shapely.get_type_id(geometries))
    }
