"""ArrayVolume: a volume in memory."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from affine import Affine

from geoseg.errors import ConfigError, GridError, LabelError
from geoseg.volumes import ArrayVolume, Rle

SHAPE = (3, 4, 5)
RNG = np.random.default_rng(0)
IMAGE = RNG.integers(0, 999, (2, *SHAPE)).astype(np.int16)
MASKS = RNG.random((2, *SHAPE)) < 0.4


def test_it_tells_what_it_was_given():
    transform = Affine(2, 0, 7, 0, -2, 9)
    volume = ArrayVolume(
        "a", IMAGE, MASKS, ("x", "y"), fold=1, transform=transform, times=["t0", "t1", "t2"]
    )
    assert (volume.name, volume.fold, volume.classes) == ("a", 1, ("x", "y"))
    assert (volume.shape, volume.channels, volume.dtype) == (SHAPE, 2, np.dtype(np.int16))
    assert (volume.crs, volume.transform, volume.times) == (None, transform, ("t0", "t1", "t2"))
    for known in (volume, pickle.loads(pickle.dumps(volume))):
        assert np.array_equal(known.image(), IMAGE)
        assert np.array_equal(known.masks(), MASKS)
        assert [rle.area for rle in known.rles()] == MASKS.sum(axis=(1, 2, 3)).tolist()
    assert np.shares_memory(volume.image(), IMAGE)


def test_masks_come_by_name_or_in_order_as_arrays_or_runs():
    runs = Rle.encode(MASKS[1], order="hwd")
    for masks in (
        {"y": runs, "x": MASKS[0]},
        [MASKS[0], runs],
        {"x": MASKS[0] * np.uint8(255), "y": MASKS[1].astype(int)},
    ):
        volume = ArrayVolume("a", IMAGE[0], masks, ("x", "y"))
        assert np.array_equal(volume.masks(), MASKS)
        assert {rle.order for rle in volume.rles()} == {"dhw"}
        assert volume.image().shape == (1, *SHAPE)
    named = ArrayVolume("a", IMAGE, {"y": MASKS[1]}, ("x", "y"))
    assert [rle.area for rle in named.rles()] == [0, MASKS[1].sum()]
    bare = ArrayVolume("a", IMAGE, classes=("x",))
    assert bare.rles() is bare.masks() is None


@pytest.mark.parametrize("begin", [-2, 0, 1, 4])
def test_a_window_is_0_outside(begin):
    volume = ArrayVolume("a", IMAGE)
    padded = np.pad(IMAGE, ((0, 0), (9, 9), (9, 9), (9, 9)))
    box = slice(begin, begin + 2), slice(begin, begin + 3), slice(begin, begin + 6)
    moved = tuple(slice(part.start + 9, part.stop + 9) for part in box)
    assert np.array_equal(volume.image_window(box), padded[(slice(None), *moved)])
    with pytest.raises(GridError, match="at least one voxel"):
        volume.image_window((slice(2, 1), slice(None), slice(None)))


@pytest.mark.parametrize(
    ("given", "error", "told"),
    [
        ({"image": np.zeros((4, 5))}, ConfigError, r"shape \(4, 5\)"),
        ({"image": np.zeros((4, 0, 5))}, ConfigError, r"shape \(4, 0, 5\)"),
        ({"masks": MASKS}, ConfigError, "masks without names"),
        ({"masks": MASKS, "classes": ("x",)}, LabelError, "2 masks for the 1 classes x"),
        ({"masks": {"z": MASKS[0]}, "classes": ("x",)}, LabelError, "mask of 'z', which is none"),
        ({"masks": {"x": MASKS[0, :2]}}, LabelError, r"class 'x': its mask has the shape \(2, 4"),
        (
            {"masks": {"x": IMAGE[0]}},
            LabelError,
            "volume 'a', class 'x': the mask holds the values",
        ),
        ({"times": ["t0"]}, ConfigError, "1 times for 3 slices"),
    ],
)
def test_what_does_not_fit_is_told(given, error, told):
    with pytest.raises(error, match=told):
        ArrayVolume("a", **({"image": IMAGE} | given))
