"""align: an image or a mask on the exact grid of a reference, written and measured."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rasterio.dtypes import check_dtype

from geoseg.errors import ConfigError, GridError, SourceError
from geoseg.grid import Grid
from geoseg.outputs import refuse_inputs, written_together
from geoseg.prepare.aligning.carried import Carried, beside_xml, carried_of, with_nodata
from geoseg.prepare.aligning.kernel import Method, name_of, settle_categorical, warped_for
from geoseg.prepare.aligning.undeclared import declared, lost_note
from geoseg.prepare.aligning.writing import (
    Compression,
    Marks,
    add_overviews,
    created,
    fill,
    read_back,
)
from geoseg.prepare.correlate import Shift
from geoseg.prepare.onground import GroundSize, ground_size
from geoseg.prepare.shift import estimate_shift
from geoseg.sources.base import RasterSource, raster_source
from geoseg.sources.files.wholetiff import check_whole, not_written
from geoseg.sources.geotiff import GeoTIFFSource
from geoseg.sources.handles import GDAL_ERRORS, block_cache
from geoseg.sources.warp import WarpedSource
from geoseg.sources.warping.pixelmap import PixelMap
from geoseg.sources.warping.plan import common_lattice, meet
from geoseg.spec import files_of
from geoseg.warn import warn
from geoseg.window import Window

_SUFFIXES = (".tif", ".tiff")
_SIDECARS = (".aux.xml", ".ovr", ".msk")
_CACHE_BYTES = 64 << 20
"""Bytes of decoded blocks, of the files read and of the one that is written."""


@dataclass(frozen=True)
class AlignReport:
    """What `align` wrote, and what was measured on the file afterwards."""

    out: str
    """The file that was written."""
    source: str
    """The file it was made of, or the kind of source."""
    reference: str
    """The file whose grid it has, or the grid in words."""
    grid: Grid
    """The grid as read back from the file."""
    grid_equal: bool
    """Whether that is the reference's: CRS, transform and size."""
    resampling: str
    """The kernel; "none" where pixels were copied because both have one lattice."""
    ratio: float
    """Source pixels along a side of a target pixel; above 1 the source is finer."""
    read: str
    """The grid of the pixels that were read: the source's own, or that of an overview."""
    categorical: bool
    """Whether pixels were taken for numbers of classes."""
    dtype: str
    """Of the pixels."""
    band_names: tuple[str, ...]
    """Of all bands but alpha."""
    missing: str
    """How pixels that are not valid are marked: `nodata N`, `alpha`, `mask`, or `none` where there are none."""
    coverage: float
    """Per cent of the pixels that are valid, read back from the file."""
    shift: Shift | None
    """Displacement of the file relative to the reference in pixels; None where the reference is a grid
    without pixels, or nothing was to be measured."""
    ground: GroundSize | None
    """What a pixel measures on the ground; None without a CRS on the Earth."""
    notes: tuple[str, ...]
    """What there was to warn of."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            **vars(self),
            "grid": self.grid.model_dump(mode="json"),
            "band_names": list(self.band_names),
            "shift": None if self.shift is None else self.shift.to_dict(),
            "ground": None if self.ground is None else self.ground.to_dict(),
            "notes": list(self.notes),
        }


def align(
    source: RasterSource | str | Path,
    reference: Grid | RasterSource | str | Path,
    out: str | Path,
    resampling: str = "auto",
    *,
    categorical: bool | None = None,
    nodata: float | None = None,
    compress: Compression = "auto",
    overviews: bool = False,
    method: Method = "exact",
    measure: bool = True,
) -> AlignReport:
    """Bring an image or a mask onto the exact grid of a reference; written whole or not at all.

    The output is a tiled, compressed GeoTIFF (BigTIFF when it gets large) with the reference's CRS,
    transform and size. Dtype, band names, scale, offset and units are kept, of a mask the colour table
    and class names too. What is not valid is marked as in the source: by its nodata number, which no
    valid pixel then has, or by alpha; NaN in fractions, and a mask in the file where nothing else is
    told. A pixel that lacks one band lacks all.

    Images are blended (bilinear, average where they are more than twice as fine), numbers of classes
    never (nearest, mode where they are finer); see WarpedSource. Memory: one row of tiles.

    Args:
        source: The image or mask, or its uri; one band if a mask.
        reference: A raster or its uri, MBTiles too, whose grid is wanted; or the grid.
        out: The GeoTIFF to write; missing folders are made.
        resampling: auto, nearest, bilinear, cubic, average, mode; with method="gdal" all of GDAL's.
        categorical: Whether pixels are numbers of classes. None: as the file's colour table says; without
            one, a single band of at most 32 distinct whole numbers is taken for a mask, with a warning.
        nodata: The number of what is not valid in the output. Of an image that tells by nothing what is
            missing, pixels with this number are not valid either, with a note that counts them; a class with
            this number is an error. None: as in the source.
        compress: "auto": zstd where GDAL has it, else deflate.
        overviews: Whether to add overviews: averages, or the most frequent number of a class.
        method: "exact" maps every pixel centre; "gdal" is GDAL's own warper.
        measure: Whether to measure the shift against the reference's pixels afterwards.

    Raises:
        ConfigError: An argument is wrong: the output is an input or no .tif, a kernel blends classes, a
            mask has several bands, a class has the number of nodata.
        GridError: One of the two has no CRS, or they do not overlap.
        SourceError: The source cannot be read, or GDAL has no such dtype.
        StoreError: The file cannot be written, or the disk is full.
    """
    uri, resampling = _checked_name(str(out)), resampling.lower()
    image = _source_of(source)
    onto = reference if isinstance(reference, Grid) else _source_of(reference)
    inputs = (*files_of(image), *(() if isinstance(onto, Grid) else files_of(onto)))
    refuse_inputs([uri, uri + ".aux.xml"], inputs)
    _check_dtype(image)
    carried = carried_of(image)
    if nodata is not None:
        carried = with_nodata(carried, nodata, image)
    grid = onto if isinstance(onto, Grid) else onto.grid
    _check_overlap(image, grid)
    as_classes = settle_categorical(image, given=categorical, resampling=resampling)
    lost = None
    # Of numbers of classes none is taken for missing: writing refuses the number where one has it.
    undeclared = not (as_classes or carried.tells_missing)
    if nodata is not None and undeclared and isinstance(image, GeoTIFFSource):
        lost, image = lost_note(image, nodata, grid), declared(image, nodata)
    warped = warped_for(image, onto, categorical=as_classes, resampling=resampling, method=method)
    warped.check()
    marks, found = _write(
        warped, carried, uri, categorical=as_classes, compress=compress, overviews=overviews
    )
    notes = _notes(warped, marks, found[1], categorical=as_classes, lost=lost)
    shift = None
    if measure and not isinstance(onto, Grid):
        shift = estimate_shift(uri, onto, source_kind="labels" if as_classes else "image")
    plan = warped.plan
    return AlignReport(
        out=uri,
        source=name_of(image),
        reference=name_of(onto),
        grid=found[0],
        grid_equal=found[0] == grid,
        resampling=plan.resampling,
        ratio=plan.ratio,
        read=plan.grid.describe(),
        categorical=as_classes,
        dtype=warped.dtype.name,
        band_names=warped.band_names,
        missing=marks.how,
        coverage=100 * found[1] / (grid.height * grid.width),
        shift=shift,
        ground=ground_size(grid),
        notes=notes,
    )


def _source_of(given: RasterSource | str | Path) -> RasterSource:
    return raster_source(given if isinstance(given, RasterSource) else str(given))


def _checked_name(uri: str) -> str:
    if not uri.lower().endswith(_SUFFIXES):
        raise ConfigError(f"{uri}: what is aligned is written as a GeoTIFF; end its name with .tif")
    return uri


def _check_dtype(source: RasterSource) -> None:
    if source.dtype.kind == "b" or not check_dtype(source.dtype):
        raise SourceError(
            f"{name_of(source)}: GDAL has no pixels of {source.dtype}; cast them to another dtype first"
        )


def _check_overlap(source: RasterSource, grid: Grid) -> None:
    """See that both have a CRS, or neither, and lie on common ground."""
    try:
        pixels = PixelMap.between(grid, source.grid)
    except GridError as error:
        raise GridError(f"{name_of(source)}: {error}") from error
    offset = common_lattice(source.grid, grid)
    if offset is not None:
        there = Window(*offset, *grid.shape)
        together = there.intersection(source.grid.whole) is not None
    else:
        together = meet(pixels, source.grid, grid)
    if not together:
        raise GridError(
            f"{name_of(source)} ({source.grid.describe()}, bounds {_told(source.grid)}) does not touch "
            f"the grid it is aligned with ({grid.describe()}, bounds {_told(grid)}); is the CRS of one "
            "of them wrong?"
        )


def _told(grid: Grid) -> str:
    return "(" + ", ".join(f"{number:.10g}" for number in grid.bounds) + ")"


def _write(
    source: WarpedSource,
    carried: Carried,
    uri: str,
    *,
    categorical: bool,
    compress: Compression,
    overviews: bool,
) -> tuple[Marks, tuple[Grid, int]]:
    """Write the file and what lies beside it; how pixels are marked, and what was read back."""
    beside = beside_xml(carried) if categorical else None
    uris = (uri,) if beside is None else (uri, uri + ".aux.xml")
    # The cache is bounded from before the file is opened until it is closed.
    with written_together(uris) as paths, block_cache(_CACHE_BYTES):
        path = paths[0]
        try:
            with created(path, source, carried, categorical=categorical, compress=compress) as file:
                told = f"align {Path(uri).name}"
                marks = fill(file, source, carried, categorical=categorical, told=told)
            if overviews:
                add_overviews(path, source.grid, categorical=categorical)
            found = read_back(path)
            if beside is not None:
                paths[1].write_bytes(beside)
        except GDAL_ERRORS as error:
            raise not_written(uri, error.__cause__ or error) from error
        check_whole(path, uri)
    for suffix in _SIDECARS:  # they told about the file that was replaced
        if uri + suffix not in uris:
            Path(uri + suffix).unlink(missing_ok=True)
    return marks, found


def _notes(
    source: WarpedSource, marks: Marks, valid: int, *, categorical: bool, lost: str | None
) -> tuple[str, ...]:
    """What is to be told of an aligned file, each said as a warning too."""
    grid, notes = source.grid, []
    missing = grid.height * grid.width - valid
    ground = ground_size(grid)
    if ground is not None and ground.note is not None:
        notes.append(ground.note)
    if not valid:
        notes.append("no pixel is valid: the source is empty where it lies on the grid")
    elif categorical and marks.how == "mask":
        notes.append(
            f"{missing} pixels have no label; their number is 0 and the file's mask tells them apart, "
            "which not every program reads: give nodata=255, or another number that is no class"
        )
    if lost is not None:
        notes.append(lost)
    if marks.moved:
        notes.append(
            f"{marks.moved} valid values were the number of {marks.how} and became the next one"
        )
    if marks.valid != valid:
        notes.append(
            f"{valid} pixels of the file read back as valid, of {marks.valid} that were written so"
        )
    for note in notes:
        warn(f"{name_of(source.source)}: {note}")
    return tuple(notes)
