"""Columns of a manifest, looked at as a whole: which rows are alike, and which names occur where."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Codes = NDArray[np.int64]
Objects = NDArray[np.object_]


def alike(columns: Sequence[Objects]) -> Codes:
    """A number for each row, the same for rows that are equal in all columns; 0, 1, ... as they come.

    Args:
        columns: Of values that can be hashed, such as tuples.
    """
    import pandas as pd

    codes: Codes = np.zeros(len(columns[0]), np.int64)
    for column in columns:
        found, values = numbered(column)
        # Both factors are at most the number of rows, so that the product fits.
        codes = np.asarray(pd.factorize(codes * len(values) + found)[0], np.int64)
    return codes


def found_in(column: Objects, names: Sequence[str]) -> NDArray[np.uint8]:
    """(row, name) 1 where the tuple of a row has the name, else 0.

    Args:
        column: Of tuples of texts, or None.
        names: All that are wanted; others are passed over.
    """
    codes, values = numbered(column)
    found = [[name in (value or ()) for name in names] for value in values]
    return np.array(found, np.uint8).reshape(len(values), len(names))[codes]


def numbered(column: Objects) -> tuple[Codes, list[Any]]:
    """A number for each row, and the value that each number stands for.

    Objects that are the same are looked at once: equal rows of a manifest share one.
    """
    ids = np.fromiter(map(id, column), np.int64, len(column))
    _, first, objects = np.unique(ids, return_index=True, return_inverse=True)
    numbers: dict[Any, int] = {}
    of_object = [numbers.setdefault(column[row], len(numbers)) for row in first.tolist()]
    return np.array(of_object, np.int64)[objects], list(numbers)
