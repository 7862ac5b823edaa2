"""Features with geometry and attributes: from a file, or from a GeoDataFrame in memory."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import PrivateAttr, ValidationInfo, field_validator, model_serializer

from geoseg.errors import ConfigError, SourceError
from geoseg.grid import Bounds
from geoseg.sources.cache import remember
from geoseg.sources.digest import array_digest
from geoseg.sources.files.behind import behind_vector
from geoseg.sources.transformedvector import (
    TransformedVectorSource,
    frame_bytes,
    loaded,
    pixel_transforms,
    seen,
    transformed,
)
from geoseg.spec import Uri

if TYPE_CHECKING:
    from geopandas import GeoDataFrame

_PARQUET = (".parquet", ".geoparquet")
_FRAME = "frame"
"""What errors call features in memory."""


class FileVectorSource(TransformedVectorSource):
    """The features of a vector file: GeoPackage, GeoJSON, FlatGeobuf, Shapefile, GeoParquet, ...

    The file is read once, and kept with its transforms done while it does not change. Geometries are
    two-dimensional; empty ones are left out and invalid ones repaired, with one warning that counts both
    (`OnlyValid` leaves them out).

    Raises (when read or checked, not when made):
        SourceError: The file is missing, holds no features or no CRS, or lacks the layer; `where` is
            wrong.
    """

    type: Literal["file"] = "file"
    uri: Uri
    """Any file that OGR opens, or GeoParquet."""
    layer: str | int | None = None
    """Name or number (from 0) of the layer; may be left out where there is one only."""
    where: str | None = None
    """A condition on the attributes in OGR SQL, e.g. `kind = 'roof' AND area > 20`; not for GeoParquet."""

    def read(self, bounds: Bounds | None = None, crs: Any = None) -> GeoDataFrame:
        """The features in file order; the index counts the features that `where` left. See VectorSource.

        Transforms are done, but for those in pixels (`Buffer(..._px)`, `Shift(..._px)`): without a grid
        they do nothing here, and are done where labels or an AOI bring the features onto one.
        """
        frame = remember(
            ("features", self), lambda: _load(self), files=self.files, nbytes=frame_bytes
        )
        return seen(frame, bounds, crs, name=self.uri)

    @property
    def files(self) -> tuple[str, ...]:
        """The one file."""
        return (self.uri,)

    def uris_within(self) -> tuple[str, ...]:
        """The files that belong to it, such as `.dbf`, `.shx` and `.prj` of a Shapefile; see `files_of`."""
        return behind_vector(self.uri)


class FrameSource(TransformedVectorSource):
    """The features of a GeoDataFrame. Python only: it has no YAML form.

    Made with `FrameSource(frame=...)`, which copies and repairs: what is done to the frame later is
    not seen.
    """

    type: Literal["frame"] = "frame"
    frame: Any
    """A GeoDataFrame with a CRS."""
    _digest: bytes | None = PrivateAttr(default=None)

    @field_validator("frame")
    @classmethod
    def _usable(cls, frame: Any, info: ValidationInfo) -> Any:
        from geopandas import GeoDataFrame

        if not isinstance(frame, GeoDataFrame):
            raise ValueError(  # noqa: TRY004 - pydantic reports a ValueError
                f"frame is a {type(frame).__name__}, expected a GeoDataFrame"
            )
        if frame.active_geometry_name is None:
            raise ValueError("frame has no geometry column; choose one with frame.set_geometry()")
        if frame.crs is None:
            raise ValueError("frame has no CRS; assign one with frame.set_crs()")
        return loaded(frame, info.data.get("transforms", ()), name=_FRAME)

    @model_serializer(mode="plain")
    def _python_only(self) -> dict[str, Any]:
        raise ConfigError(
            "a FrameSource cannot be written: it holds a GeoDataFrame; write the frame with "
            "frame.to_file() and use FileVectorSource"
        )

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, FrameSource):
            return NotImplemented
        ours, theirs = self.frame, other.frame
        same = ours is theirs or (
            self._content() == other._content()
            and ours.crs == theirs.crs
            and ours.active_geometry_name == theirs.active_geometry_name
            and bool(ours.equals(theirs))
        )
        return same and self.transforms == other.transforms

    def __hash__(self) -> int:
        # By the geometries: attributes may hold anything, and equality decides.
        columns = tuple(self.frame.columns)
        return hash((len(self.frame), columns, self.transforms, self._content()))

    def _content(self) -> bytes:
        """A digest of the coordinates, made once."""
        if self._digest is None:
            from shapely import get_coordinates

            self._digest = array_digest(get_coordinates(self.frame.geometry.array))
        return self._digest

    def read(self, bounds: Bounds | None = None, crs: Any = None) -> GeoDataFrame:
        """The features in the frame's order, with its index; see VectorSource.

        Transforms are done, but for those in pixels (`Buffer(..._px)`, `Shift(..._px)`): without a grid
        they do nothing here, and are done where labels or an AOI bring the features onto one.
        """
        frame = self.frame
        if len(self.transforms) > len(pixel_transforms(self)):
            frame = remember(
                ("features", self),
                lambda: transformed(self.frame, self.transforms, name=_FRAME),
                nbytes=frame_bytes,
            )
        return seen(frame, bounds, crs, name=_FRAME)


def _load(source: FileVectorSource) -> GeoDataFrame:
    """Read a file with all its attributes."""
    from geopandas import GeoDataFrame

    _check_present(source.uri)
    parquet = source.uri.lower().endswith(_PARQUET)
    frame = _read_parquet(source) if parquet else _read_ogr(source)
    if not isinstance(frame, GeoDataFrame):
        raise SourceError(
            f"{source.uri}: holds a table without geometry, expected features; name another layer or file"
        )
    if frame.crs is None:
        raise SourceError(
            f'{source.uri}: has no CRS; assign one with "ogr2ogr -a_srs EPSG:4326 NEW {source.uri}" '
            "(with the code of the CRS that it is in)"
        )
    frame = loaded(frame, source.transforms, name=source.uri)
    return transformed(frame, source.transforms, name=source.uri)


def _check_present(uri: str) -> None:
    path = Path(uri)
    if "://" in uri or uri.startswith("/vsi") or path.exists():
        return
    if ":" in path.name:  # a driver's connection text, such as PG:dbname=...
        return
    names = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
    near = get_close_matches(path.name, names, n=3)
    hint = f"did you mean {' or '.join(near)}?" if near else "check the path"
    raise SourceError(f"{uri}: no such file; {hint}")


def _read_ogr(source: FileVectorSource) -> Any:
    """The layer as pyogrio gives it; a plain DataFrame where it has no geometry."""
    import pyogrio
    from pyogrio.errors import DataLayerError
    from shapely.errors import GEOSException

    layer = _layer_of(source)
    try:
        return pyogrio.read_dataframe(
            source.uri, layer=layer, where=source.where, force_2d=True, on_invalid="fix"
        )
    except (DataLayerError, GEOSException, ValueError) as error:
        if source.where is None:
            raise SourceError(
                f"{source.uri}: layer {layer!r} cannot be read: {error}; try ogrinfo on it"
            ) from error
        columns = ", ".join(pyogrio.read_info(source.uri, layer=layer)["fields"])
        raise SourceError(
            f"{source.uri}: where={source.where!r} is no condition on this layer ({error}); write OGR "
            f"SQL with its columns: {columns}"
        ) from error


def _layer_of(source: FileVectorSource) -> str:
    """The name of the layer to read."""
    import pyogrio
    from pyogrio.errors import DataSourceError

    try:
        names = [str(name) for name in pyogrio.list_layers(source.uri)[:, 0]]
    except DataSourceError as error:
        raise SourceError(
            f"{source.uri}: is no vector file that OGR can open, or it is damaged; expected e.g. "
            "GeoPackage, GeoJSON or FlatGeobuf; try ogrinfo on it"
        ) from error
    layer, known = source.layer, ", ".join(names)
    if layer is None and len(names) == 1:
        return names[0]
    if layer is None:
        raise SourceError(
            f"{source.uri}: holds {len(names)} layers, expected one; choose layer=... of: {known}"
        )
    if isinstance(layer, int) and 0 <= layer < len(names):
        return names[layer]
    if layer in names:
        return str(layer)
    raise SourceError(f"{source.uri}: has no layer {layer!r}; choose one of: {known}")


def _read_parquet(source: FileVectorSource) -> Any:
    """GeoParquet through geopandas: the GDAL in common wheels cannot open it."""
    import geopandas

    if source.layer is not None or source.where is not None:
        raise SourceError(
            f"{source.uri}: GeoParquet has no layers and takes no `where`; leave them out, or convert "
            f'it with "gpd.read_parquet({source.uri!r}).to_file(...)" to a GeoPackage'
        )
    try:
        return geopandas.read_parquet(source.uri)
    except (ValueError, OSError) as error:
        reason = " ".join(str(error).split())
        raise SourceError(
            f"{source.uri}: cannot be read as GeoParquet: {reason}; write it with "
            "GeoDataFrame.to_parquet()"
        ) from error
