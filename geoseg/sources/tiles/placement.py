"""Where the tiles of an MBTiles file lie: which way rows count, and which pixels the bounds choose."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from affine import Affine

from geoseg.errors import SourceError
from geoseg.grid import Bounds, Grid
from geoseg.sources.tiles.table import Extent, TileTable, tile_size
from geoseg.window import Window

Scheme = Literal["tms", "xyz"]
"""Whether rows are stored counted from the bottom, as MBTiles says, or from the top, as web maps do."""
Box = tuple[float, float, float, float]
"""(left, top, right, bottom) in shares of the square of web tiles, counted from its top left corner."""

HALF_WORLD_M = 20_037_508.342789244
_STEEPEST = 85.0511287798066
"""The latitude where that square ends."""
_SCHEMES: tuple[Scheme, Scheme] = ("tms", "xyz")
_NEAR = 1e-6
"""Degrees around a center, which lies on the edge between two tiles as often as not."""
_SNAP = 0.01
"""Pixels: bounds that reach less into a pixel do not choose it; they are printed with few decimals."""


@dataclass(frozen=True)
class Placement:
    """How rows are counted, and the bounds that choose pixels."""

    scheme: Scheme
    """How rows are read."""
    found: Scheme | None
    """The one scheme by which the tiles fall into the bounds better, or hold the center that the metadata
    name; None where nothing tells."""
    crop: Box | None
    """What the bounds choose; None: all tiles."""
    problem: str | None
    """Why the tiles cannot be placed."""
    notes: tuple[str, ...]
    """What is odd, but no obstacle."""
    doubts: tuple[str, ...]
    """What is taken for granted though nothing tells it, and may be wrong."""


@dataclass(frozen=True)
class TileGrid:
    """The pixels that are read of one zoom."""

    zoom: int
    size: int
    """Pixels on a side of a tile."""
    scheme: Scheme
    window: Window
    """The pixels, counted from the top left corner of the world's tiles at this zoom."""

    @property
    def grid(self) -> Grid:
        """The same as a grid: the tile matrix's own, to the last digit."""
        resolution = 2 * HALF_WORLD_M / (self.size << self.zoom)
        middle = (self.size << self.zoom) / 2
        left, top = (self.window.col - middle) * resolution, (middle - self.window.row) * resolution
        return Grid(
            crs="EPSG:3857",
            transform=Affine(resolution, 0, left, 0, -resolution, top),
            height=self.window.height,
            width=self.window.width,
        )

    @property
    def tiles(self) -> Window:
        """The tiles that hold these pixels, rows counted from the top."""
        row, col = self.window.row // self.size, self.window.col // self.size
        row_last, col_last = (self.window.row_stop - 1) // self.size, self.window.col_stop - 1
        return Window(row, col, row_last - row + 1, col_last // self.size - col + 1)


def flip(row: int, zoom: int, scheme: Scheme) -> int:
    """A stored row counted from the top, or a row from the top as it is stored."""
    return row if scheme == "xyz" else (1 << zoom) - 1 - row


def name_tile(zoom: int, column: int, row: int, scheme: Scheme) -> str:
    """z/x/y with the row as stored, and as web maps count it where that differs."""
    text = f"{zoom}/{column}/{row}"
    return text if scheme == "xyz" else f"{text} (on web maps y={flip(row, zoom, scheme)})"


def place(table: TileTable, *, scheme: Scheme | None, use_bounds: bool) -> Placement:
    """Find out how rows are counted and what the bounds choose.

    Args:
        table: The file.
        scheme: How rows are counted; None: from the bottom, unless bounds, center or scheme in the metadata
            speak against it.
        use_bounds: Whether bounds and center in the metadata are to be believed.
    """
    rows: Scheme = scheme or "tms"
    box, notes = _box_of(table)
    if table.metadata is None:
        notes = ("there is no table metadata",)
    told = list(_told_by(table))
    found, witness = told[0] if told and use_bounds else (None, "")
    problem = _misfit(table, scheme, box) if use_bounds else None
    if problem is None and scheme is None and found == "xyz":
        problem = _counted_from_top(table, witness)
    said = (table.metadata or {}).get("scheme", "").lower()
    if problem is None and found is None and (scheme, said) == (None, "xyz"):
        problem = _unclear(table, said)
    certain = problem or scheme or found or "tms" in (said, *{by for by, _ in told})
    doubts = () if certain else _doubts(table)
    return Placement(rows, found, box if use_bounds else None, problem, notes, doubts)


def lay_out(
    table: TileTable,
    *,
    zoom: int | None,
    zooms_lower: int | None,
    scheme: Scheme | None,
    use_bounds: bool,
) -> TileGrid:
    """The pixels of one zoom that the bounds choose, never more than there are tiles.

    Args:
        table: The file.
        zoom: None: the largest that there is.
        zooms_lower: So many zooms lower, on the same ground.
        scheme: How rows are counted; None: as `place` finds.
        use_bounds: Whether bounds in the metadata choose pixels.

    Raises:
        SourceError: There is no such zoom, or the tiles cannot be placed.
    """
    found = find_zoom(table, zoom)
    tile_size(table.uri, found)  # what holds no pictures is told before where they lie
    placement = place(table, scheme=scheme, use_bounds=use_bounds)
    if placement.problem:
        raise SourceError(placement.problem)
    fine = _at_zoom(table, found, placement)
    if zooms_lower is None:
        return fine
    return _on_same_ground(table, fine, find_zoom(table, fine.zoom - zooms_lower))


def find_zoom(table: TileTable, zoom: int | None) -> int:
    """A zoom that has tiles; the largest for None.

    Raises:
        SourceError: It has none.
    """
    if zoom is None:
        return max(table.zooms)
    if zoom not in table.zooms:
        raise SourceError(
            f"{table.uri}: has no tiles at zoom {zoom}, it has them at {', '.join(map(str, table.zooms))}; "
            "choose one of these, or zoom=None for the largest"
        )
    return zoom


def all_tiles(table: TileTable, zoom: int, size: int, scheme: Scheme) -> Window:
    """The pixels of all tiles of a zoom, as in TileGrid.window."""
    extent = table.zooms[zoom]
    rows = [flip(row, zoom, scheme) for row in (extent.first_row, extent.last_row)]
    wide = extent.last_column - extent.first_column + 1
    high = max(rows) - min(rows) + 1
    return Window(min(rows) * size, extent.first_column * size, high * size, wide * size)


def degrees_of(box: Box) -> Bounds:
    """(left, bottom, right, top) in degrees."""
    left, top, right, bottom = box
    south, north = (
        math.degrees(math.atan(math.sinh(math.pi * (1 - 2 * y)))) for y in (bottom, top)
    )
    return left * 360 - 180, south, right * 360 - 180, north


def extent_in_degrees(table: TileTable, scheme: Scheme) -> Bounds:
    """(left, bottom, right, top) of the tiles at the largest zoom."""
    return degrees_of(_deepest(table)[scheme])


def _at_zoom(table: TileTable, zoom: int, placement: Placement) -> TileGrid:
    size = tile_size(table.uri, zoom)
    whole = all_tiles(table, zoom, size, placement.scheme)
    window: Window | None = whole
    if placement.crop is not None:
        window = whole.intersection(_pixels_of(placement.crop, size << zoom))
    if window is None:
        raise SourceError(
            f"{table.uri}: no tile of zoom {zoom} lies in the bounds {table.bounds} of its metadata; "
            "choose another zoom, or use_bounds=False to read them all"
        )
    return TileGrid(zoom, size, placement.scheme, window)


def _on_same_ground(table: TileTable, fine: TileGrid, zoom: int) -> TileGrid:
    size = tile_size(table.uri, zoom)
    here, there = size << zoom, fine.size << fine.zoom
    row, col = fine.window.row * here // there, fine.window.col * here // there
    row_stop = -(-fine.window.row_stop * here // there)
    col_stop = -(-fine.window.col_stop * here // there)
    window = Window(row, col, row_stop - row, col_stop - col)
    return TileGrid(zoom, size, fine.scheme, window)


def _pixels_of(box: Box, side: int) -> Window:
    """The pixels that a box touches, of a world with so many on a side."""
    left, top, right, bottom = (share * side for share in box)
    col, row = math.floor(left + _SNAP), math.floor(top + _SNAP)
    col_stop, row_stop = math.ceil(right - _SNAP), math.ceil(bottom - _SNAP)
    return Window(row, col, max(row_stop - row, 1), max(col_stop - col, 1))


def _deepest(table: TileTable) -> dict[Scheme, Box]:
    """Where the tiles of the largest zoom lie, by either way to count rows."""
    zoom, extent = max(table.zooms.items())
    return {"tms": _box(zoom, extent, "tms"), "xyz": _box(zoom, extent, "xyz")}


def _box(zoom: int, extent: Extent, scheme: Scheme) -> Box:
    window = Window(
        min(flip(row, zoom, scheme) for row in (extent.first_row, extent.last_row)),
        extent.first_column,
        extent.last_row - extent.first_row + 1,
        extent.last_column - extent.first_column + 1,
    )
    left, top, right, bottom = (number / (1 << zoom) for number in window.bounds_px)
    return left, top, right, bottom


def _box_of(table: TileTable) -> tuple[Box | None, tuple[str, ...]]:
    """What the bounds of the metadata choose, and what is odd about them."""
    text = (table.metadata or {}).get("bounds")
    if text is None:
        return None, ("the metadata have no bounds",)
    box = None if table.bounds is None else _to_box(table.bounds)
    if box is None:
        return None, (
            f"the bounds {text!r} of the metadata are no left,bottom,right,top in degrees",
        )
    return box, ()


def _to_box(bounds: Bounds) -> Box | None:
    """Bounds in degrees as a box; None where they are no bounds in degrees."""
    left, bottom, right, top = bounds
    if not (-181 < left < right < 181 and -91 < bottom < top < 91):  # noqa: PLR2004
        return None
    west, east = ((min(max(x, -180.0), 180.0) + 180) / 360 for x in (left, right))
    south, north = (min(max(y, -_STEEPEST), _STEEPEST) for y in (bottom, top))
    upper, lower = (
        (1 - math.asinh(math.tan(math.radians(y))) / math.pi) / 2 for y in (north, south)
    )
    return (west, upper, east, lower) if west < east and upper < lower else None


def _told_by(table: TileTable) -> Iterator[tuple[Scheme, str]]:
    """The scheme by which the tiles fit better into what the metadata tell, and into what; bounds first."""
    extent = _deepest(table)
    for box, text in _witnesses(table):
        high = {scheme: _shared_height(box, tiles) for scheme, tiles in extent.items()}
        if high["tms"] != high["xyz"]:
            yield ("tms" if high["tms"] > high["xyz"] else "xyz"), text


def _witnesses(table: TileTable) -> Iterator[tuple[Box, str]]:
    """Where the metadata say that tiles lie."""
    places = []
    if table.bounds is not None:
        left, bottom, right, top = table.bounds
        places.append((table.bounds, f"lie in the bounds {table.bounds}"))
        if _misfit(table, None, _to_box(table.bounds)):
            places.append(((bottom, left, top, right), f"lie in the swapped bounds {table.bounds}"))
    if table.center is not None:
        lon, lat = table.center
        around = lon - _NEAR, lat - _NEAR, lon + _NEAR, lat + _NEAR
        places.append((around, f"hold the center {table.center}"))
    for bounds, text in places:
        box = _to_box(bounds)
        if box is not None:
            yield box, text


def _misfit(table: TileTable, scheme: Scheme | None, box: Box | None) -> str | None:
    """For tiles that do not lie in the bounds, whichever way rows count unless that is given."""
    rows = scheme or "tms"
    if box is None:
        return _swapped(table, rows)
    ways = _SCHEMES if scheme is None else (scheme,)
    if any(_shared_height(box, _deepest(table)[way]) for way in ways):
        return None
    return _swapped(table, rows) or _apart(table, rows)


def _doubts(table: TileTable) -> tuple[str, ...]:
    """That the tiles lie elsewhere if rows count from the top; no doubt where they lie the same."""
    extent = _deepest(table)
    if extent["tms"] == extent["xyz"]:
        return ()
    from_bottom, from_top = (_short(degrees_of(extent[rows])) for rows in _SCHEMES)
    text = (
        "nothing tells which way tile rows count: from the bottom (tms), as MBTiles says and as they are "
        f"read, the tiles lie in {from_bottom}, from the top (xyz) in {from_top} (left, bottom, right, "
        "top); give scheme='tms' or scheme='xyz'"
    )
    return (text,)


def _shared_height(one: Box, other: Box) -> float:
    """How high the common part of two boxes is; 0 where they are apart."""
    wide = min(one[2], other[2]) - max(one[0], other[0])
    return max(min(one[3], other[3]) - max(one[1], other[1]), 0.0) if wide > 0 else 0.0


def _counted_from_top(table: TileTable, witness: str) -> str:
    return (
        f"{table.uri}: its tile rows count from the top (XYZ), expected from the bottom (TMS) as MBTiles "
        f"says: only so do the tiles {witness} of the metadata (as TMS they lie in "
        f"{_short(extent_in_degrees(table, 'tms'))}); give scheme='xyz' to read them so"
    )


def _unclear(table: TileTable, said: str) -> str:
    return (
        f"{table.uri}: its metadata say scheme {said}, but MBTiles rows count from the bottom (tms), and "
        "no bounds tell which of the two is true; give scheme='xyz' or scheme='tms'"
    )


def _swapped(table: TileTable, scheme: Scheme) -> str | None:
    """For bounds that meet the tiles with longitude and latitude exchanged."""
    if table.bounds is None:
        return None
    left, bottom, right, top = table.bounds
    box = _to_box((bottom, left, top, right))
    if box is None or not any(_shared_height(box, tiles) for tiles in _deepest(table).values()):
        return None
    return (
        f"{table.uri}: the bounds {table.bounds} of its metadata have latitude and longitude swapped: the "
        f"tiles lie in {_short(extent_in_degrees(table, scheme))} (left, bottom, right, top); mend the "
        "bounds in its table metadata, or give use_bounds=False"
    )


def _apart(table: TileTable, scheme: Scheme) -> str:
    return (
        f"{table.uri}: the bounds {table.bounds} of its metadata hold none of its tiles, which lie in "
        f"{_short(extent_in_degrees(table, scheme))} (left, bottom, right, top); mend the bounds in its "
        "table metadata, or give use_bounds=False"
    )


def _short(bounds: Bounds) -> tuple[float, ...]:
    return tuple(round(number, 6) for number in bounds)
