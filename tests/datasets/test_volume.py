"""VolumeDataset: what an item holds, of volumes of any size."""

from __future__ import annotations

import pickle
from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import geoseg
from geoseg.classes import ClassMap
from geoseg.datasets import EpochLoader, VolumeDataset, collate
from geoseg.errors import ConfigError, LabelError, SourceError
from geoseg.volumes import ArrayVolume, Rle
from geoseg.window import starts

SHAPES = {"a": (5, 11, 7), "b": (9, 4, 13), "c": (1, 6, 3)}
CLASSES = ("low", "high")


def ids_of(shape, seed):
    """Random ids 0 to 2."""
    return np.random.default_rng(seed).integers(0, 3, shape)


def volume(name, *, dtype=np.uint8, channels=2, seed=1, shape=None):
    """A volume of noise, and its ids."""
    shape = shape or SHAPES[name]
    rng = np.random.default_rng(seed)
    image = rng.integers(1, 200, (channels, *shape)).astype(dtype)
    ids = ids_of(shape, seed)
    masks = {"low": ids == 1, "high": ids == 2}
    return ArrayVolume(name, image, masks, CLASSES), image, ids


@pytest.fixture
def three():
    """Three volumes, their images and ids by name."""
    made = [volume(name, seed=seed) for seed, name in enumerate(SHAPES)]
    rows = [row for row, _, _ in made]
    return rows, {row.name: (image, ids) for row, image, ids in made}


def by_hand(image, ids, origin, size, *, ignore_id=255):
    """(image, mask, valid) of a box, voxel by voxel."""
    depth, height, width = size
    pixels = np.zeros((len(image), *size), image.dtype)
    mask, valid = np.full(size, ignore_id), np.zeros(size, bool)
    for d, h, w in product(range(depth), range(height), range(width)):
        at = origin[0] + d, origin[1] + h, origin[2] + w
        if all(i < side for i, side in zip(at, ids.shape, strict=True)):
            pixels[:, d, h, w] = image[(slice(None), *at)]
            mask[d, h, w], valid[d, h, w] = ids[at], True
    return pixels, mask, valid


def origin_of(item):
    return item["plane"], item["row"], item["col"]


@pytest.mark.parametrize("sampling", ["sliding", "random"])
@pytest.mark.parametrize("size", [(3, 4, 5), 6, (2, 12, 1)])
def test_every_item_equals_the_voxels_of_its_box(three, size, sampling):
    rows, known = three
    data = VolumeDataset(rows, size, sampling=sampling, normalize=False, ignore_id=77)
    assert len(data) > len(rows)
    for item in (data[i] for i in range(len(data))):
        pixels, mask, valid = by_hand(
            *known[item["volume"]], origin_of(item), data.size, ignore_id=77
        )
        assert item["image"].dtype == torch.uint8
        assert item["mask"].dtype == torch.int64
        assert np.array_equal(item["image"].numpy(), pixels)
        assert np.array_equal(item["mask"].numpy(), mask)
        assert np.array_equal(item["valid"].numpy(), valid)
    assert data.classes == ClassMap.of("background", *CLASSES, ignore_id=77)


sides = st.integers(1, 7)
boxes = st.tuples(sides, sides, sides)


@settings(max_examples=60, deadline=None)
@given(shapes=st.lists(boxes, min_size=1, max_size=3), size=boxes, stride=boxes, data=st.data())
def test_sliding_boxes_lie_where_their_sides_are_covered(shapes, size, stride, data):
    edge = data.draw(st.sampled_from(["flush", "pad", "drop"]))
    step = tuple(min(pair) for pair in zip(size, stride, strict=True))
    rows = [ArrayVolume(str(i), np.zeros(shape, np.uint8)) for i, shape in enumerate(shapes)]
    boxes = VolumeDataset(rows, size, stride=step, edge=edge, labels=False)
    expected = [
        (number, origin)
        for number, shape in enumerate(shapes)
        for origin in product(
            *(starts(*sides, edge=edge) for sides in zip(shape, size, step, strict=True))
        )
    ]
    assert [boxes.place(i) for i in range(len(boxes))] == expected
    if edge != "drop":
        seen = [np.zeros(shape, int) for shape in shapes]
        for number, origin in expected:
            seen[number][tuple(slice(at, at + n) for at, n in zip(origin, size, strict=True))] += 1
        assert all(count.min() >= 1 for count in seen)
        if edge == "pad" and step == size:
            assert all(count.max() == 1 for count in seen)


