"""Scenes of files with names of one pattern."""

from __future__ import annotations

import glob
from pathlib import Path

import pytest
from pydantic import ValidationError

from geoseg.errors import ConfigError, SceneError
from geoseg.labels.sources import RasterLabels, VectorLabels
from geoseg.scenes import ScenePattern, wildcards
from geoseg.scenes.wildcards import fill, find
from geoseg.sources.geotiff import GeoTIFFSource


@pytest.fixture
def touch(tmp_path):
    """Makes empty files: looking scenes up opens none."""

    def touch_them(*names):
        for name in names:
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        return tmp_path

    return touch_them


def pattern(folder, **keys):
    return ScenePattern.model_validate(keys, context={"base": str(folder)})


def test_each_image_becomes_a_scene_with_the_labels_of_its_name(touch):
    folder = touch("t/b_image.tif", "t/b_mask.tif", "t/a_image.tif", "t/a_mask.tif", "t/readme.txt")
    found = pattern(folder, glob="t/*_image.tif", labels="t/{1}_mask.tif", mapping={5: 1}).scenes()
    assert [scene.id for scene in found] == ["a_image", "b_image"]
    assert found[0].image == GeoTIFFSource(uri=str(folder / "t" / "a_image.tif"))
    assert found[0].labels == RasterLabels(source=str(folder / "t" / "a_mask.tif"), mapping={5: 1})
    assert found[0].aoi is None


def test_ids_bands_areas_and_vector_labels(touch):
    folder = touch("2020/x.tif", "2021/x.tif", "v/x_2020.gpkg", "v/x_2021.gpkg", "area.geojson")
    found = pattern(
        folder,
        glob="20[0-9]?/*.tif",
        labels="v/{3}_20{1}{2}.gpkg",
        class_by="kind",
        id="{stem}_{1}{2}",
        aoi="area.geojson",
        bands=[3, "red"],
    ).scenes()
    assert [scene.id for scene in found] == ["x_20", "x_21"]
    assert found[1].labels == VectorLabels(source=str(folder / "v/x_2021.gpkg"), class_by="kind")
    assert found[1].image.bands == (3, "red")
    assert found[1].aoi.uri == str(folder / "area.geojson")


def test_two_stars_go_through_folders(touch):
    folder = touch("t/a.tif", "t/deep/er/b.tif", "t/no.png")
    assert find(f"{folder}/t/**/*.tif") == {
        f"{folder}/t/a.tif": {"1": "", "2": "a", "stem": "a"},
        f"{folder}/t/deep/er/b.tif": {"1": "deep/er", "2": "b", "stem": "b"},
    }


def test_a_folder_whose_name_looks_like_a_pattern_is_none(touch):
    folder = touch("[a] *?/t/1.tif", "[a] xx/t/2.tif") / "[a] *?"
    (scene,) = pattern(folder, glob="t/*.tif", id="s{1}").scenes()
    assert (scene.id, scene.image.uri) == ("s1", f"{folder}/t/1.tif")


def test_images_without_labels_are_counted_and_named(touch):
    names = [f"{name}.tif" for name in "abcdef"]
    folder = touch(*names, "m/a.tif")
    with pytest.raises(
        SceneError, match=r"of 6 scenes 5 lack the file of their labels: "
    ) as caught:
        pattern(folder, glob="*.tif", labels="m/{1}.tif").scenes()
    assert str(folder / "m" / "b.tif") in str(caught.value)
    assert "and 2 more; add the files" in str(caught.value)


@pytest.mark.parametrize(
    ("keys", "error", "message"),
    [
        ({"glob": "*.jp2"}, SceneError, r"\*\.jp2: no file has such a name"),
        (
            {"glob": "*/x.tif"},
            SceneError,
            "1 scene ids are given twice: x; give each scene an `id`",
        ),
        (
            {"glob": "*/x.tif", "labels": "{2}.tif"},
            ConfigError,
            r"nothing stands for \{2\}, expected one of: \{1\}, \{stem\}",
        ),
        ({"glob": "*/x.tif", "id": "{name}"}, ConfigError, r"nothing stands for \{name\}"),
        (
            {"glob": "*/x.tif", "aoi": "{1}.gpkg", "id": "{1}"},
            SceneError,
            "2 lack the file of their aoi",
        ),
        (
            {
                "glob": "*/x.tif",
                "labels": "a/x.tif",
                "class_by": "kind",
                "mapping": {1: 1},
                "id": "{1}",
            },
            None,
            "",
        ),
    ],
)
def test_what_is_wrong_is_told(touch, keys, error, message):
    folder = touch("a/x.tif", "b/x.tif")
    if error is None:  # keys of the other kind of labels do no harm
        assert len(pattern(folder, **keys).scenes()) == 2
        return
    with pytest.raises(error, match=message):
        pattern(folder, **keys).scenes()


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"glob": "s3://bucket/*.tif"}, "only local folders are searched"),
        ({"glob": "*", "split": "train"}, "split: train needs shares"),
        (
            {"glob": "*", "split": "x", "shares": {"train": 1}},
            "split is 'x', expected one of the shares",
        ),
        ({"glob": "*", "shares": {"train": 1}}, "split is None, expected one of the shares: train"),
        ({"glob": "*", "split": "a", "shares": {"a": 0.5, "b": 0.4}}, "sum to 0.9, expected 1"),
        ({"glob": "*", "lables": "x"}, "nearest known key: labels"),
    ],
)
def test_keys_that_do_not_fit_are_refused(tmp_path, keys, message):
    with pytest.raises(ValidationError, match=message):
        pattern(tmp_path, **keys)


