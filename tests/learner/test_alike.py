"""Whether what is measured on is what was learnt from: compared before the training begins."""

from __future__ import annotations

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from torch.utils.data import ConcatDataset, Dataset, Subset

from geoseg import (
    ArraySource,
    ClassMap,
    Learner,
    LMDBDataset,
    LMDBSource,
    Scene,
    SegmentationData,
    SegmentationModule,
    SlidingWindowGeoDataset,
    Training,
)
from geoseg.errors import ConfigError
from geoseg.labels.pixels import PixelLabels
from geoseg.learner.alike import check_alike, check_classes
from geoseg.sources.store.environments import close_stores
from geoseg.sources.transforms.scaling import Standardize
from tests.datasets.lmdbstores import write

CLASSES = ClassMap.of("wood", "water")
SMALL = Training(epochs=1, length=4, batch_size=4, model_options={"width": 2, "depth": 1})
OPTIONS = {"labels": "Data", "classes": ["wood", "water"]}


@pytest.fixture(autouse=True)
def nothing_open():
    yield
    close_stores()


@pytest.fixture
def store(tmp_path):
    return made(tmp_path / "store", np.uint16)


def made(path, dtype):
    rng = np.random.default_rng(0)
    patches = {}
    for number in range(4):
        arrays = {name: rng.integers(1, 255, (8, 8)).astype(dtype) for name in ("red", "nir")}
        arrays["Data"] = rng.integers(0, 2, (8, 8)).astype(np.uint8)
        patches[f"p{number}"] = (arrays, {"split": "train" if number < 3 else "val"})
    return write(path, patches)


class Own(Dataset):
    """Items of one's own, which tell nothing."""

    def __init__(self, bands=2, dtype=torch.float32, most=1.0):
        self.bands, self.dtype, self.most = bands, dtype, most

    def __len__(self):
        return 4

    def __getitem__(self, number):
        ids = torch.arange(64).reshape(8, 8) % 2
        image = torch.linspace(0, self.most, self.bands * 64).reshape(self.bands, 8, 8)
        return {"image": image.to(self.dtype), "mask": ids, "valid": torch.ones(8, 8).bool()}


def scene(name="a", dtype=np.uint8, bands=("red", "nir"), transforms=(), classes=CLASSES):
    rng = np.random.default_rng(1)
    pixels = rng.integers(1, 255, (len(bands), 16, 24)).astype(dtype)
    image = ArraySource(data=pixels, band_names=bands, transforms=transforms)
    ids = rng.integers(0, 2, (1, 16, 24)).astype(np.uint8)
    return Scene(id=name, image=image, labels=PixelLabels(source=ArraySource(data=ids), classes=classes))  # fmt: skip


def windows(**options):
    return SlidingWindowGeoDataset([scene(**options)], 8)


def test_validation_patches_with_bands_in_another_order_are_refused(store):
    train = LMDBDataset(store, split="train", bands=["red", "nir"], **OPTIONS)
    turned = LMDBDataset(store, split="val", bands=["nir", "red"], **OPTIONS)
    match = r"validation data have the bands \(nir, red\), but the training data have \(red, nir\)"
    with pytest.raises(ConfigError, match=match):
        Learner(CLASSES, SMALL).fit(train, turned)
    with pytest.raises(ConfigError, match=match):
        check_alike(ConcatDataset([train, train]), Subset(turned, [0]))
    fewer = LMDBDataset(store, split="val", bands=["red"], **OPTIONS)
    with pytest.raises(ConfigError, match=r"validation data have the bands \(red\)"):
        check_alike(train, fewer)


def test_the_same_is_refused_where_lightning_trains(store):
    train = LMDBDataset(store, split="train", bands=["red", "nir"], **OPTIONS)
    turned = LMDBDataset(store, split="val", bands=["nir", "red"], **OPTIONS)
    module = SegmentationModule(CLASSES, 2, model_options={"width": 2, "depth": 1}, mean=[0, 0], std=[1, 1])  # fmt: skip
    trainer = pl.Trainer(
        max_epochs=1, logger=False, accelerator="cpu", enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False,
    )  # fmt: skip
    with pytest.raises(ConfigError, match=r"the bands \(nir, red\)"):
        trainer.fit(module, SegmentationData(train, turned, batch_size=2))


def test_patches_of_another_dtype_are_refused_and_scaled_ones_are_the_same(store, tmp_path):
    train = LMDBDataset(store, split="train", **OPTIONS)
    other = LMDBDataset(made(tmp_path / "bytes", np.uint8), split="val", **OPTIONS)
    with pytest.raises(ConfigError, match="are pixels of uint8, but the training data of uint16"):
        Learner(CLASSES, SMALL).fit(train, other)
    scores = [
        Learner(CLASSES, SMALL).fit(train, LMDBDataset(store, split="val", normalize=normalize, **OPTIONS))
        for normalize in (True, False)
    ]  # fmt: skip
    one, two = (learner.history[-1] for learner in scores)
    assert one["valid_loss"] == pytest.approx(two["valid_loss"], rel=1e-5)


