"""Windows of masks give the same bytes from any process and thread, also where the parent has read before."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest
import rasterio
from torch.utils.data import DataLoader

from geoseg.datasets import (
    CSVWindowedSegmentationDataset,
    MBTilesMaskWindowedDataset,
    RasterPatchDataset,
)
from tests.datasets.masking import corner_in_utm, tiles, write_mask

KINDS = ("tiles", "file", "folders", "table")


@pytest.fixture
def datasets(tmp_path):
    """Each kind, over two masks; the pixels of web tiles, and of a tiled GeoTIFF in EPSG:3857."""
    uri, _ = tiles(tmp_path, hole=(slice(60, 90), slice(30, 200)))
    x, y = corner_in_utm(uri)
    rng = np.random.default_rng(0)
    for number in range(2):
        ids = rng.integers(0, 3, (120, 150)).astype(np.uint8)
        place = x + 10 + 150 * number, y - 20
        write_mask(tmp_path / f"masks/{number}.tif", ids, corner=place)
        write_mask(tmp_path / f"images/{number}.tif", rng.integers(1, 99, ids.shape).astype(np.uint8), corner=place)  # fmt: skip
    with rasterio.open(uri) as source:
        profile = source.profile | {"driver": "GTiff", "tiled": True, "blockxsize": 64, "blockysize": 64, "compress": "deflate"}  # fmt: skip
        pixels = source.read()
    with rasterio.open(tmp_path / "a.tif", "w", **profile) as file:
        file.write(pixels)
    table = pd.DataFrame({
        "image": ["images/0.tif", "images/1.tif"] * 12, "mask": ["masks/0.tif", "masks/1.tif"] * 12,
        "row_off": rng.integers(0, 80, 24), "col_off": rng.integers(0, 110, 24), "patch_size": 40,
    })  # fmt: skip
    masked = {"mask_dir": tmp_path / "masks", "patch_size": 40, "n_classes": 3, "stride": 30}
    return {
        "tiles": MBTilesMaskWindowedDataset(uri, **masked, edge="pad"),
        "file": MBTilesMaskWindowedDataset(tmp_path / "a.tif", **masked, edge="flush"),
        "folders": RasterPatchDataset(tmp_path / "images", tmp_path / "masks", patch_size=40, stride=30, n_classes=3, edge="pad"),
        "table": CSVWindowedSegmentationDataset(df=table, root_dir=tmp_path, n_classes=3),
    }  # fmt: skip


def digest(items):
    sha = hashlib.sha256()
    for item in items:
        for key in ("image", "mask", "valid"):
            sha.update(item[key].numpy().tobytes())
        sha.update(repr((item["mask_path"], item["row_off"], item["col_off"])).encode())
    return sha.hexdigest()


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_workers_and_threads_give_the_bytes_of_this_process(datasets, kind):
    data = datasets[kind]
    alone = digest(DataLoader(data, batch_size=None))  # the parent has handles and cached tiles now
    assert len(data) >= 24
    for workers, start in ((2, "fork"), (4, "fork"), (2, "spawn")):
        loader = DataLoader(
            data, batch_size=None, num_workers=workers, multiprocessing_context=start
        )
        assert digest(loader) == alone, (workers, start)
    for _ in range(3):
        with ThreadPoolExecutor(4) as pool:
            assert digest(pool.map(data.__getitem__, range(len(data)))) == alone


@pytest.mark.slow
def test_every_process_tells_of_a_read_error_with_its_place(datasets):
    data = datasets["folders"]
    with open(data.df["image_path"][0], "r+b") as file:  # noqa: PTH123
        file.truncate(3000)
    loader = DataLoader(data, batch_size=4, num_workers=2, multiprocessing_context="fork")
    with pytest.raises(OSError, match=r"item \d+, the window of 40 x 40 px.*masks/0\.tif.*images/0\.tif"):  # fmt: skip
        list(loader)
