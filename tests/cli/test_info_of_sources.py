"""geoseg info and geoseg predict on what is no plain raster: tiles, stores of patches, sources in YAML."""

from __future__ import annotations

import json

import numpy as np
import rasterio

from geoseg.grid import Grid
from geoseg.sources import GeoTIFFSource, StoreWriter, WarpedSource
from tests.sources.tilemaking import png, write_tiles


def test_info_of_map_tiles_lists_the_bad_ones(geoseg, tmp_path):
    blobs = {(6, 20, 30): png(), (6, 22, 30): b"garbage"}
    uri = write_tiles(tmp_path / "a.mbtiles", blobs)
    found = json.loads(geoseg("info", uri, "--json").out)
    assert (found["kind"], found["tiles"], found["missing"]) == ("map tiles", 2, 1)
    assert found["bands"] == ["red", "green", "blue"]
    assert [bad[:3] for bad in found["bad_tiles"]] == [[6, 22, 30]]
    assert "6/22/30" in geoseg("info", uri).out


def test_info_of_a_store_tells_its_patches(geoseg, tmp_path):
    grid = Grid(crs="EPSG:32619", transform=[10, 0, 5e5, 0, -10, 4e6], height=8, width=6)
    with StoreWriter(str(tmp_path / "store")) as writer:
        for key in ("a", "b", "c"):
            writer.write(key, {"red": np.ones((8, 6), np.int16)}, grid=grid)
    found = json.loads(geoseg("info", tmp_path / "store", "--json").out)
    assert (found["kind"], found["patches"], found["first"]) == ("store", 3, "a")
    assert found["bands"] == {"red": [{"dtype": "int16", "shape": [8, 6], "patches": 3}]}
    assert found["crs"] == {"EPSG:32619": 3}
    assert "  red  int16 8x6 (patches: 3)\n" in geoseg("info", tmp_path / "store").out


def test_a_source_in_a_file_is_told_and_predicted(geoseg, files, tmp_path):
    grid = Grid.of(files.image)
    onto = grid.model_copy(update={"height": 40, "width": 50})
    source = WarpedSource(source=GeoTIFFSource(uri=files.image), onto=onto)
    path = tmp_path / "source.yaml"
    path.write_text(source.to_yaml())

    found = json.loads(geoseg("info", path, "--json").out)
    assert (found["kind"], found["bands"]) == ("source", ["red", "green", "nir"])
    done = geoseg("predict", files.bundle, path, tmp_path / "map.tif")
    assert done.code == 0, done.err
    with rasterio.open(tmp_path / "map.tif") as file:
        assert file.shape == (40, 50)
        assert list(file.transform[:6]) == list(onto.transform[:6])


def test_bands_are_not_chosen_of_a_source_in_a_file(geoseg, files, tmp_path):
    path = tmp_path / "source.yaml"
    path.write_text(WarpedSource(source=files.image, onto=GeoTIFFSource(uri=files.image)).to_yaml())
    done = geoseg("predict", files.bundle, path, tmp_path / "map.tif", "--bands", "1,2,3")
    assert done.code == 2
    assert "leave it out" in done.err
