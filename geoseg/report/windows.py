"""Windows of scenes as a batch of one size, and those in which a prediction is worst."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.labels.base import Labels
from geoseg.scene import Scene
from geoseg.window import Size, Window, pair

_KNOWN = 0.5
"""Least share of a window's pixels that are compared."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A window with the share of its pixels that are right."""

    scene: Scene
    """What it is a window of."""
    window: Window
    """Where."""
    right: float
    """Share of the pixels with truth and prediction."""


def batch_of(places: Sequence[tuple[Scene, Window]], size: Size) -> dict[str, Any]:
    """Windows as a batch of numpy arrays: `image`, `valid` and `mask`.

    Args:
        places: Scenes with labels and bands alike.
        size: Pixels of an item; other windows are resized, each pixel taking the nearest.
    """
    samples = [scene.read(window) for scene, window in places]
    return {
        "image": np.stack([resized(sample.image.data, size) for sample in samples]),
        "valid": np.stack([resized(sample.image.valid, size) for sample in samples]),
        "mask": np.stack([resized(sample.labels, size) for sample in samples]),
    }


def resized(planes: Any, size: Size) -> NDArray[Any]:
    """(..., height, width) at another size: each new pixel takes the old one under its centre."""
    array = np.asarray(planes)
    rows, cols = (
        ((np.arange(new) + 0.5) * old / new).astype(int)
        for new, old in zip(pair(size), array.shape[-2:], strict=True)
    )
    found: NDArray[Any] = array[..., rows[:, None], cols]
    return found


def judged(scene: Scene, prediction: Labels, part: Window, size: Size) -> Iterator[Judged]:
    """How much is right in windows side by side; those with little to compare are left out.

    Args:
        scene: Gives the truth.
        prediction: On the scene's grid.
        part: Where to look; rows and columns that make no whole window are left out.
        size: Pixels of a window; one that is larger than the part is cut.
    """
    height, width = (min(s, p) for s, p in zip(pair(size), part.shape, strict=True))
    whole = part.width // width * width
    for row in range(part.row, part.row_stop - height + 1, height):
        strip = Window(row, part.col, height, whole)
        truth, found = scene.read(strip).labels, prediction.read(strip)
        if truth is None:
            return
        ignored = prediction.classes.ignore_id
        known = (truth != ignored) & (found != ignored)
        compared, right = (
            plane.reshape(height, -1, width).sum(axis=(0, 2))
            for plane in (known, known & (truth == found))
        )
        for i in np.flatnonzero(compared >= _KNOWN * height * width).tolist():
            window = Window(row, part.col + i * width, height, width)
            yield Judged(scene, window, float(right[i] / compared[i]))
