"""Windows of a report: resized as batches, and judged by what is right in them."""

from __future__ import annotations

import numpy as np
import pytest

from geoseg.report.windows import batch_of, judged, resized
from geoseg.scene import Scene
from geoseg.window import Window
from tests.report.trainings import GRID, prediction_of, scene_of


def test_windows_of_several_sizes_become_one_batch():
    scene = scene_of("s")
    places = [(scene, Window(0, 0, 8, 12)), (scene, Window(5, 7, 16, 24))]
    batch = batch_of(places, (8, 12))
    assert {key: value.shape for key, value in batch.items()} == {
        "image": (2, 3, 8, 12),
        "valid": (2, 8, 12),
        "mask": (2, 8, 12),
    }
    whole = scene.read(places[1][1])
    assert (batch["image"][0] == scene.read(places[0][1]).image.data).all()
    assert (batch["mask"][1] == whole.labels[1::2, 1::2]).all()


def test_a_smaller_window_is_enlarged_pixel_by_pixel():
    small = np.arange(6).reshape(2, 3)
    assert (resized(small, (4, 6)) == small.repeat(2, axis=0).repeat(2, axis=1)).all()


@pytest.mark.parametrize(
    ("part", "size", "count"),
    [
        (GRID.whole, 32, 3 * 4),
        (Window(10, 3, 50, 70), (20, 30), 2 * 2),
        (Window(0, 0, 20, 131), 32, 4),
    ],
)
def test_windows_are_judged_as_pixel_by_pixel(part, size, count):
    scene = scene_of("s")
    prediction = prediction_of(scene, 0.8)
    found = list(judged(scene, prediction, part, size))
    assert len(found) == count
    for one in found:
        assert part.intersection(one.window) == one.window
        truth, guess = scene.read(one.window).labels, prediction.read(one.window)
        known = (truth != 255) & (guess != 255)
        assert one.right == pytest.approx((truth == guess)[known].mean())
    corners = {(one.window.row, one.window.col) for one in found}
    assert len(corners) == count


def test_windows_with_little_to_compare_are_left_out():
    scene = scene_of("s")
    prediction = prediction_of(scene, 0.5)  # the last three rows are not predicted
    assert len(list(judged(scene, prediction, Window(91, 0, 6, 20), (6, 10)))) == 2
    assert list(judged(scene, prediction, Window(92, 0, 5, 20), (5, 10))) == []


def test_a_scene_without_labels_has_nothing_to_judge():
    scene = scene_of("s")
    plain = Scene(id="p", image=scene.image)
    assert list(judged(plain, prediction_of(scene, 0.5), GRID.whole, 32)) == []
