"""Where class ids come from: label rasters and features, each on any grid."""

from __future__ import annotations

from typing import Any, Literal, Self

import numpy as np
from pydantic import model_validator

from geoseg.burn import Edges
from geoseg.classes import ClassMap
from geoseg.errors import GridError, LabelError
from geoseg.grid import Grid
from geoseg.labels.base import Ids, Labels, LabelSource
from geoseg.labels.features import (
    Strips,
    background_in,
    class_id,
    class_ids,
    priorities,
    warn_of_background,
)
from geoseg.labels.values import ClassId, counted, known_values, listed, to_ids
from geoseg.sources.base import RasterField, RasterSource, VectorField
from geoseg.sources.cache import remember
from geoseg.sources.features.frames import geometries_of, name_of
from geoseg.sources.features.ongrid import polygons_on
from geoseg.sources.warp import WarpedSource
from geoseg.spec import FrozenMap
from geoseg.window import Window

_FIRST_BLOCK = 512
"""Pixels a side that `check` looks at."""


class RasterLabels(LabelSource):
    """Class ids of a label raster with a CRS, resolution and extent of its own.

    Pixels that the raster does not cover, or that hold its nodata, are `ignore_id`. A value that is no
    class and not mapped is an error.
    """

    type: Literal["raster"] = "raster"
    source: RasterField
    """One band of whole numbers; plain text is the uri of a raster file."""
    mapping: FrozenMap[int, ClassId] | None = None
    """{value in the file: class id, or `ignore_id`}, complete; None: the values are class ids. An experiment
    takes names of its classes too."""
    resampling: Literal["nearest", "mode"] = "nearest"
    """How classes are chosen on another grid; "mode" (the most frequent) for labels that are finer."""

    @model_validator(mode="after")
    def _mapping_fits(self) -> Self:
        if self.classes is not None:
            known_values(self.classes, self.mapping)
        return self

    @model_validator(mode="after")
    def _no_classes_invented(self) -> Self:
        if self.source.blended:
            raise ValueError(
                f"the labels come from {_how_blended(self.source)}, which makes up classes between "
                "classes; use nearest or mode, or leave the warping to the labels"
            )
        return self

    @property
    def grid(self) -> Grid:
        """The grid of the label raster itself."""
        return self.source.grid

    def read(self, grid: Grid, window: Window) -> Ids:
        """The class ids of a window of any grid; see LabelSource.

        Raises:
            GridError: The raster or the grid has no CRS, the other has one.
            LabelError: There is no class map, values are outside it, or there are several bands.
            SourceError: The raster cannot be read.
        """
        classes = self.class_map
        chip = self._on_grid(grid).read(window)
        known = known_values(classes, self.mapping)
        data = chip.data[0]
        ids, unknown = to_ids(data, chip.valid, known=known, ignore_id=classes.ignore_id)
        if unknown is not None:
            raise LabelError(self._unknown_text(counted(data[unknown], "pixels"), window))
        return ids

    def check(self) -> None:
        """Open the raster and look at its first block; see LabelSource."""
        _ = self.class_map
        self.source.check()
        height, width = self.grid.shape
        block = Window(0, 0, min(height, _FIRST_BLOCK), min(width, _FIRST_BLOCK))
        self.read(self.grid, block)

    def _on_grid(self, grid: Grid) -> RasterSource:
        name, bands = _name(self.source), len(self.source.band_names)
        if bands != 1:
            raise LabelError(
                f"{name}: has {bands} bands, expected one of class ids; choose it with bands=[1] in "
                "the source of these labels, or, where colours stand for classes, give it "
                "transforms=(RGBToClass(colors={id: '#rrggbb', ...}),)"
            )
        own = self.grid
        if own == grid:
            return self.source
        if own.crs is None and grid.crs is not None:
            raise GridError(
                f"{name}: the labels have no CRS, but the image is in {grid.crs.to_string()}; assign "
                f'one, e.g. with "gdal_edit.py -a_srs {grid.crs.to_string()} {name}"'
            )
        if own.crs is not None and grid.crs is None:
            raise GridError(
                f"{name}: the labels are in {own.crs.to_string()}, but the image has no CRS; assign "
                'one to the image, e.g. with "gdal_edit.py -a_srs EPSG:32619 IMAGE"'
            )
        return WarpedSource(source=self.source, onto=grid, resampling=self.resampling)

    def _unknown_text(self, values: str, window: Window) -> str:
        where = f"{_name(self.source)}: in {window} of the labels' grid on the image:"
        if self.mapping is not None:
            return (
                f"{where} values that `mapping` does not name: {values}; it names "
                f"{sorted(self.mapping)}; add them with a class id, or with "
                f"{self.class_map.ignore_id} to ignore them"
            )
        return (
            f"{where} values that are no class: {values}; the classes are {listed(self.class_map)}; "
            "pass mapping={value: class id, ...}, or nodata= in the source if a value means no data"
        )


