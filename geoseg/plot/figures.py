"""Figures for notebooks and reports. Nothing global: no pyplot, no backend is chosen."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from geoseg.classes import ClassMap
from geoseg.errors import GeosegError
from geoseg.labels.base import Labels
from geoseg.labels.evaluate import Evaluation
from geoseg.plot.panels import Color, in_class_colors, legend_of, panels_of
from geoseg.plot.view import aoi_mask, colored_bands, extent_of, look_at, stretched
from geoseg.scene import Scene
from geoseg.sources.base import VectorSource
from geoseg.sources.vector import FileVectorSource
from geoseg.window import Window

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_SIDE = 4.0
"""Inches of a panel's longer side."""
_NARROWEST = 2.0
"""Inches of a panel's width at least."""
_TITLE, _CAPTION = 12, 10
"""Points of the letters above and below a panel, 72 to an inch."""
_LINE = 0.2
"""Inches of height of a line of them."""
_LEGEND_INCHES = 2.6
"""Width of an entry of the legend, about."""
_LEGEND_ROW = 0.25
"""Height of a row of the legend."""
_KM = 1000.0


def scene(scene: Scene, window: Window | None = None) -> Figure:
    """The image of a scene and its labels, if any, with the outline of the AOI.

    Large scenes are thinned out to 1500 px a side. Colours are stretched from the 2nd to the 98th
    percentile of what is shown.

    Args:
        scene: What is shown.
        window: Which part of it; None: all.
    """
    view = look_at(scene, window)
    panels = {f"{scene.id}: image": view.image}
    if view.labels is not None and scene.labels is not None:
        panels["labels"] = in_class_colors(view.labels, scene.labels.class_map)
    figure, axes = _row_of(panels)
    mask = aoi_mask(scene, view)
    if mask is not None and mask.any() and not mask.all():
        for ax in axes:
            ax.contour(mask, levels=[0.5], colors="#ff8c00", linewidths=1.5)
    if scene.labels is not None:
        _legend(figure, legend_of(scene.labels.class_map, errors=False))
    _caption(figure, axes, _size_text(scene, view.window))
    return figure


def polygons(scene: Scene, source: VectorSource | str, window: Window | None = None) -> Figure:
    """The image of a scene under the outlines of polygons, such as those of a VectorLabelStore.

    Args:
        scene: Gives the image.
        source: The polygons, in any CRS: a source, or the path of a vector file.
        window: Which part of the scene; None: all.
    """
    from geoseg.plot.outlines import draw_outlines

    if isinstance(source, str):
        source = FileVectorSource(uri=source)
    view = look_at(scene, window)
    figure, axes = _row_of({f"{scene.id}: polygons": view.image})
    count = draw_outlines(axes[0], source, scene.grid, view)
    _caption(figure, axes, f"{count} polygons; {_size_text(scene, view.window)}")
    return figure


def comparison(scene: Scene, prediction: Labels) -> Figure:
    """Image, truth, prediction and errors side by side, inside the scene's AOI.

    Args:
        scene: Gives image and, if it has labels, truth.
        prediction: On the scene's grid.

    Raises:
        GridError: The prediction is not on the scene's grid.
    """
    panels = panels_of(scene, prediction)
    figure, axes = _row_of(panels)
    _legend(figure, legend_of(prediction.classes, errors="errors" in panels))
    _caption(figure, axes, _size_text(scene, extent_of(scene)))
    return figure


def batch(
    batch: Mapping[str, Any],
    classes: ClassMap,
    *,
    band_names: Sequence[str] = (),
    most: int = 8,
) -> Figure:
    """The windows of a batch, images above and masks below.

    Args:
        batch: `image` (batch, channel, height, width), `valid` and perhaps `mask` (batch, height,
            width), as a data set with geoseg's collate or a DataLoader gives them.
        classes: What the ids of the mask mean.
        band_names: The channels' names; they tell which are red, green and blue.
        most: Windows shown at most.
    """
    images, valid = _array(batch["image"])[:most], _array(batch["valid"])[:most]
    masks = _array(batch["mask"])[:most] if "mask" in batch else None
    names = tuple(band_names) or tuple(str(i + 1) for i in range(images.shape[1]))
    rows = 1 if masks is None else 2
    figure = _figure(len(images) * 2.0, rows * 2.0 + 0.5)
    axes = figure.subplots(rows, len(images), squeeze=False)
    for i, image in enumerate(images):
        _show(axes[0, i], stretched(colored_bands(names, image), valid[i]))
        if masks is not None:
            _show(axes[1, i], in_class_colors(masks[i].astype(np.uint8), classes))
    if masks is not None:
        _legend(figure, legend_of(classes, errors=False))
    return figure


