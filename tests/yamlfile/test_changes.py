"""Changes from a command line to a tree of values."""

from __future__ import annotations

import pytest

from geoseg import yamltext
from geoseg.errors import ConfigError
from geoseg.yamlfile import with_changes

TEXT = """
train:
  - id: a
    image: a.tif
    labels: &labels {type: raster, source: l.tif, mapping: {1: 0, 2: 1}}
  - id: b
    labels: *labels
training: {epochs: 10}
empty: null
"""


@pytest.fixture
def tree():
    return yamltext.load(TEXT)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("training.epochs=3", {"training": {"epochs": 3}}),
        ("training.lr=1e-3", {"training": {"epochs": 10, "lr": 0.001}}),
        ("training={epochs: 1}", {"training": {"epochs": 1}}),
        (
            "training.augmentation=[d4, {type: rotate}]",
            {"training": {"epochs": 10, "augmentation": ["d4", {"type": "rotate"}]}},
        ),
        ("prediction.blend=mean", {"prediction": {"blend": "mean"}}),
        ("empty.key=1", {"empty": {"key": 1}}),
        ("output=a=b", {"output": "a=b"}),
        ("output=", {"output": None}),
        ("output= *.tif", {"output": "*.tif"}),
        (" training.epochs =no", {"training": {"epochs": "no"}}),
    ],
)
def test_a_value_is_set_where_the_path_leads(tree, change, expected):
    assert with_changes(tree, [change], folder="/") == tree | expected


def test_places_in_lists_count_from_0_and_the_rest_stays(tree):
    found = with_changes(tree, ["train.1.id=c", "train.0.image=x.tif"], folder="/here")
    assert [scene["id"] for scene in found["train"]] == ["a", "c"]
    image = found["train"][0]["image"]
    assert (image, image.folder) == ("x.tif", "/here")
    assert tree == yamltext.load(TEXT)


def test_what_two_scenes_share_by_an_anchor_is_changed_in_one(tree):
    found = with_changes(tree, ["train.0.labels.mapping.2=0"], folder="/")
    assert found["train"][0]["labels"]["mapping"] == {1: 0, 2: 0}
    assert found["train"][1]["labels"]["mapping"] == {1: 0, 2: 1}


def test_the_later_change_counts(tree):
    found = with_changes(tree, ["training.epochs=3", "training.epochs=4"], folder="/")
    assert found["training"]["epochs"] == 4


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("training.epochs", "--set training.epochs: expected a path and its value, such as"),
        ("=3", "expected a path and its value"),
        ("training..lr=3", "expected a path and its value"),
        ("train.2.id=x", r"--set train\.2: train is a list of 2, expected a number from 0 to 1"),
        ("train.-1.id=x", "train is a list of 2"),
        ("train.first.id=x", "train is a list of 2, expected a number from 0 to 1"),
        (
            "train.0.image.bands=[1]",
            r"train\.0\.image is 'a\.tif', in which there is no 'bands'; set",
        ),
        ("a=[1", "--set a"),
    ],
)
def test_a_path_that_leads_nowhere_is_told(tree, change, message):
    with pytest.raises(ConfigError, match=message):
        with_changes(tree, [change], folder="/")


def test_an_empty_file_can_be_changed():
    assert with_changes(None, ["a.b=1"], folder="/") == {"a": {"b": 1}}


def test_a_value_may_mean_another_where_it_is_set(tree):
    seen = []

    def meaning(path, node, value):
        seen.append((path, node.get("id"), value))
        return {"source": value} if path.endswith("labels") else value

    changes = ["train.1.labels=x.tif", "train.0.id=c", "train.1.labels.mapping.3=1"]
    found = with_changes(tree, changes, folder="/", meaning=meaning)
    assert found["train"][1]["labels"] == {"source": "x.tif", "mapping": {3: 1}}
    assert [path for path, *_ in seen] == [
        "train.1.labels",
        "train.0.id",
        "train.1.labels.mapping.3",
    ]
    assert seen[0][1:] == ("b", "x.tif")
