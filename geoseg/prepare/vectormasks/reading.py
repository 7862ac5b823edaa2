"""Features with all that their burning asks for: ids, buffers, order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely
from numpy.typing import NDArray

from geoseg.errors import ConfigError, LabelError
from geoseg.grid import Floats, Grid
from geoseg.labels.features import priorities
from geoseg.prepare.given import as_vectors
from geoseg.prepare.vectormasks.classes import Classes, WideIds, by_class, feature_ids
from geoseg.prepare.vectormasks.encoding import Encoding
from geoseg.prepare.vectormasks.layer import Layer, buffered
from geoseg.sources.base import VectorSource
from geoseg.sources.features.frames import REPAIRS, geometries_of, name_of
from geoseg.sources.transformedvector import pixel_transforms
from geoseg.warn import warn

if TYPE_CHECKING:
    from geopandas import GeoDataFrame

Vectors = Any
"""A path, a VectorSource, or a GeoDataFrame."""


@dataclass(frozen=True, eq=False)
class Wanted:
    """What is asked of features; see `masks`."""

    class_by: str | None
    priority_by: str | None
    classes: Classes
    default_class: int | str | None
    background: int | str | None
    ignore_id: int | None
    dtype: Any
    all_touched: bool | Mapping[Any, bool]
    buffer_m: float | Mapping[Any, float]


@dataclass(frozen=True, eq=False)
class Features:
    """The features of a layer before a grid is known."""

    source: VectorSource
    """Where they come from."""
    name: str
    """What errors and warnings call them."""
    count: int
    """Features with a usable geometry."""
    repairs: tuple[int, int]
    """Features without a usable geometry, and those whose geometry was repaired."""
    frame: GeoDataFrame
    """Those that are left after buffers."""
    number: NDArray[np.intp]
    """(feature of the frame,) its place among all; the arrays below are of all."""
    ids: WideIds
    """What each is burned with."""
    touched: NDArray[np.bool_]
    """Whether each fills every pixel that it touches."""
    priority: Floats | None
    """The higher on top; None: all alike."""
    encoding: Encoding
    """Of the masks."""

    @classmethod
    def read(cls, vectors: Vectors, wanted: Wanted) -> Features:
        """Read features and see that all can be burned.

        Raises:
            ConfigError: What is wanted does not fit.
            LabelError: Features have no id, or one that does not fit the dtype.
            SourceError: They cannot be read.
        """
        source = as_vectors(vectors, name="vectors")
        name, frame, classes = name_of(source), source.read(), wanted.classes
        default = _default_of(wanted, name)
        ids = feature_ids(frame, classes, class_by=wanted.class_by, default=default, name=name)
        encoding = Encoding.of(
            frame,
            ids,
            classes,
            background=wanted.background,
            ignore_id=wanted.ignore_id,
            dtype=wanted.dtype,
            unknown=None if wanted.class_by is None else default,
            name=name,
        )
        _warn_of_background(ids, encoding, name)
        metres = by_class(wanted.buffer_m, ids, classes, off=0.0, argument="buffer_m")
        if not np.isfinite(metres).all():
            raise ConfigError(f"buffer_m is {wanted.buffer_m!r}, expected finite metres")
        grown, number = buffered(frame, metres, name=name)
        return cls(
            source=source,
            name=name,
            count=len(frame),
            repairs=frame.attrs.get(REPAIRS, (0, 0)),
            frame=grown,
            number=number,
            ids=ids,
            touched=by_class(wanted.all_touched, ids, classes, off=False, argument="all_touched"),
            priority=priorities(frame, priority_by=wanted.priority_by, name=name),
            encoding=encoding,
        )

    @property
    def lines(self) -> int:
        """Points and lines among them, which fill nothing."""
        if pixel_transforms(self.source):  # these may make polygons of them
            return 0
        return int((shapely.get_dimensions(geometries_of(self.frame)) < 2).sum())  # noqa: PLR2004

    def on(self, grid: Grid, *, reach_px: float) -> Layer:
        """The polygons on a grid, and so many pixels around it."""
        return Layer.of(
            self.frame,
            grid,
            ids=self.ids,
            touched=self.touched,
            priority=self.priority,
            number=self.number,
            transforms=pixel_transforms(self.source),
            reach_px=reach_px,
            name=self.name,
        )


def _default_of(wanted: Wanted, name: str) -> int | None:
    """The id of features without a class of their own."""
    classes = wanted.classes
    if wanted.default_class is not None:
        return classes.id_of(wanted.default_class, argument="default_class")
    if wanted.class_by is not None:
        return None
    if not classes.ids:
        return 1
    background = wanted.background
    below = None if background is None else classes.id_of(background, argument="background")
    others = [one for one in classes.ids if one != below]
    if len(others) == 1:
        return others[0]
    raise LabelError(
        f"{name}: nothing tells the class of the features; pass class_by= (a column) or default_class= "
        f"(one of {', '.join(map(str, others))})"
    )


def _warn_of_background(ids: WideIds, encoding: Encoding, name: str) -> None:
    """Say so where features have the id that pixels without a feature get too."""
    same = 0 if encoding.background is None else int((ids == encoding.background).sum())
    if same:
        warn(
            f"{name}: {same} of {len(ids)} features have the id {encoding.background}, which pixels "
            "without a feature get too; if those are not known, pass background=None"
        )