def test_classes_of_both_data_sets_are_those_of_the_learner(store):
    train = LMDBDataset(store, split="train", **OPTIONS)
    turned = LMDBDataset(store, split="val", labels="Data", classes=["water", "wood"])
    match = r"data set for validation has the classes \['water', 'wood'\] .*one class map"
    with pytest.raises(ConfigError, match=match):
        Learner(CLASSES, SMALL).fit(train, turned)
    with pytest.raises(
        ConfigError, match=r"data set for training has the classes \['wood', 'water'\]"
    ):
        Learner(ClassMap.of("x", "y"), SMALL).fit(train)
    for other in (windows(classes=ClassMap.of("x", "y")), Subset(turned, [0])):
        with pytest.raises(ConfigError, match="one class map"):
            check_classes(ConcatDataset([train, other]), CLASSES, what="training")
    check_classes(ConcatDataset([train, windows(), Own()]), CLASSES, what="training")


def test_windows_of_scenes_are_compared_with_patches(store):
    train = LMDBDataset(store, split="train", bands=["red", "nir"], **OPTIONS)
    check_alike(train, windows(dtype=np.uint16))
    check_alike(windows(dtype=np.uint16), train)
    check_alike(train, [scene(dtype=np.uint16)])
    check_alike([scene(dtype=np.uint16, bands=("1", "2"))], train)  # numbers are no names
    with pytest.raises(ConfigError, match="pixels of uint8, but the training data of uint16"):
        check_alike(train, windows())
    with pytest.raises(ConfigError, match=r"the bands \(nir, red\)"):
        check_alike(train, windows(dtype=np.uint16, bands=("nir", "red")))


def test_windows_that_end_with_another_standardize_are_refused():
    fixed = (Standardize(mean=(1, 2), std=(3, 4)),)
    check_alike(windows(transforms=fixed), windows(transforms=fixed))
    check_alike(windows(transforms=fixed), [scene()])  # gets it when it is read
    with pytest.raises(ConfigError, match=r"validation data end with no Standardize, but .*mean"):
        check_alike(windows(transforms=fixed), windows())


def test_items_that_tell_nothing_are_compared_by_the_first(store):
    with pytest.raises(
        ConfigError, match=r"for validation are 3 channels of float32 .* 2 channels"
    ):
        Learner(CLASSES, SMALL).fit(Own(), Own(bands=3))
    with pytest.raises(ConfigError, match=r"2 channels of int16 .* training 2 channels of float32"):  # fmt: skip
        check_alike(Own(), Own(dtype=torch.int16, most=99))
    with pytest.raises(ConfigError, match="one dtype and unit"):
        check_alike(Own(dtype=torch.uint8, most=255), Own(dtype=torch.uint16, most=255))
    check_alike(Own(), Own(dtype=torch.float64))
    check_alike(Own(dtype=torch.int16, most=99), [scene(dtype=np.float32)])
    check_alike(
        Own(most=1.1), Own(dtype=torch.uint8, most=255)
    )  # is scaled; augmented ones exceed 1


def test_items_in_other_units_than_scaled_pixels_are_refused(store):
    patches = LMDBDataset(store, split="train", **OPTIONS)
    check_alike(patches, Own(most=1.1))
    for train, valid in ((patches, Own(most=60000)), (Own(most=200), patches), (Own(most=200), [scene()])):  # fmt: skip
        with pytest.raises(ConfigError, match=r" from .* and only unsigned integers are scaled"):
            check_alike(train, valid)


def test_a_size_that_items_do_not_have_is_told(store):
    train = LMDBDataset(store, split="train", **OPTIONS)
    sized = SMALL.model_copy(update={"size": 64})
    with pytest.warns(
        UserWarning, match="asks for windows of 64 x 64 px, but the items .* 8 x 8 px"
    ):
        Learner(CLASSES, sized).fit(train)
    Learner(CLASSES, SMALL.model_copy(update={"size": (8, 8)})).fit(train)


def test_a_list_of_data_sets_is_told_how_to_be_given(store):
    train = LMDBDataset(store, split="train", **OPTIONS)
    for call in (SegmentationData, Learner(CLASSES, SMALL).fit):
        with pytest.raises(ConfigError, match=r"pass the data set itself, .*ConcatDataset"):
            call([train])


def test_a_source_in_place_of_a_scene_is_told_how_to_be_wrapped(store):
    learner = Learner(CLASSES, SMALL, model=torch.nn.Conv2d(2, 2, 1))
    source = LMDBSource(uri=store, key="p0", bands=("red", "nir"))
    with pytest.raises(
        ConfigError, match=r"got LMDBSource; wrap it: Scene\(id=\.\.\., image=source\)"
    ):
        learner.predict(source)
    with pytest.raises(ConfigError, match="got LMDBSource"):
        learner.evaluate([source])
    with pytest.raises(ConfigError, match="expected a Scene, got str"):
        learner.predict("scene.yaml")