@settings(max_examples=40, deadline=None)
@given(shape=boxes, size=boxes, seed=st.integers(0, 99), epoch=st.integers(0, 5))
def test_random_boxes_stay_inside_where_they_fit_and_begin_at_0_elsewhere(shape, size, seed, epoch):
    ids = np.zeros(shape, bool)
    ids[-1, -1, -1] = True
    row = ArrayVolume("a", np.zeros(shape, np.uint8), {"corner": ids})
    data = VolumeDataset(
        [row], size, sampling="random", length=12, seed=seed, class_balance={"corner": 0.5}
    )
    data.set_epoch(epoch)
    for _, origin in map(data.place, range(len(data))):
        for at, span, side in zip(origin, size, shape, strict=True):
            assert 0 <= at <= max(side - span, 0)
    held = sum(bool((data[i]["mask"] == 1).any()) for i in range(len(data)))
    assert held >= 6


@pytest.mark.parametrize(
    ("dtype", "scale"),
    [("uint8", 255), ("uint16", 65535), ("int16", 1), ("float32", 1), (">f4", 1), (">u2", 65535)],
)
def test_images_are_scaled_like_those_of_scenes(dtype, scale):
    row, image, _ = volume("a", dtype=np.dtype(dtype))
    item = VolumeDataset([row], SHAPES["a"])[0]
    assert item["image"].dtype == torch.float32
    assert np.allclose(item["image"], image.astype(np.float64) / scale, rtol=1e-6)
    native = VolumeDataset([row], SHAPES["a"], normalize=False)[0]["image"].numpy()
    assert native.dtype == np.dtype(dtype).newbyteorder("=")
    assert np.array_equal(native, image)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("normalize", [True, False])
def test_what_is_not_finite_in_one_channel_is_not_valid(bad, dtype, normalize):
    image = np.ones((2, 4, 5, 6), dtype)
    image[1, 2, 3, 4] = bad
    row = ArrayVolume("a", image, {"x": np.ones((4, 5, 6), bool)})
    item = VolumeDataset([row], (4, 5, 7), normalize=normalize)[0]
    expected = np.ones((4, 5, 7), bool)
    expected[2, 3, 4] = expected[..., 6] = False
    assert np.array_equal(item["valid"], expected)
    assert np.array_equal(item["image"], np.broadcast_to(expected, (2, 4, 5, 7)))
    assert np.array_equal(item["mask"], np.where(expected, 1, 255))


def test_a_number_past_float32_is_not_valid_when_it_becomes_one():
    image = np.ones((1, 2, 3, 4))
    image[0, 1, 1, 1] = 1e300
    row = ArrayVolume("a", image)
    assert VolumeDataset([row], (2, 3, 4), labels=False)[0]["valid"].sum() == 23
    native = VolumeDataset([row], (2, 3, 4), labels=False, normalize=False)[0]
    assert native["valid"].all()
    assert native["image"][0, 1, 1, 1] == 1e300


def overlapping():
    """low and high share 3 voxels, high and wide 2, of which 1 is in low too."""
    masks = np.zeros((3, 4, 5, 6), bool)
    masks[0, 0, 0, 0:4] = True
    masks[1, 0, 0, 1:6] = True
    masks[2, 0, 0, 3:5] = True
    return ArrayVolume("x.npy", np.ones((4, 5, 6), np.uint8), masks, ("low", "high", "wide")), masks


def test_overlapping_classes_are_an_error_that_names_volume_classes_and_voxels():
    row, _ = overlapping()
    with pytest.raises(
        LabelError,
        match=r"volume 'x.npy': classes overlap: 'low' and 'high' in 3 of 120 voxels, 'low' and 'wide' in "
        r'1 of 120 voxels, .* in 2 .*overlap="priority"',
    ):
        VolumeDataset([row], 3)
    assert "mask" not in VolumeDataset([row], 3, labels=False)[0]


def test_by_priority_the_first_class_has_the_voxel():
    row, masks = overlapping()
    data = VolumeDataset([row], (4, 5, 6), overlap="priority")
    expected = np.select(list(masks), [1, 2, 3], 0)
    assert np.array_equal(data[0]["mask"], expected)


