"""What a look over an MBTiles file finds, before a pixel of it is trusted."""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from geoseg.grid import Bounds
from geoseg.sources.cache import remember
from geoseg.sources.tiles.database import files_of
from geoseg.sources.tiles.image import BadTileError, decode, format_of
from geoseg.sources.tiles.placement import (
    Placement,
    Scheme,
    TileGrid,
    all_tiles,
    extent_in_degrees,
    flip,
    lay_out,
    name_tile,
)
from geoseg.sources.tiles.table import (
    TileTable,
    is_found_by_index,
    tile_blob,
    tile_blobs,
    tile_places,
    tile_size,
)
from geoseg.window import Window

Bad = tuple[int, int, int, str]
"""(zoom, column, row as stored, reason)."""
Decode = Literal["all", "sample", "none"]

_log = logging.getLogger("geoseg")

_SAMPLE = 256
"""Tiles that a sample decodes, evenly spread."""
_SNIFFED = 16
"""Tiles whose first bytes are looked at where none is decoded."""
_SHOWN, _NAMED = 10, 3
"""Tiles that are listed, and missing ones that the text names."""
_BITS = 31
"""Of a column, where row and column are packed into one number."""
_AT_ONCE = 64
"""Tiles in memory while they are decoded."""


@dataclass(frozen=True)
class TileReport:
    """What `MBTilesSource.preflight` finds; `str` of it is the same as text.

    Tiles are (zoom, column, row) with the row as it is stored in the file's table; unless `scheme` is
    "xyz" it counts from the bottom, and the text gives the y of web maps beside it.
    """

    uri: str
    """The file."""
    tables: Literal["table", "view"]
    """What `tiles` is in the database."""
    format: str | None
    """What the metadata call the tiles."""
    formats: tuple[tuple[str, int], ...]
    """(what the first bytes say, number of tiles), of the tiles that were looked at."""
    zooms: tuple[int, ...]
    """The zooms that have tiles."""
    zoom: int
    """The zoom that is read and reported on."""
    tile_size: int
    """Pixels on a side of a tile."""
    tiles: int
    """Tiles at this zoom."""
    decoded: int
    """How many of them were decoded."""
    bounds: Bounds | None
    """(left, bottom, right, top) in degrees, as the metadata say."""
    extent: Bounds
    """The same of the tiles at the largest zoom, rows counted as they are read."""
    scheme: Scheme | None
    """By which way to count rows the tiles fall into the bounds; None where that does not tell."""
    missing: int
    """Tiles that are not there, of those that hold pixels of the grid; not valid when read."""
    first_missing: tuple[tuple[int, int, int], ...]
    """(zoom, column, row) of the first ten of them."""
    bad_tiles: tuple[Bad, ...]
    """(zoom, column, row, reason) of those that cannot be decoded."""
    problems: tuple[str, ...]
    """Why the file cannot be read as it is; empty where it can."""
    notes: tuple[str, ...]
    """What is odd, but no obstacle."""
    rows: Scheme
    """How rows are counted when they are read."""

    def __str__(self) -> str:
        formats = ", ".join(f"{count} {name}" for name, count in self.formats)
        zooms = ", ".join(map(str, self.zooms))
        rows = f"rows: {self.scheme or 'nothing tells'}, read as {self.rows}"
        lines = [
            f"{self.uri}: {self.tiles} tiles of {self.tile_size} px at zoom {self.zoom}",
            f"zooms: {zooms}; tiles is a {self.tables}",
            f"format: {self.format} in the metadata, found {formats}; {self.decoded} looked into",
            f"bounds: {self.bounds} in the metadata, tiles lie in {self.extent}; {rows}",
        ]
        if self.missing:
            named = ", ".join(name_tile(*tile, self.rows) for tile in self.first_missing[:_NAMED])
            lines.append(f"missing tiles: {self.missing}, first {named}")
        lines += [f"bad: {name_bad(bad, self.rows)}" for bad in self.bad_tiles]
        lines += [f"problem: {text}" for text in self.problems]
        lines += [f"note: {text}" for text in self.notes]
        return "\n".join(lines)


