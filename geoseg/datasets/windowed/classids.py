"""Class ids of the values of masks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from geoseg.datasets.windowed.options import whole_of
from geoseg.errors import ConfigError, LabelError
from geoseg.labels.values import counted

_BINARY = 2
_IGNORED = 255
"""The id of ignored pixels where users name none."""


@dataclass(frozen=True)
class Ids:
    """Class ids of a window."""

    ids: NDArray[np.int64]
    """(height, width)."""
    undeclared: int
    """Pixels of 255 that became class 1 as nothing says otherwise."""


@dataclass(frozen=True)
class LabelRule:
    """Which values of masks are which class."""

    n_classes: int
    """Classes are 0 to this less one; of two, every value above 0 is class 1."""
    ignore_index: int | None
    """A value that stays what it is, and the id of all that is not labelled; None: that id is 255."""

    @classmethod
    def of(cls, n_classes: int, ignore_index: int | None) -> Self:
        """The rule of what users give.

        Raises:
            ConfigError: One is no whole number, there is no class, or the ignored id is one.
        """
        count = whole_of(n_classes, name="n_classes", least=1)
        ignored = None if ignore_index is None else whole_of(ignore_index, name="ignore_index")
        rule = cls(count, ignored)
        if 0 <= rule.ignored_id < count:
            what = "ignore_index is" if ignored is not None else "ignored pixels are"
            raise ConfigError(
                f"{what} {rule.ignored_id}, which is one of the {count} classes too; give an ignore_index "
                f"outside 0..{count - 1}"
            )
        return rule

    @property
    def ignored_id(self) -> int:
        """The id of pixels that are not labelled."""
        return _IGNORED if self.ignore_index is None else self.ignore_index

    def ids_of(self, values: NDArray[Any], valid: NDArray[np.bool_], *, name: str) -> Ids:
        """Class ids of the values of a mask.

        Args:
            values: (height, width) of any real dtype.
            valid: (height, width); False where the mask itself has no data.
            name: The mask, for an error.

        Raises:
            LabelError: A value is neither a class nor ignored.
        """
        known = valid
        if self.ignore_index is not None:
            known = valid & (values != self.ignore_index)
        binary = self.n_classes == _BINARY
        good = values >= 0 if binary else (values >= 0) & (values < self.n_classes)
        if not binary and values.dtype.kind == "f":
            good &= values == np.rint(values)
        bad = known & ~good
        if bad.any():
            raise LabelError(self._unknown_text(values[bad], name))
        found = values > 0 if binary else np.where(known, values, 0)
        ids = np.where(known, found.astype(np.int64), np.int64(self.ignored_id))
        alone = binary and self.ignore_index is None
        return Ids(ids, int((known & (values == _IGNORED)).sum()) if alone else 0)

    def _unknown_text(self, values: NDArray[Any], name: str) -> str:
        classes = "0, or above 0" if self.n_classes == _BINARY else f"0..{self.n_classes - 1}"
        ignored = "" if self.ignore_index is None else f", or ignore_index={self.ignore_index}"
        cure = "give n_classes, or ignore_index for a value that is not labelled"
        return (
            f"{name}: values that are no class: {counted(values, 'pixels')}; expected {classes}{ignored}; "
            f"{cure}, or write it into the mask as its nodata"
        )
