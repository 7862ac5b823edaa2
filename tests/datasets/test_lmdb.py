"""LMDBDataset: items against what lmdb and safetensors alone read."""

from __future__ import annotations

import json
import pickle

import numpy as np
import pytest
import torch
from torch.nn.functional import interpolate
from torch.utils.data import DataLoader

from geoseg import ClassMap, LMDBDataset
from geoseg.datasets import collate
from geoseg.errors import ConfigError, LabelError, SourceError
from geoseg.sources import LMDBSource
from geoseg.sources.store.environments import close_stores
from geoseg.window import Window
from tests.datasets.lmdbstores import GRID, held, plain, repeated, sentinel, write


@pytest.fixture(autouse=True)
def nothing_open():
    yield
    close_stores()


@pytest.fixture
def store(tmp_path):
    """Five patches of bands of mixed size, and a mask."""
    patches = {}
    for number in range(5):
        mask = np.random.default_rng(number).integers(0, 3, (12, 20)).astype(np.uint8)
        split = "train" if number < 3 else "test"
        patches[f"patch_{number}"] = (
            sentinel(number) | {"mask": mask},
            {"grid": GRID, "split": split},
        )
    return write(tmp_path / "store", patches)


def oracle(uri, key, names):
    arrays = held(uri)[key]
    return np.stack([repeated(arrays[name]) for name in names])


# Items


def test_a_batch_holds_the_stored_values_repeated_to_the_largest_band(store):
    names = ["B8A", "B01", "B04", "B02"]
    data = LMDBDataset(store, bands=names, normalize=False)
    assert (len(data), data.size, data.dtype, data.band_names) == (5, (12, 20), np.uint16, tuple(names))  # fmt: skip
    batch = collate(data.__getitems__([3, 0, -1]))
    assert {*batch} == {"image", "valid", "scene", "row", "col"}
    assert batch["image"].dtype == torch.uint16
    assert batch["valid"].all()
    assert batch["row"].tolist() == batch["col"].tolist() == [0, 0, 0]
    assert batch["scene"] == ["patch_3", "patch_0", "patch_4"]
    for image, key in zip(batch["image"], batch["scene"], strict=True):
        np.testing.assert_array_equal(image.numpy(), oracle(store, key, names))


def test_torchs_own_collate_makes_the_same_batch(store):
    data = LMDBDataset(store, labels="mask", classes=list("abc"))
    ours, theirs = (next(iter(DataLoader(data, 5, **o))) for o in ({"collate_fn": collate}, {}))
    assert {*ours} == {*theirs}
    assert all(torch.equal(ours[key], theirs[key]) for key in ours if key != "scene")
    assert ours["scene"] == theirs["scene"]


def test_unsigned_pixels_are_scaled_and_masks_are_class_ids(store):
    data = LMDBDataset(store, labels="mask", classes=["a", "b", "c"])
    assert data.band_names == ("B04", "B8A", "B02", "B03", "B01")  # as they were given
    assert data.classes == ClassMap.of("a", "b", "c")
    item = data[2]
    expected = oracle(store, "patch_2", data.band_names)
    assert item["image"].dtype == torch.float32
    np.testing.assert_allclose(item["image"].numpy(), expected / 65535, rtol=1e-6)
    assert item["mask"].dtype == torch.int64
    np.testing.assert_array_equal(item["mask"].numpy(), held(store)["patch_2"]["mask"])
    assert (item["scene"], item["row"], item["col"]) == ("patch_2", 0, 0)


def test_a_mask_is_no_band_unless_it_is_named(store):
    assert "mask" not in LMDBDataset(store).band_names
    assert LMDBDataset(store, bands=["mask"]).band_names == ("mask",)


def test_items_past_the_end_are_index_errors(store):
    data = LMDBDataset(store)
    for index in (5, -6):
        with pytest.raises(IndexError, match=f"item {index} of 5"):
            data[index]
    assert [item["scene"] for item in data] == data.keys == [f"patch_{n}" for n in range(5)]


@pytest.mark.parametrize("size", [(24, 40), (7, 33), 12])
def test_a_size_brings_all_bands_to_it_by_the_pixel_under_the_centre(store, size):
    data = LMDBDataset(store, bands=["B04", "B01"], size=size, normalize=False)
    height, width = size if isinstance(size, tuple) else (size, size)
    found = data[1]["image"].numpy()
    for channel, name in enumerate(data.band_names):
        band = held(store)["patch_1"][name]
        rows = [int((2 * r + 1) * band.shape[0] / (2 * height)) for r in range(height)]
        cols = [int((2 * c + 1) * band.shape[1] / (2 * width)) for c in range(width)]
        np.testing.assert_array_equal(found[channel], band[np.ix_(rows, cols)])


