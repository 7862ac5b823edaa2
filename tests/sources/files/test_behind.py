"""The files that are read with one are known, so that they are neither overwritten nor changed unseen."""

from __future__ import annotations

import socket
import warnings
import zipfile
from pathlib import Path

import geopandas
import numpy as np
import pytest
import rasterio
import shapely
from affine import Affine

from geoseg.errors import ConfigError
from geoseg.labels.sources import RasterLabels
from geoseg.outputs import refuse_inputs
from geoseg.scene import Scene
from geoseg.sources.files import behind
from geoseg.sources.files.behind import behind_raster, behind_vector
from geoseg.sources.geotiff import GeoTIFFSource
from geoseg.sources.vector import FileVectorSource
from geoseg.spec import files_of

_VRT = """<VRTDataset rasterXSize="9" rasterYSize="7"><SRS>EPSG:32619</SRS>
<GeoTransform>500000,10,0,4000000,0,-10</GeoTransform><VRTRasterBand dataType="Byte" band="1">
<SimpleSource><SourceFilename relativeToVRT="{relative}">{uri}</SourceFilename>
<SourceBand>1</SourceBand></SimpleSource></VRTRasterBand></VRTDataset>"""


def write(path, **options):
    path.parent.mkdir(exist_ok=True)
    place = {"crs": "EPSG:32619", "transform": Affine(10, 0, 5e5, 0, -10, 4e6)}
    profile = {"height": 7, "width": 9, "count": 1, "dtype": "uint8", **place, **options}
    with rasterio.open(path, "w", **{"driver": "GTiff", **profile}) as file:
        file.write(np.arange(63, dtype=np.uint8).reshape(1, 7, 9))
    return str(path)


def write_vrt(path, uri, *, relative=1):
    path.write_text(_VRT.format(uri=uri, relative=relative))
    return str(path)


def names(uris):
    return sorted(Path(uri).name for uri in uris)


def test_what_gdal_writes_beside_a_geotiff_belongs_to_it(tmp_path):
    uri = write(tmp_path / "a.tif")
    assert behind_raster(uri) == ()
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=False), rasterio.open(uri, "r+") as file:
        file.write_mask(np.full((7, 9), 255, np.uint8))
    with rasterio.Env(TIFF_USE_OVR=True), rasterio.open(uri, "r+") as file:
        file.build_overviews([2])
    with rasterio.open(uri) as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of rasterio 2
        file.statistics(1)  # kept in a file of its own
    with rasterio.open(uri) as file:
        listed = file.files
    assert {"a.tif.msk", "a.tif.ovr", "a.tif.aux.xml"} < set(names(listed))
    assert names(behind_raster(uri)) == names(set(listed) - {uri})


@pytest.mark.parametrize("end", ["tfw", "TFW", "tifw", "wld"])
def test_a_world_file_belongs_to_its_image(tmp_path, end):
    uri = write(tmp_path / "a.tif")
    world = tmp_path / f"a.{end}"
    world.write_text("10\n0\n0\n-10\n5\n5\n")
    assert behind_raster(uri) == (str(world),)


def test_the_files_below_nested_vrts_belong_to_the_outermost(tmp_path):
    deepest = write(tmp_path / "tiles" / "a.tif")
    (tmp_path / "tiles" / "a.tif.aux.xml").write_text("<PAMDataset/>")
    write_vrt(tmp_path / "inner.vrt", "tiles/a.tif")
    outer = write_vrt(tmp_path / "outer.vrt", "inner.vrt")
    assert names(behind_raster(outer)) == ["a.tif", "a.tif.aux.xml", "inner.vrt"]
    assert deepest in behind_raster(outer)
    assert "a.tif" in names(behind_raster(f"vrt://{deepest}?bands=1"))


def test_vrts_that_name_each_other_come_to_an_end(tmp_path):
    write_vrt(tmp_path / "b.vrt", "a.vrt")
    assert names(behind_raster(write_vrt(tmp_path / "a.vrt", "b.vrt"))) == ["b.vrt"]


