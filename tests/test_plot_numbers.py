"""Pictures of numbers: history, class histogram and scores are drawn whole, and can be read."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest

from geoseg import plot
from geoseg.classes import ClassMap
from geoseg.errors import ConfigError
from geoseg.grid import Grid
from geoseg.labels.array import ArrayLabels
from geoseg.labels.evaluate import evaluate
from geoseg.plot.curves import best_epoch

pytest.importorskip("matplotlib")

CLASSES = ClassMap.model_validate(
    [
        {"id": 0, "name": "a rather long name of a class", "color": "#ffffff"},
        {"id": 3, "name": "$b_1$", "color": "#d01020"},
        {"id": 1, "name": "_c", "color": "#1020d0"},
    ]
)


def drawn(figure):
    """(height, width, 3) what a figure looks like."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3]


def texts(figure):
    """All texts that are drawn: ticks past the end of an axis are not."""
    from matplotlib.text import Text

    ticks = [
        (axis, tick)
        for ax in figure.axes
        for axis in (ax.xaxis, ax.yaxis)
        for tick in axis.get_major_ticks()
    ]
    hidden = {tick.label1 for axis, tick in ticks if tick not in axis._update_ticks()}
    seen = [t for t in figure.findobj(Text) if t.get_visible() and t.get_text().strip()]
    return [t for t in seen if t not in hidden]


def check_texts(figure):
    """Nothing sticks out of the picture, and no two texts that are level lie over one another."""
    height, width = drawn(figure).shape[:2]
    found = [(t, t.get_window_extent()) for t in texts(figure)]
    for text, box in found:
        assert box.x0 >= 0, text
        assert box.y0 >= 0, text
        assert box.x1 <= width + 1, text
        assert box.y1 <= height + 1, text
    level = [(t, box) for t, box in found if not t.get_rotation()]
    for (one, first), (other, second) in combinations(level, 2):
        over = min(first.x1, second.x1) - max(first.x0, second.x0)
        high = min(first.y1, second.y1) - max(first.y0, second.y0)
        assert not (over > 1 and high > 1), (one, other)


def epochs(count=6):
    rng = np.random.default_rng(3)
    rows = []
    for epoch in range(count):
        ious = {f"valid_iou_{name}": float(rng.random()) for name in CLASSES.names}
        rows.append({
            "epoch": float(epoch), "valid_loss": 2 / (epoch + 1), "train_loss": 1 / (epoch + 1),
            "valid_mean_iou": float(np.mean(list(ious.values()))), **ious, "lr": 1e-3 * (epoch + 1),
        })  # fmt: skip
    return rows


def test_a_history_has_a_panel_for_each_kind_of_number():
    rows = [{**row, "hours": 0.1} for row in epochs()]
    figure = plot.history(rows, CLASSES)
    titles = [ax.get_title(loc="left") for ax in figure.axes]
    assert titles == ["loss", "IoU", "learning rate", "other numbers"]
    counts = [len(ax.get_lines()) for ax in figure.axes]
    assert counts == [2, 1 + 3 + 1, 1, 1]  # the best mean is a line of one point
    best = figure.axes[1].get_lines()[-1]
    expected = max(rows, key=lambda row: row["valid_mean_iou"])
    assert best.get_xydata().tolist() == [[expected["epoch"], expected["valid_mean_iou"]]]
    assert figure.axes[2].get_lines()[0].get_ydata().tolist() == [row["lr"] for row in rows]
    check_texts(figure)


def test_classes_keep_their_colours_in_a_history():
    figure = plot.history(epochs(), CLASSES)
    lines = {line.get_label(): line.get_color() for line in figure.axes[1].get_lines()}
    assert lines[r"\$b_1\$"] == "#d01020"
    assert lines[" _c"] == "#1020d0"
    names = [text.get_text() for text in figure.axes[1].get_legend().get_texts()]
    assert len(names) == 5
    assert (drawn(figure) == (0xD0, 0x10, 0x20)).all(axis=2).sum() > 50


