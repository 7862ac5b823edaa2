"""The data sets as rico-hdl names them: keys, tensors, files and their order, written out by hand."""

from __future__ import annotations

import pickle
from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from geoseg.convert.layout import Group, Layout
from geoseg.convert.layouts import LAYOUTS, layout_of
from geoseg.convert.layouts.generic import generic
from geoseg.convert.layouts.major_tom import with_cloud_mask
from geoseg.convert.patches import find_patches
from geoseg.convert.templates import compiled, stem_of
from geoseg.errors import ConfigError

S1 = "S1A_IW_GRDH_1SDV_20170613T165043_33UUP_61_39"
S2 = "S2B_MSIL2A_20170613T101031_N9999_R022_T33UUP_26_57"
ENMAP = (
    "ENMAP01-____L2A-DT0000004950_20221103T162438Z_001_V010110_20221118T145147Z-Y01460273_X03110438"
)
RTC = "S1B_IW_GRDH_1SDV_20200607T010800_20200607T010825_032904_03CFBA_rtc"
TOM = "S2A_MSIL2A_20220706T085611_N0400_R007_T33NZA_20220706T153419"

S2_NAMES = ("B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B09", "B11", "B12", "B8A")
L1C = ("B1", "B2", "B3", "B4", "B5", "B6", "B7", "B8", "B9", "B10", "B11", "B12", "B8A")
L2A = ("B1", "B2", "B3", "B4", "B5", "B6", "B7", "B8", "B9", "B11", "B12", "B8A")
EUROSAT = (
    *("B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B09", "B10", "B11", "B12"),
    "B08A",
)
HYDRO = ("B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B11", "B12")
RGB = ("Red", "Green", "Blue")

# layout, group, folder that the user names, patch within, key, sample, labels, {file: names of its bands}
CASES = [
    (
        "bigearthnet",
        "s1",
        "S1",
        f"tile/{S1}",
        S1,
        S1,
        None,
        {f"{S1}_{b}.tif": (b,) for b in ("VH", "VV")},
    ),
    (
        "bigearthnet",
        "s2",
        "S2",
        f"tile/{S2}",
        S2,
        S2,
        None,
        {f"{S2}_{b}.tif": (b,) for b in S2_NAMES},
    ),
    (
        "bigearthnet",
        "map",
        "Maps",
        f"tile/{S2}/{S2}_reference_map.tif",
        f"{S2}_reference_map",
        S2,
        None,
        {"": ("Data",)},
    ),
    (
        "hyspecnet-11k",
        "images",
        "H",
        f"tile/{ENMAP}",
        ENMAP,
        ENMAP,
        None,
        {f"{ENMAP}-SPECTRAL_IMAGE.TIF": tuple(f"B{n}" for n in range(1, 225))},
    ),
    (
        "uc-merced",
        "images",
        "UC",
        "Images/beach/beach07.tif",
        "beach07",
        "beach07",
        ("beach",),
        {"": RGB},
    ),
    (
        "eurosat-multi-spectral",
        "images",
        "E",
        "SeaLake/SeaLake_30.tif",
        "SeaLake_30",
        "SeaLake_30",
        ("SeaLake",),
        {"": EUROSAT},
    ),
    (
        "eurosat-rgb",
        "images",
        "E",
        "SeaLake/SeaLake_30.jpg",
        "SeaLake_30",
        "SeaLake_30",
        ("SeaLake",),
        {"": RGB},
    ),
    (
        "ssl4eo-s12",
        "s1",
        "s1",
        "0000200/S1A_x",
        "s1_0000200_S1A_x",
        "0000200",
        None,
        {"VH.tif": ("VH",), "VV.tif": ("VV",)},
    ),
    (
        "ssl4eo-s12",
        "l1c",
        "s2c",
        "0000200/2020_T43RCP",
        "s2c_0000200_2020_T43RCP",
        "0000200",
        None,
        {f"{b}.tif": (b,) for b in L1C},
    ),
    (
        "ssl4eo-s12",
        "l2a",
        "s2a",
        "0000200/2020_T43RCP",
        "s2a_0000200_2020_T43RCP",
        "0000200",
        None,
        {f"{b}.tif": (b,) for b in L2A},
    ),
    (
        "major-tom-core",
        "s1",
        "S1RTC",
        f"0U/0U_199R/{RTC}",
        f"0U_199R_{RTC}",
        "0U_199R",
        None,
        {"vh.tif": ("vh",), "vv.tif": ("vv",)},
    ),
    (
        "major-tom-core",
        "s2",
        "S2L2A",
        f"0U/0U_199R/{TOM}",
        f"0U_199R_{TOM}",
        "0U_199R",
        None,
        {f"{b}.tif": (b,) for b in S2_NAMES},
    ),
    ("hydro", "images", "Hydro", "patch_12.tif", "patch_12", "patch_12", None, {"": HYDRO}),
    (
        "spectral-earth-enmap",
        "images",
        "enmap",
        "00017/20230101.tif",
        "00017_20230101.tif",
        "00017_20230101.tif",
        None,
        {"": tuple(f"B{n}" for n in range(1, 203))},
    ),
]


