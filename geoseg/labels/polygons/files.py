"""Files of polygons: which there are, how they are written from a stream, what they remember."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely

from geoseg.errors import GridError, StoreError
from geoseg.grid import Grid, to_crs, transformer
from geoseg.labels.base import Ids
from geoseg.labels.polygons.rings import Polygons, moved
from geoseg.labels.polygons.whole import check_features
from geoseg.sources.files.wholetiff import not_written

if TYPE_CHECKING:
    import pyarrow as pa

GEOMETRY = "geometry"
"""The column of geometries."""

_DRIVERS = {".gpkg": "GPKG", ".fgb": "FlatGeobuf", ".geojson": "GeoJSON"}
_GEOJSON = ".geojson"
_PARQUET = (".parquet", ".geoparquet")
SUFFIXES = (".gpkg", ".fgb", *_PARQUET, _GEOJSON)
"""Ends of the names of files that can be written."""

_ROW_GROUP = 16_384
"""Features of a row group at least, but for the last."""
_LONLAT = "EPSG:4326"
_BEND = 64
"""Pixels after which an edge gets a vertex before it is projected: straight edges bend."""


def suffix_of(uri: str) -> str:
    """The end of a file's name, in lower case."""
    return Path(uri).suffix.lower()


def check_grid(grid: Grid, uri: str) -> None:
    """See that a file can hold what lies on a grid; a warning where it will not say where that is.

    Raises:
        GridError: The file is GeoJSON and the grid has no CRS.
    """
    if grid.crs is not None:
        return
    cure = 'assign one to the image, e.g. with "gdal_edit.py -a_srs EPSG:32619 IMAGE"'
    if suffix_of(uri) == _GEOJSON:
        raise GridError(
            f"{uri}: GeoJSON is in longitude and latitude, but the map has no CRS; write .gpkg, or "
            f"{cure}"
        )
    warnings.warn(f"{uri}: the map has no CRS, so neither have its polygons; {cure}", stacklevel=2)


def placed(polygons: Polygons, grid: Grid, uri: str) -> Polygons:
    """The polygons as the file wants them: in the grid's CRS, in GeoJSON in longitude and latitude.

    Raises:
        GridError: The file is GeoJSON and the grid reaches past the Earth.
    """
    if suffix_of(uri) != _GEOJSON or grid.crs is None:
        return moved(polygons, grid.transform)
    if grid.crs == to_crs(_LONLAT):
        return moved(polygons, grid.transform)
    bent = moved(shapely.segmentize(polygons, _BEND), grid.transform)
    to_degrees = transformer(grid.crs.to_string(), _LONLAT)
    made: Polygons = shapely.transform(bent, to_degrees.transform, interleaved=False)
    if not np.isfinite(shapely.get_coordinates(made)).all():
        raise GridError(
            f"{uri}: parts of {grid.describe()} have no longitude and latitude, which GeoJSON needs; "
            "write .gpkg"
        )
    return made


def in_pixels(polygons: Polygons, grid: Grid, uri: str) -> Polygons:
    """The polygons of a file in pixels of the grid, as they were before `placed`, but for rounding.

    Seven decimals of a degree are a centimetre: so far corners in GeoJSON may be off.
    """
    if suffix_of(uri) == _GEOJSON and grid.crs is not None:
        from_degrees = transformer(_LONLAT, grid.crs.to_string())
        polygons = shapely.transform(polygons, from_degrees.transform, interleaved=False)
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
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*'crs' was not provided")  # a picture has none
        pyogrio.raw.write_arrow(
            stream,
            path,
            layer=path.stem,
            driver=_DRIVERS[suffix_of(str(path))],
            geometry_name=GEOMETRY,
            geometry_type="Polygon",
            crs=_LONLAT if lonlat else crs and crs.to_wkt(),
            layer_metadata=None if lonlat else dict(tags),
            layer_options={"RFC7946": "YES", "DESCRIPTION": json.dumps(tags)} if lonlat else None,
        )


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
