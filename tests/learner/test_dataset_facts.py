"""What a bundle knows of a model that was trained on a data set, and which scenes it then takes."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import rasterio
import torch
from torch.utils.data import ConcatDataset, Subset

from geoseg.classes import ClassMap
from geoseg.datasets import ImageFolderDataset, SlidingWindowGeoDataset
from geoseg.errors import BundleError, ConfigError
from geoseg.labels.pixels import PixelLabels
from geoseg.learner import Learner, Training
from geoseg.learner.data import SegmentationData
from geoseg.learner.export import export_pt2
from geoseg.learner.exported import open_model
from geoseg.learner.facts import DataFacts, facts_of
from geoseg.learner.measured import facts_of_dataset, facts_of_items, scenes_of
from geoseg.scene import Scene
from geoseg.sources.array import ArraySource
from geoseg.sources.geotiff import GeoTIFFSource
from geoseg.sources.transforms import Cast, Standardize

CLASSES = ClassMap.of("dark", "bright")
TRAINING = Training(
    model="unet", model_options={"width": 4, "depth": 2}, size=32, epochs=1, length=4, batch_size=2
)
HEIGHT, WIDTH = 37, 45


def pixels(seed=0, bands=3):
    return np.random.default_rng(seed).integers(0, 256, (bands, HEIGHT, WIDTH), dtype=np.uint8)


def mask():
    found = np.zeros((HEIGHT, WIDTH), np.uint8)
    found[9:20, 5:31] = 1
    return found


def write(path, data):
    keys = {"height": HEIGHT, "width": WIDTH, "count": len(data), "dtype": data.dtype}
    place = rasterio.transform.from_origin(500000, 4000000, 0.5, 0.5)
    with rasterio.open(
        path, "w", driver="GTiff", crs="EPSG:32619", transform=place, **keys
    ) as file:
        file.write(data)
    return str(path)


@pytest.fixture
def folder(tmp_path):
    for seed in range(3):
        for name, data in (("images", pixels(seed)), ("masks", mask()[None])):
            (tmp_path / "fd" / name).mkdir(parents=True, exist_ok=True)
            write(tmp_path / "fd" / name / f"{seed}.tif", data)
    return tmp_path / "fd"


class Items(torch.utils.data.Dataset):
    """Items of one's own, whose images are made of uint8 pixels."""

    def __init__(self, change=lambda image: image, bands=3):
        self.change, self.bands = change, bands

    def __len__(self):
        return 4

    def __getitem__(self, number):
        if number >= 4:
            raise IndexError
        image = torch.from_numpy(pixels(number, self.bands)[:, :32, :32].copy())
        truth = torch.from_numpy(mask()[:32, :32].copy()).long()
        valid = torch.ones(32, 32, dtype=torch.bool)
        return {"image": self.change(image), "mask": truth, "valid": valid}


def raw(image):
    return image.float()


def scaled(image):
    return image.float() / 255


def trained(dataset, model=None):
    torch.manual_seed(0)
    return Learner(CLASSES, TRAINING, model).fit(dataset)


def small():
    """A network that is exported in no time."""
    return torch.nn.Conv2d(3, 2, 1)


def scores(model, source):
    labels = model.predict(Scene(id="x", image=source))
    return labels.scores(labels.grid.whole)


@pytest.mark.parametrize("normalize", [True, False])
def test_of_an_image_folder_all_is_known_that_is_known_of_scenes(folder, normalize):
    data = ImageFolderDataset(folder, classes=CLASSES, normalize=normalize)
    found = facts_of_dataset(data)
    expected = facts_of(data.scenes)
    assert (found.band_names, found.dtype) == (expected.band_names, "uint8")
    assert found.resolution_m == expected.resolution_m
    assert found.resolution_m == pytest.approx((0.5, 0.5), rel=1e-3)
    assert (found.origin, found.standardize) == ("scenes", None)
    every = np.concatenate([pixels(seed).reshape(3, -1) for seed in range(3)], axis=1).astype(float)
    assert found.statistics.mean == pytest.approx(every.mean(axis=1))
    assert found.statistics.std == pytest.approx(every.std(axis=1))
    assert SegmentationData(data).facts() == found