def test_bilinear_blends_bands_but_never_masks(store):
    data = LMDBDataset(store, bands=["B01"], size=(24, 40), resampling="bilinear", labels="mask", classes=list("abc"), normalize=False)  # fmt: skip
    item, arrays = data[0], held(store)["patch_0"]
    band = torch.from_numpy(arrays["B01"].astype(np.float64))[None, None]
    expected = interpolate(band, size=(24, 40), mode="bilinear", align_corners=False)[0]
    assert (item["image"].numpy() - expected.numpy()).__abs__().max() <= 0.51  # whole numbers
    np.testing.assert_array_equal(item["mask"].numpy(), repeated(arrays["mask"], (24, 40)))


def test_items_equal_what_a_source_of_the_patch_reads(store):
    for resampling in ("nearest", "bilinear"):
        data = LMDBDataset(store, bands=["B8A", "B04"], resampling=resampling, normalize=False)
        source = LMDBSource(uri=store, key="patch_1", bands=("B8A", "B04"), resampling=resampling)
        chip = source.read(Window(0, 0, 12, 20))
        np.testing.assert_array_equal(data[1]["image"].numpy(), chip.data)
        assert data.dtype == chip.data.dtype


def test_bands_of_several_dtypes_come_in_the_one_that_holds_all(tmp_path):
    arrays = {
        "a": np.full((2, 3), -5, np.int16),
        "b": np.full((2, 3), 60_000, np.uint16),
        "c": np.array([[True, False, True]] * 2),
    }
    uri = write(tmp_path / "s", {"k": (arrays, {})})
    data = LMDBDataset(uri, normalize=False)
    assert data.dtype == np.int32
    assert data[0]["image"].numpy()[:, 0, 0].tolist() == [-5, 60_000, 1]
    assert LMDBDataset(uri)[0]["image"].dtype == torch.float32
    only = LMDBDataset(uri, bands=["c"], size=(4, 6), resampling="bilinear", normalize=False)
    assert only.dtype == np.uint8


def test_an_array_with_channels_is_all_of_them_and_each_has_a_name(tmp_path):
    cube = np.arange(24, dtype=np.float32).reshape(4, 2, 3)
    uri = write(tmp_path / "s", {"k": ({"x": cube}, {})})
    assert LMDBDataset(uri).band_names == ("x_1", "x_2", "x_3", "x_4")
    np.testing.assert_array_equal(LMDBDataset(uri, bands=["x_3", "x_1"])[0]["image"], cube[[2, 0]])


# What is not valid


def test_nodata_nan_and_infinity_are_not_valid_and_ignored_in_the_mask(tmp_path):
    a = np.arange(1, 241, dtype=np.float32).reshape(12, 20)
    a[0, 0], a[1, 1] = np.nan, np.inf
    coarse = np.ones((6, 10), np.float32)
    coarse[5, 9] = -9999
    mask = np.zeros((12, 20), np.uint8)
    mask[7, 7] = 250
    nodata = {"c": -9999, "mask": 250, "a": 5}
    uri = write(tmp_path / "s", {"k": ({"a": a, "c": coarse, "mask": mask}, {"nodata": nodata})})
    item = LMDBDataset(uri, labels="mask", classes=["x"])[0]
    valid = np.ones((12, 20), bool)
    valid[0, 0] = valid[1, 1] = valid[0, 4] = False
    valid[10:, 18:] = False
    np.testing.assert_array_equal(item["valid"].numpy(), valid)
    assert (item["image"].numpy()[:, ~valid] == 0).all()
    assert torch.isfinite(item["image"]).all()
    known = valid.copy()
    known[7, 7] = False  # the mask's own nodata: the pixel is measured
    np.testing.assert_array_equal(item["mask"].numpy() == 255, ~known)
    blended = LMDBDataset(uri, bands=["c"], size=(12, 20), resampling="bilinear")[0]
    np.testing.assert_array_equal(blended["image"].numpy()[0], np.where(valid | ~repeated(coarse == -9999), 1, 0))  # fmt: skip


