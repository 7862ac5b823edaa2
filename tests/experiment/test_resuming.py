"""Runs that were stopped: gone on with to the same bytes, refused, or replaced with a word."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from types import SimpleNamespace

import pytest

from geoseg.errors import ConfigError
from geoseg.experiment import Experiment, run, running
from geoseg.learner.data import SegmentationData
from geoseg.learner.fitting.checkpoints import Checkpoints
from geoseg.learner.learner import Learner
from tests.experiment.experiments import read

FILES = (
    "bundle.zip", "evaluation.json", "metrics.csv", "predictions/b.tif", "report.html", "run.yaml",
)  # fmt: skip
FEW = ("epochs: 5, length: 16", "epochs: 3, length: 8")
VALID = (
    "test:",
    "valid: [{id: v, image: b.tif, labels: {type: raster, source: b_ids.tif}}]\ntest:",
)


class Stop(BaseException):
    """What a signal raises."""


def stop_after(monkeypatch, epoch):
    """The next training is stopped when this epoch's checkpoint is written."""
    real = Checkpoints.on_train_epoch_end

    def stopping(self, trainer, module):
        real(self, trainer, module)
        if trainer.current_epoch == epoch:
            raise Stop

    monkeypatch.setattr(Checkpoints, "on_train_epoch_end", stopping)


def stop_at(monkeypatch, owner, name):
    def stopping(*args, **kwargs):
        raise Stop

    monkeypatch.setattr(owner, name, stopping)


def stopped(experiment):
    with pytest.raises(Stop) as caught:
        run(experiment)
    return caught.value


def bytes_of(experiment):
    return {name: (Path(experiment.output) / name).read_bytes() for name in FILES}


def whole_and_stopped(folder, *changes):
    """The files of a run that was never stopped, and the same experiment for another folder."""
    whole = read(folder, FEW, *changes)
    run(whole)
    expected = bytes_of(whole)
    (folder / "out").rename(folder / "whole")
    return expected, read(folder, FEW, *changes)


CHOSEN = (VALID, ("lr: 1e-2", "lr: 1e-2, select: best, ema: 0.9, loss: focal+dice"))
"""Options whose weights are put together at the end of the training only."""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("where", "options"),
    [
        (0, ()),
        (1, CHOSEN),
        ("saving", CHOSEN),
        ("predicting", CHOSEN),
        ("reporting", ()),
    ],
)
def test_a_run_that_goes_on_leaves_the_bytes_of_one_that_was_never_stopped(
    folder, monkeypatch, where, options
):
    expected, experiment = whole_and_stopped(folder, *options)
    with monkeypatch.context() as patch:
        if isinstance(where, int):
            stop_after(patch, where)
        elif where == "reporting":
            stop_at(patch, running, "write_report")
        else:
            stop_at(patch, Learner, {"saving": "save", "predicting": "evaluate_as"}[where])
        stopped(experiment)
    if where in {"predicting", "reporting"}:  # the model is not trained again
        stop_at(monkeypatch, Learner, "fit")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        results = run(experiment, resume=True)
    assert bytes_of(experiment) == expected
    assert results.learner.history
    facts = json.loads((folder / "out" / "run.json").read_text())
    assert facts["status"] == "finished"
    assert [part["status"] for part in facts["parts_before"]] == ["stopped"]


def test_windows_that_are_read_ahead_are_those_of_the_epoch_that_is_gone_on_with(folder):
    data = SegmentationData(read(folder, FEW).train, size=32, length=8, batch_size=8, seed=3)
    fresh = data.train_dataloader()
    fresh.sampler.set_epoch(2)
    expected = next(iter(fresh))["image"]
    data.trainer = SimpleNamespace(
        current_epoch=2
    )  # as Lightning has it when it asks for the loader
    resumed = data.train_dataloader()
    assert next(iter(resumed))["image"].equal(expected)


def test_a_stopped_training_says_that_its_epochs_are_kept(folder, monkeypatch):
    stop_after(monkeypatch, 0)
    assert "add --resume" in " ".join(stopped(read(folder, FEW)).__notes__)


def test_without_a_run_there_is_nothing_to_go_on_with(folder):
    experiment = read(folder)
    with pytest.raises(ConfigError, match=r"out: holds no run to go on with; leave out `resume`"):
        run(experiment, resume=True)
    (folder / "out" / "last.ckpt").write_bytes(b"of no run")
    with pytest.raises(ConfigError, match="holds no run"):
        run(experiment, resume=True)


def test_a_run_without_a_finished_epoch_cannot_be_gone_on_with(folder, monkeypatch):
    stop_at(monkeypatch, Learner, "fit")
    (folder / "out").mkdir()
    (folder / "out" / "last.ckpt").write_bytes(b"of a run before")
    stopped(read(folder, FEW))
    with pytest.raises(ConfigError, match=r"no last\.ckpt to go on from, it had finished no epoch"):
        run(read(folder, FEW), resume=True)


@pytest.fixture
def begun(folder, monkeypatch):
    """The folder, with a run that was stopped after its first epoch."""
    with monkeypatch.context() as patch:
        stop_after(patch, 0)
        stopped(read(folder, FEW))
    return folder


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("lr: 1e-2", "lr: 2e-2", "training.lr is 0.01 there and 0.02 here"),
        ("lr: 1e-2", "lr: 1e-2, loss: dice", "training.loss is 'cross_entropy' there and 'dice' here"),
        ("size: 32", "size: 24", "training.size is 32 there and 24 here"),
        ("[dark, bright]", "[light, bright]", "classes.classes.0.name is 'dark' there and 'light'"),
        ("source: a_ids.tif", "source: b_ids.tif", "train.0.labels.source.uri is "),
        ("width: 4", "width: 6", "training.model_options.width is 4 there and 6 here"),
    ],
)  # fmt: skip
def test_a_run_with_other_settings_is_not_gone_on_with(begun, old, new, told):
    before = {path: path.read_bytes() for path in (begun / "out").iterdir()}
    text = (begun / "exp.yaml").read_text()
    assert old in text
    (begun / "exp.yaml").write_text(text.replace(old, new))
    with pytest.raises(ConfigError, match="the run there has other settings") as caught:
        run(Experiment.from_yaml(begun / "exp.yaml"), resume=True)
    assert told in str(caught.value)
    assert {path: path.read_bytes() for path in (begun / "out").iterdir()} == before


@pytest.mark.slow
def test_what_the_model_does_not_follow_from_may_change(begun):
    text = (begun / "exp.yaml").read_text()
    (begun / "exp.yaml").write_text(text + "prediction: {blend: mean}\n")
    assert len(run(Experiment.from_yaml(begun / "exp.yaml"), resume=True).learner.history) == 3


def test_a_run_that_begins_anew_tells_that_it_replaces_one(begun, monkeypatch):
    experiment = read(begun, FEW)
    stop_at(monkeypatch, Learner, "fit")
    with pytest.warns(UserWarning, match=r"is not finished \(stopped\); this one begins anew"):
        stopped(experiment)
    assert not (begun / "out" / "last.ckpt").exists()


@pytest.mark.slow
def test_a_finished_run_is_replaced_without_a_word(begun, monkeypatch):
    run(read(begun, FEW), resume=True)
    stop_at(monkeypatch, Learner, "fit")
    stopped(read(begun, FEW))  # warnings are errors here
