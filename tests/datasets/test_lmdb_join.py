"""LMDBDataset over groups of patches that belong to one sample."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from geoseg import LMDBDataset
from geoseg.errors import ConfigError, LabelError, SourceError
from geoseg.labels.corine import BIGEARTHNET_19, BIGEARTHNET_19_CODES
from geoseg.sources.store import StoreWriter
from geoseg.sources.store.environments import close_stores
from tests.datasets.lmdbstores import GRID, bigearthnet, held, repeated, sentinel, write

GROUPS = ("s1", "s2", "map")
NAMES = [f"S2A_MSIL2A_T33UUP_{number}" for number in range(6)]


@pytest.fixture(autouse=True)
def nothing_open():
    yield
    close_stores()


@pytest.fixture
def store(tmp_path):
    return bigearthnet(tmp_path / "bigearthnet")


def test_radar_optical_bands_and_reference_map_make_one_item(store):
    data = LMDBDataset(store, join=GROUPS, labels="map/Data", mapping="bigearthnet-19")
    assert data.band_names == ("VH", "VV", "B04", "B8A", "B02", "B03", "B01")
    assert (data.dtype, data.size, data.classes) == (np.float32, (12, 20), BIGEARTHNET_19)
    assert data.keys == NAMES
    values = held(store)
    for number, item in enumerate(data):
        radar, optical = values[f"S1A_IW_GRDH_{number}"], values[NAMES[number]]
        expected = [*(radar[n] for n in data.band_names[:2])]
        expected += [repeated(optical[n]) for n in data.band_names[2:]]
        np.testing.assert_array_equal(item["image"].numpy(), np.stack(expected))
        codes = values[f"{NAMES[number]}_reference_map"]["Data"]
        ids = [[BIGEARTHNET_19_CODES[code] for code in row] for row in codes.tolist()]
        np.testing.assert_array_equal(item["mask"].numpy(), ids)


@pytest.mark.parametrize(
    ("bands", "names"),
    [
        (["s2/B04", "VV", "s2/B01"], ("B04", "VV", "B01")),
        ({"s2": "rgb", "s1": ["VV"]}, ("B04", "B03", "B02", "VV")),
        ({"s1": None}, ("VH", "VV")),
        ("rgb", ("B04", "B03", "B02")),
    ],
)
def test_bands_are_chosen_by_group(store, bands, names):
    data = LMDBDataset(store, join=GROUPS, bands=bands, normalize=False)
    assert data.band_names == names
    values = held(store)
    both = values["S1A_IW_GRDH_4"] | values[NAMES[4]]
    expected = np.stack([repeated(both[name]) for name in names])
    np.testing.assert_array_equal(data[4]["image"].numpy(), expected.astype(data.dtype))


def test_one_group_is_chosen_by_its_name(store):
    data = LMDBDataset(store, join=("s2",), bands="rgb")
    assert data.keys == NAMES
    with pytest.raises(SourceError, match=r"has no band 'B04'.*join=\(\"s2\",\)"):
        LMDBDataset(store, bands=["B04"])


def test_the_nodata_of_one_group_hides_the_item_and_its_mask(tmp_path):
    arrays = sentinel(0, {"B04": (12, 20), "B01": (3, 5)})
    arrays["B01"][2, 4] = 0
    codes = np.full((12, 20), 111, np.uint16)
    told = {"grid": GRID, "sample": "one"}
    uri = write(tmp_path / "s", {
        "o": (arrays, {"group": "s2", "nodata": 0, **told}),
        "m": ({"Data": codes}, {"group": "map", **told}),
    })  # fmt: skip
    item = LMDBDataset(uri, join=("map", "s2"), labels="Data", mapping="bigearthnet-19")[0]
    valid = np.ones((12, 20), bool)
    valid[8:, 16:] = False
    np.testing.assert_array_equal(item["valid"], valid)
    np.testing.assert_array_equal(item["mask"], np.where(valid, 0, 255))
    assert item["scene"] == "one"
    assert item["image"].shape == (2, 12, 20)


def test_samples_that_lack_a_group_are_left_out_with_a_count(tmp_path):
    uri = bigearthnet(tmp_path / "s", lacking=[("s1", 1), ("s1", 4), ("map", 4)])
    text = r"2 of 6 samples lack a patch of a group: s1 \(2, as '.*_1'\), map \(1, as '.*_4'\)"
    with pytest.warns(UserWarning, match=text) as told:
        data = LMDBDataset(uri, join=GROUPS, labels="Data", mapping="bigearthnet-19")
    assert told[0].filename == __file__
    assert data.keys == [NAMES[n] for n in (0, 2, 3, 5)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert LMDBDataset(uri, join=GROUPS, split="train").keys == [NAMES[0], NAMES[3]]


def test_nothing_that_belongs_together_is_an_error_that_names_the_metadata(tmp_path):
    patches = {"a": (sentinel(0), {"group": "s1"}), "b": (sentinel(1), {"group": "s2"})}
    told = {"layout": {"name": "bigearthnet", "metadata": "bigearthnet"}}
    with StoreWriter(str(tmp_path / "told"), told=told) as writer:
        for key, (arrays, options) in patches.items():
            writer.write(key, arrays, **options)
    with pytest.raises(ConfigError, match=r"2 of 2 samples lack.*--metadata"):
        LMDBDataset(tmp_path / "told", join=("s1", "s2"))
    uri = write(tmp_path / "s", patches)
    with pytest.raises(ConfigError, match=r"2 of 2 samples lack.*have one `sample`") as caught:
        LMDBDataset(uri, join=("s1", "s2"))
    assert "--metadata" not in str(caught.value)
    with pytest.raises(ConfigError, match=r"no group 's3', the groups are \['s1', 's2'\]"):
        LMDBDataset(uri, join=("s1", "s3"))
    with pytest.raises(ConfigError, match=r"join is \('s1', 's1'\)"):
        LMDBDataset(uri, join=("s1", "s1"))


def test_groups_may_lie_in_stores_of_their_own(tmp_path, store):
    parts = [bigearthnet(tmp_path / group, groups=(group,)) for group in GROUPS]
    options = {"join": GROUPS, "labels": "Data", "mapping": "bigearthnet-19"}
    together, apart = LMDBDataset(store, **options), LMDBDataset(parts, **options)
    assert together.keys == apart.keys
    for one, other in zip(together, apart, strict=True):
        assert all((one[key] == other[key]).all() for key in ("image", "mask", "valid"))


def test_two_patches_of_one_group_are_an_error_that_names_both(tmp_path):
    told = {"group": "s2", "sample": "x"}
    uri = write(tmp_path / "s", {"a": (sentinel(0), told), "b": (sentinel(1), told)})
    with pytest.raises(SourceError, match=r"'x' has two patches of the group 's2': .*s: a and .*s: b;"):  # fmt: skip
        LMDBDataset(uri, join=("s2",))


def test_a_split_told_of_one_patch_holds_for_the_sample_and_two_are_an_error(tmp_path):
    def made(name, split):
        return write(tmp_path / name, {
            "a": (sentinel(0), {"group": "s1", "sample": "x", "split": "train"}),
            "b": (sentinel(1), {"group": "s2", "sample": "x", "split": split}),
        })  # fmt: skip

    bands = {"s1": ["B04"], "s2": ["B04"]}
    data = LMDBDataset(made("one", None), join=("s1", "s2"), bands=bands, split="train")
    assert data.keys == ["x"]
    assert data.band_names == ("s1/B04", "s2/B04")
    assert data.pixels().band_names == ("0/B04", "1/B04")  # as a StackSource calls them
    with pytest.raises(SourceError, match=r"'x' is in the splits \['train', 'test'\]"):
        LMDBDataset(made("two", "test"), join=("s1", "s2"), bands=bands, split="train")


def test_a_band_in_several_groups_must_name_its_own(store):
    twice = {"join": ("s1", "s2", "map")}
    with pytest.raises(ConfigError, match=r"bands: 'B99' is in none of the groups.*'s1/B99'"):
        LMDBDataset(store, bands=["B99"], **twice)
    with pytest.raises(ConfigError, match="labels: 'Dat' is in none"):
        LMDBDataset(store, labels="Dat", mapping="bigearthnet-19", **twice)
    with pytest.raises(SourceError, match="has no band 'B99'"):
        LMDBDataset(store, bands=["s2/B99"], **twice)


def test_what_band_names_tells_can_be_given_back(tmp_path):
    pictures = {"x": np.arange(480, dtype=np.uint16).reshape(2, 12, 20)}
    patches = {
        "a": (sentinel(0) | pictures, {"group": "l1c", "sample": "x"}),
        "b": (sentinel(1) | {"B99": np.ones((12, 20), np.uint16)}, {"group": "l2a", "sample": "x"}),
    }
    uri = write(tmp_path / "s", patches)
    for bands in (
        None,
        {"l2a": ["B99", "B04"]},
        {"l1c": ["x", "B04"], "l2a": ["B04"]},
        ["l2a/B02"],
    ):
        data = LMDBDataset(uri, join=("l1c", "l2a"), bands=bands)
        again = LMDBDataset(uri, join=("l1c", "l2a"), bands=data.band_names)
        assert again.band_names == data.band_names
        assert again.pixels().band_names == data.pixels().band_names
        assert (again[0]["image"] == data[0]["image"]).all()
    assert data.band_names == ("l2a/B02",)
    assert data.pixels().band_names == ("B02",)
    given = LMDBDataset(uri, join=("l1c", "l2a"), bands=["l2a/B99", "l1c/x", "l2a/B04"])
    assert given.band_names == ("B99", "l1c/x_1", "l1c/x_2", "l2a/B04")


def test_a_preset_that_several_groups_have_must_name_its_own(tmp_path):
    patches = {
        "a": (sentinel(0), {"group": "l1c", "sample": "x"}),
        "b": (sentinel(1), {"group": "l2a", "sample": "x"}),
    }
    uri = write(tmp_path / "s", patches)
    match = r"'rgb' is in the groups \['l1c', 'l2a'\]; .* bands=\{'l1c': 'rgb'\}"
    with pytest.raises(ConfigError, match=match):
        LMDBDataset(uri, join=("l1c", "l2a"), bands="rgb")
    data = LMDBDataset(uri, join=("l1c", "l2a"), bands={"l2a": "rgb"})
    assert data.band_names == ("l2a/B04", "l2a/B03", "l2a/B02")


def test_a_group_that_is_named_but_not_joined_is_told(store):
    options = {"labels": "map/Data", "mapping": "bigearthnet-19"}
    with pytest.raises(
        ConfigError, match=r"labels: 'map/Data' .*\['s1', 's2'\]; add 'map' to join"
    ):
        LMDBDataset(store, join=("s1", "s2"), **options)
    with pytest.raises(ConfigError, match=r"labels: 'map/Data' .*; add 'map' to join"):
        LMDBDataset(store, join=("s2",), **options)
    with pytest.raises(ConfigError, match=r"no groups are joined; pass join=\(\.\.\., 'map'\)"):
        LMDBDataset(store, **options)
    with pytest.raises(ConfigError, match=r"bands: 's1/VV' .*; add 's1' to join"):
        LMDBDataset(store, join=("s2",), bands=["s1/VV"])


# Labels of patches


def test_labels_of_patches_are_one_vector_in_the_order_of_all_names(store):
    data = LMDBDataset(store, join=("s1", "s2"), split="train", scene_labels=True)
    assert data.label_names == ("Arable land", "Marine waters", "Pastures")
    batch = data.__getitems__([0, 1]).stacked
    assert batch["scene"] == [NAMES[0], NAMES[3]]
    assert batch["labels"].tolist() == [[1, 0, 1], [0, 1, 0]]
    given = LMDBDataset(store, join=("s2",), scene_labels=BIGEARTHNET_19.names)
    assert given.label_names == BIGEARTHNET_19.names
    assert given[1]["labels"].nonzero().flatten().tolist() == [18]
    with pytest.raises(LabelError, match=r"have the labels \['Marine waters'\], expected"):
        LMDBDataset(store, join=("s2",), scene_labels=["Pastures", "Arable land"])


def test_patches_without_labels_are_counted(tmp_path):
    patches = {"a": (sentinel(0), {"labels": ["x"]}), "b": (sentinel(1), {})}
    uri = write(tmp_path / "s", patches)
    with pytest.raises(LabelError, match="1 of 2 patches have no labels, as 'b'"):
        LMDBDataset(uri, scene_labels=True)
    assert LMDBDataset(uri, scene_labels=True, keys=["a"])[0]["labels"].tolist() == [1]


def test_a_code_that_corine_does_not_have_is_an_error(tmp_path):
    codes = np.full((12, 20), 111, np.uint16)
    codes[3, 3] = 113
    uri = write(tmp_path / "s", {"m": (sentinel(0) | {"Data": codes}, {})})
    data = LMDBDataset(uri, labels="Data", mapping="bigearthnet-19")
    with pytest.raises(LabelError, match=r"s: m: values that `mapping` does not name: 113 \(1 pixels\)"):  # fmt: skip
        data[0]
