"""What is found in folders, in which order, and what is left alone."""

from __future__ import annotations

import os
import re
import warnings
from pathlib import Path

import numpy as np
import pytest

from geoseg.convert.layouts import layout_of
from geoseg.convert.patches import find_patches, missing_files

S2 = "S2A_MSIL2A_20170613T101031_N9999_R022_T33UUP"
BANDS = ("B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B09", "B11", "B12", "B8A")


@pytest.fixture
def place(tmp_path):
    """Makes files of one byte below the test's folder."""

    def make(*paths):
        for path in paths:
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_bytes(b"x")
        return str(tmp_path)

    return make


def keys(layout, root, group="images"):
    return [patch.key for patch in find_patches(layout_of(layout), {group: root})]


def s2_patch(place, name):
    return place(*(f"{name}/{Path(name).name}_{band}.tif" for band in BANDS))


def test_paths_are_sorted_as_text_within_a_group(place):
    # As text "a-b/..." comes before "a/...": sorted by the parts of the path it would be the other way round.
    root = place("a/x10.tif", "a-b/x20.tif", "a/x9/x30.tif", "B/x40.tif")
    assert keys("eurosat-multi-spectral", root) == ["x40", "x20", "x10", "x30"]


def test_groups_come_in_the_order_of_the_layout_whatever_the_order_given(tmp_path, place):
    place(f"maps/{S2}_1_1_reference_map.tif")
    s2_patch(place, f"s2/{S2}_1_1")
    place("s1/S1A_IW_GRDH_x_1_1/S1A_IW_GRDH_x_1_1_VH.tif")
    sources = {"map": tmp_path / "maps", "s2": tmp_path / "s2", "s1": tmp_path / "s1"}
    found = find_patches(layout_of("bigearthnet"), {k: str(v) for k, v in sources.items()})
    assert [patch.group for patch in found] == ["s1", "s2", "map"]
    assert found[1].sample == found[2].sample == f"{S2}_1_1"


@pytest.mark.parametrize("seed", range(5))
def test_what_is_found_is_what_a_plain_walk_finds(tmp_path, seed):
    rng = np.random.default_rng(seed)
    names = ["a", ".h", "b.tif", "x12.tif", "X3.TIF", "patch_7.tif", "Patch_8Tif", "c1"]
    for number in range(60):
        folder = tmp_path.joinpath(*rng.choice(names, size=rng.integers(0, 3)))
        if not any(part.is_file() for part in (folder, *folder.parents)):
            folder.mkdir(parents=True, exist_ok=True)
            file = folder / f"{number}_{rng.choice(names)}"
            file.touch()
    below = [path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file()]
    expected = sorted(
        str(path)
        for path in below
        if not any(part.startswith(".") for part in path.parts)
        if re.search(r"\d+\.tif$", path.name.lower())
    )
    assert len(below) > len(expected) > 0
    found = find_patches(layout_of("eurosat-multi-spectral"), {"images": str(tmp_path)})
    assert [patch.path for patch in found] == expected


@pytest.mark.parametrize("layout", ["uc-merced", "eurosat-multi-spectral"])
def test_a_pattern_without_capitals_takes_capitals_too(place, layout):
    assert keys(layout, place("A/Beach01.TIF", "A/beach02.tif")) == ["Beach01", "beach02"]


def test_hydro_is_not_anchored_and_its_dot_is_any_character(place):
    root = place("xPATCH_1.TIF", "patch_2_tif", "patch_3.tiff", "patch_.tif")
    assert keys("hydro", root) == ["patch_2_tif", "xPATCH_1"]


def test_a_pattern_with_capitals_means_them(place):
    s2_patch(place, f"{S2}_1_1")
    root = s2_patch(place, f"{S2.lower()}_1_2")
    assert keys("bigearthnet", root, "s2") == [f"{S2}_1_1"]


def test_patterns_of_folders_are_not_anchored_in_front(place):
    assert keys("bigearthnet", s2_patch(place, f"old_{S2}_1_1"), "s2") == [f"old_{S2}_1_1"]


def test_what_is_hidden_is_passed_over(place):
    root = place("a/x1.tif", ".a/x2.tif", "a/.x3.tif", "a/.b/c/x4.tif")
    assert keys("eurosat-multi-spectral", root) == ["x1"]


def test_a_hidden_folder_that_is_named_is_looked_into(place):
    assert keys("eurosat-multi-spectral", place(".data/x1.tif") + "/.data") == ["x1"]


def test_links_to_files_are_taken_and_links_to_folders_are_not(tmp_path, place):
    root = place("in/x1.tif", "out/real.tif", "out/folder/x5.tif")
    (tmp_path / "in" / "x2.tif").symlink_to(tmp_path / "out" / "real.tif")
    (tmp_path / "in" / "folder").symlink_to(tmp_path / "out" / "folder")
    (tmp_path / "in" / "x3.tif").symlink_to(tmp_path / "out" / "folder")
    (tmp_path / "in" / "x4.tif").symlink_to(tmp_path / "nowhere")
    layout = layout_of("eurosat-multi-spectral")
    found = find_patches(layout, {"images": f"{root}/in"})
    assert [patch.key for patch in found] == ["x1", "x2", "x4"]
    # The link to nothing is not passed over in silence: its file is missing.
    assert [item.patch.key for item in missing_files(layout, found)] == ["x4"]


