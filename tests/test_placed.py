"""Texts that know their folder."""

from __future__ import annotations

import copy
import pickle

import pytest
from pydantic import TypeAdapter

from geoseg.placed import PlacedText, is_path, place_texts, placed
from geoseg.scene import Scene
from geoseg.spec import Uri


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        ("a.tif", "/f/a.tif"),
        ("../a b.tif", "/f/../a b.tif"),
        ("/abs/a.tif", "/abs/a.tif"),
        ("s3://b/a.tif", "s3://b/a.tif"),
        ("/vsizip/a.zip/a.tif", "/vsizip/a.zip/a.tif"),
        ("netcdf:a.nc:red", "netcdf:a.nc:red"),
    ],
)
def test_only_relative_paths_are_placed(uri, path):
    assert placed(uri, "/f") == path
    assert is_path(uri) == (uri in ("a.tif", "../a b.tif", "/abs/a.tif"))
    assert TypeAdapter(Uri).validate_python(PlacedText(uri, "/f"), context={"base": "/g"}) == path


def test_only_uris_are_changed_by_it():
    tree = {"id": "s", "image": {"type": "geotiff", "uri": ["a.tif"], "bands": ["red"]}}
    scene = Scene.model_validate(place_texts(tree, "/f"), context={"base": "/g"})
    assert (scene.id, scene.image.uri, scene.image.bands) == ("s", ("/f/a.tif",), ("red",))
    assert {type(text) for text in (scene.id, *scene.image.uri, *scene.image.bands)} == {str}
    assert Scene.from_yaml(scene.to_yaml()) == scene


def test_it_is_kept_by_copy_and_pickle():
    text = PlacedText("a", "/f")
    for again in (copy.deepcopy(text), pickle.loads(pickle.dumps(text))):
        assert (again, again.folder, type(again)) == ("a", "/f", PlacedText)
    assert place_texts([text], "/g")[0].folder == "/f"
