"""The module and the data in a plain script, from LightningCLI's YAML and from Hydra's."""

from __future__ import annotations

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
import yaml
from hydra.utils import instantiate
from omegaconf import OmegaConf
from PIL import Image
from pydantic import ValidationError
from pytorch_lightning.cli import LightningCLI
from torch import nn

from geoseg.classes import ClassMap
from geoseg.datasets.epochs import EpochSampler
from geoseg.datasets.folder import ImageFolderDataset
from geoseg.errors import BundleError, ConfigError, LabelError
from geoseg.labels.pixels import PixelLabels
from geoseg.learner import Learner, SegmentationData, SegmentationModule, Training
from geoseg.scene import Scene

pytestmark = pytest.mark.filterwarnings(
    "ignore::FutureWarning",
    "ignore::jsonargparse._deprecated.JsonargparseDeprecationWarning",  # of Lightning's own use of it "ignore:.*many workers.*", "ignore:.*exists and is not empty.*"
)

TRAINER = {
    "max_epochs": 2, "accelerator": "cpu", "logger": False, "enable_progress_bar": False,
    "enable_checkpointing": False, "enable_model_summary": False, "num_sanity_val_steps": 0,
    "log_every_n_steps": 1,
}  # fmt: skip
SMALL = {"model_options": {"width": 4, "depth": 2}}


class Own(nn.Module):
    """A network of a user's own, with plain options."""

    def __init__(self, channels: int, classes: int, width: int = 5) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(channels, width, 3, padding=1), nn.ReLU(), nn.Conv2d(width, classes, 1)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layers(x)


