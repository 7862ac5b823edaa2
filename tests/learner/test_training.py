"""The options of training: names are checked where they are written."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from geoseg.learner.training import Training


@pytest.mark.parametrize(
    "wrong",
    [
        {"model": "resnet"},
        {"loss": "dise"},
        {"loss": "dice+hinge"},
        {"augmentation": "d4+lite"},
        {"augmentation": [{"type": "turn"}]},
        {"class_weights": "invers"},
        {"schedule": "step"},
        {"logger": "comet"},
        {"select": "first"},
    ],
)
def test_an_unknown_name_is_an_error_with_the_known_ones(wrong):
    with pytest.raises(ValidationError, match=r"known: |expected one of|Input should be"):
        Training.model_validate(wrong)


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ({"model": "fpn"}, "needs an encoder"),
        ({"model": "unet/resnet18", "encoder": "resnet34"}, "give one of the two"),
        ({"loss": "dice", "loss_options": {"gamma": 2}}, "no option 'gamma'"),
        ({"ema": 1.0}, "less than 1"),
        ({"accumulate": 0}, "greater than or equal to 1"),
        ({"clip": 0}, "greater than 0"),
        ({"devices": 0}, "greater than or equal to 1"),
        ({"sampling": {"min_valide": 1}}, "min_valid"),
    ],
)
def test_options_that_do_not_fit_are_told(wrong, text):
    with pytest.raises(ValidationError, match=text):
        Training.model_validate(wrong)


def test_a_training_survives_yaml_and_can_be_hashed():
    training = Training(
        model="unet/resnet18",
        model_options={"width": 8, "share": 0.5, "deep": True, "kind": "scse"},
        size=(64, 96),
        loss="cross_entropy+0.5*dice",
        class_weights=(1.0, 2.5),
        augmentation=["d4", {"type": "rotate", "p": 0.5}],
        sampling={"class_balance": {"road": 0.5}, "min_valid": 0.2},
        ema=0.99,
        patience=3,
        select="best",
    )
    again = Training.from_yaml(training.to_yaml())
    assert again == training
    assert hash(training) == hash(again)
    assert type(again.model_options["width"]) is int
    assert again.model_options["deep"] is True


def test_options_as_they_were_written_before_there_were_more_still_load():
    text = """
model: unet
model_options: {width: 8, depth: 3}
loss: cross_entropy+dice
optimizer: sgd
schedule: cosine
lr: 0.01
weight_decay: 0.0
epochs: 3
size: 64
length: 32
batch_size: 4
precision: 16-mixed
augmentation: d4+light
seed: 3
workers: 0
order: block
"""
    training = Training.from_yaml(text)
    assert (training.schedule, training.augmentation) == ("cosine", "d4+light")
    assert (training.accumulate, training.devices, training.select) == (1, 1, "last")
