"""The files of a small experiment."""

from __future__ import annotations

import numpy as np
import pytest

from tests.experiment.experiments import TEXT


@pytest.fixture
def folder(tmp_path, write_raster):
    """Two scenes of blobs that are bright or dark; a corner of the images is nodata."""
    for seed, name in enumerate("ab"):
        rng = np.random.default_rng(seed)
        bright = rng.integers(0, 2, (8, 11)).repeat(8, axis=0).repeat(8, axis=1)[:61, :83] == 1
        data = np.where(bright, 150, 60) + rng.normal(0, 12, (2, 61, 83))
        data[:, :9, :7] = 0
        write_raster(f"{name}.tif", data.astype("uint8"), nodata=0, descriptions=("red", "nir"))
        write_raster(f"{name}_ids.tif", bright.astype("uint8"))
    (tmp_path / "exp.yaml").write_text(TEXT)
    return tmp_path
