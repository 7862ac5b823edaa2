"""Real volumes: a scan of nibabel's, and a time stack of the packaged scene."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
import pytest
import rasterio

from geoseg import sample
from geoseg.labels import RasterLabels
from geoseg.scene import Scene
from geoseg.sources import GeoTIFFSource, TimeStackSource
from geoseg.volumes import Rle, VolumeZip, VolumeZipWriter, scenes_to_zip, zip_to_scenes
from tests.volumes.rle.documented import documented_decoder

TIMES = ("2000-03-01", "2000-06-01", "2000-09-01")


@pytest.fixture(scope="module")
def scan():
    """(depth, height, width) of nibabel's anatomical.nii: axes of three sizes."""
    nibabel = pytest.importorskip("nibabel")
    folder = Path(str(pytest.importorskip("nibabel.testing").data_path))
    found = np.asanyarray(nibabel.load(folder / "anatomical.nii").dataobj).transpose(2, 0, 1)
    assert len({*found.shape}) == 3
    return found


def tissues(scan):
    """Two masks by thresholds, which do not overlap."""
    low, high = np.quantile(scan, [0.6, 0.9])
    return {"soft": (scan > low) & (scan <= high), "bright": scan > high}


@pytest.mark.parametrize(
    ("axes", "order"), list(product(("HWD", "DHW"), ("dhw", "hwd"))), ids="-".join
)
def test_a_thresholded_scan_comes_back_whatever_the_dialect(tmp_path, scan, axes, order):
    uri, masks = str(tmp_path / "scans.zip"), tissues(scan)
    with VolumeZipWriter(uri, list(masks), image_axes=axes, rle_order=order) as writer:
        writer.write("anatomical", scan, masks)
    found = VolumeZip(uri)
    row = found.frame("train")[0]
    np.testing.assert_array_equal(row.image()[0], scan)
    np.testing.assert_array_equal(row.masks(), np.stack(list(masks.values())))
    assert found.validate().ok
    assert [rle.area for rle in row.rles()] == [int(mask.sum()) for mask in masks.values()]


def test_the_documented_decoder_reads_the_thresholded_scan(scan):
    depth, height, width = scan.shape
    for mask in tissues(scan).values():
        text = Rle.encode(mask).to_string()
        np.testing.assert_array_equal(documented_decoder(text, (height, width, depth)), mask)


def test_the_right_reading_of_a_scan_is_told_from_the_wrong_one(tmp_path, scan):
    for axes, order, dialect in (("HWD", "dhw", "literal"), ("HWD", "hwd", "dhw or hfast")):
        uri = str(tmp_path / f"{axes}{order}.zip")
        with VolumeZipWriter(uri, ["bright"], image_axes=axes, rle_order=order) as writer:
            writer.write("anatomical", scan, {"bright": tissues(scan)["bright"]})
        assert VolumeZip(uri).diagnose_axes().dialect == dialect


def dated(folder):
    """The packaged scene as it would look on three dates: ((date, band, height, width) pixels, sources)."""
    with rasterio.open(sample.image_uri()) as file:
        bands, profile = file.read([1, 2]), {**file.profile, "count": 2}
        assert file.nodata == 0
    light = tuple(
        np.where(bands > 0, changed, 0).astype(bands.dtype)
        for changed in (bands // 2 + 1, bands, 255 - bands // 2)
    )
    sources = []
    for time, pixels in zip(TIMES, light, strict=True):
        with rasterio.open(folder / f"{time}.tif", "w", **profile) as file:
            file.write(pixels)
        sources.append(GeoTIFFSource(uri=str(folder / f"{time}.tif")))
    return np.stack(light), tuple(sources)


def test_a_time_stack_of_the_sample_keeps_pixels_labels_dates_and_place(tmp_path):
    pixels, dates = dated(tmp_path)
    classes = sample.classes()
    truth = RasterLabels(source=sample.labels_uri(), classes=classes, mapping=sample.MAPPING)
    scene = Scene(id="carolina", image=TimeStackSource(sources=dates, times=TIMES))
    uri = str(tmp_path / "stack.zip")
    with pytest.warns(UserWarning, match="voxels"):  # a border has no pixels, and some no label
        scenes_to_zip([scene], uri, labels={"carolina": [truth] * 3}, ignored="background")
    row = VolumeZip(uri).frame("train")[0]
    with rasterio.open(sample.image_uri()) as file:
        assert (row.crs, row.transform) == (file.crs, file.transform)
    assert row.times == TIMES
    np.testing.assert_array_equal(row.image(), pixels.transpose(1, 0, 2, 3))
    ids = truth.read(scene.grid, scene.grid.whole)
    for name, mask in zip(row.classes, row.masks(), strict=True):
        number = next(c.id for c in classes.classes if c.name == name)
        there = (ids == number) & (pixels[1] > 0).all(axis=0)
        np.testing.assert_array_equal(mask, np.broadcast_to(there, mask.shape))
    (back,) = zip_to_scenes(VolumeZip(uri), label_axis="collapse")
    assert back.grid == scene.grid
    np.testing.assert_array_equal(
        back.image.read(back.grid.whole).data, pixels.reshape(6, *scene.grid.shape)
    )
