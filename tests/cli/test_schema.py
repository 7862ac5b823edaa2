"""geoseg schema: printed, written, and told where it does not exist."""

from __future__ import annotations

import json

import jsonschema
import pytest

from geoseg.schema import nouns


def test_the_schema_of_an_experiment_is_printed(geoseg):
    found = geoseg("schema")
    assert (found.code, found.err) == (0, "")
    schema = json.loads(found.out)
    jsonschema.Draft7Validator.check_schema(schema)
    assert schema["title"] == "Experiment"


def test_it_is_written_to_a_file(geoseg, tmp_path):
    path = tmp_path / "new" / "scene.json"
    found = geoseg("schema", "scene", "--out", path)
    assert (found.code, found.out) == (0, f"{path}\n")
    assert path.read_text() == geoseg("schema", "scene").out


@pytest.mark.parametrize("arguments", [("scenes",), ("scene", "--out", ".")])
def test_what_cannot_be_is_told(geoseg, tmp_path, monkeypatch, arguments):
    monkeypatch.chdir(tmp_path)
    found = geoseg("schema", *arguments)
    assert (found.code, found.out) == (2, "")
    assert found.err.startswith("error: ")
    assert list(tmp_path.iterdir()) == []


def test_the_help_names_every_noun(geoseg):
    text = " ".join(geoseg("schema", "--help").out.split())
    for noun in nouns():
        assert noun in text
    assert "# yaml-language-server: $schema=" in text
    assert "Example: geoseg schema " in text
