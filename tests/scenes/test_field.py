"""Where an experiment takes scenes, it takes what stands for many."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from geoseg.errors import SourceError
from geoseg.experiment import Experiment
from geoseg.scenes import ScenePattern

HEAD = "classes: [a, b]\noutput: out\n"
ONE = "train:\n- {id: one, image: a_image.tif, labels: {type: raster, source: a_mask.tif}}\n"


@pytest.fixture
def read(tmp_path):
    for name in "abcd":
        (tmp_path / f"{name}_image.tif").touch()
        (tmp_path / f"{name}_mask.tif").touch()
    (tmp_path / "valid.csv").write_text("image,labels\nd_image.tif,d_mask.tif\n")

    def read_it(text):
        (tmp_path / "exp.yaml").write_text(HEAD + text)
        return Experiment.from_yaml(tmp_path / "exp.yaml")

    return read_it


def ids(scenes):
    return [scene.id for scene in scenes]


def test_a_pattern_stands_for_its_scenes_alone_or_among_others(read):
    found = read(
        f"{ONE}- {{glob: '[bc]_image.tif', labels: '{{1}}_mask.tif'}}\n"
        "valid: {table: valid.csv}\n"
    )
    assert ids(found.train) == ["one", "b_image", "c_image"]
    assert ids(found.valid) == ["d_image"]
    assert all(scene.labels.classes == found.classes for _, scene in found.scenes())
    assert Experiment.from_yaml(found.to_yaml()) == found


def test_parts_of_one_pattern_share_an_anchor(read):
    found = read(
        "train: &all {glob: '*_image.tif', labels: '{1}_mask.tif', split: train,\n"
        "  shares: {train: 0.75, test: 0.25}}\n"
        "test: {<<: *all, split: test}\n"
    )
    assert sorted(ids(found.train) + ids(found.test)) == [f"{name}_image" for name in "abcd"]
    assert (len(found.train), len(found.test)) == (3, 1)


def test_parts_dealt_by_other_seeds_are_refused_where_they_overlap(read):
    with pytest.raises(ValidationError, match="given twice in train, valid and test"):
        read(
            "train: &all {glob: '*_image.tif', labels: '{1}_mask.tif', split: train,\n"
            "  shares: {train: 0.75, test: 0.25}}\n"
            "test: {<<: *all, split: test, seed: 1}\n"
        )


def test_python_takes_them_too(tmp_path, read):
    read("train: {glob: '*_image.tif', labels: '{1}_mask.tif'}\n")
    pattern = ScenePattern(glob=f"{tmp_path}/a_*.tif", labels=f"{tmp_path}/a_mask.tif")
    found = Experiment(classes=["a", "b"], train=[pattern], output="out")
    assert ids(found.train) == ["a_image", "a_mask"]
    assert found.model_copy(update={"train": pattern}) == found


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("train: {glob: '*.jp2'}", ("train",), "no file has such a name"),
        ("train: {glob: '*.tif', lable: x}", ("train", "lable"), "nearest known key: labels"),
        (f"{ONE}- {{glob: '*.jp2'}}", ("train", 1), "no file has such a name"),
        (f"{ONE}- {{glob: '*.tif', lable: x}}", ("train", 1, "lable"), "nearest known key: labels"),
        ("train: {image: a.tif}", ("train",), "valid tuple"),
        ("train: {glob: '[ab]_image.tif'}", ("train",), "'a_image' has no labels"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(read, text, place, message):
    with pytest.raises(ValidationError, match=message) as caught:
        read(text)
    assert [error["loc"] for error in caught.value.errors()] == [place]


def test_a_table_that_cannot_be_read_is_told_as_such(read):
    with pytest.raises(SourceError, match=r"no\.csv: cannot read this table"):
        read("train: {table: no.csv}")