def test_a_linked_folder_is_no_patch(tmp_path, place):
    root = s2_patch(place, f"in/{S2}_1_1") + "/in"
    (tmp_path / "in" / f"{S2}_1_2").symlink_to(tmp_path / "in" / f"{S2}_1_1")
    assert keys("bigearthnet", root, "s2") == [f"{S2}_1_1"]


def test_a_folder_with_the_name_of_an_image_is_none(place):
    assert keys("eurosat-multi-spectral", place("x1.tif/x2.tif")) == ["x2"]


def test_a_dot_in_the_name_of_a_folder_ends_the_key_but_not_the_names_of_files(place):
    name = "S2A_MSIL2A_v1.5_x_1_1"
    root = s2_patch(place, name)
    layout = layout_of("bigearthnet")
    (patch,) = find_patches(layout, {"s2": root})
    assert patch.key == "S2A_MSIL2A_v1"
    assert missing_files(layout, [patch]) == []


def test_spectral_earth_lies_two_levels_down_and_nowhere_else(place):
    root = place("1.tif", "a/2.tif", "a/b/3.tif")
    assert keys("spectral-earth-enmap", root) == ["a_2.tif"]


def test_ssl4eo_takes_every_folder_two_levels_down_and_its_missing_files_tell(place, tmp_path):
    place(*(f"s1/0000200/A/{band}.tif" for band in ("VH", "VV")), "s1/0000200/stray/notes.txt")
    layout = layout_of("ssl4eo-s12")
    found = find_patches(layout, {"s1": str(tmp_path / "s1")})
    assert [patch.key for patch in found] == ["s1_0000200_A", "s1_0000200_stray"]
    (stray,) = missing_files(layout, found)
    assert stray.patch.key == "s1_0000200_stray"
    assert [Path(file).name for file in stray.files] == ["VH.tif", "VV.tif"]


def test_the_folder_above_the_patches_may_be_named_relatively(place, monkeypatch):
    root = place("s1/0000200/A/VH.tif", "s1/0000200/A/VV.tif")
    monkeypatch.chdir(f"{root}/s1")
    assert keys("ssl4eo-s12", ".", "s1") == ["s1_0000200_A"]
    assert keys("ssl4eo-s12", f"{root}/s1/", "s1") == ["s1_0000200_A"]


def test_patches_of_a_grid_cell_belong_together_where_it_has_one_of_each(place, tmp_path):
    for cell, name in [("1U_1R", "A"), ("1U_2R", "A"), ("1U_2R", "B"), ("1U_3R", "C")]:
        place(f"s1/1U/{cell}/S1A_IW_GRDH_{name}_rtc/vv.tif")
        if name != "B":
            place(f"s2/1U/{cell}/S2A_MSIL2A_{name}_1T1/B01.tif")
    sources = {"s1": str(tmp_path / "s1"), "s2": str(tmp_path / "s2")}
    samples = {p.key: p.sample for p in find_patches(layout_of("major-tom-core"), sources)}
    assert samples == {
        "1U_1R_S1A_IW_GRDH_A_rtc": "1U_1R",
        "1U_2R_S1A_IW_GRDH_A_rtc": "1U_2R_S1A_IW_GRDH_A_rtc",
        "1U_2R_S1A_IW_GRDH_B_rtc": "1U_2R_S1A_IW_GRDH_B_rtc",
        "1U_3R_S1A_IW_GRDH_C_rtc": "1U_3R",
        "1U_1R_S2A_MSIL2A_A_1T1": "1U_1R",
        "1U_2R_S2A_MSIL2A_A_1T1": "1U_2R_S2A_MSIL2A_A_1T1",
        "1U_3R_S2A_MSIL2A_C_1T1": "1U_3R",
    }


def test_ssl4eo_pairs_all_groups_by_location_where_each_has_it_once(place, tmp_path):
    place("s1/0000001/S1A_x/VH.tif", "s1/0000002/S1A_y/VH.tif", "s1/0000002/S1A_z/VH.tif")
    for level in ("s2c", "s2a"):
        place(f"{level}/0000001/2020_T1/B1.tif", f"{level}/0000002/2020_T1/B1.tif")
        place(f"{level}/0000002/2021_T1/B1.tif")
    sources = {"s1": "s1", "l1c": "s2c", "l2a": "s2a"}
    given = {group: str(tmp_path / folder) for group, folder in sources.items()}
    samples = {p.key: p.sample for p in find_patches(layout_of("ssl4eo-s12"), given)}
    assert samples == {
        "s1_0000001_S1A_x": "0000001",
        "s1_0000002_S1A_y": "s1_0000002_S1A_y",
        "s1_0000002_S1A_z": "s1_0000002_S1A_z",
        **{f"{level}_0000001_2020_T1": "0000001" for level in ("s2c", "s2a")},
        **{f"{level}_0000002_{year}_T1": f"0000002_{year}_T1" for level in ("s2c", "s2a") for year in (2020, 2021)},
    }  # fmt: skip