@pytest.mark.parametrize("form", ["zip://{}!a.tif", "/vsizip/{}/a.tif", "/vsizip/{{{}}}/a.tif"])
def test_the_archive_belongs_to_a_file_in_it(tmp_path, form):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        file.write(write(tmp_path / "a.tif"), "a.tif")
    uri = form.format(tmp_path / "a.zip")
    assert behind_raster(uri)[0] == str(tmp_path / "a.zip")


def test_a_file_of_several_parts_is_known_by_the_texts_of_drivers(tmp_path):
    uri = write(tmp_path / "a.tif")
    assert behind_raster(f"GTIFF_DIR:1:{uri}") == (uri,)
    header = write(tmp_path / "e.bin", driver="ENVI")
    assert "e.hdr" in names(behind_raster(header))


def test_no_server_is_asked(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as server, rasterio.Env(GDAL_HTTP_TIMEOUT=1):
        server.setblocking(False)
        address = f"http://127.0.0.1:{server.getsockname()[1]}"
        assert behind_raster(f"{address}/a.tif") == ()
        assert behind_raster(f"/vsicurl/{address}/a.vrt") == ()
        vrt = write_vrt(tmp_path / "a.vrt", f"/vsicurl/{address}/a.tif", relative=0)
        assert behind_raster(vrt) == (f"/vsicurl/{address}/a.tif",)
        assert behind_vector(f"/vsizip//vsicurl/{address}/a.zip/a.shp") == ()
        with pytest.raises(BlockingIOError):  # nobody has come
            server.accept()


def test_plain_images_are_not_opened(tmp_path, monkeypatch):
    def opened(uri):
        raise AssertionError(uri)

    monkeypatch.setattr(behind, "open_raster", opened)
    assert behind_raster(write(tmp_path / "a.tif")) == ()
    assert behind_raster(str(tmp_path / "missing.vrt")) == ()


def test_what_cannot_be_read_names_nothing(tmp_path):
    broken = tmp_path / "a.vrt"
    broken.write_text("<VRTDataset")
    source = GeoTIFFSource(uri=(str(broken), str(tmp_path / "missing.tif")))
    assert files_of(source) == source.uris
    assert files_of(FileVectorSource(uri="PG:dbname=x")) == ("PG:dbname=x",)


def test_the_files_of_a_shapefile_belong_to_it(tmp_path):
    uri = str(tmp_path / "a.shp")
    frame = geopandas.GeoDataFrame(geometry=[shapely.box(0, 0, 1, 1)], crs="EPSG:32619")
    frame.to_file(uri)
    assert names(behind_vector(uri)) == ["a.cpg", "a.dbf", "a.prj", "a.shx"]
    frame.to_file(tmp_path / "a.gpkg")
    assert behind_vector(str(tmp_path / "a.gpkg")) == ()


def test_no_output_replaces_a_file_behind_image_labels_or_area(tmp_path):
    image = write(tmp_path / "image.tif")
    (tmp_path / "image.tif.ovr").touch()
    labels = write(tmp_path / "labels.tif")
    area = str(tmp_path / "area.shp")
    geopandas.GeoDataFrame(geometry=[shapely.box(0, 0, 1, 1)], crs="EPSG:32619").to_file(area)
    scene = Scene(
        id="s",
        image=write_vrt(tmp_path / "image.vrt", "image.tif"),
        labels=RasterLabels(source=write_vrt(tmp_path / "labels.vrt", "labels.tif")),
        aoi=area,
    )
    for uri in (image, f"{image}.ovr", labels, area.replace(".shp", ".dbf")):
        with pytest.raises(ConfigError, match="is read as an input too"):
            refuse_inputs([uri], scene.inputs)
    refuse_inputs([str(tmp_path / "map.tif")], scene.inputs)
