"""Data sets over windows of masks: made by Hydra, and trained on."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio
from hydra.errors import InstantiationException
from hydra.utils import instantiate
from omegaconf import OmegaConf
from torch.utils.data import DataLoader

from geoseg.datasets import MBTilesMaskWindowedDataset
from geoseg.learner import Learner, SegmentationData, Training
from geoseg.learner.measured import facts_of_dataset

TARGET = "geoseg.datasets.MBTilesMaskWindowedDataset"


def invert(sample):
    return sample | {"image": 1 - sample["image"]}


@pytest.fixture
def files(tmp_path, write_raster):
    """image.tif, where the bright are class 1, and masks/{a,b}.tif of its halves."""
    (tmp_path / "masks").mkdir()
    rng = np.random.default_rng(0)
    ids = np.kron(rng.integers(0, 2, (6, 12)), np.ones((8, 8))).astype(np.uint8)
    image = (ids * 150 + rng.integers(0, 40, (3, *ids.shape))).astype(np.uint8)
    uri = write_raster("image.tif", image)
    write_raster("masks/a.tif", ids)
    write_raster("masks/b.tif", np.where(ids, 7, 0).astype(np.uint16), nodata=255)
    return tmp_path, uri


def node(files, **options):
    folder, uri = files
    return OmegaConf.create({
        "root": str(folder),
        "train_dataset": {
            "_target_": TARGET,
            "mbtiles_path": uri,
            "mask_paths": ["${root}/masks/b.tif", "${root}/masks/a.tif"],
            "patch_size": [16, 24],
            "selected_bands": [3, 1],
            "data_loader": {"batch_size": 5, "num_workers": 0, "shuffle": True, "drop_last": False},
            **options,
        },
    })  # fmt: skip


def test_hydra_makes_one_with_its_lists_and_a_nested_data_loader(files):
    conf = node(files, augmentation_list=[{"_target_": "hydra.utils.get_method", "path": f"{__name__}.invert"}])  # fmt: skip
    made = instantiate(conf.train_dataset)
    assert isinstance(made, MBTilesMaskWindowedDataset)
    folder, uri = files
    plain = MBTilesMaskWindowedDataset(
        uri, mask_dir=folder / "masks", patch_size=(16, 24), selected_bands=[3, 1]
    )
    assert made.mask_paths == plain.mask_paths
    assert len(made) == len(plain) == 2 * 3 * 4
    assert np.allclose(made[9]["image"], 1 - plain[9]["image"])
    assert made.data_loader.batch_size == 5
    assert made.data_loader["shuffle"] is True
    batch = next(iter(DataLoader(made, **made.data_loader)))
    assert batch["image"].shape == (5, 2, 16, 24)
    one_by_one = instantiate(conf.train_dataset, _recursive_=False)
    assert np.array_equal(one_by_one[9]["image"], made[9]["image"])


def test_hydra_tells_of_keys_that_there_are_not(files):
    with pytest.raises(InstantiationException, match=r"'mask_folder' \(nearest: 'mask_dir'\)"):
        instantiate(node(files, mask_folder="masks").train_dataset)


@pytest.mark.slow
def test_a_learner_trains_and_validates_on_them(files):
    folder, uri = files
    options = {"patch_size": 32, "stride": 16, "mask_dir": folder / "masks"}
    train = MBTilesMaskWindowedDataset(uri, **options)
    valid = MBTilesMaskWindowedDataset(uri, **options, ignore_index=255, edge="pad")
    training = Training(model_options={"width": 4, "depth": 2}, epochs=8, batch_size=6, lr=1e-2)
    learner = Learner(["dark", "bright"], training).fit(train, valid)
    assert learner.history[-1]["valid_mean_iou"] > 0.9
    module = learner.module.eval()
    batch = next(iter(SegmentationData(train, valid, batch_size=6).val_dataloader()))
    assert len(batch["mask_path"]) == 6
    logits = module(module.normalized(batch["image"], batch["valid"]), batch["valid"])
    labelled = batch["valid"] & (batch["mask"] != 255)
    assert (logits.argmax(1) == batch["mask"])[labelled].float().mean() > 0.9


def test_what_is_learnt_from_them_is_of_the_pixels_in_the_file(files):
    folder, uri = files
    options = {"patch_size": 16, "mask_dir": folder / "masks", "selected_bands": [3, 1]}
    found = facts_of_dataset(MBTilesMaskWindowedDataset(uri, **options))
    with rasterio.open(uri) as file:
        pixels = file.read([3, 1]).reshape(2, -1)
    assert (found.dtype, found.band_names, found.origin) == ("uint8", ("3", "1"), "scenes")
    assert found.statistics.mean == pytest.approx(pixels.mean(axis=1), rel=1e-5)
    assert found.statistics.std == pytest.approx(pixels.std(axis=1), rel=1e-5)
    for other in ({"augmentation_list": [invert]}, {"image_dtype": "native"}):
        assert (
            facts_of_dataset(MBTilesMaskWindowedDataset(uri, **options, **other)).origin == "items"
        )
