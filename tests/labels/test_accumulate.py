import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geoseg.errors import ConfigError, GridError, LabelError
from geoseg.labels.accumulate import ScoreAccumulator, highest
from geoseg.labels.blend import blend_weights, owned_spans
from geoseg.window import Window, sliding

WEIGHTED = ["mean", "linear", "hann", "gaussian"]


@st.composite
def layouts(draw):
    """(shape, size, stride): sides, windows and strides that differ, also windows past the scene."""
    size = draw(st.tuples(st.integers(1, 9), st.integers(1, 9)))
    stride = draw(st.tuples(st.integers(1, size[0]), st.integers(1, size[1])))
    shape = draw(st.tuples(st.integers(1, 30), st.integers(1, 20)))
    return shape, size, stride


def random_scores(rng, window, classes):
    scores = rng.random((classes, *window.shape), np.float32) + np.float32(0.01)
    return (scores / scores.sum(axis=0)).astype(np.float32)


def run(shape, size, stride, blend, windows):
    """All finished rows as whole arrays; checks that each row leaves once, in order."""
    classes = windows[0][1].shape[0]
    accumulator = ScoreAccumulator(
        shape=shape, classes=classes, size=size, stride=stride, blend=blend, keep_scores=True
    )
    pieces = [rows for item in windows for rows in accumulator.add(*item)]
    pieces += accumulator.finish()
    row = 0
    for piece in pieces:
        assert piece.row == row
        row += len(piece.channels)
    assert row == shape[0]
    channels = np.concatenate([p.channels for p in pieces])
    covered = np.concatenate([p.covered for p in pieces])
    return channels, covered, np.concatenate([p.scores for p in pieces], axis=1)


def formula(blend, i, n):
    """One weight, from the textbook form of each window function."""
    centre = i + 0.5 - n / 2
    return {
        "mean": 1.0,
        "linear": 1 - abs(centre) / (n / 2),
        "hann": 0.5 * (1 + np.cos(2 * np.pi * centre / n)),
        "gaussian": np.exp(-0.5 * (centre / (n / 8)) ** 2),
    }[blend]


def whole_array(shape, blend, windows):
    """The weighted mean of every pixel, in float64, from sums over the whole scene."""
    classes = windows[0][1].shape[0]
    size = windows[0][0].shape
    room = (shape[0] + size[0], shape[1] + size[1])
    sums, weights = np.zeros((classes, *room)), np.zeros(room)
    rows = np.array([formula(blend, i, size[0]) for i in range(size[0])])
    cols = np.array([formula(blend, i, size[1]) for i in range(size[1])])
    for window, scores, valid in windows:
        weight = np.outer(rows, cols) * (1 if valid is None else valid)
        sums[(slice(None), *window.slices)] += scores.astype(float) * weight
        weights[window.slices] += weight
    sums, weights = sums[:, : shape[0], : shape[1]], weights[: shape[0], : shape[1]]
    means = np.divide(sums, weights, out=np.zeros_like(sums), where=weights > 0)
    return means, weights > 0


@settings(max_examples=150, deadline=None)
@given(layout=layouts(), blend=st.sampled_from(WEIGHTED), seed=st.integers(0, 99), data=st.data())
def test_weighted_blends_equal_a_whole_array_in_float64(layout, blend, seed, data):
    shape, size, stride = layout
    rng = np.random.default_rng(seed)
    classes = data.draw(st.integers(1, 4))
    keep = data.draw(st.sampled_from([1.0, 0.5]))
    windows = [
        (w, random_scores(rng, w, classes), None if rng.random() < 0.5 else rng.random(size) < 0.8)
        for w in sliding(shape, size, stride)
        if rng.random() < keep
    ]
    if not windows:
        return
    channels, covered, scores = run(shape, size, stride, blend, windows)
    expected, expected_covered = whole_array(shape, blend, windows)
    np.testing.assert_array_equal(covered, expected_covered)
    np.testing.assert_allclose(scores, expected, atol=1e-5)
    top = np.take_along_axis(expected, channels[None].astype(int), axis=0)[0]
    np.testing.assert_allclose(top, expected.max(axis=0), atol=1e-5)
    assert (channels[~covered] == 0).all()