@pytest.mark.parametrize("case", CASES, ids=[f"{case[0]}-{case[1]}" for case in CASES])
def test_a_patch_has_the_key_tensors_and_files_of_its_data_set(tmp_path, case):
    name, group, folder, path, key, sample, labels, files = case
    root = tmp_path / folder
    for file in files:
        target = root / path / file
        target.parent.mkdir(parents=True, exist_ok=True)
        target.touch()
    layout = layout_of(name)

    (patch,) = find_patches(layout, {group: str(root)})

    assert (patch.key, patch.sample, patch.labels) == (key, sample, labels)
    assert (patch.group, patch.root, patch.path, patch.mask) == (group, str(root), path, None)
    expected = tuple(
        (str(root / path / file), tuple((band, number) for number, band in enumerate(bands, 1)))
        for file, bands in files.items()
    )
    assert layout.group(group).files(patch) == expected
    assert layout.group(group).bands == tuple(band for bands in files.values() for band in bands)


def test_the_flags_are_those_of_rico_hdl():
    assert {
        layout.name: [group.flag for group in layout.groups]
        for layout in LAYOUTS.values()
        if layout.rico
    } == {
        "bigearthnet": [
            "--bigearthnet-s1-dir",
            "--bigearthnet-s2-dir",
            "--bigearthnet-reference-maps-dir",
        ],
        "hyspecnet-11k": ["--dataset-dir"],
        "uc-merced": ["--dataset-dir"],
        "eurosat-multi-spectral": ["--dataset-dir"],
        "ssl4eo-s12": ["--s1-dir", "--s2-l1c-dir", "--s2-l2a-dir"],
        "major-tom-core": ["--s1-dir", "--s2-dir"],
        "hydro": ["--dataset-dir"],
        "spectral-earth-enmap": ["--dataset-dir"],
    }
    assert layout_of("bigearthnet").group("map").aliases == ("--bigearthnet-reference-maps",)


@pytest.mark.parametrize(
    "layout",
    [
        *LAYOUTS.values(),
        with_cloud_mask(),
        generic(images="{split}/{label}/{key}.tif", masks="{split}/m/{key}.png", bands=("a", "b")),
        generic(images="{key}_{band}.tif"),
        generic(csv="table.csv"),
    ],
    ids=lambda layout: layout.name,
)
def test_a_layout_comes_back_from_json_yaml_and_pickle(layout):
    assert Layout.model_validate(layout.model_dump(mode="json")) == layout
    assert Layout.from_yaml(layout.to_yaml()) == layout
    assert pickle.loads(pickle.dumps(layout)) == layout
    assert hash(layout) == hash(Layout.from_yaml(layout.to_yaml()))


def test_the_next_data_set_is_a_few_lines(tmp_path):
    (tmp_path / "bern").mkdir()
    (tmp_path / "bern" / "roof_7.tif").touch()
    (tmp_path / "bern" / "street_7.tif").touch()
    roofs = Group(
        name="images",
        flag="--dataset-dir",
        kind="file",
        pattern=r"(?P<what>roof)_\d+\.tif$",
        key="{parent}_{stem}",
        bands=("Red", "Green", "Blue", "Infrared"),
        sample="{what} of {key}",
        split="{grandparent}",
        label="{parent}",
    )
    layout = Layout(name="roofs", title="Roofs", groups=(roofs,))

    (patch,) = find_patches(layout, {"images": str(tmp_path)})

    assert (patch.key, patch.sample) == ("bern_roof_7", "roof of bern_roof_7")
    assert (patch.split, patch.labels) == (tmp_path.name, ("bern",))
    assert roofs.files(patch)[0][1][3] == ("Infrared", 4)


