"""What a picture shows of a scene: pixels thinned out to a bounded size, as colours."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import SceneError
from geoseg.labels.base import Ids, Labels
from geoseg.scene import Scene
from geoseg.window import Window

Colors = NDArray[np.uint8]
"""(height, width, 3): red, green, blue."""

WHITE = (255, 255, 255)
LONGEST = 1500
"""Pixels that the longer side of a picture has at most."""

_GREY = 190
"""Where pixels were not looked at."""
_BLOCK = 1024
"""Pixels a side that are read at once, about."""
_STRETCH = (2, 98)
"""Percentiles that become black and white."""
_RGB = ("red", "green", "blue")


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """A window of a scene, every `step`-th pixel of it."""

    window: Window
    """What is shown, in pixels of the scene."""
    step: int
    """1 where every pixel is shown."""
    image: Colors
    """The image, stretched; white where not valid."""
    valid: NDArray[np.bool_]
    """(height, width)."""
    labels: Ids | None
    """(height, width) class ids, ignored outside the AOI and where not valid; None without labels."""


def look_at(scene: Scene, window: Window | None = None, *, longest: int | None = None) -> View:
    """Read a scene, or a window of it, block by block; memory does not grow with its size.

    Args:
        scene: What is looked at.
        window: Which part of it; None: all.
        longest: Pixels that the longer side has at most; None: 1500.

    Raises:
        SceneError: The window does not meet the scene.
    """
    shown = _inside(scene, scene.grid.whole if window is None else window)
    step = step_of(shown, longest)
    shape = -(-shown.height // step), -(-shown.width // step)
    bands = _shown_bands(scene.image.band_names)
    data = np.zeros((len(bands), *shape), np.float32)
    valid = np.zeros(shape, bool)
    labels = None if scene.labels is None else np.zeros(shape, np.uint8)
    for place, block in _blocks(shown, step):
        sample = scene.read(block)
        data[(slice(None), *place)] = sample.image.data[bands, ::step, ::step]
        valid[place] = sample.image.valid[::step, ::step]
        if labels is not None and sample.labels is not None:
            labels[place] = sample.labels[::step, ::step]
    return View(shown, step, stretched(data, valid), valid, labels)


def blank_view(scene: Scene, *, longest: int | None = None) -> View:
    """All of a scene without looking at its pixels: grey everywhere."""
    whole = scene.grid.whole
    step = step_of(whole, longest)
    shape = -(-whole.height // step), -(-whole.width // step)
    return View(whole, step, np.full((*shape, 3), _GREY, np.uint8), np.ones(shape, bool), None)


def thinned_labels(labels: Labels, window: Window) -> Ids:
    """Every n-th id of a window, so that they fit the View of the same window."""
    step = step_of(window)
    ids = np.zeros((-(-window.height // step), -(-window.width // step)), np.uint8)
    for place, block in _blocks(window, step):
        ids[place] = labels.read(block)[::step, ::step]
    return ids


def aoi_mask(scene: Scene, view: View) -> NDArray[np.bool_] | None:
    """(height, width) of the view, True inside the AOI; None without one."""
    if (area := scene.area) is None:
        return None
    mask = np.zeros(view.valid.shape, bool)
    for place, block in _blocks(view.window, view.step):
        mask[place] = area.mask(block)[:: view.step, :: view.step]
    return mask


def extent_of(scene: Scene) -> Window:
    """The part of a scene that counts: the smallest window around its AOI, or the whole."""
    if scene.aoi is None:
        return scene.grid.whole
    frame = scene.aoi.read(crs=scene.grid.crs)
    left, bottom, right, top = (float(value) for value in frame.total_bounds)
    return _inside(scene, scene.grid.window((left, bottom, right, top)))


def step_of(window: Window, longest: int | None = None) -> int:
    """Every how many pixels one is shown."""
    return -(-max(window.height, window.width) // (longest or LONGEST))


def stretched(data: NDArray[Any], valid: NDArray[np.bool_]) -> Colors:
    """Bands as colours: the 2nd to 98th percentile of each over valid pixels becomes 0 to 255.

    Args:
        data: (1 or 3, height, width); one band gives greys.
        valid: (height, width); elsewhere the picture is white.
    """
    colors = np.full((*valid.shape, 3), WHITE, np.uint8)
    if valid.any():
        known = data[:, valid].astype(np.float64)
        low, high = np.percentile(known, _STRETCH, axis=1)
        spread = np.where(high > low, high - low, 1.0)
        scaled = (known - low[:, None]) / spread[:, None]
        colors[valid] = np.round(np.clip(scaled, 0, 1) * 255).astype(np.uint8).T
    return colors


def colored_bands(names: tuple[str, ...], image: NDArray[Any]) -> NDArray[Any]:
    """The bands of an image (band, height, width) that are shown: three, or one."""
    shown: NDArray[Any] = image[_shown_bands(names)]
    return shown


def _shown_bands(names: tuple[str, ...]) -> list[int]:
    """Red, green and blue where bands are called so, else the first three, else the first."""
    lower = [name.lower() for name in names]
    if all(color in lower for color in _RGB):
        return [lower.index(color) for color in _RGB]
    words = [set(re.split(r"[^a-z]+", name)) for name in lower]
    named = [[i for i, of in enumerate(words) if color in of] for color in _RGB]
    if all(len(places) == 1 for places in named):  # "B4 red", but not beside "red edge"
        return [place for (place,) in named]
    return list(range(len(_RGB))) if len(names) >= len(_RGB) else [0]


def _blocks(window: Window, step: int) -> Iterator[tuple[tuple[slice, slice], Window]]:
    """(place in the picture, window to read); blocks begin at pixels that are shown."""
    side = max(_BLOCK // step, 1) * step
    for row in range(0, window.height, side):
        for col in range(0, window.width, side):
            height, width = min(side, window.height - row), min(side, window.width - col)
            place = (
                slice(row // step, -(-(row + height) // step)),
                slice(col // step, -(-(col + width) // step)),
            )
            yield place, Window(window.row + row, window.col + col, height, width)


def _inside(scene: Scene, window: Window) -> Window:
    part = window.intersection(scene.grid.whole)
    if part is None:
        raise SceneError(
            f"scene {scene.id!r}: {window} does not meet the scene of {scene.grid.height} x "
            f"{scene.grid.width} px; choose a window inside"
        )
    return part
