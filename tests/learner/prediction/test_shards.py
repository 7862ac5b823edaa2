"""Shards of a scene, predicted apart and joined, are the map of one run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from geoseg.errors import ConfigError, StoreError
from geoseg.labels.base import LabelStore
from geoseg.labels.geotiff import GeoTIFFLabelStore
from geoseg.labels.parts import merge
from geoseg.learner.prediction.batches import batches_of
from geoseg.scene import Scene
from geoseg.window import Window, sliding
from tests.learner.prediction.runs import contents, learner, names, run, stop_after, write_scene


@pytest.mark.parametrize(
    ("scores", "blend", "shards"), [(True, "hann", 3), (False, "center", 2), (False, "mean", 1)]
)
def test_merged_shards_are_equal_to_the_byte_to_one_run(tmp_path, scores, blend, shards):
    image = write_scene(tmp_path)
    run(image, tmp_path / "whole.tif", scores=scores, blend=blend)
    parts = [str(tmp_path / f"p{i}.tif") for i in range(shards)]
    for i, part in enumerate(parts):
        labels = run(image, part, scores=scores, blend=blend, shard=(i, shards))
        assert labels.grid.width == 90
    merge(
        parts,
        GeoTIFFLabelStore(uri=str(tmp_path / "map.tif"), scores=scores, confidence=scores),
    )
    assert contents(tmp_path, "map") == contents(tmp_path, "whole")


def test_a_shard_that_is_stopped_goes_on(tmp_path, monkeypatch):
    image = write_scene(tmp_path)
    run(image, tmp_path / "straight.tif", scores=True, shard=(0, 2))
    run(image, tmp_path / "first.tif", scores=True, shard=(1, 2))
    with monkeypatch.context() as patch:
        stop_after(patch, 5)
        with pytest.raises(BaseException):  # noqa: B017, PT011
            run(image, tmp_path / "second.tif", scores=True, shard=(1, 2), resume=True)
    assert ".second.tif.resume" in names(tmp_path)
    run(image, tmp_path / "second.tif", scores=True, shard=(1, 2), resume=True)
    assert contents(tmp_path, "first") == contents(tmp_path, "second")
    assert not list(tmp_path.glob(".*"))


def test_a_shard_in_memory_lies_on_the_grid_of_its_rows(tmp_path):
    scene = Scene.of(write_scene(tmp_path))
    whole = learner().predict(scene, stride=48)
    part = learner().predict(scene, stride=48, shard=(1, 2))
    inside = Window(512, 0, 788, 90)
    assert part.grid == scene.grid.crop(inside)
    np.testing.assert_array_equal(part.to_array(), whole.to_array()[512:])
    assert part.scores(part.grid.whole).tobytes() == whole.scores(inside).tobytes()


def test_a_shard_of_another_store_or_of_too_small_a_scene_is_refused(tmp_path):
    class Nowhere(LabelStore):
        type: str = "nowhere"

        def writer(self, grid, classes):
            raise AssertionError

        def read(self):
            raise AssertionError

    scene = Scene.of(write_scene(tmp_path))
    try:
        with pytest.raises(ConfigError, match=r"is a GeoTIFF, not Nowhere.*to merge\(\)"):
            learner().predict(scene, Nowhere(), shard=(0, 2))
    finally:
        LabelStore.kinds.pop("nowhere")
    with pytest.raises(ConfigError, match="3 bands of 512 rows; use 3 shards at most"):
        learner().predict(scene, shard=(0, 4))


def test_batches_of_some_rows_are_those_of_the_whole_scene_and_hold_all_that_touch_them():
    windows = sliding((1300, 90), 64, 24)
    whole = batches_of(windows, Window(0, 0, 1300, 90), 5)
    assert [i for batch in whole for i in batch] == list(range(len(windows)))
    for first, stop in [(0, 512), (512, 1024), (1024, 1300), (100, 101)]:
        some = batches_of(windows, Window(first, 0, stop - first, 90), 5)
        assert all(batch in whole for batch in some)
        held = {i for batch in some for i in batch}
        touching = {i for i, w in enumerate(windows) if w.row < stop and w.row_stop > first}
        assert touching <= held
        assert len(held - touching) <= 2 * 4
    assert batches_of((), Window(0, 0, 9, 9), 5) == []


def in_two(image, folder, name, **options):
    """Both parts of a run, with scores."""
    parts = [folder / f"{name}{i}.tif" for i in range(2)]
    for i, part in enumerate(parts):
        run(image, part, scores=True, shard=(i, 2), **options)
    return [str(part) for part in parts]


def beside(part):
    return Path(part).with_suffix(".part.tif")


def stored(folder, *, scores=True):
    return GeoTIFFLabelStore(uri=str(folder / "map.tif"), scores=scores, confidence=scores)


def test_scores_of_another_part_or_run_are_not_taken_for_a_parts_own(tmp_path):
    image = write_scene(tmp_path)
    parts, others = in_two(image, tmp_path, "p"), in_two(image, tmp_path, "q", seed=1)
    kept = beside(parts[0]).read_bytes()
    for wrong in (beside(parts[1]), beside(others[0])):
        beside(parts[0]).write_bytes(wrong.read_bytes())
        with pytest.raises(
            StoreError, match=r"p0\.part\.tif: holds the scores of another part or run"
        ):
            merge(parts, stored(tmp_path))
        assert not (tmp_path / "map.tif").exists()
    beside(parts[0]).write_bytes(kept)
    run(image, tmp_path / "whole.tif", scores=True)
    merge(parts, stored(tmp_path))
    assert contents(tmp_path, "map") == contents(tmp_path, "whole")


def test_a_map_without_scores_needs_none_of_its_parts(tmp_path):
    image = write_scene(tmp_path)
    parts = in_two(image, tmp_path, "p")
    run(image, tmp_path / "whole.tif")
    beside(parts[0]).unlink()
    merge(parts, stored(tmp_path, scores=False))
    assert contents(tmp_path, "map") == contents(tmp_path, "whole")
    with pytest.raises(StoreError, match=r"it holds the scores of .*p0"):
        merge(parts, stored(tmp_path))


def test_a_merge_does_not_replace_the_scores_of_its_parts(tmp_path):
    parts = in_two(write_scene(tmp_path), tmp_path, "p")
    with pytest.raises(ConfigError, match=r"p0\.part\.tif: is read as an input too"):
        merge(parts, GeoTIFFLabelStore(uri=str(beside(parts[0]))))