def owner(starts, size, length, pixel):
    """The window whose middle is nearest among those that hold the pixel, the later one at a tie."""
    holding = [s for s in starts if s <= pixel < s + size]
    distance = [abs(pixel + 0.5 - (s + size / 2)) for s in holding]
    nearest = min(distance)
    return max(s for s, d in zip(holding, distance, strict=True) if d == nearest)


@settings(max_examples=150, deadline=None)
@given(layout=layouts(), seed=st.integers(0, 99), keep=st.sampled_from([1.0, 0.6]))
def test_center_takes_each_pixel_from_the_window_with_the_nearest_middle(layout, seed, keep):
    shape, size, stride = layout
    rng = np.random.default_rng(seed)
    all_windows = sliding(shape, size, stride)
    windows = {
        (w.row, w.col): (w, random_scores(rng, w, 3), None if keep == 1 else rng.random(size) < 0.8)
        for w in all_windows
        if rng.random() < keep
    }
    if not windows:
        return
    channels, covered, scores = run(shape, size, stride, "center", list(windows.values()))
    for row, col in np.ndindex(shape):
        key = (
            owner(all_windows.rows, size[0], shape[0], row),
            owner(all_windows.cols, size[1], shape[1], col),
        )
        window, given_scores, valid = windows.get(key, (None, None, None))
        here = row - key[0], col - key[1]
        taken = window is not None and (valid is None or valid[here])
        assert covered[row, col] == taken
        if taken:
            expected = given_scores[(slice(None), *here)]
            np.testing.assert_allclose(scores[:, row, col], expected, rtol=1e-6)
            assert channels[row, col] == expected.argmax()


@pytest.mark.parametrize("blend", [*WEIGHTED, "center"])
@pytest.mark.parametrize("shape", [(5, 40), (40, 5), (5, 7)])
def test_a_scene_smaller_than_the_window_is_covered_whole(blend, shape):
    windows = sliding(shape, (16, 12), (7, 5))
    rng = np.random.default_rng(1)
    items = [(w, random_scores(rng, w, 2), None) for w in windows]
    _, covered, scores = run(shape, (16, 12), (7, 5), blend, items)
    assert covered.all()
    assert covered.shape == shape
    np.testing.assert_allclose(scores.sum(axis=0), 1, atol=1e-6)


def test_rows_of_windows_left_out_wholly_are_emitted_as_not_covered():
    shape, size, stride = (101, 9), (10, 9), (5, 9)
    first, last = Window(0, 0, 10, 9), Window(91, 0, 10, 9)
    accumulator = ScoreAccumulator(
        shape=shape, classes=2, size=size, stride=stride, blend="mean", keep_scores=True
    )
    one = np.stack([np.zeros(size, np.float32), np.ones(size, np.float32)])
    assert list(accumulator.add(first, one)) == []
    pieces = [*accumulator.add(last, one), *accumulator.finish()]
    assert max(len(piece.channels) for piece in pieces) <= size[0]
    assert [p.row for p in pieces] == list(np.cumsum([0, *[len(p.channels) for p in pieces]])[:-1])
    covered = np.concatenate([piece.covered for piece in pieces])
    np.testing.assert_array_equal(
        covered.all(axis=1), np.r_[[True] * 10, [False] * 81, [True] * 10]
    )
    scores = np.concatenate([piece.scores for piece in pieces], axis=1)
    np.testing.assert_array_equal(scores[1], covered)
    assert (scores[0] == 0).all()


def test_without_any_window_every_row_is_emitted_as_not_covered():
    accumulator = ScoreAccumulator(shape=(23, 4), classes=3, size=5)
    pieces = list(accumulator.finish())
    assert sum(len(piece.channels) for piece in pieces) == 23
    assert not any(piece.covered.any() for piece in pieces)
    assert pieces[0].scores is None


