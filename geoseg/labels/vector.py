"""VectorLabelStore: class ids as polygons."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationError, field_validator

from geoseg.burn import Edges
from geoseg.classes import ClassMap
from geoseg.errors import ConfigError, StoreError
from geoseg.grid import Grid
from geoseg.labels.base import Ids, Labels, LabelStore
from geoseg.labels.features import Strips, class_id
from geoseg.labels.ids import pad_ids
from geoseg.labels.manifest import PREDICTION_TAG, MadeBy, made_by_in
from geoseg.labels.polygons.drawn import Drawn
from geoseg.labels.polygons.files import (
    check_grid,
    check_name,
    in_pixels,
    read_features,
    read_tags,
    write_stream,
)
from geoseg.labels.polygons.ground import check_metres
from geoseg.labels.values import listed
from geoseg.outputs import check_names, written_whole
from geoseg.sources.cache import remember
from geoseg.spec import AlsoWritten, Uri
from geoseg.window import Window

if TYPE_CHECKING:
    from geoseg.labels.polygons.writer import VectorLabelWriter

_GRID_TAG, _CLASSES_TAG = "GEOSEG_GRID", "GEOSEG_CLASSES"
_DRAWN_TAG = "GEOSEG_DRAWN"


def _as_tuple(value: Any) -> Any:
    """One class needs no list."""
    return (value,) if isinstance(value, str | int) else value


class VectorLabelStore(LabelStore):
    """Class ids as polygons: one for each region of pixels of one class that are connected through their sides.

    Edges lie on the edges of pixels and holes are kept, so that rasterising the polygons gives the map
    again. Each has `class_id` and `class_name`. Ignored pixels belong to none. The file appears under
    its name when it is whole, and remembers the grid and the classes of the map.

    The suffix tells the format: GeoPackage (.gpkg), FlatGeobuf (.fgb) and GeoParquet (.parquet,
    .geoparquet) in the CRS of the map, or GeoJSON (.geojson) in longitude and latitude with 7 decimals,
    as RFC 7946 wants, which is a centimetre. There a region across the antimeridian is one feature that
    is cut into several parts at it, again as RFC 7946 wants; grids with a pole in them are refused. The
    layer has the name of the file, with `_` for what is no letter, digit, space, dot, hyphen or underscore,
    and `labels_` before what GeoPackage keeps to itself. Equal labels make equal bytes: each GeoPackage
    says that it was changed on 1 January 2000.
    """

    type: Literal["vector"] = "vector"
    uri: Uri
    """A local path; missing folders are made."""
    only: Annotated[
        tuple[int | str, ...] | None,
        BeforeValidator(_as_tuple),
        AlsoWritten({"type": ["string", "integer"]}),
    ] = None
    """Names or ids of the classes that become polygons; None: all."""
    scores: bool = False
    """Whether each polygon gets a `score` too: the mean over its pixels of the score of its class."""
    min_area_m2: float = Field(default=0, ge=0, allow_inf_nan=False)
    """Regions with a smaller area on the ground (on the ellipsoid, in any CRS) are left out, counted in
    a warning; holes in them or left by them are not filled."""
    simplify_m: float = Field(default=0, ge=0, allow_inf_nan=False)
    """How far outlines may change to lose corners, in metres (about: a corner goes whose triangle is
    smaller than a square of this side; the steps of pixels from 0.7 px on). Borders between regions stay shared.
    Memory: all polygons at once."""
    rectangle_iou: float = Field(default=0, ge=0, le=1)
    """For buildings: regions that fill at least this share of their smallest rotated rectangle become
    rectangles of the same area, without holes; 0: none. They may overlap their neighbours a little."""
    denoise_px: int = Field(default=0, ge=0)
    """Pixels that no square of so many pixels a side covers within their class and the map are left out,
    before regions are made: specks, and what is narrower (a morphological opening); 0 and 1: none."""
    mode: Literal["overwrite", "error"] = "overwrite"
    """What happens where the file is there already: it is replaced, or that is an error before any work
    is done."""

    @field_validator("uri")
    @classmethod
    def _known_format(cls, uri: str) -> str:
        check_name(uri)
        return uri

    @property
    def wants_scores(self) -> bool:
        """Whether polygons get scores."""
        return self.scores

    def check(self) -> None:
        """See that the file can be named so, and nothing is replaced that may not be; see LabelStore.

        Raises:
            StoreError: The name is none of a file or too long, or the file is there already and `mode` is
                "error".
        """
        check_names((self.uri,))
        if self.mode == "error" and Path(self.uri).exists():
            raise StoreError(
                f"{self.uri}: is there already and this store replaces nothing; choose another name, "
                'remove it, or pass mode="overwrite"'
            )

    @contextmanager
    def writer(self, grid: Grid, classes: ClassMap) -> Iterator[VectorLabelWriter]:
        """A context in which rows are written; see VectorLabelWriter and LabelStore.

        Raises:
            GridError: Metres are asked for, or GeoJSON, and the grid's CRS does not tell where on the Earth;
                or GeoJSON, and a pole lies in the grid.
            ConfigError: `only` names what is no class.
            StoreError: The file cannot be written, or is there already and `mode` is "error".
        """
        from geoseg.labels.polygons.spool import Spool
        from geoseg.labels.polygons.writer import VectorLabelWriter

        self.check()
        chosen = self._chosen(classes)
        check_grid(grid, self.uri)
        if self.min_area_m2 or self.simplify_m or self.rectangle_iou:
            check_metres(grid, self.uri)
        tags = {_GRID_TAG: grid.model_dump_json(), _CLASSES_TAG: classes.model_dump_json()}
        if (drawn := Drawn.of(self, chosen, classes)) != Drawn():
            tags[_DRAWN_TAG] = drawn.model_dump_json()
        with (
            written_whole(self.uri) as path,
            Spool(path.with_name(f"spool-{path.name}"), self.uri) as spool,
        ):
            writer = VectorLabelWriter(self, grid, classes, ids=chosen, spool=spool)
            yield writer
            writer.finish()
            if writer.told is not None:
                tags[PREDICTION_TAG] = writer.told
            found = spool.stream(scored=self.scores)
            write_stream(path, self.uri, found, count=spool.count, grid=grid, tags=tags)

    def read(self) -> PolygonLabels:
        """The labels that the polygons show on the grid they were made on; elsewhere `ignore_id`.

        Raises:
            StoreError: There is no such file, or it was made by others and does not tell its grid.
        """
        return PolygonLabels(self.uri)

    def _chosen(self, classes: ClassMap) -> frozenset[int]:
        """The ids that become polygons."""
        if self.only is None:
            return frozenset(classes.ids)
        found = {value: class_id(value, classes) for value in self.only}
        wrong = [value for value, known in found.items() if known not in classes.ids]
        if wrong:
            raise ConfigError(
                f"{self.uri}: only={wrong} names no class; the classes are {listed(classes)}"
            )
        return frozenset(known for known in found.values() if known is not None)


class PolygonLabels(Labels):
    """The polygons in a file that VectorLabelStore wrote, as class ids on the grid they were made on.

    A pixel has the class of the polygon over its centre, and is ignored where there is none; whether that
    may be because the store left something out, `drawn` tells. Memory: the polygons.
    """

    def __init__(self, uri: str) -> None:
        """Read grid and class map; polygons are read when pixels are asked for.

        Raises:
            StoreError: There is no such file, or it does not remember its grid.
        """
        tags = read_tags(uri)
        if _GRID_TAG not in tags or _CLASSES_TAG not in tags:
            raise StoreError(
                f"{uri}: does not tell the grid and classes of its labels, as files that geoseg wrote "
                f"do; take VectorLabels(source={uri!r}, class_by=..., classes=...).on(grid)"
            )
        self.uri, self._told = uri, tags.get(PREDICTION_TAG)
        try:
            self.grid = Grid.model_validate_json(tags[_GRID_TAG])
            self.classes = ClassMap.model_validate_json(tags[_CLASSES_TAG])
            self.drawn = Drawn.model_validate_json(tags.get(_DRAWN_TAG, "{}"))
        except ValidationError as error:
            raise StoreError(
                f"{uri}: the grid or the classes that it tells are damaged: {error}; write it again"
            ) from error

    @property
    def made_by(self) -> MadeBy | None:
        """Model, parameters and notes of the prediction that wrote them; None where they were written otherwise.

        Raises:
            StoreError: What the file tells cannot be read.
        """
        return made_by_in(self._told, self.uri)

    def read(self, window: Window) -> Ids:
        """The ids of a window; see Labels.

        Raises:
            StoreError: The file is damaged, or gone.
        """
        return pad_ids(
            window, self.grid, ignore_id=self.classes.ignore_id, inside=self._read_inside
        )

    def _read_inside(self, window: Window) -> Ids:
        strips = remember(
            ("stored polygons", self.uri, self.grid),
            self._strips,
            files=(self.uri,),
            nbytes=lambda made: made.nbytes,
        )
        return strips.read(window)

    def _strips(self) -> Strips:
        polygons, ids = read_features(self.uri)
        edges = Edges.of(
            in_pixels(polygons, self.grid, self.uri),
            ids,
            mirrored=self.grid.transform.determinant < 0,
        )
        return Strips(edges, self.grid, fill=self.classes.ignore_id)
