"""The order of random windows, and how it is dealt to ranks and workers."""

from __future__ import annotations

import pickle
from collections import Counter
from itertools import chain

import geopandas
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from shapely.geometry import box
from torch.utils.data import DataLoader

from geoseg.datasets import LocalSampler, RandomWindowGeoDataset, collate
from geoseg.datasets.order import block_order, take_turns
from geoseg.errors import ConfigError
from geoseg.scene import Scene
from geoseg.sources.array import ArraySource
from geoseg.sources.handles import block_cache
from geoseg.sources.vector import FrameSource

SHAPE = 2_500, 3_300
PIECES = 3 * 4
"""Pieces of 1024 px in such a scene."""


def scene(name="a"):
    return Scene(id=name, image=ArraySource(data=np.zeros((1, *SHAPE), np.uint8)))


def windows_of(length, **options):
    return RandomWindowGeoDataset([scene()], 64, length, normalize=False, labels=False, **options)


@pytest.fixture
def file_scene(write_raster):
    """A scene in a file of small blocks, some pixels missing, with an AOI."""
    data = np.random.default_rng(0).integers(0, 99, (1, 1_500, 2_300), np.uint8)
    uri = write_raster("a.tif", data, nodata=0, tiled=True, blockxsize=256, blockysize=256)
    left, _, _, top = Scene.of(uri).grid.bounds
    area = box(left + 100, top - 14_000, left + 20_000, top - 300)
    aoi = FrameSource(frame=geopandas.GeoDataFrame(geometry=[area], crs="EPSG:32619"))
    return Scene.of(uri, aoi=aoi), data


def places(data):
    return [data.place(i) for i in range(len(data))]


