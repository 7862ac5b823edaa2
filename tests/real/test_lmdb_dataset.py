"""LMDBDataset on the published samples of data sets, against rasterio's reading of the files."""

import numpy as np
import pytest
import rasterio

from geoseg import LMDBDataset
from geoseg.convert.convert import convert
from geoseg.labels.corine import BIGEARTHNET_19_CODES
from geoseg.sources.store.environments import close_stores


@pytest.fixture(autouse=True)
def nothing_open():
    yield
    close_stores()


@pytest.fixture
def samples(data_folder):
    folder = data_folder / "rico"
    if not folder.is_dir():
        pytest.skip(f"{folder} is not there: it holds a sample of each data set")
    return folder


def read(path, *bands):
    with rasterio.open(path) as file:
        return file.read(list(bands) or None)


def test_all_bands_of_a_bigearthnet_patch_come_on_the_finest_grid(samples, tmp_path):
    root = samples / "BigEarthNet" / "BigEarthNet-S2"
    convert("bigearthnet", {"s2": str(root)}, str(tmp_path / "s"))
    data = LMDBDataset(tmp_path / "s", normalize=False)
    item, (folder,) = data[0], root.glob("*/*")
    assert (item["scene"], data.size, len(data.band_names)) == (folder.name, (120, 120), 12)
    valid = np.ones(data.size, bool)
    for name, channel in zip(data.band_names, item["image"].numpy(), strict=True):
        (band,) = read(folder / f"{folder.name}_{name}.tif")
        fine = np.kron(band, np.ones((120 // len(band),) * 2, band.dtype))
        np.testing.assert_array_equal(channel[item["valid"]], fine[item["valid"]])
        valid &= fine != 0  # the nodata of the files
    np.testing.assert_array_equal(item["valid"], valid)
    assert data.pixels().resolution_m == pytest.approx((10, 10), rel=1e-2)


def test_a_reference_map_becomes_bigearthnets_classes(samples, tmp_path):
    root = samples / "BigEarthNet" / "Reference_Maps"
    convert("bigearthnet", {"map": str(root)}, str(tmp_path / "s"))
    data = LMDBDataset(tmp_path / "s", bands=["Data"], labels="Data", mapping="bigearthnet-19")
    (path,) = root.rglob("*.tif")
    expected = np.vectorize(BIGEARTHNET_19_CODES.get)(read(path)[0])
    np.testing.assert_array_equal(data[0]["mask"], expected)
    assert len(np.unique(expected)) > 2


def test_hyspecnet_comes_with_its_202_bands(samples, tmp_path):
    root = samples / "HySpecNet-11k"
    convert("hyspecnet-11k", {"images": str(root)}, str(tmp_path / "s"))
    data = LMDBDataset(tmp_path / "s", bands="hyspecnet-202", normalize=False)
    (path,) = root.rglob("*-SPECTRAL_IMAGE.TIF")
    wanted = [n for n in range(1, 225) if not (127 <= n <= 141 or 161 <= n <= 167)]
    np.testing.assert_array_equal(data[0]["image"], read(path, *wanted))


def test_two_levels_of_one_sentinel_2_image_are_one_item(samples, tmp_path):
    root = samples / "SSL4EO-S12"
    sources = {"l1c": str(root / "s2c"), "l2a": str(root / "s2a")}
    convert("ssl4eo-s12", sources, str(tmp_path / "s"))
    bands = {"l1c": ["B10", "B4"], "l2a": ["B4"]}
    data = LMDBDataset(tmp_path / "s", join=("l1c", "l2a"), bands=bands, normalize=False)
    assert data.band_names == ("B10", "l1c/B4", "l2a/B4")
    image = data[0]["image"].numpy()
    for channel, level in ((1, "s2c"), (2, "s2a")):
        (path,) = (root / level).rglob("B4.tif")
        np.testing.assert_array_equal(image[channel], read(path)[0])
