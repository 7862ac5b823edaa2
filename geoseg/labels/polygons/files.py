"""Files of polygons: which there are, how they are written from a stream, what they remember."""

from __future__ import annotations

import json
import re
import threading
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely

from geoseg.errors import GridError, StoreError
from geoseg.grid import Grid
from geoseg.labels.base import Ids
from geoseg.labels.polygons.lonlat import LONLAT, check_lonlat, from_lonlat, to_lonlat
from geoseg.labels.polygons.rings import Polygons, moved
from geoseg.labels.polygons.whole import check_features
from geoseg.sources.files.wholetiff import not_written
from geoseg.warn import warn

if TYPE_CHECKING:
    import pyarrow as pa

GEOMETRY = "geometry"
"""The column of geometries."""

_DRIVERS = {".gpkg": "GPKG", ".fgb": "FlatGeobuf", ".geojson": "GeoJSON"}
_GEOJSON = ".geojson"
_PARQUET = (".parquet", ".geoparquet")
SUFFIXES = (".gpkg", ".fgb", *_PARQUET, _GEOJSON)
"""Ends of the names of files that can be written."""

_RESERVED = ("gpkg", "sqlite_")
"""What no layer of a GeoPackage may begin with."""

_DATE = "2000-01-01T00:00:00.000Z"
"""When each GeoPackage says that it was changed: equal polygons make equal bytes."""
_DATE_OPTION = "OGR_CURRENT_DATE"
_dated = threading.Lock()
"""GDAL's settings are those of the whole process."""

_ROW_GROUP = 16_384
"""Features of a row group at least, but for the last."""


def suffix_of(uri: str) -> str:
    """The end of a file's name, in lower case."""
    return Path(uri).suffix.lower()


def check_name(uri: str) -> None:
    """See that a file of polygons can have a name.

    Raises:
        ValueError: Its suffix tells no format, or GDAL would read the name otherwise.
    """
    if suffix_of(uri) not in SUFFIXES:
        raise ValueError(
            f"{uri}: the format of polygons goes by the suffix, expected one of: {', '.join(SUFFIXES)}"
        )
    if ";" in uri or not uri.isprintable():
        raise ValueError(
            f"{uri!r}: polygons cannot be written to a path with a semicolon or what is not printed, such "
            "as a line break; choose another name"
        )


def layer_of(uri: str) -> str:
    """The name of the layer in a file: that of the file, as far as GeoPackage takes it.

    >>> layer_of("maps/[a] 2020.gpkg"), layer_of("gpkg.gpkg")
    ('_a_ 2020', 'labels_gpkg')
    """
    name = re.sub(r"[^\w .-]", "_", Path(uri).stem)
    odd = not name[0].isalnum() and name[0] != "_"
    return f"labels_{name}" if odd or name.lower().startswith(_RESERVED) else name


def check_grid(grid: Grid, uri: str) -> None:
    """See that a file can hold what lies on a grid; a warning where it will not say where that is.

    Raises:
        GridError: The file is GeoJSON and the grid has no CRS, or polygons on it have no outlines in
            longitude and latitude.
    """
    if grid.crs is not None:
        if suffix_of(uri) == _GEOJSON:
            check_lonlat(grid, uri)
        return
    cure = 'assign one to the image, e.g. with "gdal_edit.py -a_srs EPSG:32619 IMAGE"'
    if suffix_of(uri) == _GEOJSON:
        raise GridError(
            f"{uri}: GeoJSON is in longitude and latitude, but the map has no CRS; write .gpkg, or "
            f"{cure}"
        )
    warn(f"{uri}: the map has no CRS, so neither have its polygons; {cure}")


def placed(polygons: Polygons, grid: Grid, uri: str) -> Polygons:
    """The polygons as the file wants them: in the grid's CRS, in GeoJSON in longitude and latitude.

    Raises:
        GridError: The file is GeoJSON and the grid reaches past the Earth.
    """
    if suffix_of(uri) == _GEOJSON and grid.crs is not None:
        return to_lonlat(polygons, grid, uri)
    return moved(polygons, grid.transform)


def in_pixels(polygons: Polygons, grid: Grid, uri: str) -> Polygons:
    """The polygons of a file in pixels of the grid, as they were before `placed`, but for rounding."""
    if suffix_of(uri) == _GEOJSON and grid.crs is not None:
        return from_lonlat(polygons, grid)
    return moved(polygons, ~grid.transform)


def write_stream(
    path: Path,
    uri: str,
    stream: pa.RecordBatchReader,
    *,
    count: int,
    grid: Grid,
    tags: Mapping[str, str],
) -> None:
    """Write features as they come, and see that all are there.

    Args:
        path: Where to; its suffix tells the format.
        uri: What errors call the file.
        stream: The features, with WKB in the column `geometry`, as `placed` made them.
        count: How many they are.
        grid: What the features were on.
        tags: What the file is to remember beside the features.

    Raises:
        StoreError: The file cannot be written.
    """
    import pyarrow as pa

    try:
        if suffix_of(uri) in _PARQUET:
            _write_parquet(path, stream, grid=grid, tags=tags)
        else:
            _write_ogr(path, stream, grid=grid, tags=tags)
    except (RuntimeError, OSError, pa.ArrowException) as error:  # pyogrio's are RuntimeErrors
        raise not_written(uri, error) from error
    if suffix_of(uri) not in _PARQUET:  # Arrow tells of a full disk itself
        check_features(path, uri, count=count)