def test_a_store_without_a_manifest_is_read_by_its_keys(tmp_path):
    patches = {f"k{n}": sentinel(n) for n in range(3)}
    data = LMDBDataset(plain(tmp_path / "s", patches), normalize=False)
    assert data.band_names == ("B01", "B02", "B03", "B04", "B8A")  # in natural order
    for item, (key, arrays) in zip(data, patches.items(), strict=True):
        assert item["scene"] == key
        expected = np.stack([repeated(arrays[name]) for name in data.band_names])
        np.testing.assert_array_equal(item["image"].numpy(), expected)
    assert data.pixels().resolution_m is None
    for options, text in (
        ({"split": "train"}, r"no patch is of the split 'train', the splits are \[\].*metadata"),
        ({"join": ["s2"]}, r"there is no group 's2', the groups are \[\].*manifests tell them"),
        ({"scene_labels": True}, "no manifest tells labels"),
    ):
        with pytest.raises(ConfigError, match=text):
            LMDBDataset(str(tmp_path / "s"), **options)


def test_a_store_of_many_kinds_without_a_manifest_is_read_by_chosen_keys(tmp_path):
    radar = {"VH": np.ones((12, 20), np.float32)}
    uri = plain(tmp_path / "s", {"a": radar, "b": sentinel(1), "c": sentinel(2)})
    data = LMDBDataset(uri, keys=["c", "b"], bands="rgb", normalize=False)
    np.testing.assert_array_equal(data[1]["image"], oracle(uri, "b", ["B04", "B03", "B02"]))
    with pytest.raises(SourceError, match=r"s: b: has no band 'VH', expected one of: B01"):
        LMDBDataset(uri)[1]


# Presets


def test_rgb_is_found_by_the_names_that_data_sets_use(tmp_path, store):
    assert LMDBDataset(store, bands="rgb").band_names == ("B04", "B03", "B02")
    pixels = {name: np.ones((2, 2), np.uint8) for name in ("Blue", "Green", "Red")}
    uri = write(tmp_path / "other", {"k": (pixels, {})})
    assert LMDBDataset(uri, bands="rgb").band_names == ("Red", "Green", "Blue")
    with pytest.raises(ConfigError, match=r"k: has no 'hyspecnet-202' bands .* but Blue, Green"):
        LMDBDataset(uri, bands="hyspecnet-202")
    with pytest.raises(ConfigError, match=r"'Red', expected a list of names or one of: rgb,"):
        LMDBDataset(uri, bands="Red")


def test_hyspecnet_has_202_of_224_bands(tmp_path):
    arrays = {f"B{n}": np.full((2, 2), n, np.int16) for n in range(1, 225)}
    data = LMDBDataset(write(tmp_path / "s", {"k": (arrays, {})}), bands="hyspecnet-202")
    numbers = data[0]["image"][:, 0, 0].int().tolist()
    assert numbers == [*range(1, 127), *range(142, 161), *range(168, 225)]
    assert len(numbers) == 202


@pytest.mark.parametrize("count", [224, 202])
def test_rgb_of_enmap_is_its_own_and_not_that_of_sentinel_2(tmp_path, count):
    arrays = {f"B{n}": np.full((2, 2), n, np.int16) for n in range(1, count + 1)}
    data = LMDBDataset(write(tmp_path / "s", {"k": (arrays, {})}), bands="rgb")
    assert data.band_names == ("B43", "B28", "B10")
    assert data[0]["image"][:, 0, 0].tolist() == [43, 28, 10]


def test_rgb_of_other_sensors_with_many_bands_is_not_guessed(tmp_path):
    many = {f"B{n}": np.ones((2, 2), np.int16) for n in range(1, 15)}
    uri = write(tmp_path / "many", {"k": (many, {})})
    with pytest.raises(
        ConfigError, match=r"k: has no 'rgb' bands .* but B1, B2.*name bands with bands="
    ):
        LMDBDataset(uri, bands="rgb")
    numbered = [*(f"B{n}" for n in range(1, 13)), "B8A", "mask"]
    level = {name: np.ones((2, 2), np.uint16) for name in numbered}
    known = write(tmp_path / "l1c", {"k": (level, {})})
    assert LMDBDataset(known, bands="rgb").band_names == ("B4", "B3", "B2")