def test_rows_leave_as_soon_as_no_window_can_touch_them():
    accumulator = ScoreAccumulator(shape=(20, 6), classes=2, size=(8, 6), stride=(4, 6))
    left = []
    for window in sliding((20, 6), (8, 6), (4, 6)):
        pieces = accumulator.add(window, np.full((2, 8, 6), 0.5, np.float32))
        left.append([(piece.row, len(piece.channels)) for piece in pieces])
    assert left == [[], [(0, 4)], [(4, 4)], [(8, 4)]]
    assert sum(len(piece.channels) for piece in accumulator.finish()) == 8


def test_equal_scores_go_to_the_lowest_channel():
    scores = np.array([0.2, 0.4, 0.4, 0.0], np.float32)[:, None, None] * np.ones(
        (4, 3, 5), np.float32
    )
    [rows] = list(_whole(scores))
    assert (rows.channels == 1).all()


def test_the_class_map_equals_numpys_argmax_with_255_classes():
    rng = np.random.default_rng(4)
    scores = rng.integers(0, 40, (255, 31, 17)).astype(np.float32)
    np.testing.assert_array_equal(highest(scores), scores.argmax(axis=0))
    scores[254] = 41
    assert (highest(scores) == 254).all()


def test_scores_of_pixels_that_are_not_valid_may_be_nan():
    scores = np.full((2, 4, 4), np.nan, np.float32)
    scores[:, 1, 2] = 0.25, 0.75
    valid = np.zeros((4, 4), bool)
    valid[1, 2] = True
    [rows] = list(_whole(scores, valid))
    np.testing.assert_array_equal(rows.covered, valid)
    assert rows.channels[1, 2] == 1
    np.testing.assert_array_equal(np.isfinite(rows.scores).all(axis=0), np.ones((4, 4)))


@pytest.mark.parametrize("channel", [0, 1])
@pytest.mark.parametrize(("value", "told"), [(np.nan, "NaN"), (np.inf, "infinite")])
def test_scores_of_valid_pixels_that_are_not_finite_are_an_error_that_tells_where(
    channel, value, told
):
    scores = np.full((2, 4, 6), 0.5, np.float32)
    scores[channel, 2, 5] = value
    with pytest.raises(LabelError, match=rf"row 2, col 5 are {told} "):
        list(_whole(scores))


def test_only_windows_of_the_scene_in_their_order_are_taken():
    accumulator = ScoreAccumulator(shape=(20, 20), classes=2, size=8, stride=4)
    good = np.full((2, 8, 8), 0.5, np.float32)
    accumulator.add(Window(4, 4, 8, 8), good)
    for wrong in [Window(4, 4, 8, 8), Window(4, 0, 8, 8), Window(0, 8, 8, 8)]:
        with pytest.raises(GridError, match="once, row by row"):
            accumulator.add(wrong, good)
    for wrong in [Window(5, 4, 8, 8), Window(8, 4, 4, 8)]:
        with pytest.raises(GridError, match="none of the 8 x 8 px windows"):
            accumulator.add(wrong, good)
    accumulator.finish()
    with pytest.raises(GridError, match="once, row by row"):
        accumulator.add(Window(12, 12, 8, 8), good)


def test_arrays_of_another_shape_are_refused():
    accumulator = ScoreAccumulator(shape=(20, 20), classes=2, size=8)
    window = Window(0, 0, 8, 8)
    with pytest.raises(LabelError, match=r"\(3, 8, 8\), expected \(2, 8, 8\)"):
        accumulator.add(window, np.zeros((3, 8, 8), np.float32))
    with pytest.raises(LabelError, match=r"valid .*\(8, 7\), expected \(8, 8\)"):
        accumulator.add(window, np.zeros((2, 8, 8), np.float32), np.ones((8, 7), bool))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"blend": "hamming"}, "'hamming', expected one of: center, gaussian, hann, linear, mean"),
        ({"classes": 0}, "expected 1 to 255"),
        ({"classes": 256}, "expected 1 to 255"),
        ({"stride": 9}, "stride 9 is larger than size 8"),
        ({"size": 0}, "at least 1 pixel"),
    ],
)
def test_options_out_of_range_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        ScoreAccumulator(**{"shape": (20, 20), "classes": 2, "size": 8, **options})


