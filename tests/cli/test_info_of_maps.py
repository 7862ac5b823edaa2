"""`geoseg info` of a map tells how it was made."""

import json

import numpy as np
import rasterio

from geoseg.classes import ClassMap
from geoseg.grid import Grid
from geoseg.labels.geotiff import GeoTIFFLabelStore
from geoseg.labels.manifest import MadeBy, tell

MADE_BY = MadeBy(
    version="9", model="abc", size=(64, 48), stride=(32, 24), blend="hann", batch_size=4, tta=None,
    precision="32", notes=("memory ran out",),
)  # fmt: skip


def written(tmp_path, *, made_by):
    grid = Grid(crs="EPSG:32619", transform=[2, 0, 5e5, 0, -2, 4e6], height=31, width=17)
    uri = str(tmp_path / "map.tif")
    with GeoTIFFLabelStore(uri=uri, cog=False).writer(grid, ClassMap.of("a", "b")) as writer:
        writer.write(grid.whole, np.zeros(grid.shape, np.uint8))
        if made_by is not None:
            tell(writer, made_by)
    return uri


def test_a_map_tells_how_it_was_made(geoseg, tmp_path):
    uri = written(tmp_path, made_by=MADE_BY)
    assert json.loads(geoseg("info", uri, "--json").out)["made_by"] == MADE_BY.model_dump(
        mode="json"
    )
    text = geoseg("info", uri).out
    assert "memory ran out" in text
    assert "64, 48" in text


def test_a_map_that_tells_nothing_or_nonsense_is_described_all_the_same(geoseg, tmp_path):
    uri = written(tmp_path, made_by=None)
    found = json.loads(geoseg("info", uri, "--json").out)
    assert found["classes"] == {"0": "a", "1": "b"}
    assert "made_by" not in found
    with rasterio.open(uri, "r+") as file:
        file.update_tags(GEOSEG_PREDICTION="{")
    found = json.loads(geoseg("info", uri, "--json").out)
    assert found["classes"] == {"0": "a", "1": "b"}
    assert "GEOSEG_PREDICTION cannot be read" in found["made_by"]