def evaluation(evaluation: Evaluation) -> Figure:
    """The confusion matrix as shares of each true class, and the IoU of each class as bars.

    Where it has 95 % intervals (`bootstrap=`), they are drawn over the bars.
    """
    counts, names = evaluation.overall.confusion, evaluation.classes.names
    per_class = evaluation.overall.to_dict(evaluation.classes)["per_class"]
    total = counts.sum(axis=1, keepdims=True)
    shares = counts / np.where(total > 0, total, 1)
    figure = _figure(2.5 * _SIDE, _SIDE)
    left, right = figure.subplots(1, 2)
    left.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for (row, col), share in np.ndenumerate(shares):
        color = "white" if share > 0.5 else "black"  # noqa: PLR2004 - half of the colour scale
        left.text(col, row, f"{share:.2f}", ha="center", va="center", color=color, fontsize=8)
    left.set_xticks(range(len(names)), names, rotation=30, ha="right")
    left.set_yticks(range(len(names)), names)
    left.set(title="share of each true class", xlabel="predicted", ylabel="truth")
    values = [record["iou"] or 0.0 for record in per_class]
    colors = [_hex(info.color) for info in evaluation.classes.classes]
    right.barh(range(len(names)), values, color=colors)
    for place, (value, record) in enumerate(zip(values, per_class, strict=True)):
        low, high = record.get("iou_interval") or (value, value)
        if high > low:
            reach = [[max(value - low, 0.0)], [max(high - value, 0.0)]]
            right.errorbar(value, place, xerr=reach, color="black", capsize=3)
        end = max(value, high) + 0.01
        right.text(end, place, _number(record["iou"]), va="center")
    right.set_yticks(range(len(names)), names)
    right.invert_yaxis()
    right.set(title=f"IoU (mean {_number(evaluation.mean_iou)})", xlim=(0, 1.1))
    return figure


def history(epochs: Sequence[Mapping[str, float]]) -> Figure:
    """The numbers of a training (`Learner.history`) over its epochs, one line each."""
    figure = _figure(1.5 * _SIDE, _SIDE)
    axes = figure.subplots()
    names = sorted({name for numbers in epochs for name in numbers} - {"epoch"})
    for name in names:
        points = [(numbers["epoch"], numbers[name]) for numbers in epochs if name in numbers]
        axes.plot(*zip(*points, strict=True), marker=".", label=name)
    axes.set_xlabel("epoch")
    if names:
        axes.legend()
    return figure


def _figure(width: float, height: float) -> Figure:
    """An empty figure, in inches.

    Raises:
        GeosegError: matplotlib is not installed.
    """
    try:
        from geoseg.plot.picture import Picture
    except ImportError as error:
        raise GeosegError(
            'pictures need matplotlib, which is not installed; pip install "geoseg[plot]"'
        ) from error
    return Picture(figsize=(width, height), layout="constrained")


def _row_of(panels: Mapping[str, Any]) -> tuple[Figure, list[Axes]]:
    """Pictures of one size side by side, with their titles."""
    height, width = next(iter(panels.values())).shape[:2]
    inch = _SIDE / max(height, width)
    wide = max(width * inch, _NARROWEST)
    titles = [_wrapped(title, wide, size=_TITLE) for title in panels]
    lines = max(title.count("\n") for title in titles)
    figure = _figure(len(panels) * wide, height * inch + 1.0 + _LINE * lines)
    axes = list(figure.subplots(1, len(panels), squeeze=False)[0])
    for ax, title, panel in zip(axes, titles, panels.values(), strict=True):
        _show(ax, panel)
        ax.set_title(title, fontsize=_TITLE)
    return figure, axes


def _caption(figure: Figure, axes: Sequence[Axes], text: str) -> None:
    """Write a text under the first panel, in as many lines as its width asks for."""
    wrapped = _wrapped(text, figure.get_figwidth() / len(axes), size=_CAPTION)
    figure.set_figheight(figure.get_figheight() + _LINE * wrapped.count("\n"))
    axes[0].set_xlabel(wrapped, fontsize=_CAPTION)


def _wrapped(text: str, inches: float, *, size: int) -> str:
    """A text in lines that are no longer than a panel is wide: what sticks out is cut off."""
    from matplotlib.textpath import TextPath

    def too_long(lines: str) -> bool:
        widths = [TextPath((0, 0), line, size=size).get_extents().x1 for line in lines.split("\n")]
        return bool(max(widths) > 72 * inches - size)  # a letter's width is left empty

    wrapped, letters = text, len(text)
    while letters > 1 and too_long(wrapped):
        letters -= 1
        wrapped = textwrap.fill(text, letters)
    return wrapped


def _show(axes: Axes, panel: Any) -> None:
    axes.imshow(panel, interpolation="nearest")
    axes.set(xticks=[], yticks=[])


def _legend(figure: Figure, entries: Sequence[tuple[str, Color]]) -> None:
    from matplotlib.patches import Patch

    patches = [Patch(color=_hex(color), label=name) for name, color in entries]
    columns = max(int(figure.get_figwidth() / _LEGEND_INCHES), 1)
    rows = -(-len(patches) // columns)
    figure.set_figheight(figure.get_figheight() + _LEGEND_ROW * max(rows - 1, 0))
    figure.legend(handles=patches, loc="outside lower center", ncols=min(len(patches), columns))


def _size_text(scene: Scene, window: Window) -> str:
    """How large the ground is that a picture shows."""
    size = scene.grid.ground_resolution
    if size is None:
        return f"{window.width} x {window.height} px"
    width, height = window.width * size[0] / _KM, window.height * size[1] / _KM
    return f"{width:.3g} x {height:.3g} km, pixels of {size[0]:.3g} x {size[1]:.3g} m"


def _hex(color: Color) -> str:
    """A colour as matplotlib reads it."""
    return "#" + bytes(color).hex()


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _array(tensor: Any) -> Any:
    """A tensor on any device, or an array, as an array."""
    return np.asarray(tensor.detach().cpu() if hasattr(tensor, "detach") else tensor)
