"""What a map keeps of its making, in every format that can keep it."""

from __future__ import annotations

import json

import numpy as np
import pytest
import rasterio

from geoseg.classes import ClassMap
from geoseg.errors import StoreError
from geoseg.grid import Grid
from geoseg.labels.array import ArrayLabels
from geoseg.labels.geotiff import GeoTIFFLabelStore
from geoseg.labels.manifest import PREDICTION_TAG, MadeBy, tell
from geoseg.labels.vector import VectorLabelStore

CLASSES = ClassMap.of("a", "b")
GRID = Grid(crs="EPSG:32619", transform=[2, 0, 5e5, 0, -2, 4e6], height=31, width=17)
IDS = np.random.default_rng(0).integers(0, 2, GRID.shape, np.uint8)
MADE_BY = MadeBy(
    version="9", model="m" * 64, size=(64, 48), stride=(32, 24), blend="hann", batch_size=4, tta="d4",
    precision="32", notes=('memory ran out: "2" windows', "é"),
)  # fmt: skip
SUFFIXES = ("tif", "gpkg", "fgb", "parquet", "geojson")


def write(path, *, told=None, **options):
    uri = str(path)
    kind = GeoTIFFLabelStore if uri.endswith("tif") else VectorLabelStore
    store = kind(uri=uri, **options)
    with store.writer(GRID, CLASSES) as writer:
        if told is not None:
            tell(writer, told)
        writer.write(GRID.whole, IDS)
    return store.read()


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_map_tells_how_it_was_made(tmp_path, suffix):
    labels = write(tmp_path / f"map.{suffix}", told=MADE_BY)
    assert labels.made_by == MADE_BY
    np.testing.assert_array_equal(labels.to_array(), IDS)
    assert write(tmp_path / f"other.{suffix}").made_by is None


@pytest.mark.parametrize("cog", [True, False])
def test_any_program_finds_it_as_a_tag_of_the_geotiff(tmp_path, cog):
    write(tmp_path / "map.tif", told=MADE_BY, cog=cog)
    with rasterio.open(tmp_path / "map.tif") as file:
        told = json.loads(file.tags()["GEOSEG_PREDICTION"])
        np.testing.assert_array_equal(file.read(1), IDS)
    assert told["format"] == "geoseg-map/1"
    assert told["notes"] == ['memory ran out: "2" windows', "é"]
    assert (told["stride"], told["tta"]) == ([32, 24], "d4")


@pytest.mark.parametrize("text", ["{", '{"format": "geoseg-map/2"}'])
def test_a_tag_that_cannot_be_read_is_told_and_the_map_is_read_all_the_same(tmp_path, text):
    uri = str(tmp_path / "map.tif")
    write(uri, cog=False)
    with rasterio.open(uri, "r+") as file:
        file.update_tags(**{PREDICTION_TAG: text})
    labels = GeoTIFFLabelStore(uri=uri).read()
    np.testing.assert_array_equal(labels.to_array(), IDS)
    with pytest.raises(StoreError, match=r"map\.tif: the tag GEOSEG_PREDICTION cannot be read"):
        _ = labels.made_by


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_copy_of_a_map_tells_it_too(tmp_path, suffix):
    labels = write(tmp_path / "map.tif", told=MADE_BY)
    kind = GeoTIFFLabelStore if suffix == "tif" else VectorLabelStore
    copy = kind(uri=str(tmp_path / f"copy.{suffix}")).write(labels)
    assert copy.made_by == MADE_BY
    assert GeoTIFFLabelStore(uri=str(tmp_path / "again.tif")).write(copy).made_by == MADE_BY
    plain = ArrayLabels(GRID, CLASSES, IDS)
    assert plain.made_by is None
    assert kind(uri=str(tmp_path / f"other.{suffix}")).write(plain).made_by is None


def test_that_a_copy_cannot_tell_it_is_told(tmp_path):
    labels = write(tmp_path / "map.tif", cog=False)
    with rasterio.open(labels.uri, "r+") as file:
        file.update_tags(**{PREDICTION_TAG: "{"})
    damaged = GeoTIFFLabelStore(uri=labels.uri).read()
    with pytest.warns(
        UserWarning, match=r"map\.tif: the tag .* cannot be read .* the copy does not"
    ):
        copy = GeoTIFFLabelStore(uri=str(tmp_path / "copy.tif")).write(damaged)
    assert copy.made_by is None
    np.testing.assert_array_equal(copy.to_array(), IDS)


def test_a_writer_of_ones_own_need_not_keep_it():
    class Writer:
        def write(self, window, ids, scores=None):
            raise AssertionError("nothing is written by telling")

    writer = Writer()
    tell(writer, MADE_BY)
    assert vars(writer) == {}
