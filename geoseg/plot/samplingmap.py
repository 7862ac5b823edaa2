"""Where the windows of an epoch lie."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import ConfigError
from geoseg.plot.drawing import CAPTION, SIDE, TITLE, legend_line, literal, new_figure, wrapped
from geoseg.plot.view import View, aoi_mask, blank_view, look_at
from geoseg.sampling import Boxes, RandomWindows, SlidingWindows
from geoseg.scene import Scene

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLUMNS = 3
_OUTLINED = 150
"""Windows of a scene whose outlines are drawn; more would hide one another."""
_LONGEST = 600
"""Pixels of a panel's longer side at most."""
_MOST_PIXELS = 64_000_000
"""Of a scene whose image is shown behind; of a larger one only the outline is."""
_OUTLINE = (0.1, 0.1, 0.1, 0.5)
"""Colour and opacity of these."""
_PALE = 0.45
"""How much of the image is seen under the counts."""


class HasWindows(Protocol):
    """A data set of windows."""

    @property
    def scenes(self) -> Sequence[Scene]:
        """What the windows are of."""

    @property
    def windows(self) -> Any:
        """RandomWindows or SlidingWindows."""


def sampling(
    windows: RandomWindows | SlidingWindows | HasWindows,
    scenes: Sequence[Scene] | None = None,
    *,
    epoch: int = 0,
    most: int = 6,
) -> Figure:
    """A map of the windows of an epoch: how many of them look at each place.

    The image lies pale behind, but for scenes of more than 64 million pixels. Up to 150 windows a
    scene are outlined too.

    Args:
        windows: Random or sliding windows, or a data set of them.
        scenes: What they are windows of; None: what the data set says.
        epoch: Which one; sliding windows are the same in all.
        most: Scenes shown at most: those with the most windows.

    Raises:
        ConfigError: There is no scene.
    """
    if isinstance(windows, RandomWindows | SlidingWindows):
        boxes = _boxes(windows, epoch)
    else:
        scenes, boxes = scenes or windows.scenes, _boxes(windows.windows, epoch)
    if not scenes:
        raise ConfigError("a map of windows needs the scenes that they are of; pass scenes=[...]")
    counts = np.bincount(boxes[:, 0], minlength=len(scenes))
    chosen = np.sort(np.argsort(-counts, kind="stable")[:most])
    views = [_view(scenes[i]) for i in chosen]
    covers = [
        coverage(boxes[boxes[:, 0] == i, 1:], view) for i, view in zip(chosen, views, strict=True)
    ]
    figure, axes = _panels(views)
    from matplotlib.ticker import MaxNLocator

    top = max([1, *(int(cover.max()) for cover in covers)])
    for ax, i, view, cover in zip(axes, chosen, views, covers, strict=True):
        picture = _draw(ax, scenes[i], view, cover, boxes[boxes[:, 0] == i, 1:], top=top)
        title = f"{scenes[i].id}: {counts[i]:,} windows"
        ax.set_title(literal(wrapped(title, SIDE, size=TITLE)), fontsize=TITLE)
    bar = figure.colorbar(picture, ax=list(axes), shrink=0.7, ticks=MaxNLocator(5, integer=True))
    bar.set_label("windows that look at a place", fontsize=CAPTION)
    legend_line(figure, _told(len(boxes), len(scenes), len(chosen), int(counts[chosen].sum())))
    return figure


def coverage(boxes: Boxes, view: View) -> NDArray[np.int64]:
    """(height, width) how many windows cover each pixel shown.

    Args:
        boxes: (window, 4): row, col, height, width, in pixels of the scene.
        view: What is shown of the scene.
    """
    height, width = view.valid.shape
    corner = np.array([view.window.row, view.window.col])
    # The pixel shown at place i is number i * step: those from the first not above a window's start on.
    first = np.clip(-(-(boxes[:, :2] - corner) // view.step), 0, (height, width))
    stop = np.clip(-(-(boxes[:, :2] + boxes[:, 2:] - corner) // view.step), 0, (height, width))
    steps = np.zeros((height + 1, width + 1), np.int64)
    for (rows, cols), sign in (
        ((first, first), 1),
        ((stop, stop), 1),
        ((first, stop), -1),
        ((stop, first), -1),
    ):
        np.add.at(steps, (rows[:, 0], cols[:, 1]), sign)
    found: NDArray[np.int64] = steps.cumsum(axis=0).cumsum(axis=1)[:height, :width]
    return found


def _boxes(windows: RandomWindows | SlidingWindows, epoch: int) -> Boxes:
    """(window, 5): scene number, row, col, height, width."""
    if isinstance(windows, RandomWindows):
        return windows.draw_many(range(len(windows)), epoch)
    rows = [(i, w.row, w.col, w.height, w.width) for i, w in windows]
    return np.array(rows, np.int64).reshape(-1, 5)


def _view(scene: Scene) -> View:
    height, width = scene.grid.shape
    if height * width > _MOST_PIXELS:
        return blank_view(scene, longest=_LONGEST)
    return look_at(scene, longest=_LONGEST)


def _panels(views: Sequence[View]) -> tuple[Figure, list[Axes]]:
    """Empty panels in rows, as high as the highest asks for."""
    columns = min(len(views), _COLUMNS)
    rows = -(-len(views) // columns)
    shapes = [view.valid.shape for view in views]
    high = max(SIDE * height / max(height, width) for height, width in shapes)
    figure = new_figure(columns * SIDE + 1.2, rows * (high + 0.5) + 0.4)
    axes = list(figure.subplots(rows, columns, squeeze=False).flat)
    for ax in axes[len(views) :]:
        ax.set_axis_off()
    return figure, axes[: len(views)]


def _draw(
    axes: Axes, scene: Scene, view: View, cover: NDArray[np.int64], boxes: Boxes, *, top: int
) -> Any:
    """Image, counts, outlines of windows and of the AOI."""
    grey = view.image.mean(axis=2, keepdims=True).repeat(3, axis=2)
    axes.imshow((255 - (255 - grey) * _PALE).astype(np.uint8), interpolation="nearest")
    seen = np.ma.masked_equal(cover, 0)
    picture = axes.imshow(
        seen, cmap="viridis_r", vmin=0.5, vmax=top + 0.5, alpha=0.55, interpolation="nearest"
    )
    if len(boxes) <= _OUTLINED:
        _outline(axes, boxes, view)
    mask = aoi_mask(scene, view)
    if mask is not None and mask.any() and not mask.all():
        axes.contour(mask, levels=[0.5], colors="#d55e00", linewidths=1.8)
    axes.set(xticks=[], yticks=[])
    return picture


def _outline(axes: Axes, boxes: Boxes, view: View) -> None:
    from matplotlib.collections import LineCollection

    corner = view.window.row, view.window.col
    first = (boxes[:, :2] - corner) / view.step - 0.5
    last = first + boxes[:, 2:] / view.step
    corners = [(first, first), (first, last), (last, last), (last, first), (first, first)]
    lines = np.stack([np.stack([cols[:, 1], rows[:, 0]], axis=1) for rows, cols in corners], axis=1)
    axes.add_collection(LineCollection(list(lines), colors=_OUTLINE, linewidths=0.5), autolim=False)


def _told(windows: int, scenes: int, shown: int, here: int) -> str:
    text = f"{windows:,} windows in {scenes:,} scene{'s' * (scenes > 1)}"
    if shown < scenes:
        text += f"; the {shown} with the most of them are shown, with {here:,}"
    return text
