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
    held = [i for batch in batches_in(windows, part, 4) for i in batch]
    assert held == [i for i, window in enumerate(windows) if window.intersection(part)]
