"""A Sentinel-2 patch of BigEarthNet: twelve bands of three sizes, one file each."""

from __future__ import annotations

import hashlib

import lmdb
import numpy as np
import pytest
import rasterio
import safetensors.numpy
from rasterio.enums import Resampling
from rasterio.vrt import WarpedVRT

from geoseg.grid import Grid
from geoseg.sources.lmdb import LMDBSource
from geoseg.sources.store.reader import StoreReader
from geoseg.sources.store.writer import StoreWriter
from geoseg.sources.warp import WarpedSource

S2 = "BigEarthNet-S2/S2A_MSIL2A_20170613T101031_N9999_R022_T33UUP"
KEY = "S2A_MSIL2A_20170613T101031_N9999_R022_T33UUP_75_43"
S1 = "BigEarthNet-S1/S1A_IW_GRDH_1SDV_20170613T165043/S1A_IW_GRDH_1SDV_20170613T165043_33UUP_70_48"
PUBLISHED = "4e1ec10580ac2bde74ae4621c40ce20429cee6507ad10c4c6deb81abb06d5c06"
"""sha256 of the data.mdb that is published with the samples, its map of 100 TiB included."""


@pytest.fixture
def samples(data_folder):
    """The folder of the samples; some copies of the data are without."""
    folder = data_folder / "rico" / "BigEarthNet"
    if not folder.is_dir():
        pytest.skip(f"{folder} is missing: the samples of BigEarthNet are not in GEOSEG_DATA")
    return folder


def files(folder):
    """{band: path}, sorted by path."""
    return {path.stem.rsplit("_", 1)[1]: path for path in sorted(folder.glob("*.tif"))}


def pixels(path):
    with rasterio.open(path) as file:
        return file.read(1)


@pytest.fixture
def patch(samples, tmp_path):
    """The patch as a store: its uri, and its files."""
    bands = files(samples / S2 / KEY)
    assert len(bands) == 12
    arrays = {name: pixels(path) for name, path in bands.items()}
    with StoreWriter(str(tmp_path / "store")) as store:
        store.write(KEY, arrays, grid=Grid.of(str(bands["B02"])), nodata=0)
    return str(tmp_path / "store"), bands


def test_every_band_is_what_rasterio_reads(patch):
    uri, bands = patch
    found = StoreReader(uri).read(KEY)

    assert sorted({array.shape for array in found.values()}) == [(20, 20), (60, 60), (120, 120)]
    for name, path in bands.items():
        source = LMDBSource(uri=uri, key=KEY, bands=(name,))
        chip = source.read(source.grid.whole)
        with rasterio.open(path) as file:
            expected = file.read(1)
            assert source.grid == Grid.of(str(path))
            np.testing.assert_array_equal(chip.valid, file.read_masks(1) > 0)
        np.testing.assert_array_equal(found[name], expected)
        np.testing.assert_array_equal(chip.data, expected[None])
        assert chip.data.dtype == expected.dtype == np.uint16


@pytest.mark.parametrize("resampling", ["nearest", "bilinear"])
def test_coarse_bands_on_the_common_grid_are_as_gdal_resamples_them(patch, resampling):
    uri, bands = patch
    source = LMDBSource(uri=uri, key=KEY, resampling=resampling)
    chip = source.read(source.grid.whole)
    options = {
        "crs": source.grid.crs, "transform": source.grid.transform,
        "height": 120, "width": 120, "resampling": Resampling[resampling],
    }  # fmt: skip

    assert source.band_names == tuple(bands)
    for data, path in zip(chip.data, bands.values(), strict=True):
        with rasterio.open(path) as file, WarpedVRT(file, **options) as warped:
            difference = abs(data.astype(int) - warped.read(1).astype(int))
        assert difference.max() <= (0 if resampling == "nearest" else 1)


def test_it_is_warped_like_any_source(patch):
    uri, bands = patch
    grid = Grid.of(str(bands["B02"]))
    onto = Grid(crs=grid.crs, height=50, width=40, transform=grid.crop(grid.whole).transform)
    source = LMDBSource(uri=uri, key=KEY, bands=("B04", "B03", "B02"))

    np.testing.assert_array_equal(
        WarpedSource(source=source, onto=onto).read(onto.whole).data,
        [pixels(bands[name])[:50, :40] for name in source.band_names],
    )


def test_the_bytes_are_those_of_the_published_database(samples, tmp_path):
    patches = [samples / S1, samples / S2 / KEY]
    with StoreWriter(str(tmp_path / "store")) as store:
        for folder in patches:
            store.write(folder.name, {name: pixels(path) for name, path in files(folder).items()})
            store.end_transaction()  # each source has one of its own there
    data = bytearray((tmp_path / "store" / "data.mdb").read_bytes())
    for place in (32, 4128):  # the size of the map, in both meta pages
        data[place : place + 8] = (100 << 40).to_bytes(8, "little")

    assert hashlib.sha256(data).hexdigest() == PUBLISHED


def test_a_reader_that_knows_lmdb_and_safetensors_only_reads_it(patch):
    uri, bands = patch
    with lmdb.open(uri, readonly=True, lock=False) as env, env.begin() as txn:
        found = safetensors.numpy.load(txn.get(KEY.encode()))

    assert found.keys() == bands.keys()
    for name, path in bands.items():
        np.testing.assert_array_equal(found[name], pixels(path))
