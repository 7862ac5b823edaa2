"""Data sets over scenes: what an item holds, whoever reads it."""

from __future__ import annotations

import pickle
from functools import partial

import geopandas
import numpy as np
import pytest
import rasterio
import torch
from affine import Affine
from shapely.geometry import box
from torch.utils.data import DataLoader

from geoseg.classes import ClassMap
from geoseg.datasets import RandomWindowGeoDataset, SlidingWindowGeoDataset, collate
from geoseg.errors import ConfigError, SceneError
from geoseg.grid import Grid
from geoseg.labels.sources import RasterLabels
from geoseg.scene import Scene
from geoseg.sources.array import ArraySource
from geoseg.sources.geotiff import GeoTIFFSource
from geoseg.sources.handles import decoding_thread_count
from geoseg.sources.vector import FrameSource
from geoseg.window import Window, sliding

CLASSES = ClassMap.of("ground", "water", "roof")


def write(path, data, *, crs="EPSG:32619", transform=None, nodata=None):
    with rasterio.open(
        path, "w", driver="GTiff", height=data.shape[1], width=data.shape[2], count=len(data),
        dtype=data.dtype, crs=crs, transform=transform or Affine(2, 0, 5e5, 0, -2, 4e6),
        nodata=nodata, tiled=True, blockxsize=32, blockysize=16,
    ) as file:  # fmt: skip
        file.write(data)
    return str(path)


@pytest.fixture
def files(tmp_path):
    """(scene, image (3, 71, 93) with nodata 0, label ids)."""
    rng = np.random.default_rng(0)
    image = rng.integers(1, 255, (3, 71, 93), np.uint8)
    image[:, 20:31, 50:60] = 0
    ids = rng.integers(0, 3, (1, 71, 93), np.uint8)
    scene = Scene.of(
        write(tmp_path / "image.tif", image, nodata=0),
        write(tmp_path / "labels.tif", ids),
        classes=CLASSES,
    )
    return scene, image, ids[0]


def oracle(image, ids, window):
    """(image, mask, valid) of a window by hand."""
    height, width = ids.shape
    padded = np.pad(image, ((0, 0), (0, window.height), (0, window.width)))
    mask = np.pad(ids, ((0, window.height), (0, window.width)), constant_values=255)
    rows, cols = slice(window.row, window.row_stop), slice(window.col, window.col_stop)
    chip = padded[:, rows, cols]
    valid = (chip != 0).all(axis=0)
    assert window.row < height
    assert window.col < width
    return chip * valid, np.where(valid, mask[rows, cols], 255), valid


@pytest.mark.parametrize("edge", ["flush", "pad", "drop"])
@pytest.mark.parametrize(("size", "stride"), [((32, 24), (19, 24)), (40, 20), (100, 70)])
def test_every_item_equals_the_pixels_of_its_window(files, size, stride, edge):
    scene, image, ids = files
    windows = sliding(scene.grid, size, stride, edge)
    data = SlidingWindowGeoDataset([scene], size, stride, edge, normalize=False)
    assert len(data) == len(windows)
    for i, window in enumerate(windows):
        item, (chip, mask, valid) = data[i], oracle(image, ids, window)
        assert np.array_equal(item["image"].numpy(), chip)
        assert np.array_equal(item["mask"].numpy(), mask)
        assert np.array_equal(item["valid"].numpy(), valid)
        assert (item["scene"], item["row"], item["col"]) == ("image", window.row, window.col)


def test_images_are_scaled_to_one_and_masks_are_int64(files):
    scene, image, _ = files
    item = SlidingWindowGeoDataset([scene], 16)[0]
    assert item["image"].dtype == torch.float32
    assert item["mask"].dtype == torch.int64
    assert item["valid"].dtype == torch.bool
    assert np.allclose(item["image"].numpy(), image[:, :16, :16] / 255, atol=1e-7)


@pytest.mark.parametrize(
    ("dtype", "scale"), [("uint16", 65535), ("int16", 1), ("float32", 1), ("float64", 1)]
)
def test_unsigned_integers_are_scaled_and_other_dtypes_cast(dtype, scale):
    values = np.array([[[3, 300], [1000, 7]]]).astype(dtype)
    scene = Scene(id="a", image=ArraySource(data=values))
    item = SlidingWindowGeoDataset([scene], 2)[0]
    assert item["image"].dtype == torch.float32
    assert np.allclose(item["image"].numpy(), values / scale)
    native = SlidingWindowGeoDataset([scene], 2, normalize=False)[0]["image"]
    assert np.array_equal(native.numpy(), values)
    assert native.numpy().dtype == dtype


