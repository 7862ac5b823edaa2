"""Learning from the patches of stores: what a bundle knows of them, and prediction on a patch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.utils.data import ConcatDataset, Subset

from geoseg import Learner, LMDBDataset, LMDBSource, Scene, StackSource, Training
from geoseg.errors import BundleError
from geoseg.grid import Grid
from geoseg.learner import SegmentationData
from geoseg.learner.measured import facts_of_dataset
from geoseg.sources.store.environments import close_stores
from geoseg.window import Window
from tests.datasets.lmdbstores import bigearthnet, held, repeated, write

GRID = Grid(crs="EPSG:32633", transform=[10, 0, 5e5, 0, -10, 4.2e6], height=32, width=32)


@pytest.fixture(autouse=True)
def nothing_open():
    yield
    close_stores()


@pytest.fixture
def store(tmp_path):
    """Patches whose bright pixels in the coarse band "red" are CORINE's 311, the others 512."""
    rng = np.random.default_rng(0)
    patches = {}
    for number in range(10):
        bright = rng.integers(0, 2, (4, 4), np.uint16)
        red = repeated(bright, (16, 16)) * 3000 + rng.integers(1, 500, (16, 16))
        arrays = {
            "nir": rng.integers(1, 4000, (32, 32)).astype(np.uint16),
            "red": red.astype(np.uint16),
            "Data": np.where(repeated(bright, (32, 32)), 311, 512).astype(np.uint16),
        }
        split = "train" if number < 7 else "test"
        patches[f"p{number}"] = (arrays, {"grid": GRID, "nodata": {"nir": 0, "red": 0}, "split": split})  # fmt: skip
    return write(tmp_path / "store", patches)


OPTIONS = {"bands": ["red", "nir"], "labels": "Data", "classes": ["wood", "water"], "mapping": {311: 0, 512: 1}}  # fmt: skip


@pytest.mark.slow
def test_a_learner_trains_and_validates_on_patches_and_predicts_one(store, tmp_path):
    train = LMDBDataset(store, split="train", **OPTIONS)
    valid = LMDBDataset(store, split="test", normalize=False, **OPTIONS)
    training = Training(model_options={"width": 4, "depth": 2}, epochs=10, batch_size=4, lr=2e-2)
    learner = Learner(train.classes, training).fit(train, valid)
    assert learner.history[-1]["valid_mean_iou"] > 0.8
    learner.save(str(tmp_path / "model"))
    loaded = Learner.load(str(tmp_path / "model"))
    facts = loaded.info.data
    assert (facts.band_names, facts.dtype, facts.origin) == (("red", "nir"), "uint16", "scenes")
    assert facts.resolution_m == pytest.approx((10, 10), rel=1e-2)
    patch = LMDBSource(uri=store, key="p9", bands=("red", "nir"))
    found = loaded.predict(Scene(id="p9", image=patch)).read(Window(0, 0, 32, 32))
    truth = np.where(held(store)["p9"]["Data"] == 311, 0, 1)
    assert (found == truth).mean() > 0.9
    turned = patch.model_copy(update={"bands": ("nir", "red")})
    with pytest.raises(BundleError, match=r"bands are \(nir, red\), but .* on \(red, nir\)"):
        loaded.predict(Scene(id="p9", image=turned))


def test_what_is_learnt_is_of_the_stored_values_scaled_or_not(store):
    values = held(store)
    stack = np.stack([[repeated(values[f"p{n}"]["red"], (32, 32)), values[f"p{n}"]["nir"]] for n in range(7)])  # fmt: skip
    for normalize in (True, False):
        data = LMDBDataset(store, split="train", normalize=normalize, **OPTIONS)
        for same in (data, Subset(data, range(7)), ConcatDataset([data, data])):
            found = facts_of_dataset(same)
            assert (found.dtype, found.band_names, found.origin) == ("uint16", ("red", "nir"), "scenes")  # fmt: skip
            assert found.statistics.mean == pytest.approx(stack.mean(axis=(0, 2, 3)), rel=1e-4)
            assert found.statistics.std == pytest.approx(stack.std(axis=(0, 2, 3)), rel=1e-4)


class Halved(LMDBDataset):
    """Items of one's own, made of patches."""

    def __getitems__(self, indices):
        """Half of each pixel."""
        items = super().__getitems__(indices)
        items.stacked["image"] = items.stacked["image"] / 2
        return items


class Told(Halved):
    """The same, which says what they are."""

    def pixels(self):
        """As they are stored."""
        return super().pixels()


def test_a_class_that_makes_other_items_tells_nothing_unless_it_says_so(store):
    assert facts_of_dataset(Halved(store, **OPTIONS)).origin == "items"
    assert facts_of_dataset(Told(store, **OPTIONS)).origin == "scenes"
    red, both = (LMDBDataset(store, **OPTIONS | {"bands": bands}) for bands in (["red"], ["nir"]))
    assert facts_of_dataset(ConcatDataset([red, both])).origin == "items"


def test_the_names_of_joined_bands_are_those_of_a_stack_of_their_sources(tmp_path):
    uri = bigearthnet(tmp_path / "s")
    data = LMDBDataset(uri, join=("s1", "s2", "map"), labels="Data", mapping="bigearthnet-19")
    keys = "S1A_IW_GRDH_2", "S2A_MSIL2A_T33UUP_2"
    image = StackSource(sources=tuple(LMDBSource(uri=uri, key=key) for key in keys))
    told = data.pixels()
    assert (told.band_names, told.dtype) == (image.band_names, image.dtype)
    assert told.resolution_m == pytest.approx(image.grid.ground_resolution)
    np.testing.assert_array_equal(data[2]["image"], image.read(image.grid.whole).data)


def test_a_module_gets_the_same_pixels_scaled_here_or_on_its_device(store):
    batches = [
        next(iter(SegmentationData(LMDBDataset(store, split="train", normalize=n, **OPTIONS), batch_size=4, seed=1).train_dataloader()))
        for n in (True, False)
    ]  # fmt: skip
    assert batches[0]["scene"] == batches[1]["scene"]
    assert batches[1]["image"].dtype == torch.uint16
    torch.testing.assert_close(batches[1]["image"].float() / 65535, batches[0]["image"])
