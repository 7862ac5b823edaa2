"""Scene: one image with its labels and its area of interest, on one grid."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from pydantic import BeforeValidator, Field

from geoseg.aoi import AOI
from geoseg.classes import ClassMap
from geoseg.errors import GridError, SceneError
from geoseg.grid import Grid
from geoseg.labels.base import Ids, Labels, LabelSource, StoreField
from geoseg.labels.sources import RasterLabels, VectorLabels
from geoseg.labels.values import listed
from geoseg.sources.base import (
    Chip,
    RasterField,
    RasterSource,
    VectorField,
    VectorSource,
    raster_source,
)
from geoseg.sources.features.frames import name_of
from geoseg.sources.features.ongrid import box_around, polygons_on
from geoseg.sources.geotiff import GeoTIFFSource
from geoseg.sources.warp import WarpedSource
from geoseg.spec import FrozenMap, Spec, files_of, uris_of
from geoseg.warn import warn
from geoseg.window import Window

if TYPE_CHECKING:
    from geopandas import GeoDataFrame

VECTOR_SUFFIXES = (".geojson", ".json", ".gpkg", ".shp", ".fgb", ".parquet", ".geoparquet", ".kml")
"""How the names of vector files end; every other file is taken as a raster."""


_CORNER = 1e-3
"""Pixels by which corners that are one may differ."""


def _name_the_kind(labels: Any) -> Any:
    if isinstance(labels, str):
        raise ValueError(  # noqa: TRY004 - pydantic takes no TypeError
            f"labels are given with their kind: {{type: raster, source: {labels}}} or "
            f"{{type: vector, source: {labels}, class_by: COLUMN}}"
        )
    return labels


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """What a scene holds in one window."""

    image: Chip
    """Pixels and where they are valid."""
    labels: Ids | None
    """(height, width) class ids, `ignore_id` outside the AOI and where the image is not valid; None
    for a scene without labels."""
    window: Window
    """Where, on the scene's grid."""


class Scene(Spec):
    """One image, what is known about it, and where that may be trusted; all on one reference grid.

    Image, labels and AOI may come in any CRS, extent and resolution: each is brought onto `grid`
    window by window.
    """

    id: Annotated[str, Field(min_length=1)]
    """The scene's name in data sets, tables and file names."""
    image: RasterField
    """The pixels; plain text is the uri of a raster file."""
    labels: Annotated[LabelSource | None, BeforeValidator(_name_the_kind)] = None
    """The class ids; None for a scene that is only predicted."""
    aoi: VectorField | None = None
    """Polygons outside which pixels are ignored; plain text is the uri of a vector file."""
    reference: Literal["image", "labels"] | Grid = "image"
    """Whose grid is the scene's: the image's, the label raster's, or one of its own."""
    store: StoreField | None = None
    """Where a Learner writes its prediction of the scene unless it is told another place; plain text is
    the path of a GeoTIFF. None: the prediction stays in memory."""

    @classmethod
    def of(
        cls,
        image: str | tuple[str, ...] | RasterSource,
        labels: str | LabelSource | None = None,
        *,
        classes: ClassMap | None = None,
        class_by: str | None = None,
        mapping: dict[int, int] | None = None,
        aoi: str | VectorSource | None = None,
        id: str | None = None,
    ) -> Scene:
        """A scene of files: the common case.

        Args:
            image: A raster file, the files of a mosaic, or any RasterSource.
            labels: A raster of class ids, a vector file, or any LabelSource. Where no polygon of a file
                lies is class 0 if it is named like a background, else pixels are ignored; see
                `VectorLabels.background`, which says it otherwise.
            classes: The class map of the labels.
            class_by: For vector labels: the column with class names or ids.
            mapping: For raster labels: {value in the file: class id}.
            aoi: A vector file, or any VectorSource.
            id: The scene's name; None: the image file's name without its suffix.

        Raises:
            SceneError: There is no name, an option is for other labels, or nothing tells the class of
                the polygons.
        """
        source = GeoTIFFSource(uri=image) if isinstance(image, tuple) else raster_source(image)
        uris = uris_of(source)
        if id is None and not uris:
            raise SceneError(f"a scene of {source!r} has no file to be named after; pass id=...")
        if isinstance(labels, str):
            labels = _labels_of(labels, classes, class_by, mapping)
        name = id or PurePosixPath(uris[0].replace("\\", "/")).stem
        return cls.model_validate({"id": name, "image": source, "labels": labels, "aoi": aoi})

    @property
    def grid(self) -> Grid:
        """The reference grid of windows, labels and predictions."""
        if isinstance(self.reference, Grid):
            return self.reference
        if self.reference == "image":
            return self.image.grid
        if isinstance(self.labels, RasterLabels):
            return self.labels.grid
        raise SceneError(
            f"scene {self.id!r}: reference is 'labels', but there is no label raster to take the grid "
            "from; use reference='image' or a Grid"
        )

    @property
    def pixels(self) -> RasterSource:
        """The image on the scene's grid."""
        grid = self.grid
        if self.image.grid == grid:
            return self.image
        return WarpedSource(source=self.image, onto=grid)

    @property
    def inputs(self) -> tuple[str, ...]:
        """The files that are read for this scene: of its image, labels and AOI, not of its store."""
        parts = (self.image, self.labels, self.aoi)
        return tuple(uri for part in parts if part is not None for uri in files_of(part))

    @property
    def prediction(self) -> Labels:
        """What was predicted for this scene, read from its store, e.g. to be evaluated.

        It lies on the scene's grid, or on one of other pixels that covers the same ground.

        Raises:
            SceneError: The scene names no store, or what lies there is of another place.
            StoreError: Nothing was written there, or it cannot be read.
        """
        if self.store is None:
            raise SceneError(
                f"scene {self.id!r} names no store to read its prediction from; pass Scene(store=...)"
            )
        labels, grid = self.store.read(), self.grid
        if labels.grid.crs != grid.crs or not _same_ground(labels.grid, grid):
            raise SceneError(
                f"scene {self.id!r}: what lies in its store is of another grid "
                f"({labels.grid.describe()}, bounds {labels.grid.bounds}) than the scene "
                f"({grid.describe()}, bounds {grid.bounds}); predict it again"
            )
        return labels

    @property
    def area(self) -> AOI | None:
        """The AOI on the scene's grid; None where the whole scene counts."""
        return None if self.aoi is None else AOI.of(self.aoi, self.grid)

    def read(self, window: Window) -> Sample:
        """Image, labels and validity of a window, which may reach past the scene."""
        chip = self.pixels.read(window)
        return Sample(chip, self.read_labels(window, chip.valid), window)

    def read_labels(self, window: Window, valid: np.ndarray[Any, np.dtype[np.bool_]]) -> Ids | None:
        """Class ids of a window, ignored outside the AOI and where `valid` is False."""
        if self.labels is None:
            return None
        known = valid if (area := self.area) is None else valid & area.mask(window)
        ids = self.labels.read(self.grid, window)
        return np.where(known, ids, np.uint8(self.labels.class_map.ignore_id))

    def check(self) -> None:
        """Open everything once and see that image, labels and AOI meet.

        Raises:
            GeosegError: Something is missing or does not fit; the text says what and where.
        """
        self.image.check()
        grid = self.grid
        if self.labels is not None:
            self.labels.check()
            self.labels.read(grid, Window(0, 0, 1, 1))  # tells where a CRS is missing
            if isinstance(self.labels, RasterLabels):
                self._check_overlap(self.labels.grid, grid)
            if isinstance(self.labels, VectorLabels):
                self._check_features(self.labels, grid)
        if self.aoi is not None:
            self.aoi.check()
            AOI.of(self.aoi, grid)

    def _check_features(self, labels: VectorLabels, grid: Grid) -> None:
        features = labels.source.read()
        if len(features) and polygons_on(grid, labels.source).empty:
            name = name_of(labels.source)
            warn(
                f"scene {self.id!r}: none of the {len(features)} features of {name} lies on the image, so "
                f"that {_read_as(labels)}: {_apart(features, grid)}; give the scene the features of its own "
                "place, or correct the CRS of either file (where there is nothing to draw, all is well)"
            )

    def _check_overlap(self, labels: Grid, grid: Grid) -> None:
        try:
            # From the image to the labels: a world map's far corners have no place in a local CRS.
            there = labels.window(grid.bounds, grid.crs)
        except GridError:
            return  # not known; reading will tell
        if there.intersection(labels.whole) is None:
            raise SceneError(
                f"scene {self.id!r}: the labels ({labels.describe()}, bounds {labels.bounds}) lie "
                f"outside the image ({grid.describe()}, bounds {grid.bounds}); check their CRS and "
                "that they belong together"
            )


