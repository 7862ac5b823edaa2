"""Random boxes of volumes: the same for seed, epoch and index, and as often around a class as asked for."""

from __future__ import annotations

import pickle
from collections import Counter

import numpy as np
import pytest
import torch

from geoseg.datasets import EpochLoader, EpochSampler, VolumeDataset, collate
from geoseg.datasets.own import reliable
from geoseg.errors import ConfigError
from geoseg.volumes import ArrayVolume, VolumeZip, VolumeZipWriter


def rare(name, shape, *, low, high, seed=0):
    """A volume with so many voxels of two classes."""
    rng = np.random.default_rng(seed)
    flat = np.zeros(int(np.prod(shape)), int)
    places = rng.permutation(flat.size)
    flat[places[:low]], flat[places[low : low + high]] = 1, 2
    ids = flat.reshape(shape)
    image = np.random.default_rng(seed).integers(0, 255, shape, np.uint8)
    return ArrayVolume(name, image, {"low": ids == 1, "high": ids == 2})


@pytest.fixture(scope="module")
def rows():
    return [
        rare("big", (12, 40, 50), low=3, high=20_000),
        rare("flat", (1, 30, 20), low=1, high=0, seed=1),
        rare("small", (4, 5, 6), low=0, high=5, seed=2),
    ]


def places(data, epoch=0):
    data.set_epoch(epoch)
    return [data.place(i) for i in range(len(data))]


def test_boxes_follow_from_seed_epoch_and_index(rows):
    options = {"sampling": "random", "length": 40, "class_balance": {"low": 0.3}}
    data = VolumeDataset(rows, 4, seed=5, **options)
    first, second = places(data), places(data, 1)
    assert first != second
    assert places(data) == first
    data.set_epoch(1)
    assert [data.place(i) for i in reversed(range(40))] == second[::-1]
    assert places(VolumeDataset(rows, 4, seed=5, **options), 1) == second
    assert places(VolumeDataset(rows, 4, seed=6, **options)) != first
    anywhere = VolumeDataset(rows, 4, sampling="random", length=40, labels=False)
    drawn = [place for epoch in range(5) for place in places(anywhere, epoch)]
    assert len(set(drawn)) > 190


def test_an_epoch_that_cannot_be_is_told_at_once(rows):
    data = VolumeDataset(rows, 4, sampling="random", length=3, labels=False)
    first = places(data)
    for epoch in (-1, 1.5, True, "1"):
        with pytest.raises(
            ConfigError, match=f"epoch is {epoch!r}, expected a whole number from 0"
        ):
            data.set_epoch(epoch)
    assert [data.place(i) for i in range(3)] == first
    assert places(data, np.int64(1)) != first


@pytest.mark.parametrize("share", [0.25, 0.6, 1.0])
def test_as_many_boxes_hold_a_rare_class_as_its_share_says(rows, share):
    """Boxes of one voxel hold the class only where they are laid around it."""
    length = 300
    data = VolumeDataset(rows, 1, sampling="random", length=length, class_balance={"low": share})
    for epoch in (0, 3):
        data.set_epoch(epoch)
        masks = collate(data.__getitems__(list(range(length))))["mask"]
        found = int((masks == 1).sum())
        assert round(share * length) <= found <= round(share * length) + 2


def test_balanced_boxes_are_as_often_around_each_class(rows):
    data = VolumeDataset(rows, 1, sampling="random", length=600, class_balance="balanced")
    masks = collate(data.__getitems__(list(range(600))))["mask"]
    assert torch.bincount(masks.flatten()).tolist() == [200, 200, 200]


def test_boxes_around_a_class_come_from_each_of_its_voxels_alike(rows):
    length = 1200
    data = VolumeDataset(rows, 1, sampling="random", length=length, class_balance={"low": 1})
    counts = Counter(places(data))
    where = {
        (number, tuple(voxel))
        for number, row in enumerate(rows)
        for voxel in np.argwhere(row.masks()[0]).tolist()
    }
    assert set(counts) == where
    assert len(where) == 4
    assert all(abs(count - 300) < 4 * np.sqrt(300) for count in counts.values())


def test_a_voxel_of_the_class_may_be_anywhere_in_its_box():
    ids = np.zeros((9, 9, 9), bool)
    ids[4, 4, 4] = True
    row = ArrayVolume("a", ids.astype(np.uint8), {"x": ids})
    data = VolumeDataset([row], 3, sampling="random", length=2700, class_balance={"x": 1.0})
    counts = Counter(origin for _, origin in places(data))
    assert set(counts) == {(d, h, w) for d in (2, 3, 4) for h in (2, 3, 4) for w in (2, 3, 4)}
    assert all(abs(count - 100) < 50 for count in counts.values())