def test_nan_never_reaches_an_item():
    values = np.ones((2, 5, 6), np.float32)
    values[0, 2, 3] = np.nan
    item = SlidingWindowGeoDataset([Scene(id="a", image=ArraySource(data=values))], 5)[0]
    assert torch.isfinite(item["image"]).all()
    assert not item["valid"][2, 3]
    assert item["valid"].sum() == 24


def test_read_in_order_or_not_items_are_the_same(files):
    scene, _, _ = files
    in_order = SlidingWindowGeoDataset([scene], 32, 16)
    first = [in_order[i] for i in range(len(in_order))]
    shuffled = SlidingWindowGeoDataset([scene], 32, 16)
    for i in np.random.default_rng(0).permutation(len(shuffled)):
        for key in ("image", "mask", "valid"):
            assert torch.equal(shuffled[int(i)][key], first[i][key])


def batches(data, **options):
    return list(DataLoader(data, 5, collate_fn=collate, **options))


def assert_same_batches(one, two):
    assert len(one) == len(two)
    for a, b in zip(one, two, strict=True):
        assert a.keys() == b.keys()
        for key, value in a.items():
            same = (
                torch.equal(value, b[key]) if isinstance(value, torch.Tensor) else value == b[key]
            )
            assert same, key


KINDS = [
    partial(SlidingWindowGeoDataset, size=24, stride=17),
    partial(RandomWindowGeoDataset, size=24, length=23, seed=3),
    partial(RandomWindowGeoDataset, size=24, length=11, seed=3, size_range=(12, 40)),
]


@pytest.mark.parametrize("make", KINDS)
def test_our_collate_equals_torchs_own(files, make):
    data = make([files[0]])
    plain = list(DataLoader(data, 5))
    assert_same_batches(batches(data), plain)


@pytest.mark.slow
@pytest.mark.parametrize("make", KINDS)
@pytest.mark.parametrize("context", ["fork", "spawn"])
def test_workers_give_the_same_batches_after_fork_and_spawn(files, make, context):
    data = make([files[0]])
    here = batches(data)  # files are open here before the workers start
    there = batches(data, num_workers=2, multiprocessing_context=context)
    assert_same_batches(here, there)


@pytest.mark.slow
def test_set_epoch_reaches_running_workers(files):
    data = RandomWindowGeoDataset([files[0]], 16, 20, seed=1)
    loader = DataLoader(data, 4, num_workers=2, persistent_workers=True, collate_fn=collate)
    seen = []
    for epoch in (0, 1, 0):
        data.set_epoch(epoch)
        seen.append(list(loader))
    assert_same_batches(seen[0], seen[2])
    assert any((a["row"] != b["row"]).any() for a, b in zip(seen[0], seen[1], strict=True))


def test_the_pickled_data_set_is_small_and_holds_nothing_open(files):
    data = SlidingWindowGeoDataset([files[0]], 32, 16)
    first = data[0]
    text = pickle.dumps(data)
    assert len(text) < 4_000
    assert torch.equal(pickle.loads(text)[0]["image"], first["image"])


def test_an_index_past_the_end_is_an_index_error(files):
    for make in KINDS:
        data = make([files[0]])
        with pytest.raises(IndexError):
            data[len(data)]
        with pytest.raises(IndexError):
            data[-len(data) - 1]
        assert torch.equal(data[-1]["image"], data[len(data) - 1]["image"])


def test_random_windows_hold_the_pixels_of_their_place(files):
    scene, image, ids = files
    data = RandomWindowGeoDataset([scene], (13, 21), 40, seed=5, normalize=False)
    for i in range(40):
        item = data[i]
        window = Window(item["row"], item["col"], 13, 21)
        chip, mask, valid = oracle(image, ids, window)
        assert np.array_equal(item["image"].numpy(), chip)
        assert np.array_equal(item["mask"].numpy(), mask)
        assert np.array_equal(item["valid"].numpy(), valid)


