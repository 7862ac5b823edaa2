"""Every kind of source gives the same bytes from any process and thread."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from torch.utils.data import DataLoader

from geoseg.datasets import RandomWindowGeoDataset, SlidingWindowGeoDataset, collate
from geoseg.scene import Scene
from geoseg.sources import (
    GeoTIFFSource,
    LMDBSource,
    MBTilesSource,
    StackSource,
    StoreWriter,
    TimeStackSource,
    WarpedSource,
)
from tests.sources.tilemaking import png, write_tiles

KINDS = ("warped tiles", "warped file", "patch", "stack", "dates")


@pytest.fixture
def scenes(tmp_path, write_raster):
    """One scene of each kind, all in files, none on the grid of its pixels but the patch."""
    blobs = {(12, 2420 + x, 2500 + y): png(seed=x + 5 * y) for x in range(3) for y in range(2)}
    tiles = MBTilesSource(uri=write_tiles(tmp_path / "a.mbtiles", blobs))
    rng = np.random.default_rng(8)
    pixels = rng.integers(0, 999, (2, 190, 230)).astype(np.uint16)
    file = GeoTIFFSource(
        uri=write_raster("a.tif", pixels, nodata=0, tiled=True, blockxsize=64, blockysize=64)
    )
    with StoreWriter(str(tmp_path / "store")) as writer:
        writer.write("a", {"b1": pixels[0], "b2": pixels[1, ::2, ::2]}, grid=file.grid)
    turned = file.grid.reprojected("EPSG:4326")
    images = {
        "warped tiles": WarpedSource(source=tiles, onto=tiles.grid.reprojected("EPSG:32618")),
        "warped file": WarpedSource(source=file, onto=turned, resampling="cubic"),
        "patch": LMDBSource(uri=str(tmp_path / "store"), key="a"),
        "stack": StackSource(sources=(file, WarpedSource(source=file, onto=turned))),
        "dates": TimeStackSource(sources=(file, None), times=("2020-01-01", "2021-01-01"), require="any"),
    }  # fmt: skip
    return {kind: Scene(id=kind, image=image) for kind, image in images.items()}


def digest(batches):
    """One hash of images and validity of all batches."""
    sha = hashlib.sha256()
    for batch in batches:
        sha.update(batch["image"].numpy().tobytes() + batch["valid"].numpy().tobytes())
    return sha.hexdigest()


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_workers_and_threads_give_the_bytes_of_this_process(scenes, kind):
    scene = scenes[kind]
    random = RandomWindowGeoDataset([scene], (37, 53), 24, seed=3, normalize=False)
    sliding = SlidingWindowGeoDataset([scene], 61, 40, normalize=False)
    for data, ways in (
        (random, ((4, "fork"), (2, "spawn"))),
        (sliding, ((2, "fork"),)),
    ):
        alone = digest(DataLoader(data, 4, collate_fn=collate))
        for workers, start in ways:
            loader = DataLoader(
                data, 4, collate_fn=collate, num_workers=workers, multiprocessing_context=start
            )
            assert digest(loader) == alone, (workers, start)
        batches = [list(range(i, min(i + 4, len(data)))) for i in range(0, len(data), 4)]
        with ThreadPoolExecutor(4) as pool:
            assert digest(collate(b) for b in pool.map(data.__getitems__, batches)) == alone


@pytest.mark.parametrize("kind", KINDS)
def test_a_data_set_that_was_read_is_pickled_small(scenes, kind):
    import pickle

    data = RandomWindowGeoDataset([scenes[kind]], 40, 8, normalize=False)
    before = digest(DataLoader(data, 4, collate_fn=collate))
    text = pickle.dumps(data)
    assert len(text) < 20_000
    assert digest(DataLoader(pickle.loads(text), 4, collate_fn=collate)) == before
