"""Features to class ids: which class each has, and which pixels it fills."""

from __future__ import annotations

import re
import weakref
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from geoseg.burn import Edges, burn
from geoseg.classes import ClassMap
from geoseg.errors import LabelError
from geoseg.grid import Grid
from geoseg.labels.base import Ids
from geoseg.labels.values import listed
from geoseg.shortlist import some
from geoseg.sources.cache import Cache
from geoseg.warn import warn
from geoseg.window import Window

if TYPE_CHECKING:
    from geopandas import GeoDataFrame

_STRIP = 256
"""Rows that are burned at once."""
_SHOWN = 8
"""How many values an error lists."""

_BACKGROUND = re.compile(r"background|others?|nothing|none|(no|non|not)[\s_-].*", re.IGNORECASE)
"""Names of what is left where nothing was mapped."""

_burned = Cache(limit_bytes=64 << 20, least=3)
"""Strips of all scenes: enough for the windows of one row, and for whole scenes that are small."""


class Strips:
    """Class ids of a whole grid, burned by strips of 256 rows when one is first asked for.

    Of all scenes together the strips used last are kept, 64 MiB of them: windows from top to bottom
    burn each strip once at flat memory, windows in any order do so where the scene is that small.
    They go with this object.
    """

    def __init__(self, edges: Edges[np.uint8], grid: Grid, *, fill: int) -> None:
        """Take the polygons.

        Args:
            edges: All polygons of the grid, in its pixels.
            grid: The pixels.
            fill: The id of pixels without a polygon.
        """
        self._edges = edges
        self._grid = grid
        self._fill = fill
        # Strips are kept under this, not under the object: they must not keep its polygons alive.
        self._token = object()
        count = -(-grid.height // _STRIP)
        weakref.finalize(self, _let_go, self._token, count).atexit = False

    @property
    def nbytes(self) -> int:
        """The memory of the polygons; strips count for themselves."""
        return self._edges.nbytes

    def holds(self, class_id: int) -> bool:
        """Whether some polygon has this id."""
        return bool((self._edges.value == class_id).any())

    def filled_with(self, fill: int) -> Strips:
        """The same polygons, with another id where there is none."""
        return Strips(self._edges, self._grid, fill=fill)

    def read(self, window: Window) -> Ids:
        """(height, width) ids of a window that lies in the grid."""
        ids = np.empty(window.shape, np.uint8)
        cols = slice(window.col, window.col_stop)
        row = window.row
        while row < window.row_stop:
            number = row // _STRIP
            top, stop = number * _STRIP, min((number + 1) * _STRIP, window.row_stop)
            strip = self._strip(number)
            ids[row - window.row : stop - window.row] = strip[row - top : stop - top, cols]
            row = stop
        return ids

    def _strip(self, number: int) -> Ids:
        return _burned.remember(
            (self._token, number),
            lambda: self._burn(number * _STRIP),
            nbytes=lambda strip: strip.nbytes,
        )

    def _burn(self, top: int) -> Ids:
        height, width = self._grid.shape
        rows = top, min(top + _STRIP, height)
        return burn(self._edges, rows=rows, columns=(0, width), fill=self._fill)


def _let_go(token: object, count: int) -> None:
    """Drop the strips of what is gone."""
    _burned.drop((token, number) for number in range(count))


def class_id(value: Any, classes: ClassMap) -> int | None:
    """The id of a class given by name or id, `ignore_id` included; None if there is none."""
    if isinstance(value, str):
        return classes.id_of(value) if value in classes.names else None
    if isinstance(value, bool | np.bool_) or not isinstance(
        value, int | float | np.integer | np.floating
    ):
        return None
    return int(value) if value in (*classes.ids, classes.ignore_id) else None


def background_in(classes: ClassMap) -> int | None:
    """0 where that class has the name of a background, else None: who drew no polygon may know nothing.

    >>> [background_in(ClassMap.of(name, "roof")) for name in ("Background", "no roof", "garden")]
    [0, 0, None]
    """
    named = 0 in classes.ids and _BACKGROUND.fullmatch(classes.name_of(0).strip())
    return 0 if named else None


def class_ids(
    frame: GeoDataFrame, *, class_by: str | None, default: int | None, classes: ClassMap, name: str
) -> Ids:
    """(feature,) the class id of each feature.

    Args:
        frame: The features.
        class_by: The column with class names or ids; None: all have the default.
        default: The id of features whose class is missing or unknown; None: those are an error.
        classes: The class map.
        name: What an error calls the features.

    Raises:
        LabelError: The column is missing, or holds what is no class.
    """
    import pandas as pd

    if class_by is None:
        if default is None:
            raise LabelError(
                f"{name}: nothing tells the class of the features; pass class_by= (a column of class "
                f"names or ids) or default_class= (one of {listed(classes)}), or background= (the id of "
                "pixels without a polygon) where there are two classes"
            )
        return np.full(len(frame), default, np.uint8)
    codes, values = pd.factorize(_column(frame, class_by, "class_by", name))
    ids = [class_id(value, classes) for value in values] + [None]  # code -1: no value
    if default is None:
        counts = np.bincount(codes % len(ids), minlength=len(ids))
        lost = {
            "no value" if i == len(values) else repr(_plain(values[i])): int(counts[i])
            for i, known in enumerate(ids)
            if known is None and counts[i]
        }
        if lost:
            raise LabelError(_unknown_classes(lost, class_by, classes, name))
    table = np.array([default if known is None else known for known in ids], object)
    table[table == None] = 0  # noqa: E711 - an array; only entries that no feature uses
    return table[codes].astype(np.uint8)


def priorities(
    frame: GeoDataFrame, *, priority_by: str | None, name: str
) -> NDArray[np.float64] | None:
    """(feature,) numbers, the higher on top; None where file order alone decides.

    Raises:
        LabelError: The column is missing, is neither numbers nor dates, or has gaps.
    """
    import pandas as pd

    if priority_by is None:
        return None
    column = _column(frame, priority_by, "priority_by", name)
    numeric = pd.api.types.is_numeric_dtype(column)
    if len(column) and not (numeric or pd.api.types.is_datetime64_any_dtype(column)):
        raise LabelError(
            f"{name}: priority_by={priority_by!r} is a column of {column.dtype}, expected numbers or "
            "dates (text sorts 10 before 9); convert it"
        )
    gaps = int(column.isna().sum())
    if gaps:
        raise LabelError(
            f"{name}: priority_by={priority_by!r} has no value in {gaps} of {len(column)} features; "
            "fill them in"
        )
    return np.asarray(column.rank(method="dense"), np.float64)


def warn_of_background(ids: Ids, background: int, *, classes: ClassMap, name: str) -> None:
    """Say so where features have the class that pixels without a feature get too."""
    same = int((ids == background).sum())
    if same:
        warn(
            f"{name}: {same} of {len(ids)} features have the class {classes.name_of(background)!r}, "
            "which pixels without a polygon get too; if those are not known, pass background=None"
        )


def _column(frame: GeoDataFrame, column: str, argument: str, name: str) -> Any:
    if column in frame.columns and column != frame.active_geometry_name:
        return frame[column]
    if not len(frame):
        return frame.geometry.astype(object)  # an empty GeoJSON has no columns
    there = ", ".join(str(c) for c in frame.columns if c != frame.active_geometry_name)
    raise LabelError(
        f"{name}: has no column {column!r}, which {argument} names; the columns are: "
        f"{there or 'none'}; name one of them"
    )


def _unknown_classes(lost: dict[str, int], class_by: str, classes: ClassMap, name: str) -> str:
    order = sorted(lost, key=lambda value: -lost[value])
    shown = some((f"{value} ({lost[value]} features)" for value in order), _SHOWN)
    return (
        f"{name}: column {class_by!r} holds what is no class: {shown}; expected names or ids of "
        f"{listed(classes)}; pass default_class= for the rest, or complete the class map"
    )


def _plain(value: Any) -> Any:
    """A numpy number as Python's own, for a text."""
    return value.item() if isinstance(value, np.generic) else value
