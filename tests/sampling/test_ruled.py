"""Windows drawn by rules, each one against the pixels that it holds."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geoseg.classes import ClassMap
from geoseg.errors import ConfigError, SceneError
from geoseg.labels.sources import RasterLabels
from geoseg.sampling import RandomWindows, Sampling
from geoseg.sampling.kinds import Turns
from geoseg.scene import Scene
from geoseg.sources.array import ArraySource
from geoseg.window import Window

LABELS = ("raster", "other grid", "vector")
ROAD, RARE = 1, 2
LENGTH = 200


def drawn(scenes, size, rules, *, epoch=0, seed=1, length=LENGTH):
    windows = RandomWindows(scenes, size, length=length, seed=seed, sampling=Sampling(**rules))
    return windows.draw_many(range(length), epoch)


def shares(boxes, planes, part_of):
    """(window, 6) share of each kind of pixel in each window, counted one by one."""
    parts = [part_of(planes[scene], *window) for scene, *window in boxes.tolist()]
    return np.array([np.bincount(p.ravel(), minlength=6) / p.size for p in parts])


def array_scene(ids, valid=None, name="s"):
    """A scene in memory with the classes a, b, c."""
    image = ArraySource(data=np.zeros((1, *ids.shape), np.uint8), valid=valid)
    labels = RasterLabels(
        source=ArraySource(data=ids[None].astype(np.uint8)), classes=ClassMap.of("a", "b", "c")
    )
    return Scene(id=name, image=image, labels=labels)


@pytest.mark.parametrize("labels", LABELS)
def test_a_class_of_a_hundredth_is_in_the_share_of_windows_that_is_asked(make, part_of, labels):
    made, other = make(labels), make("raster", "b", seed=3)
    planes = [made.kinds, other.kinds]
    assert (np.concatenate(planes) == RARE).mean() < 0.01
    scenes = [made.scene, other.scene]
    anywhere = shares(drawn(scenes, (37, 41), {}), planes, part_of)
    for share in (0.3, 0.9):
        rules = {"class_balance": {"rare": share}}
        found = shares(drawn(scenes, (37, 41), rules), planes, part_of)
        assert (anywhere[:, RARE] > 0).mean() < share / 2
        assert (found[:, RARE] > 0).mean() >= share
    assert (found[:, RARE] > 0).mean() < 1


@pytest.mark.parametrize("scene_weights", ["area", "equal"])
def test_balanced_classes_are_each_in_their_part_of_the_windows(make, part_of, scene_weights):
    made = make()
    rules = {"class_balance": "balanced", "scene_weights": scene_weights}
    found = shares(drawn([made.scene], 33, rules), [made.kinds], part_of)
    for number in (0, ROAD, RARE):
        assert (found[:, number] > 0).mean() >= 1 / 3 - 1 / LENGTH


@pytest.mark.parametrize("labels", LABELS)
def test_no_window_has_less_than_the_least_shares(make, part_of, labels):
    made = make(labels)
    for size in ((37, 41), (310, 90)):
        past = 0.9 if size[0] > made.kinds.shape[0] else 1.0  # it reaches past the scene
        for valid, labelled in ((0.5, 0.0), (0.0, 0.75), (0.9 * past, 0.8 * past), (past, 0.0)):
            rules = {"min_valid": valid, "min_labelled": labelled}
            boxes = drawn([made.scene], size, rules)
            found = shares(boxes, [made.kinds], part_of)
            assert (found[:, :5].sum(axis=1) >= valid - 1e-9).all()
            assert (found[:, :3].sum(axis=1) >= labelled - 1e-9).all()
            assert (found[:, :4].sum(axis=1) > 0).all()
            assert len(np.unique(boxes, axis=0)) > LENGTH / 2


@pytest.mark.parametrize("negative", [0.0, 0.25, 1.0])
def test_the_share_of_windows_of_background_alone_is_what_is_asked(make, part_of, negative):
    made = make()
    boxes = drawn([made.scene], (45, 31), {"negative_share": negative})
    found = shares(boxes, [made.kinds], part_of)
    alone = (found[:, ROAD] + found[:, RARE]) == 0
    assert alone.mean() == negative
    assert (found[alone, 0] > 0).all()


def test_rules_hold_together_and_the_background_may_be_any_class(make, part_of):
    made = make()
    rules = {
        "class_balance": {"rare": 0.5},
        "negative_share": 0.25,
        "background": "road",
        "min_labelled": 0.6,
    }
    # Nowhere is a window of road alone.
    with pytest.raises(ConfigError, match=r"background alone.*none of another class"):
        drawn([made.scene], 30, rules)
    found = shares(drawn([made.scene], 30, rules | {"background": None}), [made.kinds], part_of)
    alone = (found[:, ROAD] + found[:, RARE]) == 0
    assert alone.mean() == 0.25
    assert (found[:, RARE] > 0).mean() >= 0.5
    assert (found[:, :3].sum(axis=1) >= 0.6).all()
    every = drawn([made.scene], 30, {"class_balance": "balanced", "negative_share": 0.5})
    assert (shares(every, [made.kinds], part_of)[:, RARE] > 0).mean() >= 0.25


def test_windows_of_varying_size_keep_the_rules_each(make, part_of):
    made = make()
    rules = {"min_labelled": 0.8, "class_balance": {"rare": 0.5}, "size_range": (20, 90)}
    boxes = drawn([made.scene], (40, 60), rules)
    found = shares(boxes, [made.kinds], part_of)
    assert (found[:, :3].sum(axis=1) >= 0.8).all()
    assert (found[:, RARE] > 0).mean() >= 0.5
    heights = boxes[:, 3]
    assert heights.min() < 30
    assert heights.max() > 80
    np.testing.assert_array_equal(boxes[:, 4], np.rint(heights * 1.5))


@settings(max_examples=20, deadline=None)
@given(
    shape=st.tuples(st.integers(5, 70), st.integers(5, 70)),
    size=st.tuples(st.integers(1, 80), st.integers(1, 80)),
    least=st.sampled_from([0.1, 0.5, 0.9, 1.0]),
    seed=st.integers(0, 50),
)
def test_a_window_is_found_wherever_there_is_one_and_only_there(shape, size, least, seed):
    rng = np.random.default_rng(seed)
    ids = np.full(shape, 255)
    row, col = (int(rng.integers(length)) for length in shape)
    ids[row : row + int(rng.integers(1, 60)), col : col + int(rng.integers(1, 60))] = 1
    best = 0
    for top in range(max(shape[0] - size[0], 0) + 1):
        for left in range(max(shape[1] - size[1], 0) + 1):
            part = ids[top : top + size[0], left : left + size[1]]
            best = max(best, int((part == 1).sum()))
    area = size[0] * size[1]
    rules = {"min_labelled": least}
    if best < max(least * area - 1e-6, 1):
        with pytest.raises(ConfigError, match="no window of"):
            drawn([array_scene(ids)], size, rules, length=20)
        return
    for _, *window in drawn([array_scene(ids)], size, rules, length=20).tolist():
        part = ids[Window(*window).slices]
        assert (part == 1).sum() >= least * area - 1e-6


def test_the_one_window_that_keeps_a_rule_is_found():
    ids = np.full((301, 307), 255)
    ids[101:165, 77:141] = 0  # at no corner of a cell
    boxes = drawn([array_scene(ids)], 64, {"min_labelled": 1.0}, length=7)
    assert (boxes == [0, 101, 77, 64, 64]).all()


def test_sparse_scenes_are_drawn_from_where_they_hold_anything():
    # 0.03 % of the pixels; a window in 250 meets them.
    ids = np.full((1500, 1200), 255)
    ids[1011:1035, 633:657] = 1
    valid = ids == 1
    for rules in ({"min_valid": 0.01}, {"min_labelled": 0.1}, {"negative_share": 0.0}):
        boxes = drawn([array_scene(ids, valid)], 64, rules)
        held = [valid[Window(*window).slices].sum() for _, *window in boxes.tolist()]
        assert min(held) >= 1
        assert len(np.unique(boxes, axis=0)) > 50


def test_windows_of_hard_rules_are_spread_over_all_that_keep_them():
    ids = np.full((700, 900), 255)
    ids[100:196, 50:146] = 0
    ids[500:596, 700:796] = 0
    boxes = drawn([array_scene(ids)], 64, {"min_labelled": 1.0}, length=400)
    first = boxes[:, 1] < 300
    assert 0.35 < first.mean() < 0.65
    rows = boxes[first, 1]
    assert rows.min() <= 108
    assert rows.max() >= 124
    assert len(np.unique(boxes, axis=0)) > 100


@pytest.mark.parametrize(("weights", "expected"), [("area", 0.9), ("equal", 0.5)])
@pytest.mark.parametrize("rules", [{}, {"class_balance": {"b": 1.0}}, {"min_labelled": 1.0}])
def test_scenes_are_drawn_by_area_or_all_alike(weights, expected, rules):
    scenes = [array_scene(np.ones((side, 300), int), name=str(side)) for side in (40, 40 * 9)]
    boxes = drawn(scenes, 20, rules | {"scene_weights": weights}, length=2000)
    # Where a window fits, not where pixels are, counts at last.
    assert abs((boxes[:, 0] == 1).mean() - expected) < 0.06


@pytest.mark.parametrize(
    "rules",
    [
        {"class_balance": {"rare": 0.4}},
        {"min_labelled": 0.85, "size_range": (20, 90)},
        {"negative_share": 0.5, "min_valid": 1.0},
    ],
)
def test_a_draw_depends_on_seed_epoch_and_index_alone(make, rules):
    made = make()
    one, two = (
        RandomWindows([made.scene], 40, length=90, seed=7, sampling=Sampling(**rules))
        for _ in range(2)
    )
    two = pickle.loads(pickle.dumps(two))
    whole = one.draw_many(range(90), 3)
    for numbers in (range(17, 61), range(89, 90), range(1)):
        np.testing.assert_array_equal(two.draw_many(numbers, 3), whole[numbers])
    assert two.draw(44, 3) == (int(whole[44, 0]), Window(*whole[44, 1:]))
    assert not np.array_equal(one.draw_many(range(90), 4), whole)
    other = RandomWindows([made.scene], 40, length=90, seed=8, sampling=Sampling(**rules))
    assert not np.array_equal(other.draw_many(range(90), 3), whole)


@given(
    parts=st.lists(st.integers(1, 20), min_size=1, max_size=5),
    length=st.integers(1, 3000),
    seed=st.integers(0, 9),
    epoch=st.integers(0, 9),
)
def test_each_kind_has_its_share_of_every_epoch(parts, length, seed, epoch):
    wanted = np.array(parts) / sum(parts)
    turns = Turns(wanted.tolist(), length, seed)
    found = np.bincount(turns.of(range(length), epoch), minlength=len(parts))
    assert len(found) == len(parts)
    assert (np.abs(found - wanted * length) <= 1).all()
    middle = range(length // 3, length // 2)
    np.testing.assert_array_equal(
        turns.of(middle, epoch), turns.of(range(length), epoch)[middle.start : middle.stop]
    )


def test_kinds_are_mixed_in_every_batch():
    turns = Turns([0.25, 0.75], 1000, seed=3).of(range(1000), 0)
    batches = (turns.reshape(-1, 20) == 0).sum(axis=1)
    assert batches.min() >= 3
    assert batches.max() <= 7


@pytest.mark.parametrize(
    ("rules", "wanted", "windows"),
    [
        (
            {"min_labelled": 0.5},
            r"32 of its 64 pixels labelled \(.* at most 12\)",
            "200 of the 200",
        ),
        (
            {"class_balance": {"b": 0.25}, "min_labelled": 0.5},
            "around the class 'b'",
            "50 of the 200",
        ),
    ],
)
def test_the_error_counts_pixels_and_windows(rules, wanted, windows):
    ids = np.full((50, 60), 255)
    ids[8:11, 16:20] = 1
    told = f"{wanted}.*, but {windows} windows of an epoch are to be such; ask for less"
    with pytest.raises(ConfigError, match=told):
        drawn([array_scene(ids)], 8, rules)


def test_what_cannot_be_had_is_an_error_that_says_what_can(make):
    made = make()
    scenes = [made.scene]
    with pytest.raises(
        ConfigError, match=r"no class is called 'roof'; there are: background, road"
    ):
        drawn(scenes, 30, {"class_balance": {"roof": 0.5}})
    with pytest.raises(ConfigError, match=r"no class is called 'sea'"):
        drawn(scenes, 30, {"negative_share": 0.5, "background": "sea"})
    with pytest.raises(
        ConfigError, match=r"302 x 30 px.*at least 9060 of its 9060 pixels valid \("
    ):
        drawn(scenes, (302, 30), {"min_valid": 1.0})
    with pytest.raises(
        ConfigError, match=r"^class_balance: 0\.1 of the windows .* none can: .*'c': 0"
    ):
        drawn([array_scene(np.ones((50, 60)))], 8, {"class_balance": {"c": 0.1}})
    with pytest.raises(ConfigError, match=r"no pixel of a class to balance"):
        drawn([array_scene(np.full((50, 60), 255))], 8, {"class_balance": "balanced"})
    named = Scene.model_validate(
        made.scene.model_dump() | {"labels": made.scene.labels.model_dump() | _classes_from_one()}
    )
    with pytest.raises(ConfigError, match=r"no class has the id 0.*background"):
        drawn([named], 30, {"negative_share": 0.5})
    bare = made.scene.model_copy(update={"labels": None})
    with pytest.raises(SceneError, match="'a' has no labels"):
        drawn([bare], 30, {"min_labelled": 0.5})


def _classes_from_one():
    names = ("background", "road", "rare")
    classes = [{"id": i + 1, "name": name} for i, name in enumerate(names)]
    return {"classes": {"classes": classes}, "mapping": {0: 1, 1: 2, 2: 3, 255: 255}}


def test_scenes_without_labels_may_ask_for_valid_pixels(make, part_of):
    made = make(aoi=True)
    bare = made.scene.model_copy(update={"labels": None})
    found = shares(drawn([bare], 40, {"min_valid": 0.95}), [made.kinds], part_of)
    assert (found[:, :5].sum(axis=1) >= 0.95).all()
    assert (found[:, :4].sum(axis=1) > 0).all()


def test_the_size_range_of_the_rules_gives_way_to_one_that_is_given(make):
    made = make()
    rules = Sampling(size_range=(10, 20))
    windows = RandomWindows([made.scene], 40, length=50, sampling=rules)
    assert windows.draw_many(range(50))[:, 3].max() <= 20
    windows = RandomWindows([made.scene], 40, length=50, sampling=rules, size_range=(30, 33))
    assert windows.draw_many(range(50))[:, 3].min() >= 30
