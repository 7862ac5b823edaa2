"""The number that means "missing", as pixels of a dtype hold it."""

from __future__ import annotations

import math
import sys
from typing import Any

import numpy as np

_ROUNDED = 1e-6
"""A number that exceeds a dtype's largest by no more than this part was meant as that: as text it was
rounded (-3.40282346638529e+38 is past float32)."""


def nodata_in(dtype: np.dtype[Any], number: float) -> Any:
    """The pixel of this dtype that the number marks; None where it marks none.

    So does -9999 in bytes. NaN and infinity mark nothing either: they are never valid anyway.
    """
    if not abs(number) <= sys.float_info.max or dtype.kind not in "fciu":
        return None
    if dtype.kind in "fc":
        most = float(np.finfo(dtype).max)
        if abs(number) - most > most * _ROUNDED:
            return None
        return dtype.type(math.copysign(min(abs(number), most), number))
    limits = np.iinfo(dtype)
    fits = int(number) == number and limits.min <= number <= limits.max
    return dtype.type(int(number)) if fits else None
