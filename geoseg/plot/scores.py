"""How good a prediction is, and how often classes occur, as figures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from geoseg.classes import ClassMap
from geoseg.errors import ConfigError
from geoseg.labels.evaluate import Evaluation
from geoseg.plot.drawing import (
    CAPTION,
    COLORS,
    SIDE,
    SMALL,
    TITLE,
    hex_of,
    new_figure,
    number_text,
    short,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_EDGE = "#555555"
"""Around bars, so that light ones are seen on white."""
_ROW, _COLUMN = 0.4, 0.55
"""Inches of a class in a matrix, at least."""
_NUMBERED = 20
"""Classes of a matrix whose cells are written out; more have no room."""


def evaluation(evaluation: Evaluation) -> Figure:
    """The confusion matrix as shares of each true class, and the IoU of each class as bars.

    Where it has 95 % intervals (`bootstrap=`), they are drawn over the bars.
    """
    count = len(evaluation.classes)
    height = max(SIDE, _ROW * count + 1.5)
    width = max(1.25 * SIDE, _COLUMN * count + 2.0)
    figure = new_figure(width + 1.25 * SIDE, height)
    left, right = figure.subplots(1, 2, width_ratios=(width, 1.25 * SIDE))
    _draw_matrix(left, evaluation)
    _draw_ious(right, evaluation)
    return figure


def _draw_matrix(axes: Axes, evaluation: Evaluation) -> None:
    counts = evaluation.overall.confusion
    names = [short(name) for name in evaluation.classes.names]
    total = counts.sum(axis=1, keepdims=True)
    shares = counts / np.where(total > 0, total, 1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    if len(names) <= _NUMBERED:
        for (row, col), share in np.ndenumerate(shares):
            color = "white" if share > 0.5 else "black"  # noqa: PLR2004 - half of the colour scale
            text = f"{share:.2f}"
            axes.text(col, row, text, ha="center", va="center", color=color, fontsize=SMALL)
    axes.set_xticks(range(len(names)), names, rotation=30, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(names)), names)
    axes.set_title("share of each true class", fontsize=TITLE)
    axes.set(xlabel="predicted", ylabel="truth")


def _draw_ious(axes: Axes, evaluation: Evaluation) -> None:
    per_class = evaluation.overall.to_dict(evaluation.classes)["per_class"]
    values = [record["iou"] or 0.0 for record in per_class]
    colors = [hex_of(info.color) for info in evaluation.classes.classes]
    axes.barh(range(len(values)), values, color=colors, edgecolor=_EDGE, linewidth=0.6)
    for place, (value, record) in enumerate(zip(values, per_class, strict=True)):
        low, high = record.get("iou_interval") or (value, value)
        if high > low:
            reach = [[max(value - low, 0.0)], [max(high - value, 0.0)]]
            axes.errorbar(value, place, xerr=reach, color="black", capsize=3)
        end = max(value, high) + 0.01
        axes.text(end, place, number_text(record["iou"]), va="center", fontsize=CAPTION)
    axes.set_yticks(range(len(values)), [short(name) for name in evaluation.classes.names])
    axes.invert_yaxis()
    axes.set_title(f"IoU (mean {number_text(evaluation.mean_iou)})", fontsize=TITLE)
    axes.set_xlim(0, 1.15)


def histogram(counts: Mapping[str, int], classes: ClassMap | None = None) -> Figure:
    """How often each class occurs, as bars with shares and numbers.

    Args:
        counts: Class name to pixels, such as `geoseg.sampling.class_counts(scenes)` gives.
        classes: Their colours and order; None: the order given.

    Raises:
        ConfigError: There is no class, or one is not in the class map.
    """
    names = list(counts) if classes is None else list(classes.names)
    strange = [name for name in counts if name not in names]
    if strange or not names:
        raise ConfigError(f"counts of {strange or 'no class'}, expected those of {names}")
    pixels = [int(counts.get(name, 0)) for name in names]
    total = max(sum(pixels), 1)
    shares = [number / total for number in pixels]
    colors = [COLORS[0]] if classes is None else [hex_of(info.color) for info in classes.classes]
    figure = new_figure(2 * SIDE, _ROW * len(names) + 0.9)
    axes = figure.subplots()
    axes.barh(range(len(names)), shares, color=colors, edgecolor=_EDGE, linewidth=0.6)
    most = max([*shares, 0.01])
    for place, (share, number) in enumerate(zip(shares, pixels, strict=True)):
        text = f"{share:.2%}  ({number:,} px)"
        axes.text(share + most * 0.015, place, text, va="center", fontsize=CAPTION)
    axes.set_yticks(range(len(names)), [short(name) for name in names])
    axes.invert_yaxis()
    axes.set_xlim(0, most * 1.45)
    axes.xaxis.set_major_formatter(lambda share, _: f"{share:.0%}")
    axes.set_xlabel("share of labelled pixels", fontsize=CAPTION)
    axes.spines[["top", "right"]].set_visible(False)
    return figure
