"""The rows of an index: its table, and what is known of each row as arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from geoseg.errors import ConfigError
from geoseg.sampling.windowindex.boxes import Boxes, Outside
from geoseg.sampling.windowindex.columns import IMAGE
from geoseg.sampling.windowindex.masks import Masks
from geoseg.sampling.windowindex.note import Recipe
from geoseg.sampling.windowindex.paths import absolute

if TYPE_CHECKING:
    from pandas import DataFrame

Cells = NDArray[np.object_]


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """All rows of an index."""

    table: DataFrame
    """As the file has it."""
    boxes: Boxes
    """The windows."""
    masks: Masks
    """What they are of."""
    key: str
    """The column of the masks."""
    outside: Outside
    """"pad" where windows may reach past their masks."""
    images: Cells | None = None
    """(row,) paths that can be opened, None for an empty cell; None without a column of images."""
    recipe: Recipe | None = None
    """Where these are the regular windows and nothing else: how they are made again; without masks."""

    def taken(self, rows: ArrayLike) -> Rows:
        """Some rows in the order given, by a bool for each or by numbers.

        Raises:
            ConfigError: It is something else, or there are no such rows.
        """
        numbers = _numbers(rows, len(self.boxes))
        return replace(
            self,
            table=self.table.iloc[numbers].reset_index(drop=True),
            boxes=self.boxes[numbers],
            masks=self.masks.taken(numbers),
            images=None if self.images is None else self.images[numbers],
            recipe=None,
        )

    def widened(self, columns: Mapping[str, Any]) -> Rows:
        """With more columns, or with others of the same names.

        Raises:
            ConfigError: A column has not one value for each row, nor one for all.
        """
        table = self.table.copy()
        for name, values in columns.items():
            table[name] = _column(name, values, len(table))
        images = self.images if IMAGE not in columns else _placed(cells_of(table[IMAGE]))
        return replace(self, table=table, images=images, recipe=None)

    def narrowed(self, names: Sequence[str]) -> Rows:
        """Without some columns."""
        table = self.table.drop(columns=list(names))
        return replace(
            self, table=table, images=None if IMAGE in names else self.images, recipe=None
        )


def cells_of(column: Any) -> Cells:
    """(row,) texts of a column; None where a cell is empty."""
    cells: Cells = column.to_numpy(object)
    return np.array([cell if isinstance(cell, str) and cell else None for cell in cells], object)


def first_rows(column: Any) -> NDArray[np.int64]:
    """(cell,) the first row of each distinct cell of a column, in their order."""
    import pandas as pd

    return np.flatnonzero(~pd.Series(column).duplicated().to_numpy(bool)).astype(np.int64)


def _placed(cells: Cells) -> Cells:
    return np.array([None if cell is None else absolute(cell) for cell in cells], object)


def _numbers(rows: ArrayLike, count: int) -> NDArray[np.intp]:
    given = np.asarray(rows)
    if given.dtype == object and given.size and all(isinstance(row, bool) for row in given.flat):
        given = given.astype(bool)  # a column with bools of Python
    if given.ndim == 1 and given.dtype == bool and len(given) == count:
        return np.flatnonzero(given)
    if given.ndim == 1 and (np.issubdtype(given.dtype, np.integer) or not given.size):
        numbers = given.astype(np.intp)
        if ((numbers >= 0) & (numbers < count)).all():
            return numbers
    raise ConfigError(
        f"rows {_shown(given)} do not tell rows of an index of {count}; expected one bool for each row, or "
        f"numbers from 0 to {count - 1}"
    )


def _shown(given: NDArray[Any]) -> str:
    return f"{given.ravel()[:3].tolist()}... ({given.dtype}, shape {given.shape})"


def _column(name: str, values: Any, count: int) -> Any:
    """What pandas takes as a column without looking at an index of rows."""
    if isinstance(values, str) or not hasattr(values, "__len__"):
        return values
    if len(values) != count:
        raise ConfigError(
            f"the column {name!r} has {len(values)} values for {count} rows; give one for each row"
        )
    return getattr(values, "array", None) if hasattr(values, "array") else list(values)
