"""What is not valid in a volume has no class, in predictions, files and scores."""

import numpy as np
import pytest
import rasterio
from affine import Affine
from torch import nn

from geoseg.learner import Learner
from geoseg.learner.volumes.judging import judged
from geoseg.volumes import ArrayVolume, VolumeZip, VolumeZipWriter
from geoseg.volumes.exporting import VolumeFolderWriter
from tests.learner.volumes.boxes import quick

SHAPE = (6, 17, 19)


class Everywhere(nn.Module):
    """A network that finds its last class everywhere."""

    def __init__(self, classes):
        super().__init__()
        self.layer = nn.Conv3d(2, classes, 1)
        nn.init.zeros_(self.layer.weight)
        nn.init.zeros_(self.layer.bias)
        self.layer.bias.data[-1] = 9

    def forward(self, image):
        return self.layer(image)


def holes():
    """A volume of two channels with NaN in one of them, infinity in the other, and where both are finite."""
    rng = np.random.default_rng(0)
    image = rng.normal(5, 1, (2, *SHAPE)).astype(np.float32)
    image[0, 1:4, :, :9] = np.nan
    image[1, 5, 3, 4] = -np.inf
    valid = np.ones(SHAPE, bool)
    valid[1:4, :, :9] = valid[5, 3, 4] = False
    mask = rng.random(SHAPE) > 0.5
    return ArrayVolume("holes", image, {"box": mask}), valid, mask


def learner(*, overlap="error"):
    classes = ["box"] if overlap == "multilabel" else ["background", "box"]
    loss = {"loss": "bce+dice"} if overlap == "multilabel" else {}
    options = quick(model="custom", model_options={}, overlap=overlap, **loss)
    return Learner(classes, options, Everywhere(len(classes)))


@pytest.mark.parametrize("overlap", ["error", "multilabel"])
def test_a_voxel_that_is_not_valid_has_no_class(overlap):
    volume, valid, _ = holes()
    found = learner(overlap=overlap).predict(volume, scores=True)
    np.testing.assert_array_equal(found.valid, valid)
    np.testing.assert_array_equal(found.mask("box"), valid)
    assert (found.scores[:, ~valid] == 0).all()
    assert found.rles()["box"].area == valid.sum()
    if found.exclusive:
        np.testing.assert_array_equal(found.ids, np.where(valid, 1, 255))
        assert not found.mask("background").any()


@pytest.mark.parametrize("order", ["dhw", "hwd"])
def test_what_is_not_valid_is_left_out_where_written_masks_are_judged(tmp_path, order):
    volume, valid, mask = holes()
    with VolumeZipWriter(tmp_path / "found.zip", ["box"], rle_order=order) as store:
        store.write("holes", volume.image(), {"box": ~mask | ~valid})
    report = judged([volume], VolumeZip(tmp_path / "found.zip").frame("train"))
    assert report.overall.tolist() == [[0, mask[valid].sum(), (~mask[valid]).sum()]]


@pytest.mark.parametrize("overlap", ["error", "multilabel"])
def test_what_is_not_valid_is_left_out_of_an_evaluation(overlap):
    volume, valid, mask = holes()
    report = learner(overlap=overlap).evaluate([volume])
    truth = mask[valid]
    assert report.overall[-1].tolist() == [truth.sum(), truth.sum(), valid.sum()]
    if overlap == "error":
        assert report.overall[0].tolist() == [0, (~truth).sum(), 0]


def test_a_volume_without_holes_keeps_no_mask_of_validity():
    volume = ArrayVolume("whole", np.ones((2, *SHAPE), np.float32))
    assert learner().predict(volume).valid is None
    assert learner().predict(ArrayVolume("b", np.ones((2, *SHAPE), np.uint8))).valid is None


def test_what_is_not_valid_is_in_no_mask_of_a_zip(tmp_path):
    volume, valid, _ = holes()
    with VolumeZipWriter(tmp_path / "found.zip", ["box"]) as store:
        learner().predict(volume, store)
    (row,) = VolumeZip(tmp_path / "found.zip").frame("train")
    np.testing.assert_array_equal(row.masks()[0], valid)


@pytest.mark.parametrize("layers", ["ids", "masks"])
@pytest.mark.parametrize("kind", ["npy", "tiff", "geotiff"])
@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_what_is_not_valid_has_no_data_in_any_folder(tmp_path, kind, layers):
    volume, valid, _ = holes()
    place = {"crs": "EPSG:32633", "transform": Affine(10, 0, 5e5, 0, -10, 5e6)}
    volume = ArrayVolume("holes", volume.image(), {"box": valid}, **place)
    with VolumeFolderWriter(tmp_path, ["box"], kind=kind, layers=layers) as folder:
        learner().predict(volume, folder, scores=True)
    ids, nodata = read_back(tmp_path, "holes", kind)
    np.testing.assert_array_equal(ids, np.where(valid, 1, 255 if layers == "ids" else 0))
    assert nodata in ({None} if kind == "npy" or layers == "masks" else {255},)
    scores, nodata = read_back(tmp_path, "holes.scores", kind)
    assert (scores[valid] > 0.9).all()
    assert np.isnan(scores[~valid]).all()
    assert kind == "npy" or all(map(np.isnan, nodata))


def read_back(folder, base, kind):
    """(depth, height, width) of one layer, and the nodata of its files, as numpy or GDAL finds them."""
    if kind == "npy":
        found = np.load(folder / f"{base}.npy")
        return found.reshape(SHAPE), {None}
    names = [str(path) for path in sorted(folder.glob(f"{base}_???.tif"))]
    if kind == "tiff":
        with rasterio.open(folder / f"{base}.tif") as file:
            names = file.subdatasets
    planes, nodata = [], set()
    for name in names:
        with rasterio.open(name) as file:
            planes.append(file.read(1))
            nodata.add(file.nodata)
    return np.stack(planes), nodata