def test_rgb_of_pictures_is_their_first_three_bands(tmp_path):
    def made(name, dtype, bands):
        arrays = {**{n: np.ones((2, 2), dtype) for n in bands}, "mask": np.ones((2, 2), np.uint16)}
        return write(tmp_path / name, {"k": (arrays, {})})

    for bands in ("123", "1234"):
        assert LMDBDataset(made(bands, np.uint8, bands), bands="rgb").band_names == ("1", "2", "3")
    for name, dtype, bands in (("words", np.uint16, "123"), ("five", np.uint8, "12345")):
        with pytest.raises(ConfigError, match="has no 'rgb' bands"):
            LMDBDataset(made(name, dtype, bands), bands="rgb")


# Which patches


def test_a_split_and_keys_choose_patches(store):
    assert LMDBDataset(store, split="test").keys == ["patch_3", "patch_4"]
    assert LMDBDataset(store, keys=["patch_4", "patch_0"])[0]["scene"] == "patch_4"
    for options, text in (
        ({"split": "tset"}, r"split 'tset', the splits are \['test', 'train'\]; did you mean 'test'"),
        ({"keys": ["patch_9", "x"]}, r"no 'patch_9' \(and 1 more\); near: patch_"),
        ({"keys": ["patch_4"], "split": "train"}, "there is no 'patch_4'"),
        ({"keys": []}, "none is named"),
        ({"keys": ["patch_1", "patch_1"]}, "'patch_1' is named twice"),
    ):  # fmt: skip
        with pytest.raises(ConfigError, match=text):
            LMDBDataset(store, **options)


def test_patches_of_two_sizes_are_an_error_that_names_key_and_size(tmp_path):
    odd = {"B04": (15, 20), "B01": (3, 5)}
    patches = {"a": (sentinel(0), {}), "b": (sentinel(1, odd), {}), "c": (sentinel(2), {})}
    uri = write(tmp_path / "s", patches)
    names = ["B04", "B01"]
    with pytest.raises(ConfigError, match=r"12 x 20 px \(2, as 'a'\), 15 x 20 px \(1, as 'b'\).*size=\("):  # fmt: skip
        LMDBDataset(uri, bands=names)
    assert LMDBDataset(uri, bands=["B01"]).size == (3, 5)  # what is not read does not matter
    assert LMDBDataset(uri, bands=names, size=(12, 20))[1]["image"].shape == (2, 12, 20)
    assert LMDBDataset(uri, bands=names, keys=["c", "a"]).size == (12, 20)
    bare = plain(tmp_path / "bare", {key: arrays for key, (arrays, _) in patches.items()})
    data = LMDBDataset(bare, bands=names)
    with pytest.raises(SourceError, match=r"bare: b: is 15 x 20 px, expected 12 x 20"):
        data.__getitems__([0, 1])


def test_patches_with_other_bands_are_told_apart(tmp_path):
    patches = {"a": (sentinel(0), {}), "b": (sentinel(1, {"B04": (12, 20)}), {})}
    uri = write(tmp_path / "s", patches)
    with pytest.raises(ConfigError, match=r"s: a has B01, B02.*s: b has B04; name those"):
        LMDBDataset(uri)
    with pytest.raises(SourceError, match=r"s: b: has no band 'B01'.*join=\("):
        LMDBDataset(uri, bands=["B04", "B01"])
    assert len(LMDBDataset(uri, bands=["B04"])) == 2


def test_several_stores_are_one_unless_a_key_is_in_two(tmp_path, store):
    other = write(tmp_path / "other", {"z": (sentinel(9), {}), "a": (sentinel(8), {})})
    data = LMDBDataset([store, other], bands="rgb", normalize=False)
    assert data.keys == [f"patch_{n}" for n in range(5)] + ["a", "z"]
    np.testing.assert_array_equal(data[6]["image"], oracle(other, "z", ["B04", "B03", "B02"]))
    twice = write(tmp_path / "twice", {"patch_3": (sentinel(9), {})})
    with pytest.raises(SourceError, match=r"'patch_3' is in .*store and in .*twice"):
        LMDBDataset([store, twice], bands="rgb")


def test_an_empty_shard_does_no_harm(tmp_path, store):
    data = LMDBDataset([write(tmp_path / "none", {}), store], split="test", normalize=False)
    np.testing.assert_array_equal(data[1]["image"], oracle(store, "patch_4", data.band_names))