def test_the_cloud_mask_of_major_tom_is_one_more_tensor(tmp_path):
    root = tmp_path / "S2L2A"
    (root / "0U" / "0U_199R" / TOM).mkdir(parents=True)
    layout = with_cloud_mask()

    (patch,) = find_patches(layout, {"s2": str(root)})

    files = layout.group("s2").files(patch)
    assert files[-1] == (f"{root}/0U/0U_199R/{TOM}/cloud_mask.tif", (("cloud_mask", 1),))
    assert layout.group("s2").bands == (*S2_NAMES, "cloud_mask")
    assert not layout.rico
    assert with_cloud_mask(layout) == layout
    with pytest.raises(ConfigError, match="'hydro' has no cloud mask"):
        with_cloud_mask(layout_of("hydro"))


def test_a_layout_that_is_not_known_names_the_nearest():
    with pytest.raises(ConfigError, match=r"no layout 'BigEarthNet'; did you mean 'bigearthnet'"):
        layout_of("BigEarthNet")
    with pytest.raises(ConfigError, match=r"no layout 'zzz'\. Known: bigearthnet, .*`generic`"):
        layout_of("zzz")


def test_a_group_that_is_not_known_names_those_that_are():
    with pytest.raises(ConfigError, match="no group 's3'; its groups: s1, s2, map"):
        layout_of("bigearthnet").group("s3")


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"pattern": "("}, "no regular expression"),
        ({"key": "{tile}"}, "unknown field 'tile'"),
        ({"key": "{name"}, "expected '}'"),
        ({"key": "{name!r}"}, "a field is a name in braces"),
        ({"file": "{band}.tif"}, "kind is 'file'"),
        ({"kind": "folder"}, "kind is 'folder'"),
        ({"kind": "files", "file": "{key}.tif"}, "told apart by `{band}`"),
        ({"bands": ("a", "a")}, "names of their own"),
        ({"mask": "(?P<key>x)", "bands": ("mask",)}, "cannot be called 'mask'"),
        ({"depth": 0}, "depth counts from 1"),
    ],
)
def test_a_group_that_makes_no_sense_is_refused(change, text):
    fields = {"name": "images", "flag": "--dataset-dir", "kind": "file", "bands": ("a",)}
    with pytest.raises(ValidationError) as caught:
        Group.model_validate(fields | change)
    assert text in str(caught.value)


def test_groups_of_a_layout_have_flags_of_their_own():
    one = Group(name="one", flag="--dir", kind="file", bands=("a",))
    two = Group(name="two", flag="--two", aliases=("--dir",), kind="file", bands=("a",))
    with pytest.raises(ValidationError, match="flags of their own"):
        Layout(name="x", title="x", groups=(one, two))


@given(st.text(st.sampled_from("ab."), min_size=1).filter(lambda name: name.strip(".")))
def test_the_stem_is_that_of_pathlib(name):
    assert stem_of(name) == PurePosixPath(name).stem


@pytest.mark.parametrize(
    ("pattern", "name", "fits"),
    [
        (r"x\d+\.tif$", "X1.TIF", True),
        (r"X\d+\.tif$", "x1.tif", False),
        (r"x[0-9T]$", "X1", False),  # a capital in a class is one
        (r"\S\D\.tif$", "ab.TIF", True),  # what a backslash is before is none
        (r"(?P<Key>x)$", "X", True),  # nor is the name of a group
        (r"x", "axb", True),  # searched for anywhere
    ],
)
def test_the_case_of_a_pattern_is_smart(pattern, name, fits):
    assert (compiled(pattern).search(name) is not None) is fits


def test_a_table_in_a_layouts_file_is_meant_from_its_folder(tmp_path):
    layout = generic(csv="pairs.csv", bands=("a",))
    (tmp_path / "layout.yaml").write_text(layout.to_yaml())
    read = Layout.from_yaml(tmp_path / "layout.yaml")
    assert read.groups[0].table == str(tmp_path / "pairs.csv")