def test_many_classes_are_drawn_without_filling_the_legend():
    rows = [{"epoch": e, "valid_mean_iou": 0.5, **{f"valid_iou_{i}": i / 20 for i in range(20)}} for e in range(3)]  # fmt: skip
    figure = plot.history(rows)
    assert len(figure.axes[0].get_lines()) == 22
    names = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert names == ["mean", "best mean: 0.500"]


def test_what_is_not_finite_leaves_a_gap():
    rows = [
        {"epoch": 0, "valid_mean_iou": math.nan},
        {"epoch": 1, "valid_mean_iou": 0.25},
        {"epoch": 2, "valid_mean_iou": math.inf},
    ]
    line = plot.history(rows).axes[0].get_lines()[0].get_ydata()
    np.testing.assert_array_equal(line, [math.nan, 0.25, math.nan])
    assert best_epoch(rows) == rows[1]
    assert best_epoch([{"epoch": 0, "train_loss": 1.0}]) is None


def test_an_empty_history_is_an_empty_picture():
    assert drawn(plot.history([])).shape[0] > 50


def test_a_histogram_has_bars_of_shares_in_the_colours_of_the_classes():
    counts = {"a rather long name of a class": 60, "_c": 40}
    figure = plot.histogram(counts, CLASSES)
    bars = figure.axes[0].patches
    assert [bar.get_width() for bar in bars] == pytest.approx([0.6, 0, 0.4])
    assert figure.axes[0].texts[0].get_text() == "60.00%  (60 px)"
    picture = drawn(figure)
    blue = (picture == (0x10, 0x20, 0xD0)).all(axis=2)
    rows, cols = np.nonzero(blue)
    height, width = figure.axes[0].bbox.height, figure.axes[0].bbox.width
    assert np.ptp(rows) == pytest.approx(0.8 * height / 3.3, rel=0.15)
    assert np.ptp(cols) == pytest.approx(width * 0.4 / (0.6 * 1.45), rel=0.03)
    check_texts(figure)


def test_a_histogram_without_class_map_keeps_the_order_given():
    figure = plot.histogram({"z": 1, "a": 3, "none": 0})
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["z", "a", "none"]
    assert [bar.get_width() for bar in figure.axes[0].patches] == [0.25, 0.75, 0]
    check_texts(plot.histogram({"never": 0}))
    check_texts(plot.histogram({"x" * 90: 1, "y " * 45: 3}))


@pytest.mark.parametrize(
    ("counts", "classes", "text"),
    [({"d": 1}, CLASSES, r"counts of \['d'\]"), ({}, None, "counts of no class")],
)
def test_a_histogram_of_strange_classes_is_refused(counts, classes, text):
    with pytest.raises(ConfigError, match=text):
        plot.histogram(counts, classes)


@pytest.mark.parametrize(("count", "name"), [(2, "class"), (9, "x" * 70), (25, "class number")])
def test_an_evaluation_of_any_classes_can_be_read(count, name):
    classes = ClassMap.of(*(f"{name} {i}" for i in range(count)))
    grid = Grid(crs="EPSG:32619", transform=[10, 0, 5e5, 0, -10, 4e6], height=40, width=53)
    rng = np.random.default_rng(0)
    truth, found = (
        ArrayLabels(grid, classes, rng.integers(0, count, grid.shape).astype("uint8"))
        for _ in range(2)
    )
    figure = plot.evaluation(evaluate(truth, found))
    check_texts(figure)
    left, right = figure.axes
    assert len(left.texts) == (count * count if count <= 20 else 0)
    assert len(right.patches) == count


def test_a_white_class_has_a_bar_with_an_edge():
    grid = Grid(crs=None, transform=[1, 0, 0, 0, -1, 0], height=5, width=7)
    labels = ArrayLabels(grid, CLASSES, np.zeros(grid.shape, "uint8"))
    figure = plot.evaluation(evaluate(labels, labels))
    drawn(figure)
    bar = figure.axes[1].patches[0]
    assert bar.get_edgecolor() != bar.get_facecolor()
    names = [label.get_text() for label in figure.axes[1].get_yticklabels()]
    assert names == ["a rather long name of a class", r"\$b_1\$", " _c"]