def test_boxes_around_the_background_hold_it():
    ids = np.ones((6, 20, 20), bool)
    ids[3, 7, 9] = False
    row = ArrayVolume("a", ids.astype(np.uint8), {"x": ids})
    data = VolumeDataset([row], 1, sampling="random", length=20, class_balance={"background": 1.0})
    assert set(places(data)) == {(0, (3, 7, 9))}


def test_what_a_class_lost_by_priority_is_not_drawn():
    one, other = np.zeros((2, 3, 8, 8), bool)
    one[1], other[1:] = True, True
    other[2, 1:] = False
    row = ArrayVolume("a", other.astype(np.uint8), {"one": one, "other": other})
    data = VolumeDataset(
        [row], 1, sampling="random", length=50, overlap="priority", class_balance={"other": 1.0}
    )
    assert {origin[:2] for _, origin in places(data)} == {(2, 0)}
    both = VolumeDataset(
        [row], 1, sampling="random", length=50, overlap="multilabel", class_balance={"other": 1.0}
    )
    assert {origin[0] for _, origin in places(both)} == {1, 2}


def test_volumes_are_drawn_by_their_size_or_equally(rows):
    sizes = np.array([np.prod(row.shape) for row in rows])
    for weights, expected in (("size", sizes / sizes.sum()), ("equal", np.ones(3) / 3)):
        data = VolumeDataset(rows, 4, sampling="random", length=3000, volume_weights=weights)
        found = np.bincount([number for number, _ in places(data)], minlength=3) / 3000
        assert np.abs(found - expected).max() < 0.04
    data = VolumeDataset(
        rows, 1, sampling="random", length=1000, volume_weights="equal", class_balance={"high": 1}
    )
    found = np.bincount([number for number, _ in places(data)], minlength=3)
    assert found[1] == 0
    assert abs(found[0] - 500) < 80


def test_every_place_where_a_box_fits_is_drawn():
    row = ArrayVolume("a", np.zeros((3, 4, 2), np.uint8))
    data = VolumeDataset([row], (2, 2, 3), sampling="random", length=600, labels=False)
    counts = Counter(origin for _, origin in places(data))
    assert set(counts) == {(d, h, 0) for d in range(2) for h in range(3)}
    assert min(counts.values()) > 60


def test_without_a_length_an_epoch_has_as_many_boxes_as_lie_side_by_side(rows):
    data = VolumeDataset(rows, (5, 20, 20), sampling="random")
    assert len(data) == 3 * 2 * 3 + 1 * 2 * 1 + 1


def test_a_class_without_voxels_cannot_be_asked_for(rows):
    with pytest.raises(ConfigError, match="'low', but none can"):
        VolumeDataset(rows[2:], 2, sampling="random", class_balance={"low": 0.5})


def batches(data, *, workers=0, start=None):
    """Bytes of all items of the epochs 0, 1 and 2."""
    loader = EpochLoader(
        data,
        3,
        sampler=EpochSampler(data, seed=1),
        num_workers=workers,
        persistent_workers=workers > 0,
        multiprocessing_context=start,
        collate_fn=collate,
    )
    found = []
    for epoch in (0, 1, 2):
        loader.sampler.set_epoch(epoch)
        for batch in loader:
            parts = [batch[key].numpy().tobytes() for key in ("image", "mask", "valid")]
            found.append((*parts, batch["volume"], batch["plane"].tolist(), batch["col"].tolist()))
    assert len({part[0] for part in found}) > len(found) // 2
    return found


@pytest.fixture
def stored(rows, tmp_path):
    """The same volumes as rows of a zip."""
    with VolumeZipWriter(str(tmp_path / "a.zip"), rows[0].classes) as writer:
        for row in rows:
            writer.write(row.name, row.image(), dict(zip(row.classes, row.rles(), strict=True)))
    return VolumeZip(tmp_path / "a.zip").frame("train")


def test_rows_of_a_zip_give_the_items_of_volumes_in_memory(rows, stored):
    options = {"sampling": "random", "length": 30, "class_balance": {"low": 0.4, "high": 0.3}}
    data = VolumeDataset(stored, (3, 8, 9), **options)
    kept = VolumeDataset(rows, (3, 8, 9), **options)
    batch, expected = (collate(d.__getitems__(list(range(30)))) for d in (data, kept))
    assert all(torch.equal(batch[key], expected[key]) for key in ("image", "mask", "valid"))
    assert batch["volume"] == [f"{name}.npy" for name in expected["volume"]]
    assert len(pickle.dumps(data)) < 4_000
    assert reliable(data, seed=3) is data


@pytest.mark.slow
@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_workers_that_go_on_give_the_items_of_this_process(stored, start):
    data = VolumeDataset(
        stored, (3, 8, 9), sampling="random", length=11, seed=2, class_balance={"low": 0.4}
    )
    assert batches(data, workers=2, start=start) == batches(data)
