"""LMDBDataset.scenes: each scene against the item that it stands for."""

from __future__ import annotations

import numpy as np
import pytest

from geoseg import LMDBDataset
from geoseg.datasets.windows import hide_missing
from geoseg.errors import ConfigError, SourceError
from geoseg.grid import Grid
from geoseg.sources.store.environments import close_stores
from tests.datasets.lmdbstores import GRID, bigearthnet, plain, sentinel, write

JOINED = {"join": ("s1", "s2", "map"), "labels": "map/Data", "mapping": "bigearthnet-19"}


@pytest.fixture(autouse=True)
def nothing_open():
    yield
    close_stores()


@pytest.fixture
def masked(tmp_path):
    """Patches with a mask, which lack pixels in a coarse band and in the mask."""
    patches = {}
    for number in range(3):
        arrays = sentinel(number)
        arrays["B01"][2, number] = arrays["B04"][4, 4] = 0
        arrays["mask"] = np.random.default_rng(number).integers(0, 3, (6, 10)).astype(np.uint8)
        arrays["mask"][5, 9] = 77
        nodata = dict.fromkeys(arrays, 0) | {"mask": 77}
        patches[f"p{number}"] = (arrays, {"grid": GRID, "nodata": nodata})
    return write(tmp_path / "masked", patches)


def assert_same(data):
    """That each scene holds what its item does."""
    scenes = data.scenes()
    assert len(scenes) == len(data)
    for scene, item in zip(scenes, data, strict=True):
        scene.check()
        found = scene.read(scene.grid.whole)
        image, valid = found.image.data.copy(), found.image.valid
        hide_missing(image, valid)
        assert (scene.id, scene.grid.shape) == (item["scene"], data.size)
        assert (image.dtype, scene.image.dtype) == (data.dtype, data.dtype)
        assert scene.image.band_names == data.pixels().band_names
        np.testing.assert_array_equal(image, item["image"].numpy())
        np.testing.assert_array_equal(valid, item["valid"].numpy())
        if data.classes is None:
            assert scene.labels is None
        else:
            assert scene.labels.class_map == data.classes
            np.testing.assert_array_equal(found.labels, item["mask"].numpy())


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"bands": ["s2/B04", "VV", "s2/B01", "VH"]},
        {"bands": {"s2": "rgb"}, "size": (7, 33)},
        {"bands": {"s1": None}, "size": (24, 40), "resampling": "bilinear"},
        {"split": "test"},
    ],
)
def test_scenes_of_joined_groups_hold_the_items_to_the_bit(tmp_path, options):
    assert_same(LMDBDataset(bigearthnet(tmp_path / "s"), normalize=False, **JOINED, **options))


@pytest.mark.parametrize(
    "options",
    [
        {"labels": "mask", "classes": list("abc")},
        {"labels": "mask", "classes": list("ab"), "mapping": {0: 1, 1: 255, 2: 0}, "size": 17},
        {"bands": ["B01", "B04"], "resampling": "bilinear", "labels": "mask", "classes": list("abc")},
        {"keys": ["p2", "p0"]},
    ],
)  # fmt: skip
def test_scenes_of_patches_lack_the_pixels_that_items_lack(masked, options):
    data = LMDBDataset(masked, normalize=False, **options)
    assert not data[0]["valid"].all()
    assert_same(data)


def test_bands_that_groups_call_alike_are_told_apart(tmp_path):
    patches = {
        "a": (sentinel(0), {"group": "l1c", "sample": "x"}),
        "b": (sentinel(1), {"group": "l2a", "sample": "x"}),
    }
    data = LMDBDataset(
        write(tmp_path / "s", patches),
        join=("l1c", "l2a"),
        bands=["l2a/B04", "l1c/B04", "l2a/B01"],
        normalize=False,
    )
    assert_same(data)


def test_patches_of_several_dtypes_have_scenes_of_the_one_that_holds_all(tmp_path):
    patches = {
        "a": ({"x": np.full((3, 4), 250, np.uint8)}, {}),
        "b": ({"x": np.full((3, 4), 60_000, np.uint16)}, {}),
    }
    assert_same(LMDBDataset(write(tmp_path / "s", patches), normalize=False))


def test_scenes_are_a_sequence_that_makes_each_when_it_is_asked_for(tmp_path):
    arrays = {key: sentinel(n) for n, key in enumerate("abc")}
    arrays["b"] = sentinel(1, {"B04": (15, 20), "B01": (3, 5)})
    data = LMDBDataset(plain(tmp_path / "s", arrays), bands=["B04", "B01"])
    scenes = data.scenes()
    assert [scene.id for scene in (scenes[0], scenes[-1])] == ["a", "c"]
    assert [scene.id for scene in scenes[::2]] == ["a", "c"]
    for read in (lambda: scenes[1], lambda: data[1]):
        with pytest.raises(SourceError, match=r"s: b: is 15 x 20 px, expected 12 x 20"):
            read()
    with pytest.raises(IndexError):
        scenes[3]


def test_what_no_scene_reads_like_the_item_is_refused(tmp_path):
    blended = LMDBDataset(bigearthnet(tmp_path / "s"), resampling="bilinear", **JOINED)
    with pytest.raises(ConfigError, match=r"T33UUP_0: bilinear resampling of uint16.*\"nearest\""):
        blended.scenes()[0]
    east = Grid(crs=GRID.crs, transform=[10, 0, 5e5 + 4, 0, -10, 4e6], height=12, width=20)
    radar = {"VV": np.ones((12, 20), np.float32)}
    uri = write(tmp_path / "apart", {
        "a": (radar, {"group": "s1", "sample": "x", "grid": east}),
        "b": (sentinel(0), {"group": "s2", "sample": "x", "grid": GRID}),
    })  # fmt: skip
    apart = LMDBDataset(uri, join=("s1", "s2"))
    assert apart[0]["image"].shape == (6, 12, 20)
    with pytest.raises(ConfigError, match=r"x: its patches lie at different places: .*500004"):
        apart.scenes()[0]