def test_resized_windows_hold_no_new_class_and_nodata_does_not_bleed(files):
    _scene, _image, _ = files
    bright = ArraySource(
        data=np.full((1, 60, 60), 200, np.uint8),
        valid=np.indices((60, 60)).sum(axis=0) % 9 > 0,
    )
    ids = RasterLabels(source=ArraySource(data=np.full((60, 60), 2, np.uint8)), classes=CLASSES)
    data = RandomWindowGeoDataset(
        [Scene(id="a", image=bright, labels=ids)], 17, 20, size_range=(8, 40), normalize=False
    )
    for i in range(20):
        item = data[i]
        assert item["image"].shape == (1, 17, 17)
        assert set(item["image"][0][item["valid"]].tolist()) == {200}
        assert set(item["mask"][item["valid"]].tolist()) == {2}
        assert set(item["mask"][~item["valid"]].tolist()) <= {255}


def test_scenes_of_other_crs_and_resolution_share_a_data_set(tmp_path):
    rng = np.random.default_rng(2)
    scenes = []
    for name, crs, transform in (
        ("utm", "EPSG:32619", Affine(2, 0, 5e5, 0, -2, 4e6)),
        ("mercator", "EPSG:3857", Affine(0.7, 0, 1e6, 0, -0.7, 5e6)),
    ):
        image = rng.integers(1, 255, (3, 40, 50), np.uint8)
        uri = write(tmp_path / f"{name}.tif", image, crs=crs, transform=transform)
        ids = write(
            tmp_path / f"{name}-ids.tif",
            rng.integers(0, 3, (1, 40, 50), np.uint8), crs=crs, transform=transform,
        )  # fmt: skip
        scenes.append(Scene.of(uri, ids, classes=CLASSES))
    data = SlidingWindowGeoDataset(scenes, 30, 20)
    assert {item["scene"] for item in data} == {"utm", "mercator"}
    assert all((item["mask"] < 3).all() for item in data)


def test_labels_of_another_crs_and_resolution_are_brought_onto_the_grid(tmp_path):
    scene_grid = Grid(crs="EPSG:32619", transform=[2, 0, 5e5, 0, -2, 4e6], height=30, width=30)
    image = ArraySource(data=np.ones((1, 30, 30), np.uint8), grid=scene_grid)
    coarse = Grid(crs="EPSG:32619", transform=[4, 0, 5e5, 0, -4, 4e6], height=10, width=15)
    ids = np.random.default_rng(0).integers(0, 3, (10, 15), np.uint8)
    labels = RasterLabels(source=ArraySource(data=ids, grid=coarse), classes=CLASSES)
    item = SlidingWindowGeoDataset([Scene(id="a", image=image, labels=labels)], 30)[0]
    expected = np.full((30, 30), 255)
    expected[:20] = ids.repeat(2, axis=0).repeat(2, axis=1)
    assert np.array_equal(item["mask"].numpy(), expected)


def test_scenes_without_labels_give_ignored_masks_or_none(files):
    scene = Scene(id="b", image=files[0].image)
    assert (SlidingWindowGeoDataset([scene], 20)[0]["mask"] == 255).all()
    assert "mask" not in SlidingWindowGeoDataset([scene], 20, labels=False)[0]


def test_an_aoi_decides_which_windows_are_offered(files):
    scene, _, _ = files
    left, _, _, top = scene.grid.bounds
    shape = box(left + 2 * 40, top - 2 * 50, left + 2 * 55, top - 2 * 35)
    aoi = FrameSource(frame=geopandas.GeoDataFrame(geometry=[shape], crs="EPSG:32619"))
    data = SlidingWindowGeoDataset([scene.model_copy(update={"aoi": aoi})], 16)
    places = {(item["row"], item["col"]) for item in data}
    assert places == {(r, c) for r in (32, 48) for c in (32, 48)}
    mask = np.full((80, 96), 255)
    for item in data:
        mask[item["row"] : item["row"] + 16, item["col"] : item["col"] + 16] = item["mask"]
    inside = np.zeros((80, 96), bool)
    inside[35:50, 40:55] = True
    assert (mask[~inside] == 255).all()
    assert ((mask != 255) == inside)[31:, :50].all()


def test_scenes_that_do_not_fit_together_are_errors(files):
    scene, _, _ = files
    other = Scene(id="b", image=ArraySource(data=np.ones((2, 9, 9), np.uint8)))
    with pytest.raises(SceneError, match="2 bands"):
        SlidingWindowGeoDataset([scene, other], 8)
    wide = Scene(id="b", image=ArraySource(data=np.ones((3, 9, 9), np.uint16)))
    with pytest.raises(SceneError, match="uint16"):
        SlidingWindowGeoDataset([scene, wide], 8)
    named = scene.labels.model_copy(update={"classes": ClassMap.of("a", "b")})
    odd = scene.model_copy(update={"labels": named, "id": "c"})
    with pytest.raises(SceneError, match="class map"):
        SlidingWindowGeoDataset([scene, odd], 8)
    with pytest.raises(ConfigError, match="at least one scene"):
        SlidingWindowGeoDataset(scene, 8)
    with pytest.raises(ConfigError, match="at least one scene"):
        SlidingWindowGeoDataset([], 8)


