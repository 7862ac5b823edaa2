"""The tables of an MBTiles file: which tiles there are, and what its metadata say of them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import SourceError
from geoseg.grid import Bounds
from geoseg.sources.cache import remember
from geoseg.sources.tiles.database import ask, files_of, stream
from geoseg.sources.tiles.image import format_of, size_of

_SIZED = 16
"""Pictures whose heads tell the size of the tiles."""
_DEEPEST = 30

# Rows of tables that hold a place outside the world, or no whole numbers, are no tiles.
_IN_WORLD = (
    "typeof(zoom_level) = 'integer' AND typeof(tile_column) = 'integer' "
    f"AND typeof(tile_row) = 'integer' AND zoom_level BETWEEN 0 AND {_DEEPEST} AND tile_column BETWEEN 0 AND (1 << zoom_level) - 1 "
    "AND tile_row BETWEEN 0 AND (1 << zoom_level) - 1"
)
_ZOOMS = (
    "SELECT zoom_level, COUNT(*), MIN(tile_column), MAX(tile_column), MIN(tile_row), MAX(tile_row) "
    f"FROM tiles WHERE {_IN_WORLD} GROUP BY zoom_level ORDER BY zoom_level"
)
_PLACES = f"SELECT tile_column, tile_row FROM tiles WHERE zoom_level = ? AND {_IN_WORLD}"
_BLOBS = f"SELECT tile_column, tile_row, tile_data FROM tiles WHERE zoom_level = ? AND {_IN_WORLD}"
_BLOB = "SELECT tile_data FROM tiles WHERE zoom_level = ? AND tile_column = ? AND tile_row = ?"
_PLACE = ("zoom_level=?", "tile_column=?", "tile_row=?")
"""How SQLite names the columns that it looks up in an index."""


@dataclass(frozen=True)
class Extent:
    """The tiles of one zoom, with rows as the file counts them."""

    count: int
    first_column: int
    last_column: int
    first_row: int
    last_row: int


@dataclass(frozen=True, eq=False)
class TileTable:
    """What is known of a file without a look at its pictures."""

    uri: str
    kind: str
    """What `tiles` is: "table" or "view"."""
    metadata: Mapping[str, str] | None
    """None where there is no such table."""
    zooms: Mapping[int, Extent]
    """Zooms that have tiles, in order."""

    def number(self, name: str) -> int | None:
        """A whole number in the metadata; None where it is missing or something else."""
        try:
            return int((self.metadata or {})[name])
        except (KeyError, ValueError):
            return None

    @property
    def center(self) -> tuple[float, float] | None:
        """(longitude, latitude) as the metadata say; None unless two finite numbers."""
        try:
            lon, lat = (float(part) for part in (self.metadata or {})["center"].split(",")[:2])
        except (KeyError, ValueError):
            return None
        return (lon, lat) if math.isfinite(lon) and math.isfinite(lat) else None

    @property
    def bounds(self) -> Bounds | None:
        """(left, bottom, right, top) in degrees as the metadata say; None unless four finite numbers."""
        try:
            left, bottom, right, top = (
                float(part) for part in (self.metadata or {})["bounds"].split(",")
            )
        except (KeyError, ValueError):
            return None
        found = left, bottom, right, top
        return found if all(math.isfinite(number) for number in found) else None


def tile_table(uri: str) -> TileTable:
    """The tables of a file, looked at once as long as it does not change.

    Raises:
        SourceError: It is no MBTiles of pictures; the text says what it is.
    """
    return remember(
        ("tile table", uri), lambda: _read_table(uri), files=files_of(uri), nbytes=lambda _: 10_000
    )


def tile_places(uri: str, zoom: int) -> NDArray[np.int64]:
    """(tile, 2) column and row, as stored, of all tiles of a zoom; each place once, in order."""
    return remember(
        ("tile places", uri, zoom),
        lambda: _read_places(uri, zoom),
        files=files_of(uri),
        nbytes=lambda places: places.nbytes,
    )


def _read_places(uri: str, zoom: int) -> NDArray[np.int64]:
    pairs = stream(uri, _PLACES, (zoom,))  # never all as Python objects: there may be millions
    packed = np.unique(np.fromiter((x << _DEEPEST | y for x, y in pairs), np.int64))
    return np.stack([packed >> _DEEPEST, packed & ((1 << _DEEPEST) - 1)], axis=1)


def tile_blob(uri: str, zoom: int, column: int, row: int) -> Any:
    """The bytes of one tile, its row as stored; None where there is no such tile."""
    found = ask(uri, _BLOB, (zoom, column, row))
    return (found[0][0] or b"") if found else None


def tile_blobs(uri: str, zoom: int) -> Any:
    """Iterates over (column, row as stored, bytes) of all tiles of a zoom."""
    return stream(uri, f"{_BLOBS} ORDER BY tile_column, tile_row", (zoom,))


def is_found_by_index(table: TileTable) -> bool:
    """Whether SQLite finds a tile by its place without a look at all the others."""
    steps = [str(row[-1]) for row in ask(table.uri, f"EXPLAIN QUERY PLAN {_BLOB}", (0, 0, 0))]
    if table.kind == "table":
        return any(all(column in step for column in _PLACE) for step in steps)
    # What a view looks up has names of its own.
    return not any(step.startswith("SCAN") or " AUTOMATIC " in step for step in steps)


def tile_size(uri: str, zoom: int) -> int:
    """Pixels on a side of the tiles of a zoom: what most of the first ones say they have.

    Raises:
        SourceError: None of them is a picture, or they are not square.
    """
    return remember(
        ("tile size", uri, zoom),
        lambda: _find_size(uri, zoom),
        files=files_of(uri),
        nbytes=lambda _: 0,
    )


def _find_size(uri: str, zoom: int) -> int:
    sizes: Counter[tuple[int, int]] = Counter()
    formats: Counter[str] = Counter()
    begin = b""
    for _, _, blob in stream(uri, _BLOBS, (zoom,)):
        kind = format_of(blob)
        formats[kind] += 1
        size = size_of(blob) if kind in ("png", "jpg", "webp") else None
        if size is not None:
            sizes[size] += 1
        elif kind != "empty":
            begin = begin or blob[:8]
        if sizes.total() == _SIZED:
            break
    if not sizes:
        raise SourceError(_why_no_picture(uri, zoom, formats, begin))
    (height, width), _ = sizes.most_common(1)[0]
    if height != width:
        raise SourceError(
            f"{uri}: its tiles at zoom {zoom} are {width} x {height} px, expected squares; make it anew "
            "with square tiles"
        )
    return height


def _why_no_picture(uri: str, zoom: int, formats: Counter[str], begin: bytes) -> str:
    """For a file that has tiles, but no picture among them."""
    said = (tile_table(uri).metadata or {}).get("format", "unknown")
    if formats["vector"] or said in ("pbf", "mvt"):
        return (
            f"{uri}: holds vector tiles (format {said}), expected pictures; read its features with a "
            "vector source, or make tiles of pictures"
        )
    return (
        f"{uri}: none of its {formats.total()} tiles at zoom {zoom} is a PNG, JPEG or WebP (they begin "
        f"with {begin!r}, {formats['empty']} are empty); make the file anew"
    )


def _read_table(uri: str) -> TileTable:
    kinds = dict(ask(uri, "SELECT lower(name), type FROM sqlite_master"))
    if kinds.get("tiles") not in ("table", "view"):
        raise SourceError(_why_no_tiles(uri, kinds))
    columns = {name for (name,) in ask(uri, "SELECT lower(name) FROM pragma_table_info('tiles')")}
    missing = sorted({"zoom_level", "tile_column", "tile_row", "tile_data"} - columns)
    if missing:
        raise SourceError(
            f"{uri}: its table tiles lacks the column {', '.join(missing)} and so is no MBTiles; make "
            "the file anew"
        )
    if not uri.lower().endswith(".mbtiles"):
        raise SourceError(
            f"{uri}: holds tiles as an MBTiles file does, but GDAL and others know one by its name "
            "only; rename it to end in .mbtiles"
        )
    zooms = {zoom: Extent(*numbers) for zoom, *numbers in ask(uri, _ZOOMS)}
    if not zooms:
        raise SourceError(f"{uri}: its table tiles holds no tile; make the file anew")
    return TileTable(uri, kinds["tiles"], _read_metadata(uri, kinds), zooms)


def _read_metadata(uri: str, kinds: dict[str, str]) -> dict[str, str] | None:
    if "metadata" not in kinds:
        return None
    rows = ask(uri, "SELECT name, value FROM metadata")
    return {str(name).strip().lower(): str(value).strip() for name, value in rows}


def _why_no_tiles(uri: str, kinds: dict[str, str]) -> str:
    if "gpkg_contents" in kinds:
        return f"{uri}: is a GeoPackage, expected MBTiles; GeoTIFFSource reads its rasters"
    found = ", ".join(sorted(name for name, kind in kinds.items() if kind in ("table", "view")))
    return (
        f"{uri}: is an SQLite database without a table tiles (it has {found or 'no table'}), expected "
        "MBTiles; name another file"
    )
