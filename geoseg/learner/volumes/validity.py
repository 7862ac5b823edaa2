"""Which voxels of a volume are valid, as training sees them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def finite(image: NDArray[Any]) -> NDArray[np.bool_] | None:
    """(depth, height, width) where all channels are finite as float32, as in training; None: everywhere.

    Args:
        image: (channel, depth, height, width).
    """
    if image.dtype.kind != "f":
        return None
    valid = np.empty(image.shape[1:], bool)
    with np.errstate(over="ignore"):
        for plane, known in enumerate(valid):
            np.isfinite(image[:, plane].astype(np.float32)).all(axis=0, out=known)
    return None if valid.all() else valid
