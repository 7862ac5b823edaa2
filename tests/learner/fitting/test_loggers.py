"""Loggers by name: what they leave, and what they say when they cannot."""

from __future__ import annotations

import pytest

from geoseg.errors import ConfigError
from geoseg.learner.fitting import loggers
from tests.learner.fitting.trainings import fitted, rows_of, tiny


def test_tensorboard_gets_the_numbers_of_each_epoch_beside_the_csv(tmp_path):
    events = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    run = fitted(tiny(epochs=2, logger="tensorboard"), tmp_path)
    found = events.EventAccumulator(str(tmp_path))
    found.Reload()
    assert {"train_loss", "valid_mean_iou", "lr"} <= set(found.Tags()["scalars"])
    expected = [row["valid_mean_iou"] for row in run.history]
    assert [e.value for e in found.Scalars("valid_mean_iou")] == pytest.approx(expected)
    assert [float(row["valid_mean_iou"]) for row in rows_of(tmp_path)] == pytest.approx(expected)


@pytest.mark.parametrize("name", ["mlflow", "wandb", "tensorboard"])
def test_a_missing_package_is_told_with_what_to_install(name, tmp_path, monkeypatch):
    monkeypatch.setattr(loggers, "find_spec", lambda _: None)
    with pytest.raises(ConfigError, match=f"pip install {name}"):
        fitted(tiny(logger=name), tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_logger_needs_a_folder_and_a_name_that_exists(monkeypatch):
    monkeypatch.setattr(loggers, "find_spec", lambda name: name)
    with pytest.raises(ConfigError, match="needs a folder"):
        fitted(tiny(logger="mlflow"))
    with pytest.raises(ConfigError, match="did you mean 'tensorboard'"):
        loggers.check_logger("tensorbord", "runs")
