"""Patterns of paths, and the way back from their expressions."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geoseg.convert.layouts.generic import generic
from geoseg.convert.patches import find_patches
from geoseg.convert.wildcards import expected_path, path_pattern

PIECES = st.sampled_from(["a", "B1", "_", "-", ".", "(x)", "[y]", "+", "é", "/", "*", "?", "**/"])


@given(st.lists(PIECES, min_size=1, max_size=9))
def test_the_expression_of_a_pattern_leads_back_to_it(pieces):
    pattern = "m/{split}/" + "".join(pieces).replace("***", "*") + "{key}.png"
    fields = {"split": "train", "key": "a 1"}
    wanted = pattern.replace("{split}", "train").replace("{key}", "a 1")

    found = expected_path(path_pattern(pattern), fields)
    assert found == wanted or found == path_pattern(pattern)
    if "?" not in wanted and "*" not in wanted:
        assert found == wanted
    assert re.fullmatch(path_pattern(pattern), wanted.replace("**/", "").replace("?", "x"))


def test_what_is_no_pattern_of_paths_is_told_as_it_is():
    assert expected_path(r"masks/(?P<key>\d+)\.png$", {"key": "a"}) == r"masks/(?P<key>\d+)\.png$"


@pytest.mark.parametrize("images", ["./i/{key}.tif", "i/./{key}.tif", "././i/{key}.tif"])
def test_dots_that_stand_for_the_folder_itself_do_not_count(tmp_path, images):
    for name in ("i/a.tif", "m/a.png"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).touch()
    layout = generic(images=images, masks=images.replace("i/", "m/").replace("tif", "png"))
    (patch,) = find_patches(layout, {"images": str(tmp_path)})

    assert (patch.key, patch.path, patch.mask) == ("a", "i/a.tif", "m/a.png")


def test_keys_hold_the_names_of_folders_also_where_the_source_is_given_by_dots(
    tmp_path, monkeypatch
):
    (tmp_path / "city/roofs/sub").mkdir(parents=True)
    (tmp_path / "city/roofs/a.tif").touch()
    layout = generic(images="{key}.tif", key="{grandparent}_{parent}_{stem}")
    monkeypatch.chdir(tmp_path / "city/roofs/sub")

    for source in ("..", str(tmp_path / "city/roofs"), "../../roofs", "../sub/.."):
        (patch,) = find_patches(layout, {"images": source})
        assert patch.key == "city_roofs_a"
