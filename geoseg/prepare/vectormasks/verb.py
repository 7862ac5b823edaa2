"""`masks`: features to masks on the pixels of a reference."""

from __future__ import annotations

import operator
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from geoseg.errors import ConfigError
from geoseg.grid import Grid
from geoseg.labels.tiff import write_names
from geoseg.outputs import written_together
from geoseg.prepare.given import as_vectors
from geoseg.prepare.vectormasks.areas import pieces_of, square_metres
from geoseg.prepare.vectormasks.burning import Burner
from geoseg.prepare.vectormasks.classes import Classes, ClassesGiven
from geoseg.prepare.vectormasks.layer import Layer
from geoseg.prepare.vectormasks.outputs import Outputs
from geoseg.prepare.vectormasks.painter import Painter
from geoseg.prepare.vectormasks.reading import Features, Wanted
from geoseg.prepare.vectormasks.regions import DuplicateFrames, Regions, grid_of
from geoseg.prepare.vectormasks.report import (
    ClassBurnt,
    ManifestFormat,
    MaskFile,
    MasksReport,
    write_manifest,
)
from geoseg.shortlist import some
from geoseg.sources.base import RasterSource, VectorSource, raster_source
from geoseg.sources.features.frames import name_of
from geoseg.warn import warn

if TYPE_CHECKING:
    from geopandas import GeoDataFrame

_SHOWN = 5
"""How many frames a warning lists."""


def masks(
    vectors: str | os.PathLike[str] | VectorSource | GeoDataFrame,
    reference: str | os.PathLike[str] | RasterSource | Grid | None,
    out: str | os.PathLike[str],
    *,
    class_by: str | None = None,
    background: int | str | None = 0,
    priority_by: str | None = None,
    class_map: ClassesGiven = None,
    default_class: int | str | None = None,
    dtype: str | None = None,
    frames: str | os.PathLike[str] | VectorSource | GeoDataFrame | None = None,
    frame_id: str | None = None,
    duplicate_frames: DuplicateFrames = "error",
    all_touched: bool | Mapping[Any, bool] = False,
    buffer_m: float | Mapping[Any, float] = 0.0,
    ignore_ring_px: int = 0,
    ignore_id: int | None = None,
    resolution: float | tuple[float, float] | None = None,
    crs: Any = None,
    manifest: ManifestFormat = "parquet",
    mode: Literal["error", "overwrite"] = "error",
) -> MasksReport:
    """Burn features into masks whose pixels are those of a reference.

    A pixel has the id of the feature over its centre, as GDAL burns it; of several the one with the higher
    priority, then the later in the file. Masks are burned in parts: memory grows with the polygons on
    the reference, not with its pixels. All files appear when the last is whole, or none does.

    Args:
        vectors: The features: a file, a source, or a GeoDataFrame; in any CRS. Invalid geometries are
            repaired, and counted.
        reference: A raster file (an MBTiles too), a source, or a grid; None: see `resolution`.
        out: The mask, where it ends with `.tif` and there are no frames; else a folder, for masks named
            after their frames, or after the reference. The manifest is written beside them.
        class_by: The column of ids, or of names in `class_map`; None: all features have one class.
        background: The id or name of pixels without a feature; None: those are ignored.
        priority_by: A column of numbers or dates; the higher lies on top.
        class_map: A ClassMap, whose names and colours go to the masks, or {value of the column: id};
            None: the column holds the ids.
        default_class: The id or name of features whose class is missing or unknown; None: those are an
            error. Without `class_by` it may be left out: it is 1, or of two classes the other one
            than the background.
        dtype: uint8, uint16, uint32, int16 or int32; None: the smallest unsigned one for all ids.
        frames: Polygons: one mask for each, from its bounds outward to whole pixels, cut to the reference;
            pixels whose centres it does not hold are ignored. None: one mask of the whole reference.
        frame_id: The column of the frames' names; None: they are numbered in file order.
        duplicate_frames: "error", or "number": equal names get numbers, so that no two share a file.
        all_touched: Whether a feature fills every pixel that it touches; or {class: bool}, by name or id,
            "*" for the classes not named. A class that no feature has is an error without a class map.
        buffer_m: Metres on the ground that features are grown by, points and lines too; or {class: metres}.
        ignore_ring_px: Pixels within so many of one of another class, centre to centre, are ignored.
            Features past the edge of a frame or of the reference count; what is ignored has no boundary.
        ignore_id: The id of ignored pixels, which is the masks' nodata; None: that of the ClassMap, or
            the largest number of the dtype (255). No class has it; but `default_class` may be it, and a
            name in {name: id} may lead to it where it is that largest number: such features are ignored.
        resolution: In place of a reference: pixel size in units of `crs`, one number or (x, y); the grid
            covers the frames, or else the features, and its edges are whole multiples of it.
        crs: The CRS of that grid; None: that of what it covers.
        manifest: "parquet" or "csv": the table of the masks, one row each, which is also an index of
            windows over whole masks. Its transform is a JSON list of six numbers, exactly as in the file.
        mode: "error", or "overwrite": what happens where a file is there already.

    Returns:
        What was read, burned and written, in numbers.

    Raises:
        ConfigError: Arguments do not fit each other, or an output is an input.
        GridError: There is no frame on the reference, or it has no CRS.
        LabelError: Features have no id, one that does not fit the dtype, or that of ignored pixels, or a class
            has that; frames share a name.
        SourceError: Something cannot be read, or a GeoDataFrame has no CRS.
        StoreError: Something cannot be written, or is there already.
    """
    ring_px = _checked_ring(ignore_ring_px)
    classes = Classes.of(class_map)
    wanted = Wanted(
        class_by=class_by,
        priority_by=priority_by,
        classes=classes,
        default_class=default_class,
        background=background,
        ignore_id=ignore_id,
        dtype=dtype,
        all_touched=all_touched,
        buffer_m=buffer_m,
    )
    pixels = (
        reference if reference is None or isinstance(reference, Grid) else raster_source(reference)
    )
    features = Features.read(vectors, wanted)
    framed = None if frames is None else as_vectors(frames, name="frames")
    extent = features.frame if framed is None else framed.read()
    grid = grid_of(pixels, resolution=resolution, crs=crs, extent=extent, name=features.name)
    regions = _regions(grid, framed, reference, frame_id, duplicate_frames)
    outputs = Outputs.of(
        out,
        regions.regions,
        framed=framed is not None,
        manifest=manifest,
        named=classes.map is not None,
    )
    inputs = (features.source, framed, pixels)
    outputs.check(
        [one for one in inputs if isinstance(one, VectorSource | RasterSource)], mode=mode
    )
    layer = features.on(grid, reach_px=ring_px)
    painter = Painter(layer, grid, features.encoding, ring_px=ring_px)
    burner = Burner(painter, grid, features.encoding, classes.map)
    written = _write(burner, regions, outputs, manifest)
    burnt, inside = _compared(
        layer,
        burner,
        regions=regions,
        written=written,
        classes=classes,
        name=features.name,
    )
    _warn_of_none(inside, features)
    outputs.tidy()
    return _report(
        features,
        grid,
        regions=regions,
        outputs=outputs,
        written=written,
        burnt=burnt,
        inside=inside,
    )