@pytest.mark.parametrize("dropped", [["shapes"], ["shapes", "dtypes"], ["bands", "shapes", "dtypes", "nodata"]])  # fmt: skip
def test_what_a_manifest_does_not_tell_comes_from_the_patch(tmp_path, dropped):
    import pyarrow.parquet as pq

    arrays = sentinel(0)
    arrays["B04"][3, 4] = 0
    uri = write(tmp_path / "s", {"k": (arrays, {"nodata": 0, "split": "train"})})
    path = tmp_path / "s" / "manifest.parquet"
    pq.write_table(pq.read_table(path).drop_columns(dropped), path)
    item = LMDBDataset(uri, bands=["B04", "B8A"], split="train")[0]
    assert int((~item["valid"]).sum()) == (0 if "nodata" in dropped else 1)
    assert item["image"].shape == (2, 12, 20)


def test_a_store_that_names_its_classes_needs_none(tmp_path, store):
    import pyarrow.parquet as pq

    path = tmp_path / "store" / "manifest.parquet"
    table, classes = pq.read_table(path), ClassMap.of("a", "b", "c")
    told = {b"geoseg": json.dumps({"classes": classes.model_dump(mode="json")}).encode()}
    pq.write_table(table.replace_schema_metadata(told), path)
    data = LMDBDataset(store, labels="mask")
    assert data.classes == classes
    np.testing.assert_array_equal(data[0]["mask"], held(store)["patch_0"]["mask"])
    other = LMDBDataset(store, labels="mask", classes=["x", "y", "z"])
    assert other.classes.names == ("x", "y", "z")


def test_a_manifest_that_lacks_patches_is_told(tmp_path):
    import lmdb

    uri = write(tmp_path / "s", {"a": (sentinel(0), {}), "b": (sentinel(1), {})})
    close_stores()
    with lmdb.open(uri) as env, env.begin(write=True) as transaction:
        transaction.put(b"c", transaction.get(b"a"))
    with pytest.warns(UserWarning, match="has 2 rows, the store 3 patches") as told:
        assert LMDBDataset(uri).keys == ["a", "b"]
    assert told[0].filename == __file__


# Labels


def test_values_that_are_no_class_are_counted_with_their_patch(store):
    data = LMDBDataset(store, labels="mask", classes=["a", "b"])
    count = int((held(store)["patch_1"]["mask"] == 2).sum())
    with pytest.raises(LabelError, match=rf"store: patch_1: values that are no class: 2 \({count} pixels\).*0 a, 1 b"):  # fmt: skip
        data[1]
    mapped = LMDBDataset(store, labels="mask", classes=["a", "b"], mapping={0: 0, 1: 255})
    with pytest.raises(LabelError, match=rf"patch_1: values that `mapping` does not name: 2 \({count} pixels\)"):  # fmt: skip
        mapped[1]
    found = LMDBDataset(store, labels="mask", classes=["a", "b"], mapping={0: 1, 1: 255, 2: 0})
    table = np.array([1, 255, 0])
    np.testing.assert_array_equal(found[1]["mask"], table[held(store)["patch_1"]["mask"]])


