import numpy as np
import pytest
from pydantic import ValidationError
from sklearn import metrics as sklearn

from geoseg.classes import ClassMap
from geoseg.errors import ConfigError
from geoseg.grid import Grid
from geoseg.labels.array import ArrayLabels
from geoseg.labels.evaluate import Evaluation, evaluate
from geoseg.labels.evaluation.evaluator import Evaluator
from geoseg.labels.evaluation.scoring import Scoring
from geoseg.window import Window

CLASSES = ClassMap.of("a", "b", "c")
GRID = Grid(height=53, width=71)


def random_maps(seed, shape=GRID.shape):
    """Errors are frequent in some places and rare in others, as in real maps."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 3, shape).astype(np.uint8)
    wrong = rng.random((shape[0] // 9 + 1, shape[1] // 9 + 1)).repeat(9, 0).repeat(9, 1)
    wrong = wrong[: shape[0], : shape[1]]
    prediction = np.where(rng.random(shape) < wrong, rng.integers(0, 3, shape), truth)
    truth[rng.random(shape) < 0.1] = 255
    return truth, prediction.astype(np.uint8)


def blocks_of(truth, prediction, size):
    """(truth, prediction) of the counted pixels of each block, row by row."""
    parts = []
    for row in range(0, truth.shape[0], size):
        for col in range(0, truth.shape[1], size):
            t = truth[row : row + size, col : col + size]
            p = prediction[row : row + size, col : col + size]
            known = (t != 255) & (p != 255)
            if known.any():
                parts.append((t[known], p[known]))
    return parts


def judged(truth, prediction, grid=GRID, **options):
    pair = (ArrayLabels(grid, CLASSES, ids) for ids in (truth, prediction))
    return evaluate(*pair, **options)


def test_blocks_hold_what_is_right_in_the_truth_and_predicted():
    truth, prediction = random_maps(0)
    blocks = judged(truth, prediction, bootstrap=20, block_px=16).overall.blocks
    expected = []
    for t, p in blocks_of(truth, prediction, 16):
        matrix = sklearn.confusion_matrix(t, p, labels=CLASSES.ids)
        expected.append([np.diag(matrix), matrix.sum(axis=1), matrix.sum(axis=0)])
    np.testing.assert_array_equal(blocks.totals, expected)


@pytest.mark.parametrize("size", [(1, 71), (7, 71), (53, 13), (11, 17), (53, 71)])
def test_blocks_do_not_depend_on_the_windows_that_come(size):
    truth, prediction = random_maps(1)
    judge = Evaluator(GRID, CLASSES, bootstrap=20, block_px=16)
    for row in range(0, 53, size[0]):
        for col in range(0, 71, size[1]):
            part = Window(row, col, *size).intersection(GRID.whole)
            judge.update(part, truth[part.slices], prediction[part.slices])
    expected = judged(truth, prediction, bootstrap=20, block_px=16).overall
    np.testing.assert_array_equal(judge.result().blocks.totals, expected.blocks.totals)
    np.testing.assert_array_equal(judge.result().confusion, expected.confusion)


def test_intervals_are_percentiles_of_scores_of_drawn_blocks():
    truth, prediction = random_maps(2)
    result = judged(truth, prediction, bootstrap=60, block_px=20, seed=5).to_dict()["overall"]
    parts = blocks_of(truth, prediction, 20)
    rng, scores = np.random.default_rng(5), []
    for _ in range(60):
        drawn = np.repeat(
            np.arange(len(parts)), rng.multinomial(len(parts), [1 / len(parts)] * len(parts))
        )
        t = np.concatenate([parts[i][0] for i in drawn])
        p = np.concatenate([parts[i][1] for i in drawn])
        ious = sklearn.jaccard_score(t, p, average=None, labels=CLASSES.ids)
        scores.append([ious.mean(), sklearn.accuracy_score(t, p), *ious])
    mean, accuracy, *ious = np.percentile(scores, [2.5, 97.5], axis=0).T.tolist()
    intervals = result["intervals"]
    assert intervals["mean_iou"] == pytest.approx(mean)
    assert intervals["accuracy"] == pytest.approx(accuracy)
    found = [record["iou_interval"] for record in result["per_class"]]
    np.testing.assert_allclose(found, ious)
    assert mean[0] < result["mean_iou"] < mean[1]
    plain = {key: intervals[key] for key in ("level", "blocks", "block_px", "resamples", "seed")}
    assert plain == {"level": 0.95, "blocks": 12, "block_px": 20, "resamples": 60, "seed": 5}


def test_the_seed_alone_decides(monkeypatch):
    truth, prediction = random_maps(3)

    def intervals(seed):
        found = judged(truth, prediction, bootstrap=40, block_px=8, seed=seed)
        return found.to_dict()["overall"]["intervals"]["mean_iou"]

    first = intervals(1)
    assert intervals(2) != first
    monkeypatch.setattr("geoseg.labels.evaluation.bootstrap._DRAWS", 1)
    assert intervals(1) == first


def test_blocks_of_all_scenes_are_drawn_from_together():
    one, two = random_maps(4), random_maps(5)
    parts = {
        name: judged(*pair, bootstrap=50, block_px=16)
        for name, pair in {"north": one, "south": two}.items()
    }
    pooled = Evaluation.pool(parts).overall
    both = [np.concatenate([*pair]) for pair in zip(one, two, strict=True)]
    assert pooled.blocks.totals.shape == (40, 3, 3)
    assert pooled.blocks.totals[:, 1].sum() == np.count_nonzero(both[0] != 255)
    low, high = pooled.intervals.mean_iou
    assert low < pooled.to_dict(CLASSES)["mean_iou"] < high
    parts["south"] = judged(*two, bootstrap=50, block_px=32)
    assert Evaluation.pool(parts).overall.blocks is None


def test_a_class_that_some_resamples_lack_is_scored_where_it_occurs():
    truth, prediction = np.zeros(GRID.shape, np.uint8), np.zeros(GRID.shape, np.uint8)
    truth[:3, :3] = prediction[:3, :3] = 1
    result = judged(truth, prediction, bootstrap=100, block_px=16).to_dict()["overall"]
    intervals = [record["iou_interval"] for record in result["per_class"]]
    assert intervals == [[1, 1], [1, 1], None]
    assert result["intervals"]["mean_iou"] == [1, 1]


@pytest.mark.parametrize("block_px", [100, 16])
def test_one_block_or_none_gives_no_interval(block_px):
    truth, prediction = random_maps(6)
    if block_px == 16:
        truth[:] = 255
    found = judged(truth, prediction, bootstrap=20, block_px=block_px)
    result = found.to_dict()["overall"]
    assert result["intervals"]["mean_iou"] is result["intervals"]["accuracy"] is None
    assert [record["iou_interval"] for record in result["per_class"]] == [None] * 3
    assert "-" in found.table()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("bootstrap", -1), ("bootstrap", 2.0), ("bootstrap", True), ("bootstrap", "9"),
        ("block_px", 0), ("block_px", 8.5), ("block_px", None), ("seed", -1), ("seed", "a"),
        ("boundary_px", -1), ("boundary_px", 1.5), ("boundary_px", True), ("boundary_px", "3"),
    ],
)  # fmt: skip
def test_numbers_that_are_none_or_out_of_range_are_refused(name, value):
    options = {"bootstrap": 30} | {name: value}
    told = rf"{name} is {value!r}, expected a whole number.* from [01] on"
    with pytest.raises(ConfigError, match=told):
        Evaluator(GRID, CLASSES, **options)


def test_numbers_of_numpy_are_numbers():
    maps = random_maps(3)
    own = judged(*maps, bootstrap=np.int64(30), block_px=np.uint8(16), seed=np.int32(1))
    assert own.to_json() == judged(*maps, bootstrap=30, block_px=16, seed=1).to_json()


def test_the_table_shows_intervals_beside_the_scores():
    found = judged(*random_maps(7), bootstrap=30, block_px=16)
    lines = found.table().splitlines()
    low, high = found.overall.intervals.iou[0]
    assert f"{low:.3f} to {high:.3f}" in lines[1]
    assert "30 resamples of 20 blocks of 16 x 16 px" in found.table()


@pytest.mark.parametrize("count", [1, 2, 19])
def test_a_handful_of_resamples_is_refused(count):
    told = rf"bootstrap is {count}, expected 0 \(no intervals\) or 20 resamples at least"
    with pytest.raises(ConfigError, match=told):
        judged(*random_maps(8), bootstrap=count)
    with pytest.raises(ValidationError, match=told):
        Scoring(bootstrap=count)
    assert Scoring(bootstrap=20).bootstrap == 20


def test_the_table_says_that_one_block_gives_no_interval():
    truth, prediction = random_maps(9)
    table = judged(truth, prediction, bootstrap=20, block_px=99).table()
    assert "one block of 99 x 99 px with truth: no interval" in table
    assert "resamples" not in table
    truth[:] = 255
    assert (
        "no block of 9 x 9 px with truth"
        in judged(truth, prediction, bootstrap=20, block_px=9).table()
    )