def test_a_bundle_of_an_image_folder_refuses_another_dtype_and_other_bands(folder, tmp_path):
    uri = str(tmp_path / "fd.zip")
    trained(ImageFolderDataset(folder, classes=CLASSES, size=32)).save(uri)
    learner = Learner.load(uri)
    assert (learner.data.dtype, learner.data.origin) == ("uint8", "scenes")
    assert scores(learner, ArraySource(data=pixels())).shape == (2, HEIGHT, WIDTH)
    for dtype in ("uint16", "float32"):
        with pytest.raises(BundleError, match=f"'x': pixels are {dtype}, .* trained on uint8"):
            scores(learner, ArraySource(data=pixels().astype(dtype)))
    with pytest.raises(BundleError, match=r"has 4 bands .* trained on 3"):
        scores(learner, ArraySource(data=pixels(bands=4)))


def test_parts_of_data_sets_are_known_too_but_not_a_class_of_ones_own(folder):
    class Brighter(ImageFolderDataset):
        def __getitem__(self, number):
            return super().__getitem__(number)

    data = ImageFolderDataset(folder, classes=CLASSES)
    assert scenes_of(Subset(data, [0, 2])) == data.scenes
    assert scenes_of(ConcatDataset([data, Subset(data, [1])])) == data.scenes * 2
    for other in (Brighter(folder, classes=CLASSES), Items()):
        assert scenes_of(other) is None
        assert scenes_of(ConcatDataset([data, other])) is None
        assert facts_of_dataset(other).origin == "items"


def test_a_standardize_of_a_data_sets_scenes_is_known_and_never_done_twice():
    fixed = Standardize(mean=(120.0, 130.0, 140.0), std=(70.0, 60.0, 50.0))
    image = ArraySource(data=pixels(), transforms=(fixed,))
    labels = PixelLabels(source=ArraySource(data=mask()[None]), classes=CLASSES)
    data = SlidingWindowGeoDataset([Scene(id="a", image=image, labels=labels)], 32)
    learner = trained(data)
    assert (learner.data.dtype, learner.data.standardize) == ("uint8", fixed)
    assert learner.module.mean.unique().tolist() == [0]
    assert learner.module.std.unique().tolist() == [1]
    assert np.array_equal(scores(learner, image), scores(learner, ArraySource(data=pixels())))


def test_raw_floats_of_ones_own_data_set_refuse_pixels_that_would_be_scaled():
    learner = trained(Items(raw))
    known = learner.data
    assert (known.origin, known.dtype, known.band_names) == ("items", "float32", ("1", "2", "3"))
    whole = ArraySource(data=pixels())
    with pytest.raises(
        BundleError, match=r"'x': pixels are uint8, .* scales to \[0, 1\].*type: cast"
    ):
        scores(learner, whole)
    cast = whole.model_copy(update={"transforms": (Cast(dtype="float32"),)})
    expected = scores(learner, ArraySource(data=pixels().astype(np.float32)))
    assert np.array_equal(scores(learner, cast), expected)
    assert np.array_equal(scores(learner, ArraySource(data=pixels().astype(np.int16))), expected)


def test_floats_up_to_1_of_ones_own_data_set_are_assumed_to_be_scaled_with_a_word():
    learner = trained(Items(scaled))
    with pytest.warns(UserWarning, match=r"'x': pixels are uint8, .* assumed .* by 255"):
        found = scores(learner, ArraySource(data=pixels()))
    expected = scores(learner, ArraySource(data=pixels().astype(np.float32) / np.float32(255)))
    assert np.allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("dtype", ["uint16", "float32", "int16"])