def report_on(
    table: TileTable, placement: Placement, *, zoom: int, zooms_lower: int | None, decode: Decode
) -> TileReport:
    """Look over the tables, and over the tiles of one zoom as far as wanted.

    Args:
        table: The file.
        placement: Where its tiles lie.
        zoom: The zoom asked for.
        zooms_lower: So many zooms lower is what is read.
        decode: "all", "sample" (256 tiles, evenly spread) or "none".
    """
    at = zoom - (zooms_lower or 0)
    size = tile_size(table.uri, at)
    if placement.problem:
        whole = all_tiles(table, at, size, placement.scheme)
        tiles = TileGrid(at, size, placement.scheme, whole)
    else:
        use_bounds = placement.crop is not None
        tiles = lay_out(
            table,
            zoom=zoom,
            zooms_lower=zooms_lower,
            scheme=placement.scheme,
            use_bounds=use_bounds,
        )
    missing, first = _missing(table, tiles)
    report = TileReport(
        uri=table.uri,
        tables="view" if table.kind == "view" else "table",
        format=(table.metadata or {}).get("format"),
        formats=(),
        zooms=tuple(table.zooms),
        zoom=at,
        tile_size=size,
        tiles=table.zooms[at].count,
        decoded=0,
        bounds=table.bounds,
        extent=extent_in_degrees(table, placement.scheme),
        scheme=placement.found,
        missing=missing,
        first_missing=first,
        bad_tiles=(),
        problems=(placement.problem,) if placement.problem else (),
        notes=(*placement.notes, *placement.doubts, *_oddities(table, tiles)),
        rows=placement.scheme,
    )
    return _with_pictures(report, decode)


def bad_tiles(uri: str, zoom: int, *, most: int) -> tuple[Bad, ...]:
    """Tiles of a zoom that cannot be decoded; found once as long as the file does not change.

    Args:
        uri: The file.
        zoom: The zoom.
        most: Of more tiles than these so many are decoded, evenly spread, and that is logged.
    """
    count = len(tile_places(uri, zoom))
    if count <= most:
        return _look_at_all(uri, zoom)[0]
    _log.info("%s: %d of %d tiles at zoom %d are decoded to check them", uri, most, count, zoom)
    size = tile_size(uri, zoom)
    bad, _ = remember(
        ("some bad tiles", uri, zoom, most),
        lambda: _look_at(_some_tiles(uri, zoom, most), zoom, size),
        files=files_of(uri),
        nbytes=lambda found: 300 * len(found[0]),
    )
    return bad


def tiles_there(uri: str, tiles: TileGrid) -> NDArray[np.bool_]:
    """(row from the top, column) of the tiles under a grid: which of them the file holds."""
    area = tiles.tiles
    columns, rows = tile_places(uri, tiles.zoom).T
    from_top = rows if tiles.scheme == "xyz" else (1 << tiles.zoom) - 1 - rows
    inside = (from_top >= area.row) & (from_top < area.row_stop)
    inside &= (columns >= area.col) & (columns < area.col_stop)
    there = np.zeros(area.shape, bool)
    there[from_top[inside] - area.row, columns[inside] - area.col] = True
    return there


def name_bad(bad: Bad, scheme: Scheme) -> str:
    """The place of a bad tile and what is wrong with it."""
    *place, reason = bad
    zoom, column, row = (int(number) for number in place)
    return f"tile {name_tile(zoom, column, row, scheme)}: {reason}"


def name_some(bad: tuple[Bad, ...], scheme: Scheme) -> str:
    """The first bad tiles one by one, and how many more there are."""
    named = "; ".join(name_bad(one, scheme) for one in bad[:_SHOWN])
    more = len(bad) - _SHOWN
    return named + (f"; and {more} more" if more > 0 else "")


def maxzoom_differs(table: TileTable) -> str | None:
    """For metadata whose maxzoom is not the largest zoom with tiles."""
    said, found = table.number("maxzoom"), max(table.zooms)
    if said is None or said == found:
        return None
    return f"the metadata say maxzoom {said}, but the largest zoom with tiles is {found}"


def _with_pictures(report: TileReport, decode: Decode) -> TileReport:
    """The report with what the bytes of the tiles tell."""
    if decode == "all":
        bad, formats = _look_at_all(report.uri, report.zoom)
        decoded = report.tiles
    else:
        count = _SAMPLE if decode == "sample" else _SNIFFED
        some = _some_tiles(report.uri, report.zoom, count)
        size = report.tile_size if decode == "sample" else None
        bad, formats = _look_at(some, report.zoom, size)
        decoded = len(formats) and sum(count for _, count in formats) if size else 0
    return replace(report, bad_tiles=bad, formats=formats, decoded=decoded)