def pieces(data, indices):
    """The piece of each window, counted from 0 up in no order that matters."""
    return [(number, w.row // 1024, w.col // 1024) for number, w in map(data.place, indices)]


@pytest.mark.parametrize("size_range", [None, (30, 90)])
def test_an_epoch_has_the_same_windows_in_every_order(file_scene, size_range):
    options = {"seed": 5, "size_range": size_range, "labels": False}
    block, uniform = (
        RandomWindowGeoDataset([file_scene[0], scene("b")], 64, 300, order=order, **options)
        for order in ("block", "uniform")
    )
    seen = []
    for epoch in (0, 1, 7):
        block.set_epoch(epoch)
        uniform.set_epoch(epoch)
        seen.append(places(block))
        assert seen[-1] != places(uniform)
        assert Counter(seen[-1]) == Counter(places(uniform))
    assert Counter(seen[0]) != Counter(seen[1])


def test_windows_of_at_most_four_pieces_are_looked_at_in_turn():
    data = windows_of(600, order="block")
    found = pieces(data, range(600))
    first = {piece: i for i, piece in reversed(list(enumerate(found)))}
    last = {piece: i for i, piece in enumerate(found)}
    assert len(first) == PIECES
    for i in range(600):
        assert sum(first[piece] <= i <= last[piece] for piece in first) <= 4


def test_a_batch_is_mixed_from_several_pieces():
    data = windows_of(600, order="block")
    found = pieces(data, range(600))
    mixed = [len(set(found[i : i + 16])) for i in range(64, 520, 16)]
    assert min(mixed) >= 2
    assert np.mean(mixed) > 3


def test_pieces_come_in_another_order_in_another_epoch_and_with_another_seed():
    boxes = windows_of(300).windows.draw_many(range(300))
    orders = [
        block_order(boxes, seed=seed, epoch=epoch).tolist()
        for seed, epoch in ((0, 0), (0, 1), (1, 0), (0, 0))
    ]
    assert orders[0] == orders[3]
    assert orders[0] != orders[1] != orders[2] != orders[0]
    assert all(sorted(order) == list(range(300)) for order in orders)


def test_scenes_are_not_mixed_up():
    boxes = np.array([[scene, row, 0, 8, 8] for row in range(50) for scene in range(9)])
    order = block_order(boxes, seed=0, epoch=0)
    scenes = boxes[order, 0].tolist()
    alive = [len(set(scenes[:i]) & set(scenes[i:])) for i in range(1, 450)]
    assert max(alive) <= 4


def test_auto_means_block_where_the_scenes_do_not_fit_the_cache(file_scene):
    image = file_scene[0].image
    nbytes = 2 * len(image.band_names) * image.grid.height * image.grid.width
    scenes = [Scene(id=name, image=image) for name in "ab"]
    assert (
        RandomWindowGeoDataset([scene()], 8, 4, labels=False).order == "uniform"
    )  # in memory: nothing to decode
    with block_cache(nbytes - 1):
        larger = RandomWindowGeoDataset(scenes, 8, 4, labels=False)
    with block_cache(nbytes):
        fitting = RandomWindowGeoDataset(scenes, 8, 4, labels=False)
        assert pickle.loads(pickle.dumps(larger)).order == "block"  # decided once
    assert (larger.order, fitting.order) == ("block", "uniform")


def test_items_hold_the_pixels_of_their_place(file_scene):
    scene, pixels = file_scene
    data = RandomWindowGeoDataset(
        [scene], (13, 21), 40, order="block", normalize=False, labels=False
    )
    for i in range(-40, 40):
        item, (_, window) = data[i], data.place(i)
        assert (item["row"], item["col"]) == (window.row, window.col)
        assert np.array_equal(item["image"].numpy(), pixels[(slice(None), *window.slices)])
    for i in (40, -41):
        with pytest.raises(IndexError):
            data[i]


def test_senseless_arguments_are_errors():
    with pytest.raises(ConfigError, match="expected one of: auto, block, uniform"):
        windows_of(8, order="random")
    data = windows_of(8)
    for options in ({"workers": -1}, {"rank": 2, "world": 2}, {"rank": -1, "world": 1}):
        with pytest.raises(ConfigError, match="rank from 0"):
            LocalSampler(data, 4, **options)
    with pytest.raises(ConfigError, match="at least 1"):
        LocalSampler(data, 0)


@given(st.integers(0, 200), st.integers(1, 20), st.integers(1, 6))
def test_each_worker_goes_through_a_stretch_of_its_own(count, batch_size, workers):
    turns = take_turns(count, batch_size, workers).tolist()
    assert sorted(turns) == list(range(count))
    batches = [turns[i : i + batch_size] for i in range(0, count, batch_size)]
    whole = count // batch_size
    stretches = [list(chain(*batches[:whole][worker::workers])) for worker in range(workers)]
    assert list(chain(*stretches)) == list(range(whole * batch_size))
    sizes = [len(stretch) for stretch in stretches]
    assert max(sizes) - min(sizes) <= batch_size


@pytest.mark.parametrize("order", ["block", "uniform"])
@pytest.mark.parametrize("workers", [0, 1, 3])
@pytest.mark.parametrize("world", [1, 2, 3])
def test_every_number_occurs_once_on_all_ranks_together(order, workers, world):
    data = windows_of(90, order=order)
    numbers = [
        list(LocalSampler(data, 4, workers=workers, rank=rank, world=world))
        for rank in range(world)
    ]
    assert sorted(chain(*numbers)) == list(range(90))


def test_ranks_take_equally_many_steps_where_the_length_is_no_multiple_of_them():
    data = windows_of(23, order="block")
    samplers = [LocalSampler(data, 4, workers=2, rank=rank, world=4) for rank in range(4)]
    numbers = [list(sampler) for sampler in samplers]
    assert [len(sampler) for sampler in samplers] == [len(part) for part in numbers] == [6] * 4
    assert Counter(chain(*numbers)) == Counter([*range(23), 0])  # the first once more


def test_workers_do_not_read_the_same_pieces():
    data = windows_of(1_200, order="block")

    def read_by_workers(sampler):
        batches = [list(sampler)[i : i + 16] for i in range(0, 1_200, 16)]
        return sum(len(set(pieces(data, list(chain(*batches[worker::4]))))) for worker in range(4))

    assert read_by_workers(range(1_200)) > 3.5 * PIECES  # dealt in turn: nearly all read nearly all
    # A piece is shared where one stretch ends and the next begins, four at most at each of the three.
    assert read_by_workers(LocalSampler(data, 16, workers=4)) <= PIECES + 3 * 4


def test_in_uniform_order_workers_change_nothing():
    data = windows_of(50, order="uniform")
    assert list(LocalSampler(data, 4, workers=3)) == list(range(50))
    assert list(LocalSampler(windows_of(50, order="block"), 4)) == list(range(50))


def test_the_epoch_reaches_the_data_set():
    data = windows_of(20, order="block")
    before = places(data)
    LocalSampler(data, 4).set_epoch(3)
    assert places(data) != before
    assert places(data) == places(data)


def batches(data, sampler, **options):
    loader = DataLoader(data, 5, sampler=sampler, collate_fn=collate, **options)
    return [{key: batch[key] for key in ("image", "valid", "row", "col")} for batch in loader]


def assert_same(one, two):
    assert len(one) == len(two)
    for a, b in zip(one, two, strict=True):
        assert all(torch.equal(a[key], b[key]) for key in a)


@pytest.mark.slow
@pytest.mark.parametrize("context", ["fork", "spawn"])
@pytest.mark.parametrize("order", ["block", "uniform"])
def test_workers_give_the_same_batches_for_the_same_order(file_scene, context, order):
    data = RandomWindowGeoDataset([file_scene[0]], 48, 63, seed=2, order=order, labels=False)
    for workers in (2, 4):
        sampler = LocalSampler(data, 5, workers=workers)
        here = batches(data, sampler)
        there = batches(data, sampler, num_workers=workers, multiprocessing_context=context)
        assert_same(here, there)


@pytest.mark.slow
def test_a_new_epoch_reaches_running_workers_in_block_order(file_scene):
    data = RandomWindowGeoDataset([file_scene[0]], 48, 40, order="block", labels=False)
    sampler = LocalSampler(data, 5, workers=2)
    loader = DataLoader(
        data, 5, sampler=sampler, num_workers=2, persistent_workers=True, collate_fn=collate
    )
    for epoch in (0, 1, 0):
        sampler.set_epoch(epoch)
        there = [{key: b[key] for key in ("image", "valid", "row", "col")} for b in loader]
        assert_same(batches(data, sampler), there)