@pytest.mark.parametrize("blend", [*WEIGHTED, "center"])
@pytest.mark.parametrize("length", [1, 2, 255, 4096])
def test_weights_are_symmetric_and_above_zero_in_float32(blend, length):
    weights = blend_weights(blend, length)
    np.testing.assert_allclose(weights, weights[::-1], rtol=1e-9)
    assert (np.outer(weights[:3], weights[:3]).astype(np.float32) > 0).all()


@given(length=st.integers(1, 200), size=st.integers(1, 50), stride=st.integers(1, 50))
def test_owned_spans_divide_the_side_without_gap_or_overlap(length, size, stride):
    windows = sliding((length, 1), (size, 1), (min(stride, size), 1))
    spans = owned_spans(windows.rows, size, length)
    pixels = [p for first, stop in spans.values() for p in range(first, stop)]
    assert pixels == list(range(length))
    assert all(s <= first < stop <= s + size for s, (first, stop) in spans.items())


def test_memory_does_not_grow_with_the_height_of_the_scene():
    def peak(height):
        shape = (height, 300)
        scores = np.full((4, 32, 32), 0.25, np.float32)
        tracemalloc.start()
        accumulator = ScoreAccumulator(shape=shape, classes=4, size=32, stride=16, keep_scores=True)
        for window in sliding(shape, 32, 16):
            for _ in accumulator.add(window, scores):
                pass
        for _ in accumulator.finish():
            pass
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak(250)  # once for imports and caches
    assert peak(2000) < 1.1 * peak(250)


def _whole(scores, valid=None):
    """The rows of a scene that is one window."""
    shape = scores.shape[1:]
    accumulator = ScoreAccumulator(
        shape=shape, classes=len(scores), size=shape, blend="mean", keep_scores=True
    )
    accumulator.add(Window(0, 0, *shape), scores, valid)
    return accumulator.finish()


@settings(max_examples=150, deadline=None)
@given(
    layout=layouts(),
    blend=st.sampled_from([*WEIGHTED, "center"]),
    seed=st.integers(0, 99),
    data=st.data(),
)
def test_a_part_by_itself_equals_the_same_pixels_of_the_whole_to_the_byte(
    layout, blend, seed, data
):
    shape, size, stride = layout
    rng = np.random.default_rng(seed)
    keep = data.draw(st.sampled_from([1.0, 0.5]))
    items = [
        (w, random_scores(rng, w, 3), None if rng.random() < 0.5 else rng.random(size) < 0.8)
        for w in sliding(shape, size, stride)
        if rng.random() < keep
    ]
    if not items:
        return
    row, col = data.draw(st.integers(0, shape[0] - 1)), data.draw(st.integers(0, shape[1] - 1))
    part = Window(
        row,
        col,
        data.draw(st.integers(1, shape[0] - row)),
        data.draw(st.integers(1, shape[1] - col)),
    )
    channels, covered, scores = run(shape, size, stride, blend, items)
    accumulator = ScoreAccumulator(
        shape=shape, classes=3, size=size, stride=stride, blend=blend, keep_scores=True, part=part
    )
    touching = [item for item in items if item[0].intersection(part)]
    if data.draw(st.booleans()):  # windows beside it change nothing
        touching = items
    pieces = [rows for item in touching for rows in accumulator.add(*item)]
    pieces += accumulator.finish()
    assert pieces[0].row == part.row
    for name, whole in (("channels", channels), ("covered", covered)):
        found = np.concatenate([getattr(piece, name) for piece in pieces])
        np.testing.assert_array_equal(found, whole[part.slices])
    found = np.concatenate([piece.scores for piece in pieces], axis=1)
    assert found.tobytes() == np.ascontiguousarray(scores[(slice(None), *part.slices)]).tobytes()


def test_a_part_that_reaches_past_the_scene_is_refused():
    with pytest.raises(GridError, match="reaches past the scene of 20 x 30 px"):
        ScoreAccumulator(shape=(20, 30), classes=2, size=8, part=Window(10, 0, 11, 30))
