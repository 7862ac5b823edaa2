"""A number that a caller calls missing, of a file that declares none."""

from __future__ import annotations

from contextlib import suppress

import numpy as np

from geoseg.errors import GridError
from geoseg.grid import Grid
from geoseg.sources.geotiff import GeoTIFFSource
from geoseg.window import Window, sliding

_BLOCK = 1024


def declared(source: GeoTIFFSource, nodata: float) -> GeoTIFFSource:
    """The same source, of which pixels with a number are not valid."""
    return GeoTIFFSource.model_validate({**vars(source), "nodata": nodata})


def lost_note(source: GeoTIFFSource, nodata: float, grid: Grid) -> str | None:
    """What to tell of pixels that are missing only as a caller says so; None where there are none.

    Args:
        source: As its file tells it.
        nodata: The caller's number.
        grid: Pixels around its bounds are counted.
    """
    part = source.grid.whole
    with suppress(GridError):
        part = source.grid.window(grid.bounds, grid.crs).intersection(part) or part
    given, lost = declared(source, nodata), 0
    for block in sliding(part.shape, _BLOCK, edge="pad"):
        window = Window(part.row + block.row, part.col + block.col, *block.shape).intersection(part)
        if window is not None:
            lost += int(np.count_nonzero(source.read(window).valid & ~given.read(window).valid))
    if not lost:
        return None
    return (
        f"{lost} of {part.height * part.width} pixels hold {nodata:g} and are missing as nodata={nodata:g} was "
        "given, though the file declares nothing as missing; leave nodata out, or give another number, should "
        "they be measurements"
    )
