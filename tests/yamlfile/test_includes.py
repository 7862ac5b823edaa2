"""Files that include others: what counts, whose folder a uri is meant against, what is refused."""

from __future__ import annotations

import pytest

from geoseg.errors import ConfigError
from geoseg.placed import PlacedText
from geoseg.yamlfile import read_whole


@pytest.fixture
def write(tmp_path):
    def write_it(name, text):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    return write_it


def test_mappings_are_merged_and_lists_and_values_replaced(write):
    write("base.yaml", "a: {x: 1, y: {p: 1, q: 2}}\nlist: [1, 2, 3]\nkept: old\nnone: 5\n")
    path = write("top.yaml", "include: base.yaml\na: {y: {q: 3}, z: 4}\nlist: [9]\nnone: null\n")
    assert read_whole(path) == {
        "a": {"x": 1, "y": {"p": 1, "q": 3}, "z": 4},
        "list": [9],
        "kept": "old",
        "none": None,
    }


def test_of_several_files_the_later_counts(write):
    write("one.yaml", "a: 1\nb: 1\nc: 1\n")
    write("two.yaml", "b: 2\nc: 2\n")
    path = write("top.yaml", "c: 3\ninclude: [one.yaml, two.yaml]\n")
    assert read_whole(path) == {"a": 1, "b": 2, "c": 3}


def test_a_mapping_of_another_type_replaces(write):
    write("base.yaml", "labels: {type: vector, source: a.gpkg, class_by: kind}\n")
    path = write("top.yaml", "include: base.yaml\nlabels: {type: raster, source: a.tif}\n")
    assert read_whole(path)["labels"] == {"type": "raster", "source": "a.tif"}
    same = write("same.yaml", "include: base.yaml\nlabels: {type: vector, class_by: name}\n")
    assert read_whole(same)["labels"] == {"type": "vector", "source": "a.gpkg", "class_by": "name"}


def test_texts_of_included_files_know_their_own_folder(write, tmp_path):
    write("deep/er/inner.yaml", "inner: {uri: [i.tif]}\n")
    write("deep/base.yaml", "include: er/inner.yaml\nouter: b.tif\n")
    found = read_whole(write("top.yaml", "include: deep/base.yaml\nown: t.tif\n"))
    inner, outer = found["inner"]["uri"][0], found["outer"]
    assert isinstance(inner, PlacedText)
    assert (inner, inner.folder) == ("i.tif", str(tmp_path / "deep" / "er"))
    assert (outer, outer.folder) == ("b.tif", str(tmp_path / "deep"))
    assert type(found["own"]) is str


def test_one_file_may_be_included_by_two_ways(write):
    write("base.yaml", "a: 1\n")
    write("left.yaml", "include: base.yaml\nb: 1\n")
    write("right.yaml", "include: base.yaml\nc: 1\n")
    path = write("top.yaml", "include: [left.yaml, right.yaml]\n")
    assert read_whole(path) == {"a": 1, "b": 1, "c": 1}


def test_a_circle_is_told_with_its_chain(write, tmp_path):
    path = write("a.yaml", "include: b.yaml\n")
    write("b.yaml", "include: a.yaml\n")
    expected = (
        f"{tmp_path / 'a.yaml'} (included by {tmp_path / 'b.yaml'}, which is included by {path})"
    )
    with pytest.raises(ConfigError, match="cannot include itself") as caught:
        read_whole(path)
    assert str(caught.value).startswith(expected)


def test_a_file_that_includes_itself_is_refused(write):
    with pytest.raises(ConfigError, match="cannot include itself"):
        read_whole(write("a.yaml", "include: ./a.yaml\n"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, r"no\.yaml \(included by .*top\.yaml\): cannot read this YAML file: No such file"),
        (
            "- 1\n",
            r"no\.yaml \(included by .*top\.yaml\): .* holds keys and values, this one is a list",
        ),
        ("", r"no\.yaml \(included by .*this one is empty"),
        ("a: [1\n", r"no\.yaml"),
        ("a: 1\na: 2\n", r"no\.yaml, line 2: the key 'a' is given twice"),
    ],
)
def test_an_included_file_that_is_wrong_is_told(write, text, message):
    if text is not None:
        write("no.yaml", text)
    with pytest.raises(ConfigError, match=message):
        read_whole(write("top.yaml", "include: no.yaml\n"))


@pytest.mark.parametrize("value", ["{a: 1}", "[1]", "3"])
def test_an_include_that_names_no_file_is_refused(write, value):
    with pytest.raises(
        ConfigError, match=r"top\.yaml: include: is a .*expected the name of a YAML"
    ):
        read_whole(write("top.yaml", f"include: {value}\n"))


def test_a_file_without_includes_is_as_it_is(write):
    assert read_whole(write("top.yaml", "- a\n- b\n")) == ["a", "b"]
    assert read_whole(write("empty.yaml", "")) is None
