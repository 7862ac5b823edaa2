"""geoseg vectorize: a map as polygons."""

from __future__ import annotations

import geopandas
import numpy as np
import pytest
import rasterio.features

from geoseg.classes import ClassMap
from geoseg.grid import Grid
from geoseg.labels.geotiff import GeoTIFFLabelStore

GRID = Grid(crs="EPSG:32619", transform=[10, 0, 5e5, 0, -10, 4e6], height=61, width=83)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A map of blobs with a speck, some pixels ignored, its scores beside it, and its ids."""
    ids = np.random.default_rng(3).integers(0, 2, (8, 9)).astype("uint8")
    ids = ids.repeat(8, axis=0).repeat(10, axis=1)[:61, :83]
    ids[50:] = 255
    ids[:20, :30] = 0
    ids[5:7, 10:12] = 1
    scores = np.where(ids[None] == np.array([[[0]], [[1]]]), 0.75, 0.25).astype(np.float32)
    uri = str(tmp_path_factory.mktemp("map") / "map.tif")
    with GeoTIFFLabelStore(uri=uri, scores=True).writer(
        GRID, ClassMap.of("ground", "building")
    ) as writer:
        writer.write(GRID.whole, ids, scores)
    return uri, ids


def test_every_region_becomes_a_polygon(geoseg, made, tmp_path):
    out = tmp_path / "out.gpkg"
    found = geoseg("vectorize", made[0], out)
    assert (found.code, found.out, found.err) == (0, f"{out}\n", "")
    frame = geopandas.read_file(out)
    burned = rasterio.features.rasterize(
        zip(frame.geometry, frame["class_id"], strict=True),
        GRID.shape, transform=GRID.transform, fill=255, dtype="uint8",
    )  # fmt: skip
    np.testing.assert_array_equal(burned, made[1])


def test_what_is_chosen_is_left_and_what_is_left_out_is_told(geoseg, made, tmp_path):
    out = tmp_path / "out.fgb"
    flags = ["--only", "building", "--min-area-m2", "500", "--scores", "--simplify-m", "1"]
    found = geoseg("vectorize", made[0], out, *flags)
    assert found.code == 0
    assert found.err == f"warning: {out}: left out as asked: 1 regions below 500 m2\n"
    frame = geopandas.read_file(out)
    assert set(frame["class_name"]) == {"building"}
    assert frame["score"].to_numpy() == pytest.approx(0.75, abs=1e-5 + 1 / 508)


def test_a_speck_is_left_out_by_its_width(geoseg, made, tmp_path):
    found = geoseg("vectorize", made[0], tmp_path / "out.parquet", "--denoise-px", 3)
    assert found.code == 0
    assert "pixels that no 3 x 3 square covers" in found.err


@pytest.mark.parametrize(
    ("call", "told"),
    [
        ("out.shp", "out.shp: the format of polygons goes by the suffix"),
        ("out.gpkg --only roof", "only=['roof'] names no class; the classes are 0 ground"),
        ("out.gpkg --min-area-m2 -1", "min_area_m2"),
        ("m" * 240 + ".gpkg", "has 245 bytes, expected at most 239"),
    ],
)
def test_a_wrong_call_is_told_in_a_line(geoseg, made, tmp_path, call, told):
    out, *flags = call.split()
    found = geoseg("vectorize", made[0], tmp_path / out, *flags)
    assert found.code == 2
    assert told in found.err
    assert found.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_polygons_that_are_there_are_replaced_unless_told_otherwise(geoseg, made, tmp_path):
    out = tmp_path / "out.geojson"
    out.write_text("mine")
    found = geoseg("vectorize", made[0], out, "--mode", "error")
    assert found.code == 2
    assert "out.geojson: is there already and this store replaces nothing" in found.err
    assert out.read_text() == "mine"
    assert geoseg("vectorize", made[0], out).code == 0
    assert len(geopandas.read_file(out)) > 1


def test_the_map_is_not_replaced_by_its_polygons_and_must_be_one(geoseg, made, files, tmp_path):
    found = geoseg("vectorize", files.image, tmp_path / "out.gpkg")
    assert found.code == 1
    assert "is no label file of geoseg" in found.err
    found = geoseg("vectorize", tmp_path / "none.tif", tmp_path / "out.gpkg")
    assert found.code == 1
    assert "none.tif" in found.err


def test_help_shows_an_example(geoseg):
    found = geoseg("vectorize", "--help")
    assert found.code == 0
    assert "Example: geoseg vectorize map.tif buildings.gpkg --only building" in found.out