def test_shares_deal_whole_scenes_to_one_part_each(touch):
    folder = touch(*(f"{i}.tif" for i in range(10)))
    shares = {"train": 0.7, "valid": 0.3}
    train, valid = (
        [s.id for s in pattern(folder, glob="*.tif", shares=shares, split=part, seed=4).scenes()]
        for part in shares
    )
    assert (len(train), len(valid)) == (7, 3)
    assert sorted(train + valid) == sorted(str(i) for i in range(10))
    assert train == sorted(train)


def test_a_caret_in_brackets_is_a_letter_like_others(touch):
    folder = touch("a1.tif", "b1.tif", "^1.tif")
    assert [values["1"] for values in find(f"{folder}/[^a]*.tif").values()] == ["^", "a"]
    assert [values["1"] for values in find(f"{folder}/[!^a]*.tif").values()] == ["b"]


NAMES = ["a.tif", "b.tif", "].tif", "!.tif", "^.tif", "-.tif", "[.tif", "[!].tif", "[].tif", "\\.tif", "&.tif", "[a.tif", "d/a.tif", "d/e/b.tif", "a\nb.tif"]  # fmt: skip


@pytest.mark.parametrize(
    "name",
    [
        "[^a].tif", "[!a].tif", "[]a].tif", "[!]a].tif", "[!].tif", "[].tif", "[a-b].tif", "[b-a].tif",
        "[!b-a].tif", "[--].tif", "[\\].tif", "[a&&b].tif", "[[].tif", "[[a].tif", "[!!].tif", "[a/b].tif",
        "[*].tif", "?.tif", "*", "**", "**/*.tif", "**/[!a]*", ".//*.tif", "d//*.tif", "./d/../*.tif",
        "d**/*.tif", "**/**/b.tif", "***.tif", "[a.tif",
    ],
)  # fmt: skip
def test_no_file_that_glob_finds_is_dropped(touch, monkeypatch, name):
    monkeypatch.chdir(touch(*NAMES))
    expected = {path for path in glob.glob(name, recursive=True) if Path(path).is_file()}  # noqa: PTH207
    assert set(find(name)) == expected


def test_a_file_whose_wildcards_cannot_be_told_is_an_error(touch, monkeypatch):
    folder = touch("a.tif")
    monkeypatch.setattr(wildcards, "_regex", lambda pattern: "x")
    with pytest.raises(SceneError, match=r"a\.tif: has a name like .*cannot be told; write the"):
        find(f"{folder}/*.tif")


def test_paths_with_backslashes_are_taken_where_they_separate_folders(touch, monkeypatch):
    monkeypatch.chdir(touch("t/a.tif", "t/u/b.tif"))
    listed = ["t\\a.tif", "t\\u\\b.tif"]  # what Windows gives
    monkeypatch.setattr(wildcards, "_SEPARATOR", "\\")
    monkeypatch.setattr(wildcards.glob, "glob", lambda pattern, recursive: listed)
    for name in ("t/**/*.tif", "t\\**\\*.tif"):
        assert find(name) == {
            "t/a.tif": {"1": "", "2": "a", "stem": "a"},
            "t/u/b.tif": {"1": "u", "2": "b", "stem": "b"},
        }


@pytest.mark.parametrize("name", ["{proj}", "{1}", "{{x}}", "a{b", "}{"])
def test_braces_in_a_folders_name_are_not_filled(touch, name):
    folder = touch(f"{name}/i/1.tif", f"{name}/m/1.tif", f"{name}/area.gpkg") / name
    keys = {"glob": "i/*.tif", "labels": "m/{1}.tif", "aoi": "area.gpkg"}
    read = pattern(folder, **keys)
    for scenes in (read.scenes(), ScenePattern.from_yaml(read.to_yaml()).scenes()):
        assert scenes[0].labels.source.uri == f"{folder}/m/1.tif"
        assert scenes[0].aoi.uri == f"{folder}/area.gpkg"


def test_double_braces_are_single_ones():
    assert fill("{{1}}/{1}", {"1": "a"}, "labels") == "{1}/a"
