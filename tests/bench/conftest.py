"""Scenes for the benchmarks, made once a run from the packaged sample."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin

from geoseg.sample import image_uri


def textured(bands: int, height: int, width: int) -> np.ndarray:
    """(band, height, width) uint8 with the statistics of the sample image, by repeating it mirrored."""
    with rasterio.open(image_uri()) as file:
        tile = file.read()[:bands]
    tile = np.concatenate([tile, tile[:, :, ::-1]], axis=2)
    tile = np.concatenate([tile, tile[:, ::-1]], axis=1)
    repeats = -(-height // tile.shape[1]), -(-width // tile.shape[2])
    return np.tile(tile, (1, *repeats))[:, :height, :width]


@pytest.fixture(scope="session")
def big_scene(tmp_path_factory):
    """A 10,000 x 10,000 RGB GeoTIFF, deflate with predictor 2, 512 px blocks."""
    uri = str(tmp_path_factory.mktemp("bench") / "big.tif")
    profile = {
        "driver": "GTiff", "height": 10_000, "width": 10_000, "count": 3, "dtype": "uint8",
        "crs": "EPSG:32619", "transform": from_origin(4e5, 5e6, 1, 1), "tiled": True,
        "blockxsize": 512, "blockysize": 512, "compress": "deflate", "predictor": 2,
    }  # fmt: skip
    with rasterio.open(uri, "w", **profile) as file:
        for row in range(0, 10_000, 2_000):
            noise = np.random.default_rng(row).integers(0, 8, (3, 2_000, 10_000), np.uint8)
            data = textured(3, 2_000, 10_000) + noise
            file.write(data, window=rasterio.windows.Window(0, row, 10_000, 2_000))
    return uri
