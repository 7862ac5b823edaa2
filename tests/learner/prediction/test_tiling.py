"""A bound of memory takes wide scenes apart, and the map stays the same."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from geoseg.errors import ConfigError
from geoseg.labels.geotiff import GeoTIFFLabelStore
from geoseg.learner.predict import predict
from geoseg.learner.prediction.batches import batches_in
from geoseg.learner.prediction.tiling import tiling_for
from geoseg.scene import Scene
from geoseg.sources.array import ArraySource
from geoseg.window import Window, sliding
from tests.learner.prediction.runs import CLASSES, contents


def model(image, valid):
    left = torch.roll(image[:, 0].float(), 1, dims=-1)
    return torch.softmax(torch.stack([left, image[:, 1].float(), left * 0 + 99], 1) / 50, dim=1)


@pytest.fixture
def wide(write_raster):
    """Three columns of pieces and two rows of them; a part is not valid."""
    rng = np.random.default_rng(0)
    data = rng.integers(1, 255, (2, 82, 150), np.uint8).repeat(8, axis=1).repeat(8, axis=2)
    data[:, 300:420, 400:] = 0
    return Scene.of(write_raster("wide.tif", data[:, :650], nodata=0, tiled=True))


@pytest.mark.slow
@pytest.mark.parametrize("blend", ["hann", "center", "mean"])
@pytest.mark.parametrize("scores", [True, False])
def test_a_scene_in_pieces_is_equal_to_the_byte(wide, tmp_path, blend, scores):
    for name, bound in (("whole", None), ("pieces", 18_000_000 if scores else 3_200_000)):
        store = GeoTIFFLabelStore(uri=str(tmp_path / f"{name}.tif"), scores=scores)
        predict(
            model, wide, CLASSES, store=store, size=(64, 96), stride=(48, 50), blend=blend,
            max_memory=bound,
        )  # fmt: skip
    if not scores:
        tiling = tiling_for(wide, (64, 96), 3, scores=scores, max_memory=3_200_000)
        assert (tiling.rows, tiling.cols) == (512, 512)
    assert contents(tmp_path, "pieces") == contents(tmp_path, "whole")


def test_a_bound_that_is_large_enough_changes_nothing_and_one_too_small_is_refused(wide):
    options = {"size": (64, 96), "classes": 3, "scores": False}
    assert tiling_for(wide, max_memory=None, **options) is None
    assert tiling_for(wide, max_memory=1 << 30, **options) is None
    with pytest.raises(
        ConfigError, match=r"max_memory is 1,000,000 bytes, .* at least ([\d,]+);"
    ) as told:
        tiling_for(wide, max_memory=1_000_000, **options)
    least = int(str(told.value).split("at least ")[1].split(";")[0].replace(",", ""))
    assert tiling_for(wide, max_memory=least, **options) is not None
    with pytest.raises(ConfigError):
        tiling_for(wide, max_memory=least - 1, **options)


def test_batches_of_some_columns_hold_just_the_windows_that_touch_them():
    windows = sliding((300, 400), 64, 48)
    part = Window(100, 130, 60, 70)
    held = [i for batch in batches_in(windows, part, part, 4) for i in batch]
    assert held == [i for i, window in enumerate(windows) if window.intersection(part)]


def test_batches_of_a_part_are_those_of_its_piece():
    windows = sliding((900, 700), (64, 96), (40, 50))
    piece, part = Window(512, 200, 388, 300), Window(700, 200, 30, 300)
    whole = batches_in(windows, piece, piece, 4)
    found = batches_in(windows, part, piece, 4)
    assert [batch for batch in whole if batch in found] == found
    held = {i for batch in found for i in batch}
    assert {i for i, w in enumerate(windows) if w.intersection(part)} <= held
    assert len(found) < len(whole)


def test_shards_in_pieces_are_equal_to_the_byte_for_a_model_that_looks_at_its_batch(tmp_path):
    data = np.random.default_rng(1).integers(0, 255, (1, 1700, 1100), np.uint8)
    scene = Scene(id="a", image=ArraySource(data=data))
    bound = 5_500_000
    tiling = tiling_for(scene, (256, 256), len(CLASSES), scores=False, max_memory=bound)
    assert tiling.rows == 1024  # shards begin in the middle of a strip

    def model(image, valid):
        level = image.float() / 255
        place = torch.arange(len(image))[:, None, None, None] / len(image)
        return torch.softmax(torch.cat([level, place + 0 * level, 1 - level], dim=1), dim=1)

    def ids(name, **shard):
        store = GeoTIFFLabelStore(uri=str(tmp_path / name))
        return predict(
            model, scene, CLASSES, store=store, size=256, stride=200, batch_size=5,
            max_memory=bound, model_digest="m", **shard,
        ).to_array()  # fmt: skip

    parts = [ids(f"{i}.tif", shard=(i, 4)) for i in range(4)]
    assert np.concatenate(parts).tobytes() == ids("whole.tif").tobytes()
