import json
import sys
from pathlib import Path

import lmdb
import numpy as np
import pyarrow.parquet as pq
import pytest
from affine import Affine
from pyproj import Transformer

from geoseg.classes import ClassMap
from geoseg.convert.scenes import convert_scenes
from geoseg.convert.summary import summary
from geoseg.errors import ConfigError, SourceError
from geoseg.grid import Grid
from geoseg.scene import Scene
from geoseg.sources.store.writer import StoreWriter


def grid(crs="EPSG:32633", left=3e5, top=5e6, size=12):
    return Grid(crs=crs, transform=Affine(10, 0, left, 0, -10, top), height=size, width=size)


def s2(size=12):
    return {"B10": np.ones((size, size), "u2"), "B2": np.ones((size // 2, size // 2), "u2")}


@pytest.fixture
def store(tmp_path):
    """Writes patches {key: (arrays, options)} and returns the store's path."""

    def write(patches, name="store", **options):
        with StoreWriter(str(tmp_path / name), **options) as writer:
            for key, (arrays, more) in patches.items():
                writer.write(key, arrays, **more)
        return str(tmp_path / name)

    return write


def test_the_store_may_be_opened_by_others_afterwards(store):
    uri = store({"a": (s2(), {})})
    assert summary(uri)["patches"] == 1
    with lmdb.open(uri, readonly=True, lock=False) as env:
        assert env.stat()["entries"] == 1


def test_all_is_counted_that_a_manifest_tells(store):
    uri = store(
        {
            "a": (s2(), {"grid": grid(), "nodata": 0, "group": "s2", "split": "train", "labels": ["x"]}),
            "b": (s2(20), {"grid": grid(size=20), "nodata": {"B10": 7}, "group": "s2", "split": "train"}),
            "c": ({"VV": np.ones((4, 5), "f4")}, {"nodata": float("nan"), "group": "s1", "labels": ["x", "y"]}),
        },
        told={"layout": {"name": "mine"}},
    )  # fmt: skip
    found = summary(uri)

    assert (found["kind"], found["stores"], found["patches"], found["first"]) == (
        "store",
        1,
        3,
        "a",
    )
    assert found["bytes"] == Path(uri, "data.mdb").stat().st_size
    assert (found["manifest"], found["looked_at"], found["layout"]) == (True, None, "mine")
    assert found["groups"] == {"s2": 2, "s1": 1}
    assert found["splits"] == {"train": 2}
    assert found["labels"] == {"x": 2, "y": 1}
    assert found["bands"]["B2"] == [
        {"dtype": "uint16", "shape": [6, 6], "patches": 1},
        {"dtype": "uint16", "shape": [10, 10], "patches": 1},
    ]
    assert list(found["bands"]) == ["B2", "B10", "VV"]
    assert found["bands_in_order"] == ["B10", "B2"]
    assert found["nodata"] == {"B2": [0.0], "B10": [0.0, 7.0], "VV": ["nan"]}
    assert found["compression"] == {"none": 3}
    assert (found["georeferenced"], found["crs"]) == (2, {"EPSG:32633": 2})
    json.dumps(found, allow_nan=False)


def test_bounds_are_those_of_all_corners_in_degrees(store):
    grids = [grid(), grid("EPSG:32733", top=9e6), grid("EPSG:4326", left=-10, top=170 / 3)]
    uri = store({str(i): (s2(), {"grid": one}) for i, one in enumerate(grids)})
    expected = []
    for one in grids:
        left, bottom, right, top = one.bounds
        to = Transformer.from_crs(one.crs.to_string(), "EPSG:4326", always_xy=True)
        expected += [to.transform(x, y) for x in (left, right) for y in (bottom, top)]
    np.testing.assert_allclose(
        summary(uri)["bounds_4326"], [*np.min(expected, axis=0), *np.max(expected, axis=0)]
    )


def test_a_manifest_without_bounds_tells_the_same_place(store):
    uri = store({"a": (s2(), {"grid": grid()}), "b": (s2(20), {"grid": grid(size=20)})})
    expected, path = summary(uri)["bounds_4326"], Path(uri, "manifest.parquet")
    pq.write_table(pq.read_table(path).drop_columns(["bounds"]), path)
    assert summary(uri)["bounds_4326"] == expected


def test_without_a_manifest_values_are_looked_at(store):
    uri = store({"a": (s2(), {}), "b": (s2(20), {})}, compression="zstd")
    Path(uri, "manifest.parquet").unlink()
    found = summary(uri)
    assert (found["manifest"], found["looked_at"], found["patches"]) == (False, None, 2)
    assert [kind["shape"] for kind in found["bands"]["B10"]] == [[12, 12], [20, 20]]
    assert found["compression"] == {"zstd": 2}
    assert (found["bounds_4326"], found["crs"], found["bands_in_order"]) == (
        None,
        {},
        ["B2", "B10"],
    )


def test_of_many_patches_without_a_manifest_a_sample_is_looked_at_and_told(store, monkeypatch):
    monkeypatch.setattr(sys.modules[summary.__module__], "_LOOKED_AT", 4)
    uri = store({f"{i:02}": (s2(), {}) for i in range(10)})
    Path(uri, "manifest.parquet").unlink()
    found = summary(uri)
    assert (found["patches"], found["looked_at"]) == (10, 4)
    assert found["bands"]["B2"] == [{"dtype": "uint16", "shape": [6, 6], "patches": 4}]


def test_several_stores_are_counted_together(store):
    uris = [
        store({"a": (s2(), {"grid": grid()})}, "one"),
        store({"b": (s2(), {"grid": grid("EPSG:32632")})}, "two", compression="zstd"),
    ]
    found = summary(uris)
    assert (found["stores"], found["patches"]) == (2, 2)
    assert found["bytes"] == sum(summary(uri)["bytes"] for uri in uris)
    assert found["crs"] == {"EPSG:32633": 1, "EPSG:32632": 1}
    assert found["compression"] == {"none": 1, "zstd": 1}
    assert found["bands"]["B2"][0]["patches"] == 2


def test_classes_of_scenes_are_told(tmp_path, write_raster):
    rng = np.random.default_rng(0)
    image = write_raster("i.tif", rng.integers(0, 9, (2, 8, 9)).astype("u1"))
    mask = write_raster("m.tif", rng.integers(0, 2, (8, 9)).astype("u1"))
    scene = Scene.of(image, mask, classes=ClassMap.of("land", "water"))
    convert_scenes([scene], str(tmp_path / "store"), size=4)
    found = summary(str(tmp_path / "store"))
    assert found["classes"] == ["land", "water"]
    assert (found["layout"], found["patches"]) == ("scenes", 6)


def test_an_empty_store_and_none_at_all(store, tmp_path):
    found = summary(store({}))
    assert (found["patches"], found["first"], found["bands"]) == (0, None, {})
    with pytest.raises(ConfigError, match="no store"):
        summary([])
    with pytest.raises(SourceError, match="no such store"):
        summary(str(tmp_path / "none"))


def test_a_place_that_is_not_on_the_earth_is_counted_and_not_drawn(store):
    local = Grid(crs='LOCAL_CS["site",UNIT["metre",1]]', height=12, width=12)
    found = summary(store({"a": (s2(), {"grid": local})}))
    assert found["bounds_4326"] is None
    assert list(found["crs"].values()) == [1]
