"""A finished map tells how it was made, the same for one run, a resumed one and shards; what changed is noticed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch
from affine import Affine

from geoseg.errors import ConfigError
from geoseg.labels.geotiff import GeoTIFFLabelStore
from geoseg.labels.parts import merge
from geoseg.labels.vector import VectorLabelStore
from geoseg.learner.predict import predict
from geoseg.learner.prediction.fingerprint import stamps_of
from geoseg.scene import Scene
from geoseg.sources.geotiff import GeoTIFFSource
from geoseg.sources.stack import StackSource
from geoseg.version import __version__
from tests.learner.prediction.runs import CLASSES, Stop, contents, learner, run, write_scene

_VRT = """<VRTDataset rasterXSize="90" rasterYSize="1300"><SRS>EPSG:32619</SRS>
<GeoTransform>500000,1,0,4000000,0,-1</GeoTransform><VRTRasterBand dataType="Byte" band="1">
<SimpleSource><SourceFilename relativeToVRT="1">tiles/a.tif</SourceFilename>
<SourceBand>1</SourceBand></SimpleSource></VRTRasterBand></VRTDataset>"""


def told(path):
    with rasterio.open(path) as file:
        return json.loads(file.tags()["GEOSEG_PREDICTION"])


def test_a_map_tells_its_model_and_parameters_and_nothing_of_the_run(tmp_path):
    image = write_scene(tmp_path, height=100)
    labels = run(image, tmp_path / "map.tif", tta="flips")
    assert told(tmp_path / "map.tif") == {
        "format": "geoseg-map/1", "version": __version__, "model": learner()._digest(), "size": [64, 64],
        "stride": [48, 48], "blend": "hann", "batch_size": 5, "tta": "flips", "precision": "32",
        "notes": [],
    }  # fmt: skip
    assert labels.made_by.model == learner()._digest()


def test_a_run_that_keeps_nothing_writes_the_same_bytes_as_one_that_does(tmp_path):
    image = write_scene(tmp_path)
    for name, keep in (("map", True), ("other", False)):
        run(image, tmp_path / f"{name}.tif", keep=keep)
    assert contents(tmp_path, "map") == contents(tmp_path, "other")


def test_polygons_tell_it_too(tmp_path):
    scene = Scene.of(write_scene(tmp_path, height=100))
    labels = learner().predict(scene, VectorLabelStore(uri=str(tmp_path / "map.gpkg")))
    assert labels.made_by.model == learner()._digest()


def short_of_memory(image, valid):
    """A model for which three windows are too many."""
    if len(image) > 2:
        raise torch.OutOfMemoryError("no more")
    return torch.softmax(torch.cat([image.float()[:, :1] / 255] * 3, 1), 1)


def test_that_memory_ran_out_is_noted_in_the_finished_map_and_in_the_merged_one(tmp_path):
    scene = Scene.of(write_scene(tmp_path))
    options = {"size": 64, "batch_size": 4, "model_digest": "m"}

    def store(name):
        return GeoTIFFLabelStore(uri=str(tmp_path / name))

    with pytest.warns(UserWarning, match="memory"):
        predict(short_of_memory, scene, CLASSES, store=store("map.tif"), **options)
    parts = [str(tmp_path / f"p{i}.tif") for i in range(2)]
    for i, part in enumerate(parts):
        with pytest.warns(UserWarning, match="memory"):
            predict(short_of_memory, scene, CLASSES, store=store(part), shard=(i, 2), **options)
    with pytest.warns(UserWarning, match="of 2 parts scores may differ"):
        merge(parts, store("merged.tif"))
    assert told(tmp_path / "map.tif")["notes"] == [
        "memory ran out: 2 windows at once in place of 4"
    ]
    assert contents(tmp_path, "merged") == contents(tmp_path, "map")


def write(path, seed):
    path.parent.mkdir(exist_ok=True)
    place = {"crs": "EPSG:32619", "transform": Affine(1, 0, 5e5, 0, -1, 4e6)}
    profile = {"height": 1300, "width": 90, "count": 1, "dtype": "uint8", **place}
    with rasterio.open(path, "w", driver="GTiff", **profile) as file:
        file.write(np.random.default_rng(seed).integers(0, 255, (1, 1300, 90), np.uint8))
    return str(path)


def some(image, valid):
    return torch.softmax(image.float()[:, :1].repeat(1, 3, 1, 1) / 255, 1)


def stopped_and_resumed(image, out, change):
    """Begin to predict, change something, and go on."""
    calls = []

    def stopping(image, valid):
        calls.append(1)
        if len(calls) > 6:
            raise Stop
        return some(image, valid)

    store = GeoTIFFLabelStore(uri=str(out))
    options = {"size": 64, "stride": 48, "batch_size": 5, "model_digest": "m"}
    with pytest.raises(Stop):
        predict(stopping, Scene(id="s", image=image), CLASSES, store=store, **options)
    change()
    predict(some, Scene(id="s", image=image), CLASSES, store=store, resume=True, **options)


@pytest.mark.parametrize(("year", "name"), [(2020, r"B04\.tif"), (2021, r"B04\.tif \(number 2\)")])
def test_a_change_of_either_of_two_files_of_one_name_is_refused(tmp_path, year, name):
    uris = [write(tmp_path / str(y) / "B04.tif", y) for y in (2020, 2021)]
    image = StackSource(sources=tuple(GeoTIFFSource(uri=uri) for uri in uris))
    with pytest.raises(ConfigError, match=rf"file {name}\.digest is"):
        stopped_and_resumed(
            image, tmp_path / "map.tif", lambda: write(tmp_path / str(year) / "B04.tif", 5)
        )


@pytest.mark.parametrize("changed", ["a.tif", "a.tif.msk"])
def test_a_change_below_a_vrt_is_refused(tmp_path, changed):
    write(tmp_path / "tiles" / "a.tif", 0)
    (tmp_path / "a.vrt").write_text(_VRT)
    with pytest.raises(ConfigError, match=rf"file {changed}\.digest is"):
        stopped_and_resumed(
            GeoTIFFSource(uri=str(tmp_path / "a.vrt")),
            tmp_path / "map.tif",
            lambda: write(tmp_path / "tiles" / changed, 5),
        )


def test_a_map_does_not_replace_a_file_below_a_vrt(tmp_path):
    tile = write(tmp_path / "tiles" / "a.tif", 0)
    before = Path(tile).read_bytes()
    (tmp_path / "a.vrt").write_text(_VRT)
    scene = Scene.of(str(tmp_path / "a.vrt"))
    with pytest.raises(ConfigError, match=r"a\.tif: is read as an input too"):
        predict(some, scene, CLASSES, store=GeoTIFFLabelStore(uri=tile), size=64)
    assert Path(tile).read_bytes() == before
    assert [stamp.name for stamp in stamps_of(scene)] == ["a.vrt", "a.tif"]
