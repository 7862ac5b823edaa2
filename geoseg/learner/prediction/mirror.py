"""What a model sees where a window reaches past its scene: the scene mirrored."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.window import Window


def mirrored(pixels: NDArray[Any], window: Window, shape: tuple[int, int]) -> NDArray[Any]:
    """The pixels of a window, with what lies past the scene filled by reflection.

    The first and the last row (column) are not repeated. Past more than one length of the scene it goes
    back and forth. Where the scene is not valid its mirror image is not valid either: mirror both alike.

    Args:
        pixels: (..., height, width) of the window.
        window: It holds all that its part outside is a mirror image of.
        shape: (height, width) of the scene.
    """
    rows = _back_and_forth(window.row, window.row_stop, shape[0])
    cols = _back_and_forth(window.col, window.col_stop, shape[1])
    filled: NDArray[Any] = pixels[..., (rows - window.row)[:, None], cols - window.col]
    return filled


def _back_and_forth(first: int, stop: int, length: int) -> NDArray[np.int64]:
    """The row (column) of a scene that stands at each from `first` to `stop`."""
    period = max(2 * (length - 1), 1)
    place = np.arange(first, stop) % period
    return np.where(place < length, place, period - place)