def test_multilabel_masks_hold_every_class():
    row, masks = overlapping()
    data = VolumeDataset([row], (4, 5, 7), overlap="multilabel")
    item = data[0]
    assert item["mask"].dtype == torch.float32
    assert item["mask"].shape == (3, 4, 5, 7)
    assert np.array_equal(item["mask"][..., :6], masks)
    assert not item["mask"][..., 6].any()
    assert not item["valid"][..., 6].any()
    assert data.classes.names == ("low", "high", "wide")


def test_a_class_called_background_does_not_clash_with_the_background():
    mask = np.ones((2, 3, 4), bool)
    data = VolumeDataset([ArrayVolume("a", mask.astype(np.uint8), {"background": mask})], 2)
    assert data.classes.names == ("no class", "background")
    assert (data[0]["mask"] == 1).all()


def test_a_batch_is_that_of_its_items(three):
    rows, _ = three
    data = VolumeDataset(rows, (2, 4, 3))
    indices = [0, len(data) - 1, 5]
    batch = collate(data.__getitems__(indices))
    alone = [data[i] for i in indices]
    for key in ("image", "mask", "valid"):
        assert torch.equal(batch[key], torch.stack([item[key] for item in alone]))
    for key in ("volume", "plane", "row", "col"):
        assert list(batch[key]) == [item[key] for item in alone]
    assert all(type(item[key]) is int for item in alone for key in ("plane", "row", "col"))
    loaded = list(EpochLoader(data, 4, collate_fn=collate))
    assert torch.equal(torch.cat([b["mask"] for b in loaded])[5], alone[2]["mask"])
    assert sum(len(b["volume"]) for b in loaded) == len(data)


def test_indices_count_from_the_end_too_and_end(three):
    rows, _ = three
    for sampling in ("sliding", "random"):
        data = VolumeDataset(rows, 3, sampling=sampling)
        assert data.place(-1) == data.place(len(data) - 1)
        assert torch.equal(data[np.int64(1)]["image"], data[1]["image"])
        for index in (len(data), -len(data) - 1):
            with pytest.raises(IndexError, match=f"window {index} of {len(data)}"):
                _ = data[index]
    assert len(list(VolumeDataset(rows, 9))) == len(VolumeDataset(rows, 9))


def test_masks_are_read_box_by_box(three, monkeypatch):
    rows, _ = three
    data = VolumeDataset(rows, (2, 3, 4), overlap="priority")
    monkeypatch.setattr(Rle, "decode", None)
    masks = collate(data.__getitems__([0, 1, len(data) - 1]))["mask"]
    assert masks.unique().tolist() == [0, 1, 2, 255]


def test_runs_are_parsed_once_and_not_pickled():
    class Counting(ArrayVolume):
        asked = 0

        def rles(self):
            type(self).asked += 1
            return super().rles()

    mask = np.random.default_rng(0).random((20, 30, 40)) < 0.5
    row = Counting("a", mask.astype(np.uint8), {"x": mask})
    data = VolumeDataset([row], 10)
    for item in data:
        assert item["valid"].all()
    assert Counting.asked == 1
    assert len(pickle.dumps(VolumeDataset([Small(i) for i in range(50)], 10))) < 10_000
    again = pickle.loads(pickle.dumps(VolumeDataset([Small(0)], 10)))
    assert torch.equal(again[3]["mask"], VolumeDataset([Small(0)], 10)[3]["mask"])


class Small(ArrayVolume):
    """Makes its arrays again where it is unpickled, as a row of a file reads them again."""

    def __init__(self, seed):
        image = np.random.default_rng(seed).integers(0, 9, (20, 21, 22), np.uint8)
        super().__init__(str(seed), image, {"x": image > 4, "y": image < 3})
        self.seed = seed

    def __reduce__(self):
        return Small, (self.seed,)