def test_a_scene_smaller_than_a_window_is_padded_and_not_valid(tmp_path):
    uri = write(tmp_path / "small.tif", np.full((1, 5, 9), 7, np.uint8))
    data = SlidingWindowGeoDataset([Scene.of(uri)], 16, 8, normalize=False)
    assert len(data) == 1
    valid = torch.zeros(16, 16, dtype=torch.bool)
    valid[:5, :9] = True
    assert torch.equal(data[0]["valid"], valid)
    assert torch.equal(data[0]["image"][0], valid * 7)


def test_each_row_of_the_file_is_read_once_when_read_in_order(files, monkeypatch):
    rows = []
    read = GeoTIFFSource.read

    def counting(self, window):
        rows.append((window.row, window.row_stop, window.width))
        return read(self, window)

    monkeypatch.setattr(GeoTIFFSource, "read", counting)
    scene = Scene(id="a", image=files[0].image)
    for _ in DataLoader(SlidingWindowGeoDataset([scene], 32, 16), 4, collate_fn=collate):
        pass
    assert [width for *_, width in rows] == [93] * len(rows)
    stops = [0, *(stop for _, stop, _ in rows)]
    assert [start for start, *_ in rows] == stops[:-1]
    assert stops[-1] == 71


@pytest.mark.parametrize("reader", ["gdal", "tifffile"])
def test_two_threads_give_the_items_of_one(files, reader):
    scene = files[0].model_copy(
        update={"image": files[0].image.model_copy(update={"reader": reader})}
    )
    one, two = (
        batches(SlidingWindowGeoDataset([scene], 24, 17, num_threads=threads)) for threads in (1, 2)
    )
    assert_same_batches(one, two)
    assert_same_batches(one, batches(SlidingWindowGeoDataset([files[0]], 24, 17)))


def test_sources_below_others_are_read_in_the_threads_too(files, monkeypatch):
    threads = []
    read = GeoTIFFSource.read

    def telling(self, window):
        threads.append(decoding_thread_count())
        return read(self, window)

    monkeypatch.setattr(GeoTIFFSource, "read", telling)
    warped = files[0].model_copy(update={"reference": files[0].grid.crop(Window(3, 5, 60, 70))})
    for _ in SlidingWindowGeoDataset([warped], 24, 17, num_threads=3):
        assert decoding_thread_count() == 1
    assert set(threads[1:]) <= {1, 3}
    assert threads.count(3) > 1
    with pytest.raises(ConfigError, match="num_threads is 0"):
        SlidingWindowGeoDataset([warped], 24, num_threads=0)


@pytest.mark.parametrize("batch_size", [1, 3, 16, 100])
@pytest.mark.parametrize("size", [(32, 24), (9, 50), (100, 120)])
def test_windows_in_order_equal_those_read_one_by_one(files, batch_size, size):
    scene, image, ids = files
    data = SlidingWindowGeoDataset(
        [scene, scene.model_copy(update={"id": "b"})], size, 7, normalize=False
    )
    numbers = 0
    for batch in DataLoader(data, batch_size, collate_fn=collate):
        for row, col, *found in zip(
            batch["row"], batch["col"], batch["image"], batch["mask"], batch["valid"], strict=True
        ):
            for one, expected in zip(
                found, oracle(image, ids, Window(int(row), int(col), *size)), strict=True
            ):
                assert np.array_equal(one.numpy(), expected)
            numbers += 1
    assert numbers == len(data)


@pytest.mark.slow
@pytest.mark.parametrize("reader", ["gdal", "tifffile"])
@pytest.mark.parametrize("make", KINDS)
def test_every_reader_serves_workers(files, make, reader):
    image = files[0].image.model_copy(update={"reader": reader})
    data = make([files[0].model_copy(update={"image": image})])
    here = batches(data)
    assert_same_batches(here, batches(make([files[0]])))
    assert_same_batches(here, batches(data, num_workers=2))