@pytest.fixture
def files(write_raster, tmp_path, monkeypatch):
    """A bright and a dark class: one georeferenced scene, and a folder of pictures."""
    monkeypatch.setattr("sys.argv", ["fit.py"])  # LightningCLI compares it with its own arguments
    rng = np.random.default_rng(2)
    (tmp_path / "images").mkdir()
    (tmp_path / "masks").mkdir()
    for number, shape in enumerate([(40, 52), (33, 47)]):
        mask = rng.integers(0, 2, (shape[0] // 4 + 1, shape[1] // 4 + 1), np.uint8)
        mask = mask.repeat(4, axis=0).repeat(4, axis=1)[: shape[0], : shape[1]]
        image = np.where(mask, 200, 60)[None] + rng.integers(-20, 20, (3, *shape))
        image = image.astype(np.uint8)
        Image.fromarray(np.moveaxis(image, 0, 2)).save(tmp_path / f"images/{number}.png")
        Image.fromarray(mask).save(tmp_path / f"masks/{number}.png")
        write_raster(f"image{number}.tif", image)
        write_raster(f"labels{number}.tif", mask)
    return tmp_path


def scene_fields(folder, number, **labels):
    labels = {"type": "raster", "source": f"{folder}/labels{number}.tif", **labels}
    return {"id": f"s{number}", "image": f"{folder}/image{number}.tif", "labels": labels}


def run_cli(folder, model, data, *, name="fit.yaml", extra=()):
    text = yaml.safe_dump(
        {
            "seed_everything": 1,
            "trainer": {**TRAINER, "default_root_dir": str(folder)},
            "model": model,
            "data": data,
        }
    )
    (folder / name).write_text(text)
    return LightningCLI(
        SegmentationModule,
        SegmentationData,
        args=["fit", "--config", str(folder / name), *extra],
        save_config_kwargs={"overwrite": True},
    )


def trained(trainer):
    return {"train_loss", "valid_mean_iou"} <= set(trainer.callback_metrics)


@pytest.mark.slow
def test_lightning_cli_trains_on_scenes_that_are_plain_values_in_yaml(files):
    model = {"classes": ["dark", "bright"], "in_channels": 3, "model": "unet", **SMALL}
    data = {
        "train": [scene_fields(files, 0)],
        "valid": [scene_fields(files, 1, classes=["dark", "bright"])],
        "size": 16, "length": 8, "batch_size": 4,
        "sampling": {"class_balance": {"bright": 0.5}, "min_valid": 0.5},
    }  # fmt: skip
    cli = run_cli(files, model, data, extra=["--model.lr", "0.02", "--data.length=12"])
    assert trained(cli.trainer)
    assert cli.model.lr == 0.02
    assert cli.datamodule.length == 12
    assert cli.datamodule.sampling.class_balance == {"bright": 0.5}
    pixels = Scene.model_validate(scene_fields(files, 0)).image.read(
        cli.datamodule.train[0].grid.whole
    )
    assert np.allclose(cli.model.mean.flatten(), pixels.data.mean(axis=(1, 2)) / 255, atol=1e-4)
    # What it wrote down can be run again.
    saved = yaml.safe_load((files / "config.yaml").read_text())
    again = run_cli(files, saved["model"], saved["data"], name="again.yaml")
    assert again.datamodule.train == cli.datamodule.train
    assert again.model.lr == 0.02


@pytest.mark.slow
def test_lightning_cli_takes_data_sets_and_networks_by_class_path(files):
    options = {"folder": str(files), "classes": ["dark", "bright"], "size": 16}
    by_path = {"class_path": "geoseg.datasets.folder.ImageFolderDataset"}
    model = {
        "classes": {"classes": [{"name": "dark"}, {"name": "bright", "color": "#ffffff"}]},
        "in_channels": 3,
        "model": {
            "class_path": f"{__name__}.Own",
            "init_args": {"channels": 3, "classes": 2, "width": 6},
        },
        "mean": [0.4, 0.4, 0.4],
        "std": [0.2, 0.2, 0.2],
    }
    data = {
        "train": {**by_path, "init_args": {**options, "length": 8, "seed": 5}},
        "valid": {**by_path, "init_args": {**options, "crop": "slide"}},
        "batch_size": 4,
    }
    cli = run_cli(files, model, data)
    assert trained(cli.trainer)
    assert isinstance(cli.datamodule.train, ImageFolderDataset)
    assert cli.datamodule.train.seed == 5
    assert cli.model.network.layers[0].out_channels == 6
    assert cli.model.classes.classes[1].color == (255, 255, 255)


def test_a_scene_may_be_a_yaml_file_beside_its_data(files):
    path = files / "scene.yaml"
    path.write_text("id: x\nimage: image0.tif\nlabels: {type: raster, source: labels0.tif}\n")
    data = SegmentationData([str(path), scene_fields(files, 1)])
    assert [scene.id for scene in data.train] == ["x", "s1"]
    assert data.train[0].image.uri == str(files / "image0.tif")
    with pytest.raises(LabelError, match="no class map"):
        _ = data.train[0].labels.class_map
    classes = ClassMap.of("dark", "bright")
    data.check(classes)
    assert all(scene.labels.class_map == classes for scene in data.train)
    with pytest.raises(ConfigError, match="one class map"):
        SegmentationData([scene_fields(files, 0, classes=["a", "b"])]).check(classes)


def test_wrong_words_in_scenes_are_told_with_the_scene_and_the_nearest_word(files):
    wrong = {**scene_fields(files, 1), "imag": "a.tif"}
    with pytest.raises(ValidationError, match=r"1\.imag\n.*nearest known key: image"):
        SegmentationData([scene_fields(files, 0), wrong])
    with pytest.raises(ConfigError, match=r"no\.yaml"):
        SegmentationData([str(files / "no.yaml")])
    with pytest.raises(ConfigError, match=r"as in \[scene\]"):
        SegmentationData(scene_fields(files, 0)).check(ClassMap.of("dark", "bright"))


def test_hydra_makes_the_parts_and_they_train(files):
    conf = OmegaConf.create(
        {
            "root": str(files),
            "module": {
                "_target_": "geoseg.learner.SegmentationModule",
                "classes": ["dark", "bright"],
                "in_channels": 3,
                **SMALL,
            },
            "data": {
                "_target_": "geoseg.learner.SegmentationData",
                "train": [
                    scene_fields("${root}", 0),
                    {
                        "_target_": "geoseg.Scene",
                        "id": "own",
                        "image": {
                            "_target_": "geoseg.GeoTIFFSource",
                            "uri": "${root}/image1.tif",
                            "bands": [1, 2, 3],
                        },
                        "labels": {
                            "_target_": "geoseg.RasterLabels",
                            "source": "${root}/labels1.tif",
                            "mapping": {0: 0, 1: 1},
                        },
                    },
                ],
                "valid": {
                    "_target_": "geoseg.datasets.folder.ImageFolderDataset",
                    "folder": "${root}",
                    "classes": ["dark", "bright"],
                    "size": [16, 24],
                    "crop": "slide",
                },
                "size": [16, 16],
                "sampling": {"class_balance": {"bright": 0.5}, "size_range": [12, 20]},
                "length": 8,
                "batch_size": 4,
            },
            "trainer": {"_target_": "pytorch_lightning.Trainer", **TRAINER},
        }
    )
    module, data = instantiate(conf.module), instantiate(conf.data)
    trainer = instantiate(conf.trainer)
    trainer.fit(module, data)
    assert trained(trainer)
    assert [scene.id for scene in data.train] == ["s0", "own"]
    assert module.classes.names == ("dark", "bright")
    assert float(module.std.min()) > 0.05


@pytest.mark.parametrize("valid", [None, [], ()])
def test_a_plain_trainer_without_validation_has_no_warning(files, recwarn, valid):
    scene = scene_fields(files, 0, classes=["dark", "bright"])
    data = SegmentationData([scene], valid, size=16, length=4, batch_size=4)
    module = SegmentationModule(["dark", "bright"], 3, **SMALL)
    trainer = pl.Trainer(**{**TRAINER, "num_sanity_val_steps": 2})
    trainer.fit(module, data)
    told = [str(w.message) for w in recwarn if not issubclass(w.category, FutureWarning)]
    assert [text for text in told if "many workers" not in text] == []
    assert set(trainer.callback_metrics) == {"lr", "train_loss"}
    with pytest.raises(ConfigError, match="nothing to validate on"):
        trainer.validate(module, data)


def test_a_learner_takes_an_empty_list_for_no_validation(files):
    scene = Scene.model_validate(scene_fields(files, 0, classes=["dark", "bright"]))
    options = {"size": 16, "length": 4, "batch_size": 4, "epochs": 1, **SMALL}
    learner = Learner(["dark", "bright"], Training(**options)).fit([scene], [])
    assert set(learner.history[0]) == set(
        Learner(["dark", "bright"], Training(**options)).fit([scene]).history[0]
    )
    with pytest.raises(ConfigError, match="patience: goes by the mean IoU"):
        Learner(["dark", "bright"], Training(**options, patience=2)).fit([scene], [])


def test_random_crops_of_a_folder_are_others_in_each_epoch(files):
    seen = []

    class Places(pl.Callback):
        def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
            seen.append(
                (
                    trainer.current_epoch,
                    *zip(batch["row"].tolist(), batch["col"].tolist(), strict=True),
                )
            )

    windows = ImageFolderDataset(files, classes=["dark", "bright"], size=16, length=8)
    beside = ImageFolderDataset(files, classes=["dark", "bright"], size=16, crop="slide")
    data = SegmentationData(windows, beside, batch_size=8)
    assert isinstance(data.train_dataloader().sampler, EpochSampler)
    module = SegmentationModule(["dark", "bright"], 3, **SMALL)
    pl.Trainer(**TRAINER, callbacks=[Places()]).fit(module, data)
    expected = []
    for epoch in (0, 1):
        windows.set_epoch(epoch)
        expected.append(sorted((w.row, w.col) for _, w in map(windows.place, range(8))))
    assert [sorted(places) for _, *places in seen] == expected
    assert expected[0] != expected[1]


@pytest.mark.slow
def test_a_learner_measures_a_data_set_of_ones_own_and_predicts_pictures(files, tmp_path):
    windows = ImageFolderDataset(files, classes=["dark", "bright"], size=32, length=32)
    training = Training(
        epochs=12, batch_size=8, lr=1e-2, model_options={"width": 4, "depth": 2}, size=32
    )
    learner = Learner(windows.classes, training).fit(windows)
    windows.set_epoch(0)
    items = [windows[i] for i in range(32)]
    pixels = torch.cat([item["image"][:, item["valid"]] for item in items], dim=1)
    assert torch.allclose(learner.module.mean.flatten(), pixels.mean(dim=1), atol=1e-5)
    assert torch.allclose(learner.module.std.flatten(), pixels.std(dim=1, correction=0), atol=1e-5)
    learner.save(str(tmp_path / "model.zip"))
    again = Learner.load(str(tmp_path / "model.zip"))
    scene = windows.scenes[0]
    assert isinstance(scene.labels, PixelLabels)
    found = again.predict(scene, size=32).to_array()
    truth = scene.labels.read(scene.grid, scene.grid.whole)
    assert (found == truth).mean() > 0.9
    assert again.evaluate(windows.scenes).to_dict()["overall"]["mean_iou"] > 0.8


@pytest.mark.parametrize("network", ["unet", "own"])
def test_a_learner_takes_a_module_that_lightning_trained(files, tmp_path, network):
    options = SMALL if network == "unet" else {"model": Own(3, 2)}
    module = SegmentationModule(["dark", "bright"], 3, lr=1e-2, augmentation="none", **options)
    data = SegmentationData(
        [scene_fields(files, 0)], [scene_fields(files, 1)], size=16, length=64, batch_size=8
    )
    pl.Trainer(**TRAINER).fit(module, data)
    learner = Learner.of(module, data, training=Training(size=32, batch_size=4))
    assert learner.module is module
    assert learner.data.band_names == ("1", "2", "3")
    scene = data.valid[0]
    with torch.no_grad():
        pixels = torch.from_numpy(scene.image.read(scene.grid.whole).data)
        alone = module.eval()(pixels[None]).argmax(dim=1)[0].numpy()
    predicted = learner.predict(scene, size=(48, 48), stride=48, blend="mean").to_array()
    assert (predicted == alone).mean() > 0.95  # all of it but where windows meet the edge
    learner.save(str(tmp_path / "model.zip"))
    again = Learner.load(
        str(tmp_path / "model.zip"), model=None if network == "unet" else Own(3, 2)
    )
    assert np.array_equal(
        again.predict(scene, size=(48, 48), stride=48, blend="mean").to_array(), predicted
    )
    grey = scene.image.model_copy(update={"bands": (1,)})
    with pytest.raises(BundleError, match="has 1 bands"):
        again.predict(scene.model_copy(update={"image": grey}))


@pytest.mark.parametrize("network", ["unet", "own"])
def test_a_learner_tells_of_a_module_how_it_was_trained(network):
    own = network == "own"
    known = {
        "loss": "cross_entropy+tversky", "loss_options": {"alpha": 0.3}, "class_weights": (0.25, 0.75),
        "optimizer": "sgd", "schedule": "cosine", "lr": 0.1, "weight_decay": 0.5, "seed": 7,
        "augmentation": ["d4", {"type": "noise"}],
    }  # fmt: skip
    module = SegmentationModule(["a", "b"], 3, **known, **({"model": Own(3, 2)} if own else SMALL))
    given = Training(loss="dice", lr=1.0, seed=1, epochs=3, size=32, clip=0.5, accumulate=2)
    expected = Training(
        **known,
        epochs=3,
        size=32,
        clip=0.5,
        accumulate=2,
        **({"model": "custom"} if own else SMALL),
    )
    assert Learner.of(module, training=given).info.training == expected
    assert Learner.of(module).training.lr == 0.1
    plain = SegmentationModule(["a", "b"], 3, augmentation="none", class_weights="median", **SMALL)
    told = Learner.of(plain, training=given).training
    assert (told.augmentation, told.class_weights, told.loss) == (
        "none",
        "median",
        "cross_entropy",
    )
