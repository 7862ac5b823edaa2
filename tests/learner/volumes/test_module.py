"""The module for volumes: normalisation, targets, metrics, and use by a Lightning script."""

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from sklearn.metrics import f1_score, jaccard_score
from torch import nn

from geoseg.errors import ConfigError, LabelError
from geoseg.learner import Learner, SegmentationModule, VolumeData, VolumeModule
from geoseg.learner.fitting.silence import silence
from geoseg.volumes import ArrayVolume
from tests.learner.volumes.boxes import SMALL, rows


class Plain(nn.Module):
    """Scores from the voxels themselves: class k has k times the first channel."""

    def __init__(self, classes):
        super().__init__()
        self.factor = nn.Parameter(torch.arange(classes, dtype=torch.float32).view(-1, 1, 1, 1) - 1)

    def forward(self, image):
        return image[:, :1] * self.factor


def module(classes=("background", "a", "b"), **options):
    return VolumeModule(
        classes, 1, **{"model": Plain(len(classes)), "augmentation": "none", **options}
    )


def trainer(**options):
    quiet = dict.fromkeys(("logger", "enable_checkpointing", "enable_model_summary"), False)
    quiet |= {"enable_progress_bar": False, "num_sanity_val_steps": 0}
    return pl.Trainer(**{"accelerator": "cpu", "max_epochs": 1, **quiet, **options})


def test_volumes_are_scaled_and_normalised_by_channel_and_zero_where_not_valid():
    made = VolumeModule(["a", "b"], 2, model=Plain(2), mean=[0.5, 0.25], std=[0.5, 2])
    image = torch.randint(256, (3, 2, 4, 5, 6), generator=torch.Generator().manual_seed(0)).byte()
    valid = torch.ones(3, 4, 5, 6, dtype=torch.bool)
    valid[0, 1] = False
    scaled = image.numpy() / 255
    expected = (scaled - np.array([0.5, 0.25])[:, None, None, None]) / np.array([0.5, 2])[
        :, None, None, None
    ]
    expected[0, :, 1] = 0
    np.testing.assert_allclose(made.normalized(image, valid).numpy(), expected, atol=1e-6)


def test_metrics_of_exclusive_classes_are_pooled_over_batches():
    made, rng = module(), torch.Generator().manual_seed(0)
    truth, found = [], []
    made.on_validation_epoch_start()
    for _ in range(3):
        image = torch.randn(2, 1, 3, 4, 5, generator=rng)
        mask = torch.randint(3, (2, 3, 4, 5), generator=rng)
        valid = torch.rand(2, 3, 4, 5, generator=rng) > 0.2
        made.confusion += made.confusion_of(made(image, valid), {"mask": mask, "valid": valid})
        truth.append(mask[valid])
        found.append(made(image, valid).argmax(1)[valid])
    counts = [torch.cat(part).numpy() for part in (truth, found)]
    logged = logged_by(made)
    for k, name in enumerate(("background", "a", "b")):
        assert logged[f"valid_dice_{name}"] == pytest.approx(f1_score(*counts, average=None)[k])
        assert logged[f"valid_iou_{name}"] == pytest.approx(jaccard_score(*counts, average=None)[k])
    assert logged["valid_mean_iou"] == pytest.approx(jaccard_score(*counts, average="macro"))
    assert logged["valid_mean_dice"] == pytest.approx(f1_score(*counts, average="macro"))


def test_metrics_of_classes_that_may_overlap_are_of_each_by_itself():
    made = module(("a", "b", "nowhere"), overlap="multilabel", loss="bce")
    rng = torch.Generator().manual_seed(0)
    mask = (torch.rand(2, 3, 3, 4, 5, generator=rng) > 0.5).float()
    mask[:, 2] = 0
    valid = torch.rand(2, 3, 4, 5, generator=rng) > 0.2
    logits = torch.randn(2, 3, 3, 4, 5, generator=rng)
    logits[:, 2] = -1
    made.confusion += made.confusion_of(logits, {"mask": mask, "valid": valid})
    logged = logged_by(made)
    for k, name in enumerate("ab"):
        pair = mask[:, k][valid].numpy(), (logits[:, k] > 0)[valid].numpy()
        assert logged[f"valid_dice_{name}"] == pytest.approx(f1_score(*pair))
        assert logged[f"valid_iou_{name}"] == pytest.approx(jaccard_score(*pair))
    assert np.isnan(logged["valid_dice_nowhere"])
    assert logged["valid_mean_dice"] == pytest.approx(
        (logged["valid_dice_a"] + logged["valid_dice_b"]) / 2
    )


def logged_by(made):
    """What the module logs at the end of a validation."""
    found = {}
    made.log = lambda name, value, **_: found.__setitem__(name, value)
    made.trainer = trainer()
    made.on_validation_epoch_end()
    return found


