"""How a training went: its numbers over the epochs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from geoseg import plot
from geoseg.page.html import Html, Part, folded, table
from geoseg.plot.curves import MEAN_IOU, best_epoch
from geoseg.report.facts import TrainingFacts
from geoseg.report.pictures import drawn

_MOST = 200
"""Epochs that are listed."""


def history(facts: TrainingFacts) -> Sequence[Part]:
    """Curves, and the numbers behind them."""
    epochs = facts.history
    if not epochs:
        return []
    return [
        drawn(
            lambda: plot.history(epochs, facts.classes),
            alt=f"Curves over {len(epochs)} epochs. {_in_words(epochs)}",
            caption=_in_words(epochs),
        ),
        folded("All numbers", _numbers(epochs)),
    ]


def _in_words(epochs: Sequence[Mapping[str, float]]) -> str:
    first, last, best = epochs[0], epochs[-1], best_epoch(epochs)
    words = []
    for name, told in (("train_loss", "training loss"), ("valid_loss", "validation loss")):
        if name in first and name in last:
            words.append(f"The {told} went from {first[name]:.3f} to {last[name]:.3f}.")
    if best is not None:
        words.append(
            f"The mean IoU of the validation was best in epoch {best['epoch']:.0f}: {best[MEAN_IOU]:.3f}."
        )
    return " ".join(words) or f"{len(epochs)} epochs."


def _numbers(epochs: Sequence[Mapping[str, float]]) -> Html:
    names = list(dict.fromkeys(name for row in epochs for name in row if name != "epoch"))
    step = -(-len(epochs) // _MOST)
    shown = list(epochs[::step])
    rows = [[f"{row['epoch']:.0f}", *(_number(row.get(name)) for name in names)] for row in shown]
    caption = "The numbers of each epoch"
    if step > 1:
        caption = f"The numbers of every {step}th epoch; metrics.csv has all"
    return table(caption, ["epoch", *names], rows, numbers=range(1, len(names) + 1))


def _number(value: float | None) -> str:
    return "-" if value is None or not math.isfinite(value) else f"{value:.4g}"
