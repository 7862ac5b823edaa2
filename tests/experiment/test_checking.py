"""What `check` finds in the scenes, before the work."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine

from geoseg.errors import LabelError, SceneError, SourceError
from geoseg.experiment import check, checking, run
from tests.experiment.experiments import read


def test_check_counts_the_labels_that_training_sees(folder):
    reports = check(read(folder))
    assert [(r.id, r.part) for r in reports] == [("a", "train"), ("b", "test")]
    with rasterio.open(folder / "a_ids.tif") as ids, rasterio.open(folder / "a.tif") as image:
        seen = ids.read(1)[image.dataset_mask() > 0]
    report = reports[0]
    assert report.shares["bright"] == pytest.approx((seen == 1).mean())
    assert report.labelled == pytest.approx(len(seen) / (61 * 83))
    assert (report.band_names, report.dtype) == (("red", "nir"), "uint8")
    assert report.grid.shape == (61, 83)


def test_check_writes_nothing(folder):
    before = sorted(folder.iterdir())
    check(read(folder))
    assert sorted(folder.iterdir()) == before


def test_check_finds_ids_that_are_no_class_wherever_they_are(folder, write_raster):
    ids = np.zeros((700, 83), "uint8")
    ids[-1, -1] = 7
    write_raster("a.tif", np.full((2, 700, 83), 9, "uint8"))
    write_raster("a_ids.tif", ids)
    with pytest.raises(LabelError, match=r"a_ids\.tif.*7 \(1 pixels\)"):
        check(read(folder))


def test_check_finds_a_truncated_image_before_the_training(folder, write_raster):
    path = Path(write_raster("b.tif", np.full((2, 61, 83), 9, "uint8")))
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(SourceError, match=r"b\.tif.*truncated"):
        run(read(folder))
    assert not (folder / "out" / "bundle.zip").exists()


@pytest.mark.parametrize(
    ("bands", "dtype", "names"),
    [(3, "uint8", None), (2, "uint16", ("red", "nir")), (2, "uint8", ("nir", "red"))],
)
def test_scenes_with_other_bands_are_refused(folder, write_raster, bands, dtype, names):
    write_raster("b.tif", np.ones((bands, 61, 83), dtype), descriptions=names)
    with pytest.raises(SceneError, match=r"'b' has bands.*'a' has \(red, nir\) of uint8"):
        check(read(folder))


def test_bands_without_names_are_compared_by_number(folder, write_raster):
    write_raster("b.tif", np.ones((2, 61, 83), "uint8"))
    assert len(check(read(folder))) == 2


def test_a_scene_without_a_pixel_that_counts_is_refused(folder, write_raster):
    write_raster("a_ids.tif", np.full((61, 83), 255, "uint8"))
    with pytest.raises(SceneError, match=r"'a' \(train\): no pixel has a label"):
        check(read(folder))


def test_labels_elsewhere_are_refused(folder, write_raster):
    write_raster("a_ids.tif", np.ones((61, 83), "uint8"), transform=Affine(10, 0, 7e5, 0, -10, 4e6))
    with pytest.raises(SceneError, match=r"'a': the labels .* lie outside the image"):
        check(read(folder))


def test_a_class_that_cannot_be_learned_is_told(folder):
    with pytest.warns(UserWarning, match="'blue' does not occur in the training scenes"):
        check(read(folder, ("[dark, bright]", "[dark, bright, blue]")))


def test_check_finds_what_little_counts_in_a_large_scene(folder, write_raster, monkeypatch):
    monkeypatch.setattr(checking, "_ENOUGH", 500)
    ids = np.full((1900, 9), 255, "uint8")
    ids[1234, 2:6] = 1
    write_raster("a.tif", np.full((2, 1900, 9), 9, "uint8"))
    write_raster("a_ids.tif", ids, nodata=255)
    with pytest.warns(UserWarning, match="'dark' does not occur"):
        report = check(read(folder))[0]
    assert report.labelled == pytest.approx(4 / (1900 * 9))
    assert report.shares == {"dark": 0, "bright": 1}
    write_raster("a_ids.tif", np.full((1900, 9), 255, "uint8"), nodata=255)
    with pytest.raises(SceneError, match="no pixel has a label that counts"):
        check(read(folder))


def test_check_of_a_large_scene_tells_shares_of_all_its_pixels(folder, write_raster, monkeypatch):
    monkeypatch.setattr(checking, "_ENOUGH", 20_000)
    ids = (np.random.default_rng(0).random((1900, 31)) < 0.3).astype("uint8")
    data = np.full((2, 1900, 31), 9, "uint8")
    data[:, :, :10] = 0
    write_raster("a.tif", data, nodata=0)
    write_raster("a_ids.tif", ids)
    report = check(read(folder))[0]
    assert report.labelled == pytest.approx(21 / 31, abs=1e-3)
    assert report.shares["bright"] == pytest.approx(ids[:, 10:].mean(), abs=0.02)


@pytest.mark.parametrize("row", [0, 777, 1899])
def test_check_finds_an_id_that_is_no_class_in_any_row_of_a_large_scene(
    folder, write_raster, monkeypatch, row
):
    monkeypatch.setattr(checking, "_ENOUGH", 500)
    ids = np.zeros((1900, 9), "uint8")
    ids[row, 5] = 7
    write_raster("a.tif", np.full((2, 1900, 9), 9, "uint8"))
    write_raster("a_ids.tif", ids)
    with pytest.raises(LabelError, match=r"a_ids\.tif.*7 \(1 pixels\)"):
        check(read(folder))