class VectorLabels(LabelSource):
    """Class ids of polygons in any CRS: a pixel has the class of the polygon over its centre.

    Where polygons overlap, the higher `priority_by` lies on top, then the later in the file. Vertices
    are never rounded to pixels. Outside the grid pixels are `ignore_id`.
    """

    type: Literal["vector"] = "vector"
    source: VectorField
    """The features; plain text is the uri of a vector file. Points and lines are left out, counted, unless
    a `Buffer` in the source's transforms makes polygons of them."""
    class_by: str | None = None
    """A column of class names or ids; None: every feature has the default class."""
    default_class: str | int | None = None
    """Name or id for features whose class is missing or unknown; None: those are an error. Without
    `class_by` it may be left out where there are two classes: it is the one that is no background."""
    background: ClassId | Literal["named"] | None = "named"
    """The class id of pixels without a polygon, in an experiment its name too; None: they are not known
    (`ignore_id`). "named": 0, if that class is called "background", "other", "nothing", "none", "no ..." or "non-..."; else None."""
    all_touched: bool = False
    """Whether a polygon fills every pixel it touches, rather than those whose centre it covers."""
    priority_by: str | None = None
    """A column of numbers or dates; the higher lies on top."""

    @model_validator(mode="after")
    def _classes_fit(self) -> Self:
        if self.classes is not None:
            self._fill_of(self.classes)
            self._default_of(self.classes)
        return self

    def read(self, grid: Grid, window: Window) -> Ids:
        """The class ids of a window of any grid; see LabelSource.

        Raises:
            GridError: The features or the grid have no CRS, the other has one.
            LabelError: There is no class map, or features have no class in it.
            SourceError: The features cannot be read.
        """
        strips = self._strips_on(grid)
        part = window.intersection(grid.whole)
        if part == window:
            return strips.read(window)
        ids = np.full(window.shape, self.class_map.ignore_id, np.uint8)
        if part is not None:
            ids[part.relative_to(window).slices] = strips.read(part)
        return ids

    def check(self) -> None:
        """Read the features and find their classes; see LabelSource."""
        classes, name = self.class_map, name_of(self.source)
        self._fill_of(classes)
        self.source.check()
        frame = self.source.read()
        self._ids_of(frame, classes)
        priorities(frame, priority_by=self.priority_by, name=name)

    @property
    def background_id(self) -> int | None:
        """The class id of pixels without a polygon; None where they are not known.

        Raises:
            LabelError: That is to go by the names of the classes, and there is no class map.
        """
        return background_in(self.class_map) if self.background == "named" else self.background

    def of_background(self, grid: Grid) -> Strips | None:
        """The polygons with `ignore_id` where there is none, to tell those of the background's class.

        None where no polygon has that class: each of its pixels is one without a polygon then.
        """
        strips, background = self._strips_on(grid), self.background_id
        if background is None or not strips.holds(background):
            return None
        return strips.filled_with(self.class_map.ignore_id)

    def _strips_on(self, grid: Grid) -> Strips:
        return remember(
            ("label strips", self, grid),
            lambda: self._strips(grid),
            files=self.source.files,
            nbytes=lambda made: made.nbytes,
        )

    def _strips(self, grid: Grid) -> Strips:
        """Read, reproject and sort the features, once for a grid."""
        classes, name = self.class_map, name_of(self.source)
        fill = self._fill_of(classes)
        frame = polygons_on(grid, self.source)
        ids = self._ids_of(frame, classes)
        if (background := self.background_id) is not None:
            warn_of_background(ids, background, classes=classes, name=name)
        priority = priorities(frame, priority_by=self.priority_by, name=name)
        edges = Edges.of(
            geometries_of(frame),
            ids,
            priority=priority,
            mirrored=grid.transform.determinant < 0,
            all_touched=self.all_touched,
        )
        return Strips(edges, grid, fill=fill)

    def _ids_of(self, frame: Any, classes: ClassMap) -> Ids:
        return class_ids(
            frame,
            class_by=self.class_by,
            default=self._default_of(classes),
            classes=classes,
            name=name_of(self.source),
        )

    def _fill_of(self, classes: ClassMap) -> int:
        """The id of pixels without a polygon."""
        background = self.background_id
        if background is None:
            return classes.ignore_id
        if background not in (*classes.ids, classes.ignore_id):
            raise LabelError(
                f"background={background} is no class; the classes are {listed(classes)}; pass "
                "one of their ids, or background=None where pixels without a polygon are not known"
            )
        return background

    def _default_of(self, classes: ClassMap) -> int | None:
        """The id of features without a class of their own."""
        if self.default_class is not None:
            found = class_id(self.default_class, classes)
            if found is None:
                raise LabelError(
                    f"default_class={self.default_class!r} is no class; the classes are "
                    f"{listed(classes)}"
                )
            return found
        others = [i for i in classes.ids if i != self.background_id]
        if self.class_by is None and len(classes) == 2 and len(others) == 1:  # noqa: PLR2004
            return others[0]
        return None


class SourceLabels(Labels):
    """A label source as seen on one grid."""

    def __init__(self, source: LabelSource, grid: Grid) -> None:
        """Read lazily.

        Args:
            source: Where the ids come from; it must have its class map.
            grid: Where they are wanted.

        Raises:
            LabelError: The source has no class map.
        """
        self.source = source
        self.grid = grid
        self.classes = source.class_map

    def read(self, window: Window) -> Ids:
        """(height, width) class ids; `ignore_id` where not known and outside the grid."""
        part = window.intersection(self.grid.whole)
        if part == window:
            return self.source.read(self.grid, window)
        ids = np.full(window.shape, self.classes.ignore_id, np.uint8)
        if part is not None:
            ids[part.relative_to(window).slices] = self.source.read(self.grid, part)
        return ids


def _how_blended(source: RasterSource) -> str:
    """The kind of source that blends, and its kernel."""
    inner = getattr(source, "source", None)
    if isinstance(inner, RasterSource) and inner.blended:
        return _how_blended(inner)
    kernel = getattr(source, "resampling", None)
    return f"a {type(source).__name__}" + ("" if kernel is None else f" with resampling={kernel!r}")


def _name(source: RasterSource) -> str:
    """What an error calls a raster: its files, or its kind."""
    inner = getattr(source, "source", None)
    if isinstance(inner, RasterSource):
        return _name(inner)
    uri = getattr(source, "uri", None)
    if uri is None:
        return type(source).__name__
    return uri if isinstance(uri, str) else ", ".join(uri)