def _some_tiles(uri: str, zoom: int, count: int) -> Iterator[tuple[int, int, Any]]:
    places = tile_places(uri, zoom)
    for i in np.unique(np.linspace(0, len(places) - 1, count).round().astype(int)):
        column, row = (int(number) for number in places[i])
        yield column, row, tile_blob(uri, zoom, column, row)


def _look_at_all(uri: str, zoom: int) -> tuple[tuple[Bad, ...], tuple[tuple[str, int], ...]]:
    size = tile_size(uri, zoom)
    return remember(
        ("bad tiles", uri, zoom),
        lambda: _look_at(tile_blobs(uri, zoom), zoom, size),
        files=files_of(uri),
        nbytes=lambda found: 300 * len(found[0]),
    )


def _look_at(
    tiles: Iterable[tuple[int, int, Any]], zoom: int, size: int | None
) -> tuple[tuple[Bad, ...], tuple[tuple[str, int], ...]]:
    """Bad tiles and formats; tiles are decoded where a size is given, by several threads."""
    bad: list[Bad] = []
    formats: Counter[str] = Counter()
    tiles = iter(tiles)
    with ThreadPoolExecutor(max_workers=min(os.cpu_count() or 1, 8)) as pool:
        while batch := list(islice(tiles, _AT_ONCE)):
            formats.update(format_of(blob) for _, _, blob in batch)
            if size is None:
                continue
            reasons = pool.map(lambda tile: _why_bad(tile[2], size), batch)
            for (column, row, _), reason in zip(batch, reasons, strict=True):
                if reason is not None:
                    bad.append((zoom, column, row, reason))
    return tuple(bad), tuple(formats.most_common())


def _why_bad(blob: Any, size: int) -> str | None:
    try:
        decode(blob, size=size)
    except BadTileError as error:
        return str(error)
    return None


def _missing(table: TileTable, tiles: TileGrid) -> tuple[int, tuple[tuple[int, int, int], ...]]:
    """How many of the tiles under a grid are not there, and the first ones from the top left."""
    area = tiles.tiles
    columns, rows = tile_places(table.uri, tiles.zoom).T
    from_top = rows if tiles.scheme == "xyz" else (1 << tiles.zoom) - 1 - rows
    inside = (from_top >= area.row) & (from_top < area.row_stop)
    inside &= (columns >= area.col) & (columns < area.col_stop)
    there = np.sort(from_top[inside] << _BITS | columns[inside])
    missing = area.height * area.width - len(there)
    absent = (
        (tiles.zoom, int(column), flip(row, tiles.zoom, tiles.scheme))
        for row in range(area.row, area.row_stop)
        for column in _absent_columns(there, row, area)
    )
    return missing, tuple(islice(absent, min(missing, _SHOWN)))


def _absent_columns(there: NDArray[np.int64], row: int, area: Window) -> NDArray[np.int64]:
    """Columns of an area without a tile in a row; `there` holds row and column of all tiles, sorted."""
    first, last = np.searchsorted(there, [row << _BITS, (row + 1) << _BITS])
    present = there[first:last] & ((1 << _BITS) - 1)
    return np.setdiff1d(np.arange(area.col, area.col_stop), present, assume_unique=True)


def _oddities(table: TileTable, tiles: TileGrid) -> Iterator[str]:
    """What the tables tell that is no obstacle."""
    different = maxzoom_differs(table)
    if different:
        yield different
    if not is_found_by_index(table):
        yield (
            "no index finds a tile by zoom_level, tile_column and tile_row, so that all of them are looked "
            "through for each; CREATE INDEX place ON the table with these columns makes it fast"
        )
    minzoom, smallest = table.number("minzoom"), min(table.zooms)
    if minzoom not in (None, smallest):
        yield f"the metadata say minzoom {minzoom}, but the smallest zoom with tiles is {smallest}"
    doubled = table.zooms[tiles.zoom].count - len(tile_places(table.uri, tiles.zoom))
    if doubled:
        yield f"{doubled} tiles at zoom {tiles.zoom} are there more than once; any one of them is read"
    whole = all_tiles(table, tiles.zoom, tiles.size, tiles.scheme)
    left, top, right, bottom = (
        abs(a - b) for a, b in zip(whole.bounds_px, tiles.window.bounds_px, strict=True)
    )
    if max(left, top, right, bottom) >= tiles.size:
        yield (
            f"the bounds leave out tiles that are there: {left} px on the left, {top} at the top, {right} "
            f"on the right, {bottom} at the bottom; use_bounds=False reads them"
        )
