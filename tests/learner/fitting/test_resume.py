"""A checkpoint that a training cannot go on from is told before the first epoch, in one sentence."""

from __future__ import annotations

import os

import pytest
import torch

from geoseg.classes import ClassMap
from geoseg.errors import ConfigError
from geoseg.learner.fitting import fit
from geoseg.learner.fitting.optimizers import goes_over
from geoseg.learner.learner import Learner
from tests.learner.fitting.trainings import CLASSES, Plain, Stop, blobs, fitted, seeded, tiny

SHORT = {"epochs": 2, "length": 8}


@pytest.fixture(scope="module", params=["onecycle", "cosine"])
def checkpoint(request, tmp_path_factory):
    """Of a training that has ended."""
    folder = tmp_path_factory.mktemp("fit")
    fitted(tiny(**SHORT, schedule=request.param), folder, model=Plain)
    return folder / "last.ckpt", request.param


def go_on(path, *, classes=CLASSES, model=Plain, **options):
    network = None if model is None else seeded(model)
    scene = blobs(0)
    labels = scene.labels.model_copy(update={"classes": classes})
    scene = scene.model_copy(update={"labels": labels})
    return Learner(classes, tiny(**{**SHORT, **options}), model=network).fit(
        [scene], resume=str(path)
    )


class Wider(Plain):
    def __init__(self):
        super().__init__()
        self.encoder = torch.nn.Conv2d(2, 4, 5, padding=2)


class Code:
    def __init__(self, made):
        self.made = made

    def __reduce__(self):
        return os.mkdir, (self.made,)


def test_a_file_that_is_no_checkpoint_is_told_before_anything_is_read(tmp_path):
    junk, bare, code = (str(tmp_path / f"{name}.ckpt") for name in ("junk", "bare", "code"))
    (tmp_path / "junk.ckpt").write_bytes(b"abc")
    torch.save(Plain().state_dict(), bare)
    torch.save({"state_dict": Code(str(tmp_path / "made"))}, code)
    (tmp_path / "empty.ckpt").write_bytes(b"")
    for path, words in (
        (junk, "is damaged; name the last.ckpt"),
        (str(tmp_path / "empty.ckpt"), "is damaged; name the last.ckpt"),
        (bare, "no checkpoint of a training.* lacks state_dict"),
        (code, "holds code, which is not run"),
    ):
        with pytest.raises(ConfigError, match=words) as caught:
            Learner(CLASSES, tiny()).fit([], resume=path)
        assert path in str(caught.value)
        assert "\n" not in str(caught.value)
    assert not (tmp_path / "made").exists()


def test_a_checkpoint_cut_short_is_told(checkpoint, tmp_path):
    path, _ = checkpoint
    cut = tmp_path / "cut.ckpt"
    cut.write_bytes(path.read_bytes()[:-400])
    with pytest.raises(ConfigError, match="is damaged"):
        go_on(cut)


def test_a_checkpoint_of_another_training_is_told(checkpoint, monkeypatch):
    path, schedule = checkpoint

    def refuse(*args, **kwargs):
        raise Stop

    monkeypatch.setattr(fit.pl.Trainer, "fit", refuse)
    swapped = ClassMap.model_validate([{"id": 1, "name": "bright"}, {"id": 3, "name": "dark"}])
    for change, words in (
        ({"classes": swapped}, r"classes \['dark', 'bright'\] with ids \[3, 1\].* same order"),
        ({"model": Wider}, "1 of its weights, first 'network.encoder.weight'"),
        ({"model": None}, "of another network"),
        ({"optimizer": "sgd"}, "its optimizer is 'adamw', but here it is 'sgd'"),
        ({"schedule": "constant"}, f"its schedule is '{schedule}'"),
        ({"lr": 0.5}, "its lr is 0.01"),
        ({"epochs": 4}, "over 2 epochs, but epochs is 4; keep `epochs`.*begin anew"),
        ({"epochs": 1}, "over 2 epochs, but epochs is 1"),
    ):
        with pytest.raises(ConfigError, match=words) as caught:
            go_on(path, **{"schedule": schedule, **change})
        assert "\n" not in str(caught.value)
    with pytest.raises(Stop):
        go_on(path, schedule=schedule)


def test_a_schedule_of_another_number_of_windows_is_told(tmp_path):
    from tests.learner.fitting.trainings import stopped_in

    with stopped_in(1), pytest.raises(Stop):
        fitted(tiny(**SHORT), tmp_path, model=Plain)
    with pytest.raises(
        ConfigError, match="over 4 steps, but this training has 8; keep epochs, length"
    ):
        go_on(tmp_path / "last.ckpt", length=16)


def test_more_epochs_go_on_where_the_schedule_has_no_end(tmp_path):
    fitted(tiny(**SHORT, schedule="constant"), tmp_path, model=Plain)
    more = go_on(tmp_path / "last.ckpt", schedule="constant", epochs=3)
    assert [row["epoch"] for row in more.history] == [0, 1, 2]


def test_a_schedule_of_the_least_steps_is_that_of_one():
    assert goes_over(2, 1)
    assert goes_over(1, 1)
    assert goes_over(8, 8)
    assert not goes_over(2, 4)
    assert not goes_over(8, 4)