@pytest.mark.parametrize(
    ("options", "kind", "text"),
    [
        ({"classes": ["a"]}, ConfigError, "name their array with labels"),
        ({"labels": "mask"}, ConfigError, "nobody tells the classes"),
        ({"labels": "masks", "classes": ["a"]}, SourceError, "has no band 'masks'"),
        ({"labels": "mask", "mapping": "bigearth"}, ConfigError, "one of: bigearthnet-19"),
        ({"labels": "mask", "classes": ["a"], "mapping": {1: 9}}, LabelError, r"ids \[9\]"),
        ({"bands": []}, ConfigError, "no band is left"),
        ({"bands": ["B04", "B04"]}, ConfigError, "'B04' is named twice"),
        ({"bands": {"s2": ["B04"]}}, ConfigError, "names the group 's2'"),
        ({"size": 0}, ConfigError, "at least 1 pixel"),
        ({"resampling": "cubic"}, ConfigError, "nearest, bilinear"),
        ({"join": "s2"}, ConfigError, "join is 's2', expected several names"),
        ({"keys": "patch_1"}, ConfigError, "keys is 'patch_1', expected several names"),
        ({"scene_labels": "a"}, ConfigError, "scene_labels is 'a', expected several names"),
        ({"stores": []}, ConfigError, "no store is named"),
        ({"bands": [1]}, ConfigError, "bands has 1 in it, expected names"),
        ({"bands": 4}, ConfigError, "bands is 4, expected a list of names"),
        ({"bands": {"s2": [4]}}, ConfigError, r"bands\['s2'\] has 4 in it"),
        ({"bands": {2: ["B04"]}}, ConfigError, "bands has 2 in it"),
        ({"join": True}, ConfigError, "join is True, expected a list of names"),
        ({"keys": [1]}, ConfigError, "keys has 1 in it"),
        ({"split": 1}, ConfigError, "split is 1, expected one name, as in 'train'"),
        ({"labels": ("map", "Data")}, ConfigError, r"labels is \('map', 'Data'\), .*'map/Data'"),
        ({"labels": "mask", "classes": "water"}, ConfigError, r"classes is 'water', .*\['water'\]"),
        ({"labels": "mask", "classes": 3}, ConfigError, "classes is 3, expected a list of names"),
        (
            {"labels": "mask", "classes": ["a"], "mapping": {"111": 0}},
            ConfigError,
            r"'111' \(str\)",
        ),
        ({"labels": "mask", "classes": ["a"], "mapping": {1: "a"}}, ConfigError, r"'a' \(str\)"),
        (
            {"labels": "mask", "classes": ["a"], "mapping": [0, 1]},
            ConfigError,
            r"mapping is \[0, 1\]",
        ),
        ({"scene_labels": 1}, ConfigError, "scene_labels is 1, expected a list of names"),
    ],
)
def test_wrong_arguments_are_told(store, options, kind, text):
    with pytest.raises(kind, match=text):
        LMDBDataset(**{"stores": store, **options})


@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("bands", {}),
        ("join", {}),
        ("keys", {}),
        ("stores", {}),
        ("scene_labels", {}),
        ("classes", {"labels": "mask"}),
    ],
)
def test_a_set_has_no_order_and_is_refused(store, name, more):
    for given in ({"B04", "B03", "B02"}, frozenset({"B04"})):
        with pytest.raises(ConfigError, match=rf"{name} is a set.* has no order; give a list"):
            LMDBDataset(**{"stores": store, **more, name: given})
    with pytest.raises(ConfigError, match=r"bands\['s2'\] is a set"):
        LMDBDataset(store, bands={"s2": {"B04", "B03"}})


def test_names_may_come_from_anything_that_gives_them_once(store):
    data = LMDBDataset(
        store,
        bands=(name for name in ("B03", "B04")),
        keys=iter(["patch_4", "patch_0"]),
        labels="mask",
        classes=(name for name in "abc"),
        mapping={np.uint8(value): np.int64(value) for value in range(3)},
        normalize=False,
    )
    assert (data.band_names, data.keys) == (("B03", "B04"), ["patch_4", "patch_0"])
    np.testing.assert_array_equal(data[1]["image"], oracle(store, "patch_0", ["B03", "B04"]))
    np.testing.assert_array_equal(data[0]["mask"], held(store)["patch_4"]["mask"])


class Compared(str):
    """A text that counts how often it is compared."""

    times = 0

    def __eq__(self, other):
        Compared.times += 1
        return str.__eq__(self, other)

    __hash__ = str.__hash__


def test_a_key_that_repeats_among_many_is_found_in_one_pass(tmp_path):
    names = [f"k{number:03d}" for number in range(300)]
    uri = plain(tmp_path / "s", {name: {"x": np.ones((1, 1), np.uint8)} for name in names})
    keys = [Compared(name) for name in (*names, names[-2], names[-1])]
    with pytest.raises(ConfigError, match=r"'k298' is named twice \(and 1 more\)"):
        LMDBDataset(uri, keys=keys)
    assert Compared.times < 10 * len(keys)


def test_a_store_that_is_not_there_or_empty_is_told(tmp_path):
    with pytest.raises(SourceError, match="no such store"):
        LMDBDataset(tmp_path / "nothing")
    with pytest.raises(ConfigError, match="the store is empty"):
        LMDBDataset(write(tmp_path / "empty", {}))


def test_a_pickle_is_small_and_opens_the_store_anew(store):
    data = LMDBDataset(store, labels="mask", classes=["a", "b", "c"])
    before = data.__getitems__([0, 3]).stacked
    raw = pickle.dumps(data)
    assert len(raw) < 20_000
    close_stores()
    after = pickle.loads(raw).__getitems__([0, 3]).stacked
    assert all(torch.equal(before[key], after[key]) for key in ("image", "mask", "valid"))