def _checked_ring(ring_px: Any) -> int:
    try:
        found = operator.index(ring_px)
    except TypeError:
        found = -1
    if found < 0 or isinstance(ring_px, bool):
        raise ConfigError(
            f"ignore_ring_px is {ring_px!r}, expected a whole number of pixels from 0"
        )
    return found


def _regions(
    grid: Grid,
    framed: VectorSource | None,
    reference: Any,
    frame_id: str | None,
    duplicates: DuplicateFrames,
) -> Regions:
    """The places of the masks; frames that give none are told."""
    if framed is not None:
        found = Regions.of_frames(grid, framed, frame_id=frame_id, duplicates=duplicates)
        for ids, what in (
            (found.outside, "do not meet the reference"),
            (found.tiny, "hold no pixel's centre"),
        ):
            if ids:
                warn(
                    f"{name_of(framed)}: {len(ids)} frames {what} and get no mask: "
                    f"{some(ids, _SHOWN, counted=False)}"
                )
        return found
    if frame_id is not None:
        raise ConfigError(f"frame_id={frame_id!r} names a column of frames, but there are none")
    uri = getattr(reference, "uri", reference)
    stem = Path(uri).stem if isinstance(uri, str | os.PathLike) else ""
    return Regions.whole(grid, stem or "mask")


def _write(
    burner: Burner, regions: Regions, outputs: Outputs, manifest: ManifestFormat
) -> tuple[MaskFile, ...]:
    """Burn all masks; files take their names when all are whole."""
    written: list[MaskFile] = []
    count = len(outputs.masks)
    with written_together(outputs.all) as paths:
        places = zip(regions.regions, paths[:count], outputs.masks, strict=True)
        for region, path, uri in places:
            written.append(burner.burn(region, path, uri))
        if burner.classes is not None:
            for path, uri in zip(paths[count:-1], outputs.sidecars, strict=True):
                write_names(path, burner.classes, uri)
        write_manifest(tuple(written), paths[-1], outputs.manifest, manifest)
    return tuple(written)


def _compared(
    layer: Layer,
    burner: Burner,
    *,
    regions: Regions,
    written: tuple[MaskFile, ...],
    classes: Classes,
    name: str,
) -> tuple[tuple[ClassBurnt, ...], int]:
    """Each class's polygons against its pixels, and how many features have a part on a mask."""
    owners, pieces = pieces_of(layer, regions.regions)
    drawn = square_metres(pieces, burner.grid, name=name)
    ids_of_pieces, inside = layer.ids[owners], np.unique(owners)
    known = np.isfinite(drawn).all()
    lines = []
    for number, burnt in zip(burner.painter.known.tolist(), burner.square_metres, strict=True):
        lines.append(
            ClassBurnt(
                id=number,
                name=classes.name_of(number),
                features=int((layer.ids[inside] == number).sum()),
                vector_area_m2=float(drawn[ids_of_pieces == number].sum()) if known else None,
                burnt_area_m2=float(burnt) if np.isfinite(burnt) else None,
                pixels=sum(mask.class_counts.get(number, 0) for mask in written),
            )
        )
    return tuple(lines), len(inside)


def _warn_of_none(inside: int, features: Features) -> None:
    if not inside:
        warn(
            f"{features.name}: none of {features.count} features has a part on a mask, so all are "
            "without; check the CRS of both and that they belong together"
        )


def _report(
    features: Features,
    grid: Grid,
    *,
    regions: Regions,
    outputs: Outputs,
    written: tuple[MaskFile, ...],
    burnt: tuple[ClassBurnt, ...],
    inside: int,
) -> MasksReport:
    left, lines, encoding = len(features.frame), features.lines, features.encoding
    dropped, repaired = features.repairs
    return MasksReport(
        masks=written,
        manifest=outputs.manifest,
        grid=grid,
        dtype=encoding.dtype.name,
        ignore_id=encoding.ignore_id,
        background=encoding.background,
        classes=burnt,
        features=features.count,
        features_outside=left - lines - inside,
        features_no_polygon=lines,
        features_vanished=features.count - left,
        geometries_repaired=repaired,
        geometries_dropped=dropped,
        frames_outside=regions.outside,
        frames_without_pixel=regions.tiny,
        frames_cut=regions.cut,
    )