def test_masks_that_fit_the_other_kind_of_classes_are_refused():
    overlapping = module(("a", "b"), overlap="multilabel", loss="bce")
    with pytest.raises(LabelError, match=r"expected \(batch, class, depth, height, width\) of 2"):
        overlapping.target(torch.zeros(1, 3, 4, 5))
    with pytest.raises(LabelError, match="other numbers than 0 and 1"):
        overlapping.target(torch.full((1, 2, 3, 4, 5), 0.5))
    with pytest.raises(LabelError, match="class ids as integers"):
        module().plain(
            {"image": torch.zeros(1, 1, 3, 4, 5), "mask": torch.zeros(1, 3, 4, 5), "valid": None}
        )
    with pytest.raises(ConfigError, match="this module takes volumes"):
        module().plain({"image": torch.zeros(1, 1, 4, 5)})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"augmentation": "light"}, "for volumes there are none and d4"),
        ({"overlap": "multilabel", "loss": "cross_entropy"}, "'cross_entropy' is for exclusive"),
        ({"overlap": "multilabel", "loss": "bce", "class_weights": [1, 2, 3]}, "class_weights are for exclusive"),
        ({"model": "unet3d", "planes": 0}, "as planes, got 0"),
        ({"overlap": "both"}, "overlap is 'both', expected one of: error, priority, multilabel"),
    ],
)  # fmt: skip
def test_options_that_it_cannot_have_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        module(**options)


@pytest.mark.parametrize("overlap", ["error", "multilabel"])
def test_a_lightning_script_trains_measures_and_saves_it(tmp_path, overlap):
    free = overlap == "multilabel"
    classes, loss = (
        (("box", "core"), "bce+dice") if free else (("background", "box", "core"), "cross_entropy")
    )
    volumes = rows(3, classes=("box", "core"), overlap=free)
    made = VolumeModule(classes, model_options=SMALL, planes=6, overlap=overlap, loss=loss)
    data = VolumeData(
        volumes[:2], volumes[2:], size=(6, 16, 16), length=4, batch_size=2, overlap=overlap
    )
    run = trainer(enable_checkpointing=True, default_root_dir=tmp_path)
    with silence():
        run.fit(made, data)
    assert run.callback_metrics["valid_mean_dice"] > 0
    assert made.mean.shape == (1, 1, 1, 1)
    pixels = np.concatenate([row.image().ravel() for row in volumes[:2]]) / 255
    assert made.mean.item() == pytest.approx(pixels.mean(), rel=1e-5)
    assert made.std.item() == pytest.approx(pixels.std(), rel=1e-4)
    run.save_checkpoint(tmp_path / "one.ckpt")
    again = VolumeModule.load_from_checkpoint(tmp_path / "one.ckpt").eval()
    image = torch.from_numpy(volumes[2].image()[None])
    with torch.inference_mode():
        torch.testing.assert_close(again(image), made.eval()(image))
    learner = Learner.of(made, data)
    assert learner.training.size == (6, 16, 16)
    assert learner.predict(volumes[2]).exclusive != free


def test_classes_and_channels_of_the_volumes_are_compared_with_those_of_the_module():
    data = VolumeData(rows(1), size=(6, 16, 16))
    with (
        pytest.raises(
            ConfigError, match=r"the classes \['background', 'box'\].*'background', 'hut'"
        ),
        silence(),
    ):
        trainer().fit(module(("background", "hut")), data)
    with pytest.raises(ConfigError, match="1 channels, but the model takes 2"), silence():
        trainer().fit(VolumeModule(("background", "box"), 2, model_options=SMALL), data)


@pytest.mark.parametrize("stage", ["fit", "validate"])
def test_classes_of_the_validation_are_compared_in_a_lightning_script_too(stage):
    given = rows(2, classes=("a", "b"))
    swapped = ArrayVolume("s", given[1].image(), given[1].masks(), classes=("b", "a"))
    data = VolumeData(given[:1], [swapped], size=(6, 16, 16), length=2, batch_size=2)
    with pytest.raises(ConfigError, match="for validation have the classes"), silence():
        getattr(trainer(), stage)(module(), datamodule=data)


def test_a_module_and_its_volumes_agree_whether_classes_may_overlap():
    given = rows(1, classes=("a", "b"), overlap=True)
    data = VolumeData(given, size=(6, 16, 16), overlap="multilabel")
    with pytest.raises(ConfigError, match=r"with overlap='multilabel'.*overlap='error'"), silence():
        trainer().fit(module(("a", "b")), data)


def test_a_module_for_images_refuses_volumes():
    data = VolumeData(rows(1), size=(6, 16, 16))
    flat = SegmentationModule(["background", "box"], 1, model=nn.Conv2d(1, 2, 1))
    with pytest.raises(ConfigError, match="use a VolumeModule"), silence():
        trainer().fit(flat, data)
