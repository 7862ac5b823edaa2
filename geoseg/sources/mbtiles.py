"""MBTilesSource: a pyramid of web tiles in one SQLite file."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from geoseg.classes import Color
from geoseg.errors import SourceError
from geoseg.grid import Grid
from geoseg.sources.base import Chip, fill_around
from geoseg.sources.cache import Cache, remember
from geoseg.sources.tiles.database import State, files_of, state_of
from geoseg.sources.tiles.image import BadTileError, TileImage, decode
from geoseg.sources.tiles.placement import (
    Placement,
    Scheme,
    TileGrid,
    find_zoom,
    flip,
    lay_out,
    place,
)
from geoseg.sources.tiles.report import (
    Bad,
    Decode,
    TileReport,
    bad_tiles,
    maxzoom_differs,
    name_some,
    report_on,
    tiles_there,
)
from geoseg.sources.tiles.table import tile_blob, tile_places, tile_table
from geoseg.sources.transformed import TransformedSource
from geoseg.spec import Uri
from geoseg.warn import warn
from geoseg.window import Window

_BANDS = ("red", "green", "blue")
_CHECKED = 20_000
"""Tiles that `check` decodes: some ten seconds."""
_DECODED_BYTES = 64 << 20
"""Decoded tiles that a process keeps, for all its threads and files."""

Byte = Annotated[int, Field(ge=0, le=255)]
_decoded = Cache(limit_bytes=_DECODED_BYTES)
_told = Cache(limit_bytes=1 << 20)
"""The bad tiles that were warned of."""


class MBTilesSource(TransformedSource):
    """Web tiles of PNG, JPEG or WebP in an MBTiles file, in EPSG:3857: three bands, red, green, blue.

    The grid is the tile matrix's own at one zoom. The bounds in the metadata choose which of its
    pixels belong, rounded outwards to whole pixels, but never more than there are tiles; without bounds
    that make sense it is whole tiles. A pixel is valid where its tile is there, can be decoded, and is
    not transparent (alpha 0). JPEG has no alpha: name the colour of its empty parts as `nodata_color`.

    A file that changes is read anew. Tiles are read with SQLite: local files only.

    Raises (when read or checked, not when made):
        SourceError: The file is missing or holds no tiles of pictures, the zoom is not there, bounds
            and tiles do not fit, or a tile that is read cannot be decoded.
    """

    type: Literal["mbtiles"] = "mbtiles"
    uri: Uri
    """The file; its name ends in .mbtiles."""
    zoom: Annotated[int, Field(ge=0, le=30)] | None = None
    """The zoom to read; None: the largest that has tiles, whatever the metadata say."""
    nodata_color: Color | None = None
    """(red, green, blue) or "#rrggbb" of pixels that are not valid. Lower zooms blend it with the picture, so that
    they are not read in place of this one."""
    nodata_tolerance: Byte = 0
    """How far red, green and blue may each be from `nodata_color`: around a JPEG's edges it rings."""
    on_bad_tile: Literal["raise", "warn", "ignore"] = "raise"
    """What to do about a tile that cannot be decoded: an error, or not valid with or without a warning."""
    scheme: Scheme | None = None
    """Rows are stored counted from the bottom ("tms") or from the top ("xyz"); None: as MBTiles says from
    the bottom, with an error where bounds, center or scheme in the metadata speak against it, and a
    warning of `check` where nothing tells."""
    use_bounds: bool = True
    """Let the bounds in the metadata choose pixels; False: whole tiles, whatever the bounds say."""
    zooms_lower: Annotated[int, Field(ge=1, le=30)] | None = None
    """Read so many zooms lower, on the ground of `zoom`."""

    @property
    def grid(self) -> Grid:
        """The pixels of the zoom that the bounds choose."""
        return self._laid_out[1]

    @property
    def own_band_names(self) -> tuple[str, ...]:
        """red, green, blue."""
        return _BANDS

    @property
    def own_dtype(self) -> np.dtype[Any]:
        """uint8."""
        return np.dtype(np.uint8)

    def coarser(self, most: float) -> MBTilesSource:
        """The same ground at the lowest zoom that is fine enough; see RasterSource.

        A zoom is left out where a tile lacks the one that covers it there. A source that names a zoom
        or a `nodata_color` gives itself, as does one with transforms that do not keep means.
        """
        chosen = (self.zoom, self.zooms_lower, self.nodata_color) != (None, None, None)
        if chosen or not self.keeps_means or most < 2:  # noqa: PLR2004
            return self
        fitting = [steps for steps in self._steps_down if 1 << steps <= most]
        return self.model_copy(update={"zooms_lower": fitting[-1]}) if fitting else self

    def preflight(self, *, decode: Decode = "all") -> TileReport:
        """Look over the tables and the tiles of the zoom that is read.

        Bad places and bad tiles are in the report, not raised; see TileReport.

        Args:
            decode: Decode "all" tiles of this zoom, a "sample" of 256 evenly spread ones, or "none".

        Raises:
            SourceError: The file is no MBTiles of pictures, or has no such zoom.
        """
        table = tile_table(self.uri)
        placement = self._placement
        zoom = find_zoom(table, self.zoom)
        if self.zooms_lower is not None:
            find_zoom(table, zoom - self.zooms_lower)
        return report_on(table, placement, zoom=zoom, zooms_lower=self.zooms_lower, decode=decode)

    def check(self) -> None:
        """Place the tiles, and decode those of the zoom unless bad ones are ignored; see RasterSource.

        Of more than 20,000 tiles so many are decoded, evenly spread, and that is logged; `preflight`
        decodes them all. Warns where nothing tells which way rows count.
        """
        tiles, _ = self._laid_out
        for doubt in self._placement.doubts:
            warn(f"{self.uri}: {doubt}")
        if self.on_bad_tile != "ignore":
            bad = bad_tiles(self.uri, tiles.zoom, most=_CHECKED)
            self._complain(bad)
        super().check()

    @property
    def cache_bytes(self) -> float:
        """Of decoded tiles, for all files of this process."""
        return _DECODED_BYTES

    def surely_empty(self, window: Window) -> bool:
        """Whether none of the tiles under a window is there; see RasterSource."""
        tiles, grid = self._laid_out
        part = window.intersection(grid.whole)
        if part is None:
            return True
        size, place = tiles.size, tiles.window
        first_row, first_col = (place.row + part.row) // size, (place.col + part.col) // size
        last_row = (place.row + part.row_stop - 1) // size
        last_col = (place.col + part.col_stop - 1) // size
        area = tiles.tiles
        rows = slice(first_row - area.row, last_row - area.row + 1)
        cols = slice(first_col - area.col, last_col - area.col + 1)
        return not self._there[rows, cols].any()

    def read_own(self, window: Window) -> Chip:
        """The pixels of a window; see RasterSource."""
        tiles, grid = self._laid_out
        if grid.whole.contains(window):
            return self._read_inside(window, tiles)
        return fill_around(
            window, grid, len(_BANDS), self.own_dtype, lambda part: self._read_inside(part, tiles)
        )

    @property
    def _placement(self) -> Placement:
        return place(tile_table(self.uri), scheme=self.scheme, use_bounds=self.use_bounds)

    @property
    def _laid_out(self) -> tuple[TileGrid, Grid]:
        return remember(
            ("mbtiles", self), self._lay_out, files=files_of(self.uri), nbytes=lambda _: 1000
        )

    def _lay_out(self) -> tuple[TileGrid, Grid]:
        table = tile_table(self.uri)
        tiles = lay_out(
            table,
            zoom=self.zoom,
            zooms_lower=self.zooms_lower,
            scheme=self.scheme,
            use_bounds=self.use_bounds,
        )
        different = maxzoom_differs(table)
        if different and self.zoom is None and self.zooms_lower is None:
            warn(
                f"{self.uri}: {different}; zoom {tiles.zoom} is read; mend the metadata, or name the zoom"
            )
        return tiles, tiles.grid

    @property
    def _there(self) -> NDArray[np.bool_]:
        """(row, column): which of the tiles under the grid are there."""
        tiles, _ = self._laid_out
        return remember(
            ("mbtiles there", self),
            lambda: tiles_there(self.uri, tiles),
            files=files_of(self.uri),
            nbytes=lambda there: there.nbytes,
        )

    @property
    def _steps_down(self) -> tuple[int, ...]:
        return remember(
            ("mbtiles zooms below", self),
            lambda: tuple(_steps_below(self.uri, self._laid_out[0])),
            files=files_of(self.uri),
            nbytes=lambda _: 1000,
        )

    def _read_inside(self, window: Window, tiles: TileGrid) -> Chip:
        data = np.zeros((len(_BANDS), *window.shape), np.uint8)
        valid = np.zeros(window.shape, bool)
        state, bad, size = state_of(self.uri), [], tiles.size
        row, col = window.row + tiles.window.row, window.col + tiles.window.col
        for y in range(row // size, (row + window.height - 1) // size + 1):
            into_rows, of_rows = _overlap(row, window.height, y * size, size)
            stored = flip(y, tiles.zoom, tiles.scheme)
            for x in range(col // size, (col + window.width - 1) // size + 1):
                tile = _tile(self.uri, state, tiles, x, stored)
                if isinstance(tile, str):
                    bad.append((tiles.zoom, x, stored, tile))
                elif tile is not None:
                    into_cols, of_cols = _overlap(col, window.width, x * size, size)
                    data[:, into_rows, into_cols] = tile.data[:, of_rows, of_cols]
                    valid[into_rows, into_cols] = (
                        True if tile.valid is None else tile.valid[of_rows, of_cols]
                    )
        if bad:
            self._complain(tuple(bad))
        if self.nodata_color is not None:
            apart = np.zeros(window.shape, bool)
            for band, color in zip(data, self.nodata_color, strict=True):
                low, high = color - self.nodata_tolerance, color + self.nodata_tolerance
                apart |= (band < max(low, 0)) | (band > min(high, 255))
            valid &= apart
        return Chip(data, valid)

    def _complain(self, bad: tuple[Bad, ...]) -> None:
        """Raise or warn for tiles that cannot be decoded; of each it is warned once."""
        if not bad or self.on_bad_tile == "ignore":
            return
        tiles, _ = self._laid_out
        if self.on_bad_tile == "raise":
            raise SourceError(
                f"{self.uri}: {_count(bad)} cannot be decoded: {name_some(bad, tiles.scheme)}; write "
                'what is bad anew, or give on_bad_tile="warn" or "ignore" to read it as not valid'
            )
        new = _not_told_of(self.uri, bad)
        if new:
            warn(
                f"{self.uri}: {_count(new)} cannot be decoded and will not be valid: "
                f"{name_some(new, tiles.scheme)}"
            )


def _not_told_of(uri: str, bad: tuple[Bad, ...]) -> tuple[Bad, ...]:
    """Those of the bad tiles that were not asked for here before."""
    new: list[Bad] = []
    for one in bad:
        _told.remember((uri, *one[:3]), partial(new.append, one), nbytes=lambda _: 0)
    return tuple(new)


def _tile(uri: str, state: State, tiles: TileGrid, x: int, row: int) -> TileImage | str | None:
    """One tile decoded, why it cannot be, or None where it is missing."""

    def make() -> TileImage | str | None:
        blob = tile_blob(uri, tiles.zoom, x, row)
        if blob is None:
            return None
        try:
            return decode(blob, size=tiles.size)
        except BadTileError as error:
            return str(error)

    return _decoded.remember(
        (uri, state, tiles.zoom, x, row, tiles.size),
        make,
        nbytes=lambda tile: tile.nbytes if isinstance(tile, TileImage) else 0,
    )


def _overlap(first: int, length: int, tile_first: int, size: int) -> tuple[slice, slice]:
    """The common part of a window's side and a tile's: counted in the window, and in the tile."""
    begin, end = max(first, tile_first), min(first + length, tile_first + size)
    return slice(begin - first, end - first), slice(begin - tile_first, end - tile_first)


def _steps_below(uri: str, tiles: TileGrid) -> Iterator[int]:
    """By how many zooms one may go down and still find a tile over each of the tiles."""
    table = tile_table(uri)
    columns, rows = tile_places(uri, tiles.zoom).T
    rows = rows if tiles.scheme == "xyz" else (1 << tiles.zoom) - 1 - rows
    for zoom in sorted(table.zooms, reverse=True):
        steps = tiles.zoom - zoom
        if steps <= 0:
            continue
        there = tile_places(uri, zoom)
        lower = there[:, 1] if tiles.scheme == "xyz" else (1 << zoom) - 1 - there[:, 1]
        covered = np.isin(
            (columns >> steps << zoom) + (rows >> steps), (there[:, 0] << zoom) + lower
        )
        if covered.all():
            yield steps


def _count(bad: tuple[Bad, ...]) -> str:
    return "1 tile" if len(bad) == 1 else f"{len(bad)} tiles"
