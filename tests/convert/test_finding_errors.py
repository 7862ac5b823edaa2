"""Sources that are wrong: each has one clear error."""

from __future__ import annotations

import os

import pytest

from geoseg.convert.layout import Group, Layout
from geoseg.convert.layouts import layout_of
from geoseg.convert.patches import find_patches
from geoseg.errors import ConfigError, SourceError


def touch(folder, *paths):
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(b"x")
    return str(folder)


def error_of(layout, **sources):
    with pytest.raises((SourceError, ConfigError)) as caught:
        find_patches(layout_of(layout), sources)
    return str(caught.value)


def test_no_source_at_all_names_the_flags():
    with pytest.raises(ConfigError, match="at least one of --s1-dir, --s2-l1c-dir, --s2-l2a-dir"):
        find_patches(layout_of("ssl4eo-s12"), {})


def test_a_source_that_is_missing_or_a_file_is_a_wrong_call(tmp_path):
    root = touch(tmp_path, "a.tif")
    with pytest.raises(ConfigError, match=r"nowhere: there is no such folder.*--dataset-dir"):
        find_patches(layout_of("hydro"), {"images": f"{root}/nowhere"})
    with pytest.raises(
        ConfigError, match=r"a\.tif: is a file, expected the folder of --dataset-dir"
    ):
        find_patches(layout_of("hydro"), {"images": f"{root}/a.tif"})
    with pytest.raises(ConfigError, match="no group 's2'"):
        find_patches(layout_of("hydro"), {"s2": root})


def test_an_empty_folder_is_named_with_what_was_looked_for(tmp_path):
    text = error_of("hydro", images=str(tmp_path))
    assert text == (
        rf"{tmp_path}: no patch of hydro (--dataset-dir) found, expected a file whose name fits "
        r"'patch_\d+.tif$'; the folder is empty; name another"
    )


def test_one_empty_source_among_good_ones_is_an_error(tmp_path):
    touch(tmp_path, "s2/1U/1U_1R/S2A_MSIL2A_A_1T1/B01.tif")
    (tmp_path / "s1").mkdir()
    text = error_of("major-tom-core", s1=str(tmp_path / "s1"), s2=str(tmp_path / "s2"))
    assert "(--s1-dir) found" in text


def test_a_folder_of_something_else_is_told_by_what_lies_there(tmp_path):
    text = error_of("hydro", images=touch(tmp_path, "a/b.txt", "c.pdf"))
    assert text.endswith("it holds a/, c.pdf, a/b.txt; name another folder")


def test_a_folder_that_looks_like_another_data_set_is_told(tmp_path):
    text = error_of("eurosat-rgb", images=touch(tmp_path, "patch_1.tif"))
    assert "patch_1.tif would fit the layout" in text
    assert "hydro (--dataset-dir)" in text


def test_a_folder_of_another_flag_is_told(tmp_path):
    name = "S1A_IW_GRDH_x_1_1"
    root = touch(tmp_path, f"t/{name}/{name}_VH.tif", f"t/{name}/{name}_VV.tif")
    assert f"it looks like that of --bigearthnet-s1-dir (there is t/{name})" in error_of(
        "bigearthnet", s2=root
    )


def test_a_folder_of_another_flag_is_told_where_any_name_is_taken(tmp_path):
    root = touch(tmp_path, "0000200/A/VH.tif", "0000200/A/VV.tif")
    text = error_of("ssl4eo-s12", l1c=root)
    assert "hold no files of ssl4eo-s12 (--s2-l1c-dir); it looks like that of --s1-dir" in text


def test_a_folder_one_level_too_high_or_low_is_told(tmp_path):
    touch(tmp_path, "set/s1/0000200/A/VH.tif", "set/s1/0000200/A/VV.tif")
    too_high = error_of("ssl4eo-s12", s1=str(tmp_path / "set"))
    assert too_high.endswith("patches lie one level lower: name a folder below, such as s1")
    too_low = error_of("ssl4eo-s12", s1=str(tmp_path / "set" / "s1" / "0000200"))
    assert too_low.endswith(
        f"patches lie one level higher: name the folder above, {tmp_path / 'set' / 's1'}"
    )


def test_a_patch_that_is_named_as_the_source_is_told(tmp_path):
    name = "S2A_MSIL2A_x_1_1"
    touch(tmp_path, f"{name}/{name}_B01.tif")
    text = error_of("bigearthnet", s2=str(tmp_path / name))
    assert text.endswith(f"this folder is a patch itself: name the folder above, {tmp_path}")


def test_doubled_keys_name_both_paths_and_how_many_there_are(tmp_path):
    root = touch(tmp_path, "a/x1.tif", "b/x1.tif", "b/x2.tif", "c/x1.tif")
    text = error_of("eurosat-multi-spectral", images=root)
    assert f"two patches have the key 'x1': {root}/a/x1.tif and {root}/b/x1.tif" in text
    assert "(patches with a key of another: 2)" in text


def test_doubled_keys_between_groups_are_found(tmp_path):
    touch(tmp_path, "a/s2/1/A/B1.tif", "b/s2/1/A/B1.tif")
    text = error_of("ssl4eo-s12", l1c=str(tmp_path / "a" / "s2"), l2a=str(tmp_path / "b" / "s2"))
    assert f"{tmp_path}/a/s2/1/A and {tmp_path}/b/s2/1/A" in text


LONG = Layout(
    name="long",
    title="Keys of any length",
    groups=(
        Group(
            name="images",
            flag="--dataset-dir",
            kind="file",
            pattern=r"(?P<one>\w+)\.x$",
            key="{one}{one}{one}",
            bands=("a",),
        ),
    ),
)


def test_a_key_may_have_511_bytes_and_no_more(tmp_path):
    touch(tmp_path / "fits", f"{'a' * 170}.x")
    (patch,) = find_patches(LONG, {"images": str(tmp_path / "fits")})
    assert len(patch.key) == 510
    # Bytes, not letters: 86 letters of two bytes, three times.
    touch(tmp_path / "long", f"{'é' * 86}.x")
    with pytest.raises(SourceError, match=r"é\.x: its key has 516 bytes, LMDB takes 1 to 511"):
        find_patches(LONG, {"images": str(tmp_path / "long")})


def test_a_name_that_is_no_utf_8_is_no_key(tmp_path):
    try:
        open(os.fsencode(tmp_path) + b"/patch_\xff_patch_1.tif", "wb").close()  # noqa: PTH123
    except OSError:
        pytest.skip("this file system takes names in UTF-8 only")
    with pytest.raises(SourceError, match=r"udcff_patch_1.tif': the name is not UTF-8"):
        find_patches(layout_of("hydro"), {"images": str(tmp_path)})


def test_a_folder_that_cannot_be_listed_is_an_error(tmp_path, monkeypatch):
    touch(tmp_path, "patch_1.tif", "shut/patch_2.tif")
    scandir = os.scandir

    def refusing(path):
        if "shut" in str(path):
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    with pytest.raises(SourceError, match="shut/: this folder cannot be listed: Permission denied"):
        find_patches(layout_of("hydro"), {"images": str(tmp_path)})


def test_metadata_of_a_data_set_that_has_none_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"'hydro' takes no metadata, got m\.parquet"):
        find_patches(
            layout_of("hydro"), {"images": touch(tmp_path, "patch_1.tif")}, metadata="m.parquet"
        )
