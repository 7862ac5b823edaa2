"""Pixels written as a .npy file that numpy maps into memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import StoreError


def write_npy(path: Path, array: NDArray[Any]) -> None:
    """Write an array, in C order.

    Raises:
        StoreError: It cannot be written.
    """
    try:
        with path.open("wb") as file:
            np.lib.format.write_array(file, np.ascontiguousarray(array), allow_pickle=False)
    except OSError as error:
        raise StoreError(
            f"{path}: cannot be written: {error.strerror or error}. Is the disk full?"
        ) from error
