"""Masked arrays of numpy: what they hide must not become a value silently."""

from __future__ import annotations

from typing import Any

import numpy as np


def hidden(array: Any) -> int:
    """How many values a masked array hides; 0 for any other array.

    >>> (
    ...     hidden(np.ma.masked_greater(np.arange(5), 2)),
    ...     hidden(np.ma.masked_array([1, 2])),
    ...     hidden([1, 2]),
    ... )
    (2, 0, 0)
    """
    if not np.ma.is_masked(array):
        return 0
    return int(np.count_nonzero(np.ma.getmaskarray(array)))