def test_volumes_of_one_data_set_fit_each_other():
    one = volume("a")[0]
    with pytest.raises(SourceError, match=r"volume 'b' has 3 channels .* 'a' has 2 of uint8"):
        VolumeDataset([one, volume("b", channels=3)[0]], 3)
    with pytest.raises(SourceError, match=r"volume 'b' has 2 channels of int16"):
        VolumeDataset([one, volume("b", dtype=np.int16)[0]], 3)
    other = ArrayVolume("b", np.zeros((2, 3, 4, 5), np.uint8), {"high": np.ones((3, 4, 5), bool)})
    with pytest.raises(
        LabelError, match=r"volume 'b' has the classes \(high\), but .*\(low, high\)"
    ):
        VolumeDataset([one, other], 3)
    bare = ArrayVolume("b", np.zeros((2, 3, 4, 5), np.uint8), classes=CLASSES)
    with pytest.raises(ConfigError, match=r"1 of 2 volumes have no masks: 'b'; .*labels=False"):
        VolumeDataset([one, bare], 3)
    assert len(VolumeDataset([one, bare], 99, labels=False)) == 2
    with pytest.raises(SourceError, match="pixels are bool"):
        VolumeDataset([ArrayVolume("a", np.ones((2, 3, 4), bool))], 3, labels=False)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"size": (3, 4)}, r"size is \(3, 4\)"),
        ({"size": 0}, "size is 0"),
        ({"size": 2.5}, "size is 2.5"),
        ({"stride": (1, 2, 0)}, r"stride is \(1, 2, 0\)"),
        ({"stride": 4}, "stride 4 is larger than size 3"),
        ({"sampling": "grid"}, "sampling is 'grid', expected one of: random, sliding"),
        ({"overlap": "first"}, "overlap is 'first', expected one of: error, priority, multilabel"),
        ({"length": 4}, 'length is for sampling="random"'),
        ({"class_balance": {"low": 1}}, 'class_balance is for sampling="random"'),
        ({"stride": 2, "sampling": "random"}, 'stride is for sampling="sliding"'),
        ({"edge": "pad", "sampling": "random"}, 'edge is for sampling="sliding"'),
        ({"volume_weights": "equal"}, 'volume_weights is for sampling="random"'),
        ({"seed": 3}, 'seed is for sampling="random"'),
        ({"length": 0, "sampling": "random"}, "length is 0"),
        ({"length": 2.5, "sampling": "random"}, "length is 2.5, expected a whole number from 1"),
        ({"seed": -1, "sampling": "random"}, "seed is -1, expected a whole number from 0"),
        ({"size": True}, "size is True"),
        ({"stride": (1, 2, True)}, r"stride is \(1, 2, True\)"),
        ({"volume_weights": "area", "sampling": "random"}, "volume_weights is 'area'"),
        (
            {"class_balance": {"low": 1}, "sampling": "random", "labels": False},
            "class_balance needs the masks",
        ),
        ({"class_balance": {"lwo": 1}, "sampling": "random"}, "no class is called 'lwo'"),
        ({"ignore_id": 1}, "ignore_id 1 is the id of a class too"),
    ],
)
def test_wrong_arguments_are_told(wrong, told):
    row = volume("a")[0]
    with pytest.raises(ValueError, match=told):
        VolumeDataset([row], **({"size": 3} | wrong))


def test_a_lone_volume_or_none_is_no_list():
    row = volume("a")[0]
    for rows in (row, [], "ab"):
        with pytest.raises(ConfigError, match=r"as in \[row\]"):
            VolumeDataset(rows, 3)


def test_a_list_of_something_else_is_told():
    row = volume("a")[0]
    with pytest.raises(ConfigError, match=r"expected volumes.*got ndarray"):
        VolumeDataset([row.image()], 4)
    with pytest.raises(ConfigError, match="number 1 of the 2 volumes, from 0, is a str"):
        VolumeDataset([row, "b"], 4)


def test_a_size_may_be_an_array(three):
    rows, _ = three
    data = VolumeDataset(rows, np.array([2, 3, 4]), stride=np.array([1, 3, 2]))
    expected = VolumeDataset(rows, (2, 3, 4), stride=(1, 3, 2))
    assert (data.size, len(data)) == ((2, 3, 4), len(expected))
    assert VolumeDataset(rows, np.array(3)).size == VolumeDataset(rows, np.int64(3)).size
    for size in (np.array([2.0, 2.0, 2.0]), np.array([[2, 2, 2]]), np.array([2, 2])):
        with pytest.raises(ConfigError, match="expected voxels as one whole number"):
            VolumeDataset(rows, size)


def test_the_names_are_public():
    assert geoseg.VolumeDataset is VolumeDataset
    assert geoseg.ArrayVolume is ArrayVolume
