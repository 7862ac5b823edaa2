"""Options of a training that are for volumes, or not for them."""

import pytest
from pydantic import ValidationError

from geoseg.errors import ConfigError
from geoseg.learner.training import Training
from geoseg.learner.volumes.module import VolumeModule
from geoseg.learner.volumes.windows import length_for, window_for


@pytest.mark.parametrize(
    ("fields", "window"),
    [
        ({"model": "unet3d"}, (32, 64, 64)),
        ({"model": "unet3d", "size": 16}, (16, 16, 16)),
        ({"model": "monai:UNet", "size": [5, 20, 30]}, (5, 20, 30)),
        ({"model": "custom", "size": (5, 20, 30)}, (5, 20, 30)),
        ({"size": 20}, (20, 20)),
        ({"model": "custom", "size": (20, 30)}, (20, 30)),
    ],
)
def test_a_window_has_as_many_sides_as_the_model_wants(fields, window):
    training = Training.model_validate(fields)
    assert training.window == window
    assert training.of_volumes == (len(window) == 3)
    assert Training.model_validate(training.model_dump(mode="json")) == training


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"size": (5, 20, 30)}, "takes images: .*unet3d"),
        ({"model": "unet3d", "size": (20, 30)}, r"takes volumes: \(depth, height, width\)"),
        ({"model": "unet3d", "size": (0, 20, 30)}, "greater than or equal to 1"),
        ({"model": "unet3d", "encoder": "resnet34"}, "takes no encoder"),
        ({"model": "unet3d", "weights": "imagenet"}, "leave out weights"),
        ({"model": "unet3d", "freeze_epochs": 2}, "leave out weights and freeze_epochs"),
        ({"model": "unet3d", "augmentation": "d4+light"}, "there are: none, d4"),
        ({"model": "unet3d", "sampling": {"min_valid": 0.5}}, "class_balance and scene_weights only"),
        ({"model": "unet3d", "overlap": "multilabel", "loss": "cross_entropy"}, r"'cross_entropy' is for exclusive.*bce\+dice"),
        ({"model": "unet3d", "loss": "bce"}, 'may overlap, in volumes with overlap="multilabel"'),
        ({"overlap": "priority"}, "which is for volumes"),
        (
            {"model": "unet3d", "overlap": "multilabel", "loss": "bce", "class_weights": "inverse"},
            "class_weights are for exclusive classes",
        ),
        ({"model": "unet3d", "overlap": "multilabel", "loss": "bce", "loss_options": {"smooth": 1}}, "no option"),
    ],
)  # fmt: skip
def test_options_that_do_not_go_together_are_refused(fields, message):
    with pytest.raises(ValidationError, match=message):
        Training.model_validate(fields)


def test_a_model_for_volumes_has_no_size_of_images():
    with pytest.raises(ConfigError, match="'unet3d' takes volumes"):
        _ = Training(model="unet3d").image_size
    assert Training(size=(20, 30)).image_size == (20, 30)


@pytest.mark.parametrize(
    ("fields", "loss"),
    [
        ({"model": "unet3d"}, "cross_entropy+dice"),
        ({"model": "monai:UNet", "overlap": "multilabel"}, "bce+dice"),
        ({"model": "custom", "size": (5, 20, 30)}, "cross_entropy+dice"),
        ({"model": "unet3d", "loss": "dice"}, "dice"),
        ({"model": "custom", "size": (20, 30)}, "cross_entropy"),
        ({}, "cross_entropy"),
    ],
)
def test_volumes_are_trained_with_the_sum_of_two_losses_where_none_is_named(fields, loss):
    training = Training.model_validate(fields)
    assert training.loss == loss
    assert Training.model_validate(training.model_dump(mode="json")) == training
    if training.model == "unet3d" and "loss" not in fields:
        module = VolumeModule(["background", "box"], model_options={"width": 4, "depth": 2})
        assert module.hparams["loss"] == loss


@pytest.mark.parametrize(
    ("shapes", "size", "length"),
    [
        ([(5, 100, 40)], (4, 64, 32), 32),
        ([(400, 512, 512)] * 3, (32, 64, 64), 256),
        ([(1, 1, 1), (9, 70, 17), (8, 300, 16)], (8, 64, 16), 32),
        ([(32, 640, 640)], (32, 64, 64), 100),
    ],
)
def test_windows_are_powers_of_two_that_the_median_volume_fills(shapes, size, length):
    assert window_for(shapes) == size
    assert length_for(shapes, size) == length


def test_options_of_a_network_may_have_a_stride_for_each_axis():
    options = {"channels": [4, 8, 8], "strides": [[1, 2, 2], [2, 2, 2]]}
    training = Training.model_validate({"model": "monai:UNet", "model_options": options})
    assert training.model_options["strides"] == ((1, 2, 2), (2, 2, 2))
    assert Training.from_yaml(training.to_yaml()) == training


def test_a_network_that_has_no_name_can_be_given_as_a_module():
    with pytest.raises(ValidationError, match=r'Training\(model="custom", size=\(depth'):
        Training(model="monai:UNETR")