def test_images_beside_the_class_folders_have_no_label(place):
    root = place("x1.tif", "Sea/x2.tif")
    found = find_patches(layout_of("eurosat-multi-spectral"), {"images": root})
    assert {patch.key: patch.labels for patch in found} == {"x1": None, "x2": ("Sea",)}


def test_missing_empty_and_misnamed_files_are_told(place, tmp_path):
    root = s2_patch(place, f"{S2}_1_1")
    s2_patch(place, f"{S2}_1_2")
    folder = tmp_path / f"{S2}_1_1"
    (folder / f"{S2}_1_1_B02.tif").unlink()
    (folder / f"{S2}_1_1_B03.tif").rename(folder / f"{S2}_1_1_B03.TIFF")
    (folder / f"{S2}_1_1_B04.tif").write_bytes(b"")
    layout = layout_of("bigearthnet")
    found = find_patches(layout, {"s2": root})

    (item,) = missing_files(layout, found)

    assert item.patch.key == f"{S2}_1_1"
    assert [file[-7:] for file in item.files] == ["B02.tif", "B03.tif", "B04.tif"]
    assert item.empty == (str(folder / f"{S2}_1_1_B04.tif"),)
    assert item.instead == (str(folder / f"{S2}_1_1_B03.TIFF"),)
    assert item.describe() == (
        f"{S2}_1_1 ({folder}): missing: {S2}_1_1_B02.tif, {S2}_1_1_B03.tif; empty: {S2}_1_1_B04.tif; there is "
        f"instead: {S2}_1_1_B03.TIFF"
    )
    (without_sizes,) = missing_files(layout, found, sizes=False)
    assert [file[-7:] for file in without_sizes.files] == ["B02.tif", "B03.tif"]


def test_a_patch_that_went_away_is_incomplete(place, tmp_path):
    root = place("a/x1.tif", "a/x2.tif")
    layout = layout_of("eurosat-multi-spectral")
    found = find_patches(layout, {"images": root})
    (tmp_path / "a" / "x2.tif").unlink()
    (tmp_path / "a" / "x1.tif").write_bytes(b"")
    assert [item.describe() for item in missing_files(layout, found)] == [
        f"x1 ({root}/a/x1.tif): empty: x1.tif",
        f"x2 ({root}/a/x2.tif): missing: x2.tif",
    ]


def test_each_folder_is_listed_once(place, monkeypatch):
    root = s2_patch(place, f"{S2}_1_1")
    s2_patch(place, f"{S2}_1_2")
    layout = layout_of("bigearthnet")
    found = find_patches(layout, {"s2": root})
    listings, scandir = [], os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: listings.append(path) or scandir(path))
    assert missing_files(layout, found, sizes=False) == []
    assert len(listings) == 2


def test_a_patch_is_light(place):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        (patch,) = find_patches(layout_of("hydro"), {"images": place("patch_1.tif")})
    assert not hasattr(patch, "__dict__")
    assert patch.sample is patch.key


def test_folders_of_patches_are_not_listed_to_find_them(place, monkeypatch):
    root = place("s1/1/A/VH.tif", "s1/1/B/VH.tif", f"s2/{S2}_1_1/{S2}_9_9/x.tif")
    listings, scandir = [], os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: listings.append(path) or scandir(path))
    assert keys("ssl4eo-s12", f"{root}/s1", "s1") == ["s1_1_A", "s1_1_B"]
    assert len(listings) == 2  # the source and the location
    # Nor is a patch within a patch.
    assert keys("bigearthnet", f"{root}/s2", "s2") == [f"{S2}_1_1"]
    assert len(listings) == 3


def test_a_band_that_is_a_link_counts_where_it_leads_to_a_file(place, tmp_path):
    root = s2_patch(place, f"{S2}_1_1")
    folder = tmp_path / f"{S2}_1_1"
    for band, target in (("B01", folder / f"{S2}_1_1_B02.tif"), ("B8A", tmp_path / "nowhere")):
        (folder / f"{S2}_1_1_{band}.tif").unlink()
        (folder / f"{S2}_1_1_{band}.tif").symlink_to(target)
    layout = layout_of("bigearthnet")
    found = find_patches(layout, {"s2": root})
    for sizes in (True, False):
        (item,) = missing_files(layout, found, sizes=sizes)
        assert [file[-7:] for file in item.files] == ["B8A.tif"]
        assert item.empty == ()
