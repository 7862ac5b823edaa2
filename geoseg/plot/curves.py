"""The numbers of a training over its epochs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from geoseg.classes import ClassMap
from geoseg.plot.drawing import CAPTION, COLORS, SIDE, TITLE, hex_of, new_figure, short

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MEAN_IOU, CLASS_IOU = "valid_mean_iou", "valid_iou_"
"""The number that tells how good an epoch was, and how those of single classes begin."""

_DASHES = ("-", "--", ":", "-.")
_MOST = 12
"""Classes with a name in the legend; of more, only the mean is named."""
_FEW = 30
"""Epochs whose points are marked."""
_ROUND = (0, 1.02)
_LEGEND_INCHES = 2.0


def history(epochs: Sequence[Mapping[str, float]], classes: ClassMap | None = None) -> Figure:
    """The numbers of a training (`Learner.history`) over its epochs, one line each.

    Losses, IoUs, the learning rate and what else was logged have a panel each. The best mean IoU is
    marked. What is not finite leaves a gap.

    Args:
        epochs: One mapping an epoch, with its number as `epoch`.
        classes: Their colours are used for the IoU of classes.
    """
    panels = _panels(list(dict.fromkeys(name for numbers in epochs for name in numbers)))
    figure = new_figure(1.6 * SIDE + _LEGEND_INCHES, 0.6 * SIDE * max(len(panels), 1) + 0.5)
    axes = figure.subplots(max(len(panels), 1), 1, squeeze=False, sharex=True)[:, 0]
    for ax, (title, names) in zip(axes, panels.items(), strict=False):
        _draw(ax, epochs, names, classes)
        ax.set_title(title, fontsize=TITLE, loc="left")
        ax.grid(visible=True, color="#dddddd", linewidth=0.6)
        if title == "IoU":
            ax.set_ylim(*_ROUND)
            _mark_best(ax, epochs)
        if title == "learning rate":
            ax.ticklabel_format(axis="y", style="sci", scilimits=(-2, 3))
        if title != "learning rate":
            ax.legend(loc="upper left", bbox_to_anchor=(1.01, 1), fontsize=CAPTION, frameon=False)
    axes[-1].set_xlabel("epoch", fontsize=CAPTION)
    axes[-1].xaxis.get_major_locator().set_params(integer=True)
    return figure


def _panels(names: Sequence[str]) -> dict[str, list[str]]:
    """Title to names of numbers."""
    panels: dict[str, list[str]] = {"loss": [], "IoU": [], "learning rate": [], "other numbers": []}
    for name in names:
        if name.endswith("loss"):
            panels["loss"].append(name)
        elif name == MEAN_IOU or name.startswith(CLASS_IOU):
            panels["IoU"].append(name)
        elif name == "lr":
            panels["learning rate"].append(name)
        elif name != "epoch":
            panels["other numbers"].append(name)
    panels["loss"].sort()  # training before validation
    return {title: members for title, members in panels.items() if members}


def _draw(
    axes: Axes,
    epochs: Sequence[Mapping[str, float]],
    names: Sequence[str],
    classes: ClassMap | None,
) -> None:
    """A line for each of some numbers."""
    own = {} if classes is None else {c.name: hex_of(c.color) for c in classes.classes}
    crowded = sum(name.startswith(CLASS_IOU) for name in names) > _MOST
    for i, name in enumerate(names):
        known = [numbers for numbers in epochs if name in numbers]
        mean, single = name == MEAN_IOU, name.startswith(CLASS_IOU)
        axes.plot(
            [numbers["epoch"] for numbers in known],
            [_or_gap(numbers[name]) for numbers in known],
            color="black"
            if mean
            else own.get(name.removeprefix(CLASS_IOU), COLORS[i % len(COLORS)]),
            linestyle="-" if mean else _DASHES[i % len(_DASHES)],
            linewidth=2.2 if mean else 1.4,
            marker="." if len(epochs) <= _FEW else None,
            label=f"_{name}" if single and crowded else short(_told(name)),
        )


def _told(name: str) -> str:
    """What the legend calls a number."""
    known = {"train_loss": "training", "valid_loss": "validation", MEAN_IOU: "mean"}
    return known.get(name, name.removeprefix(CLASS_IOU))


def _or_gap(value: float) -> float:
    return value if math.isfinite(value) else math.nan


def best_epoch(epochs: Sequence[Mapping[str, float]]) -> Mapping[str, float] | None:
    """The epoch with the highest mean IoU of the validation; None where none was measured."""
    measured = [row for row in epochs if math.isfinite(row.get(MEAN_IOU, math.nan))]
    return max(measured, key=lambda row: row[MEAN_IOU], default=None)


def _mark_best(axes: Axes, epochs: Sequence[Mapping[str, float]]) -> None:
    best = best_epoch(epochs)
    if best is not None:
        label = f"best mean: {best[MEAN_IOU]:.3f}"
        axes.plot(
            best["epoch"], best[MEAN_IOU], "*", color="black", markersize=12, zorder=3, label=label
        )