def _read_as(labels: VectorLabels) -> str:
    """What pixels without a polygon are, for a warning."""
    background, classes = labels.background_id, labels.class_map
    if background is None or background == classes.ignore_id:
        return "all of it is ignored"
    return f"all of it is of the class {classes.name_of(background)!r}"


def _apart(features: GeoDataFrame, grid: Grid) -> str:
    """Where features and a grid lie, in the features' CRS, for a warning."""
    places = (features.total_bounds, box_around(grid, features.crs, margin=0))
    theirs, ours = (", ".join(f"{value:.8g}" for value in bounds) for bounds in places)
    crs = "" if features.crs is None else f" in {features.crs.name}"
    return (
        f"they lie within (left, bottom, right, top) = ({theirs}), the image within ({ours}){crs}"
    )


def _same_ground(labels: Grid, scene: Grid) -> bool:
    """Whether two grids of one CRS begin and end at the same places, up to a pixel of the labels."""
    transform = ~labels.transform @ scene.transform
    first, last = transform @ (0, 0), transform @ (scene.width, scene.height)
    ends = (labels.width, labels.height)
    alike = max(map(abs, first)) < _CORNER
    return alike and all(-_CORNER < end - at < 1 for end, at in zip(ends, last, strict=True))


def _labels_of(
    uri: str, classes: ClassMap | None, class_by: str | None, mapping: dict[int, int] | None
) -> LabelSource:
    """Raster or vector labels, by the file's suffix."""
    if uri.lower().endswith(VECTOR_SUFFIXES):
        if mapping is not None:
            raise SceneError(f"{uri}: `mapping` is for label rasters; vectors take class_by=...")
        labels = VectorLabels(source=uri, classes=classes, class_by=class_by)  # type: ignore[arg-type]
        if classes is not None and labels.background_id is None and class_by is None:
            raise SceneError(
                f"{uri}: nothing tells the class of its polygons; pass class_by= (a column of class names "
                "or ids), or VectorLabels(source=..., background=ID) as labels, with the id of pixels "
                f"without a polygon: none of {listed(classes)} is 0 and named like a background"
            )
        return labels
    if class_by is not None:
        raise SceneError(f"{uri}: `class_by` is for vector labels; rasters take mapping={{...}}")
    frozen = None if mapping is None else FrozenMap(mapping)
    return RasterLabels(source=uri, classes=classes, mapping=frozen)  # type: ignore[arg-type]