def test_whole_numbers_of_ones_own_data_set_want_the_same_dtype(dtype):
    learner = trained(Items())
    assert (learner.data.origin, learner.data.dtype) == ("items", "uint8")
    assert scores(learner, ArraySource(data=pixels())).shape == (2, HEIGHT, WIDTH)
    with pytest.raises(BundleError, match=f"pixels are {dtype}, .* data set of uint8"):
        scores(learner, ArraySource(data=pixels().astype(dtype)))


def test_standardized_floats_of_ones_own_data_set_refuse_raw_pixels_but_take_standardized_ones():
    learner = trained(Items(lambda image: (image.float() - 127) / 70))
    with pytest.raises(BundleError, match="other numbers"):
        scores(learner, ArraySource(data=pixels()))
    fixed = Standardize(mean=(127.0,) * 3, std=(70.0,) * 3)
    found = scores(learner, ArraySource(data=pixels(), transforms=(fixed,)))
    expected = (pixels().astype(np.float32) - 127) / 70
    assert np.allclose(found, scores(learner, ArraySource(data=expected)), atol=1e-5)


def test_a_bundle_that_knows_no_data_still_compares_the_number_of_bands():
    learner = trained(Items())
    learner.data = None  # as in bundles of earlier versions
    with pytest.raises(BundleError, match=r"'x': the image has 4 bands .* takes 3; choose them"):
        scores(learner, ArraySource(data=pixels(bands=4)))
    own = Learner(CLASSES, TRAINING, torch.nn.Conv2d(4, 2, 1))
    assert scores(own, ArraySource(data=pixels(bands=4))).shape == (2, HEIGHT, WIDTH)


def test_facts_of_earlier_bundles_are_those_of_scenes():
    found = facts_of_items(Items())
    older = found.model_dump(mode="json")
    del older["origin"]
    assert DataFacts.model_validate(older).origin == "scenes"


def test_an_export_knows_what_the_bundle_knows(folder, tmp_path):
    learner = trained(ImageFolderDataset(folder, classes=CLASSES, size=32), small())
    with pytest.raises(
        ConfigError, match="dtype is 'uint16', but the model was trained on 'uint8'"
    ):
        export_pt2(learner, str(tmp_path / "m.pt2"), dtype="uint16")
    export_pt2(learner, str(tmp_path / "m.pt2"), size=32)
    model = open_model(str(tmp_path / "m.pt2"))
    image = ArraySource(data=pixels())
    assert np.allclose(scores(model, image), scores(learner, image), atol=1e-4)


def test_an_export_of_ones_own_data_set_is_for_the_dtype_that_is_asked_for(tmp_path):
    learner = trained(Items(scaled), small())
    uri = str(tmp_path / "m.pt2")
    with pytest.raises(ConfigError, match="no type of pixels"):
        export_pt2(learner, uri, dtype="text")
    with pytest.raises(ConfigError, match=r"the dtype of the images is uint8, .* other numbers"):
        export_pt2(trained(Items(raw)), uri, dtype="uint8")
    with pytest.warns(UserWarning, match="assumed"):
        export_pt2(learner, uri, dtype="uint8", size=32)
    model = open_model(uri)
    assert (model.facts.dtype, model.data.dtype) == ("uint8", "float32")
    image = ArraySource(data=pixels())
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # all was said when it was made
        found = scores(model, image)
    with pytest.warns(UserWarning, match="assumed"):
        assert np.allclose(found, scores(learner, image), atol=1e-4)
    with pytest.raises(BundleError, match=r"has 3 bands of float32, but .* takes 3 of uint8"):
        scores(model, ArraySource(data=pixels().astype(np.float32)))


def test_scenes_to_measure_on_are_compared_with_the_data_set(folder, tmp_path):
    image = GeoTIFFSource(uri=write(tmp_path / "x.tif", pixels().astype(np.uint16)))
    labels = PixelLabels(source=ArraySource(data=mask()[None]), classes=CLASSES)
    data = ImageFolderDataset(folder, classes=CLASSES, size=32)
    with pytest.raises(BundleError, match="pixels are uint16, but the model was trained on uint8"):
        Learner(CLASSES, TRAINING).fit(data, [Scene(id="x", image=image, labels=labels)])