def read_tags(uri: str) -> dict[str, str]:
    """What a file remembers beside its features; nothing where it was made by others.

    Raises:
        StoreError: There is no such file, or it cannot be read.
    """
    import pyarrow.parquet as pq
    import pyogrio

    with _told(uri):
        if suffix_of(uri) in _PARQUET:
            metadata = pq.read_metadata(uri).metadata or {}
            return {key.decode(): value.decode() for key, value in metadata.items()}
        found = dict(pyogrio.read_info(uri)["layer_metadata"] or {})
        return _described(found) if suffix_of(uri) == _GEOJSON else found


def read_features(uri: str) -> tuple[Polygons, Ids]:
    """The polygons of a file as it has them, and their class ids.

    Raises:
        StoreError: There is no such file, or it cannot be read.
    """
    import pyarrow.parquet as pq
    import pyogrio.raw

    with _told(uri):
        if suffix_of(uri) in _PARQUET:
            table = pq.read_table(uri, columns=[GEOMETRY, "class_id"])
            wkb, ids = table[GEOMETRY].to_numpy(), table["class_id"].to_numpy()
        else:
            _, _, wkb, columns = pyogrio.raw.read(uri, columns=["class_id"])
            ids = columns[0] if columns else np.zeros(len(wkb))  # an empty GeoJSON has no columns
        return shapely.from_wkb(wkb), ids.astype(np.uint8)


def _described(found: Mapping[str, str]) -> dict[str, str]:
    """The tags that a GeoJSON file has as its description."""
    try:
        tags = json.loads(found.get("DESCRIPTION", "{}"))
    except ValueError:  # somebody else's, in words
        return {}
    return tags if isinstance(tags, dict) else {}


@contextmanager
def _told(uri: str) -> Iterator[None]:
    """What goes wrong with reading a file, as an error that names it."""
    import pyarrow as pa

    if not Path(uri).is_file():
        raise StoreError(f"{uri}: no such file; write labels to it first, or check the path")
    try:
        yield
    except (RuntimeError, ValueError, OSError, pa.ArrowException) as error:
        raise StoreError(
            f"{uri}: cannot be read as polygons of geoseg: {error}; it is damaged or was made by "
            "others, write it again"
        ) from error


def _write_ogr(
    path: Path, stream: pa.RecordBatchReader, *, grid: Grid, tags: Mapping[str, str]
) -> None:
    import pyogrio.raw

    lonlat = suffix_of(str(path)) == _GEOJSON
    crs = _crs_of(grid)
    with warnings.catch_warnings(), _same_date():
        warnings.filterwarnings("ignore", ".*'crs' was not provided")  # a picture has none
        pyogrio.raw.write_arrow(
            stream,
            path,
            layer=layer_of(path.name),
            driver=_DRIVERS[suffix_of(str(path))],
            geometry_name=GEOMETRY,
            geometry_type="Polygon",
            crs=LONLAT if lonlat else crs and crs.to_wkt(),
            layer_metadata=None if lonlat else dict(tags),
            layer_options={"RFC7946": "YES", "DESCRIPTION": json.dumps(tags)} if lonlat else None,
        )


@contextmanager
def _same_date() -> Iterator[None]:
    """GDAL writes one date into files, whatever the time, unless it is told another already."""
    import pyogrio

    with _dated:
        before = pyogrio.get_gdal_config_option(_DATE_OPTION)
        pyogrio.set_gdal_config_options({_DATE_OPTION: before or _DATE})
        try:
            yield
        finally:
            pyogrio.set_gdal_config_options({_DATE_OPTION: before})


def _write_parquet(
    path: Path, stream: pa.RecordBatchReader, *, grid: Grid, tags: Mapping[str, str]
) -> None:
    """GeoParquet 1.1 with WKB."""
    import pyarrow.parquet as pq

    crs = _crs_of(grid)
    column = {
        "encoding": "WKB",
        "geometry_types": ["Polygon"],
        "crs": None if crs is None else crs.to_json_dict(),
        "edges": "planar",
    }
    geo = {"version": "1.1.0", "primary_column": GEOMETRY, "columns": {GEOMETRY: column}}
    schema = stream.schema.with_metadata({**tags, "geo": json.dumps(geo)})
    with pq.ParquetWriter(path, schema, compression="zstd") as file:
        for table in _row_groups(stream):
            file.write_table(table)


def _row_groups(stream: pa.RecordBatchReader) -> Iterator[pa.Table]:
    """Batches gathered to what is worth an entry in a Parquet file's table of contents."""
    import pyarrow as pa

    gathered: list[pa.RecordBatch] = []
    for batch in stream:
        gathered.append(batch)
        if sum(part.num_rows for part in gathered) >= _ROW_GROUP:
            yield pa.Table.from_batches(gathered)
            gathered = []
    if gathered:
        yield pa.Table.from_batches(gathered)


def _crs_of(grid: Grid) -> Any:
    """The CRS for pyogrio and GeoParquet."""
    import pyproj

    return None if grid.crs is None else pyproj.CRS.from_user_input(grid.crs.to_string())
