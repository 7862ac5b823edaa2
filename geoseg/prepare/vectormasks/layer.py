"""The features of a layer as polygons on pixels, the lowest first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely
from numpy.typing import NDArray

from geoseg.grid import Floats, Grid
from geoseg.prepare.vectormasks.classes import WideIds
from geoseg.sources.features.frames import Geometries, finite, geometries_of, with_geometries
from geoseg.sources.features.localmetric import in_metres
from geoseg.sources.features.ongrid import frame_on
from geoseg.sources.transformedvector import VectorTransform
from geoseg.warn import warn

if TYPE_CHECKING:
    from geopandas import GeoDataFrame

_SEGMENTS = 16
"""Edges of a quarter of a circle: its radius is right to 0.12 %."""


@dataclass(frozen=True, eq=False)
class Layer:
    """Polygons in painter's order: each lies on top of all before it."""

    polygons: Geometries
    """(feature,) in the pixels of the grid, (column, row) from its corner."""
    ids: WideIds
    """(feature,) the id that each is burned with."""
    touched: NDArray[np.bool_]
    """(feature,) whether it fills every pixel that it touches."""

    @classmethod
    def of(
        cls,
        frame: GeoDataFrame,
        grid: Grid,
        *,
        ids: WideIds,
        touched: NDArray[np.bool_],
        priority: Floats | None,
        number: NDArray[np.intp],
        transforms: tuple[VectorTransform, ...],
        reach_px: float,
        name: str,
    ) -> Layer:
        """Bring features onto a grid.

        Args:
            frame: The features with their CRS.
            grid: Where they are wanted.
            ids: (any,) their ids.
            touched: (any,) whether each fills every pixel that it touches.
            priority: (any,) numbers, the higher on top; None: all alike. Of equal ones the later one.
            number: (feature,) which of `any` each feature of the frame is, ascending.
            transforms: Those in pixels.
            reach_px: How far past the grid features matter.
            name: What errors and warnings call the features.
        """
        numbered = frame.assign(geoseg_number=number)
        on = frame_on(grid, numbered, transforms, name=name, reach_px=reach_px)
        which = on["geoseg_number"].to_numpy(np.intp)
        if priority is None:
            order = np.argsort(which, kind="stable")
        else:
            order = np.lexsort((which, priority[which]))
        which = which[order]
        return cls(geometries_of(on)[order], ids[which], touched[which])


def buffered(frame: GeoDataFrame, metres: Floats, *, name: str) -> tuple[GeoDataFrame, Any]:
    """Features grown by metres on the ground; those that shrink to nothing are left out, with a count.

    Args:
        frame: Points, lines and polygons in a CRS on the Earth.
        metres: (feature,) the distance of each; below 0 polygons become smaller, 0 leaves them.
        name: What errors and warnings call the features.

    Returns:
        The features that are left, and their positions in `frame`.

    Raises:
        SourceError: The CRS is not on the Earth.
    """
    geometries = geometries_of(frame)
    some = np.flatnonzero(metres != 0)
    if not len(some):
        return frame, np.arange(len(frame))

    def grown(local: Geometries, members: NDArray[np.intp]) -> Geometries:
        wide: Geometries = shapely.buffer(local, metres[some][members], quad_segs=_SEGMENTS)
        return wide

    geometries[some] = in_metres(
        geometries[some], frame.crs, grown, extra_m=metres[some], name=name
    )
    vanished = int(shapely.is_empty(geometries).sum())
    if vanished:
        warn(
            f"{name}: {vanished} of {len(frame)} features shrink to nothing by buffer_m and are left "
            "out; buffer less"
        )
    kept = np.flatnonzero(
        ~(shapely.is_missing(geometries) | shapely.is_empty(geometries)) & finite(geometries)
    )
    return with_geometries(frame.iloc[kept], geometries[kept], crs=frame.crs), kept
