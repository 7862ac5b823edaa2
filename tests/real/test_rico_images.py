"""Every image of the sample patches, read without GDAL or through it, is what rasterio reads."""

from __future__ import annotations

import pytest
import rasterio

from geoseg.convert.images import read_image
from tests.convert.tiff.judging import same_as_rasterio

QUICK = ("BigEarthNet", "EuroSAT_MS", "SSL4EO-S12", "UCMerced_LandUse")
"""The sets whose files are plain TIFFs."""


@pytest.fixture
def samples(data_folder):
    """The folder of the samples; some copies of the data are without."""
    folder = data_folder / "rico"
    if not folder.is_dir():
        pytest.skip(f"{folder} is missing: the sample patches are not in GEOSEG_DATA")
    return folder


def images(folder):
    """The images in a folder, sorted."""
    suffixes = {".tif", ".jpg", ".png"}
    return [str(path) for path in sorted(folder.rglob("*")) if path.suffix.lower() in suffixes]


def test_every_image_is_what_rasterio_reads(samples):
    paths = images(samples)
    assert len(paths) > 70
    for path in paths:
        same_as_rasterio(path)


@pytest.mark.parametrize("name", QUICK)
def test_plain_sets_are_read_without_gdal(samples, monkeypatch, name):
    paths = images(samples / name)
    assert paths
    before = [read_image(path) for path in paths]
    monkeypatch.setattr(rasterio, "open", None)
    for path, image in zip(paths, before, strict=True):
        assert read_image(path).data.tobytes() == image.data.tobytes()
