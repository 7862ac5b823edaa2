"""The options of training: names are checked where they are written."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from geoseg.learner import losses, models
from geoseg.learner.training import LOSSES, MODELS, Training


def test_the_names_that_a_training_takes_are_those_that_can_be_built():
    assert set(MODELS) - {"custom"} == set(models._KINDS)
    assert set(LOSSES) == set(losses._KINDS)


@pytest.mark.parametrize("wrong", [{"model": "resnet"}, {"loss": "dise"}, {"loss": "dice+hinge"}])
def test_an_unknown_name_is_an_error_with_the_known_ones(wrong):
    with pytest.raises(ValidationError, match="known: "):
        Training(**wrong)


def test_a_training_survives_yaml_and_can_be_hashed():
    training = Training(model_options={"width": 8}, size=(64, 96), loss="cross_entropy+dice")
    assert Training.from_yaml(training.to_yaml()) == training
    assert hash(training) == hash(Training.from_yaml(training.to_yaml()))
