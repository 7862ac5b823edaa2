"""Training in two processes: which windows each sees, and that the numbers are those of one."""

from __future__ import annotations

import json
import subprocess
import sys
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import jaccard_score

from geoseg.datasets.random import RandomWindowGeoDataset
from geoseg.errors import LabelError
from geoseg.learner.data import SegmentationData
from geoseg.learner.fitting.prepare import prepare
from geoseg.learner.fitting.seeds import SeedEachBatch
from geoseg.learner.learner import Learner
from tests.learner.fitting.trainings import (
    CLASSES,
    Plain,
    blobs,
    fitted,
    rows_of,
    seeded,
    tiny,
    weights,
)
from tests.support import forked  # noqa: F401 -- says what processes begin with
from tests.support.waiting import PATIENCE

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def begun(monkeypatch):
    """Processes begin with everything imported; those of the plain script are spawned, as everywhere else."""
    start = torch.multiprocessing.start_processes

    def start_processes(*args, start_method, **options):
        assert start_method == "spawn"
        return start(*args, start_method="forkserver", **options)

    monkeypatch.setattr(torch.multiprocessing, "start_processes", start_processes)


class Tell:
    """An augmentation that changes nothing and writes down what it is given."""

    def __init__(self, folder):
        self.folder = str(folder)

    def __call__(self, batch, generator):
        rank = torch.distributed.get_rank() if torch.distributed.is_initialized() else 0
        with Path(self.folder, f"{rank}.jsonl").open("a") as file:
            places = list(zip(batch["row"].tolist(), batch["col"].tolist(), strict=True))
            file.write(json.dumps(places) + "\n")
        return batch

    def seen(self, rank):
        path = Path(self.folder) / f"{rank}.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()]


def test_two_processes_share_each_epoch_and_measure_as_one(tmp_path):
    options = {
        "length": 16,
        "epochs": 2,
        "optimizer": "sgd",
        "schedule": "constant",
        "batch_size": 4,
    }
    tell = Tell(tmp_path)
    two = fitted(
        tiny(**options, devices=2, ema=0.5, select="best"), tmp_path, model=Plain, augmentation=tell
    )
    windows = RandomWindowGeoDataset([blobs(0), blobs(1)], 16, 16)
    for epoch in (0, 1):
        windows.set_epoch(epoch)
        expected = sorted([w.row, w.col] for _, w in map(windows.place, range(16)))
        ranks = [list(chain(*tell.seen(rank)[2 * epoch : 2 * epoch + 2])) for rank in (0, 1)]
        assert len(ranks[0]) == len(ranks[1]) == 8
        assert sorted(ranks[0] + ranks[1]) == expected
    # Gradients of 2 x 4 windows are those of one batch of 8, where all pixels count alike: nearly here.
    alone = {**options, "batch_size": 8, "augmentation": "none", "ema": 0.5, "select": "best"}
    one = fitted(tiny(**alone), model=Plain)
    for key, value in weights(one).items():
        assert torch.allclose(value, weights(two)[key], atol=2e-3), key
    assert [row["epoch"] for row in two.history] == [0, 1]
    assert rows_of(tmp_path)[1]["valid_mean_iou"] == str(two.history[1]["valid_mean_iou"])
    assert torch.load(tmp_path / "best.ckpt", weights_only=True)["epoch"] in (0, 1)
    assert _iou(two) == pytest.approx(max(row["valid_mean_iou"] for row in two.history), abs=1e-6)


def _iou(learner):
    """The mean IoU of a model on the validation scene, counted here over all pixels at once."""
    scene = blobs(2)
    image = torch.from_numpy(scene.image.data)[None]
    found = []
    data = SegmentationData([blobs(0)], [scene], size=16, batch_size=4)
    truth = []
    for batch in data.val_dataloader():
        with torch.no_grad():
            best = learner.module.eval()(batch["image"], batch["valid"]).argmax(dim=1)
        found.append(torch.tensor(CLASSES.ids)[best][batch["valid"]])
        truth.append(batch["mask"][batch["valid"]])
    assert sum(map(len, truth)) == int(scene.image.valid.sum()) < image[0, 0].numel()
    return jaccard_score(
        np.concatenate(truth), np.concatenate(found), average="macro", labels=[1, 3]
    )


def test_a_frozen_encoder_stays_in_two_processes_and_is_trained_afterwards(tmp_path):
    start = Learner(CLASSES, tiny(), model=seeded(Plain)).module.network.encoder.weight.clone()
    options = {"devices": 2, "length": 8, "schedule": "constant"}
    still = fitted(tiny(**options, freeze_epochs="all", epochs=1), tmp_path, model=Plain)
    assert torch.equal(weights(still)["encoder.weight"], start)
    options["freeze_epochs"] = 1
    more = fitted(tiny(**options, epochs=2), model=Plain, resume=tmp_path / "last.ckpt")
    assert not torch.equal(weights(more)["encoder.weight"], start)


class Wild(Plain):
    def forward(self, image):
        return super().forward(image) * (float("nan") if self.training else 1)


def test_an_error_in_another_process_is_the_same_error_here():
    with pytest.raises(LabelError, match="diverged"):
        fitted(tiny(devices=2, epochs=1, length=8), model=Wild)


_SCRIPT = """
import sys
sys.path.insert(0, sys.argv[1])
from tests.learner.fitting.trainings import fitted, tiny

if __name__ == "__main__":
    learner = fitted(tiny(devices=2, epochs=1, length=8))
    print("epochs", len(learner.history))
"""


def test_a_plain_script_trains_in_two_processes_in_silence(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(_SCRIPT)
    root = str(Path(__file__).parent.parent.parent)
    done = subprocess.run(
        [sys.executable, str(script), root],
        capture_output=True, text=True, check=False, timeout=PATIENCE,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "epochs 1\n", "")


def test_ranks_draw_different_numbers():
    ready = prepare(CLASSES, tiny(), [blobs(0)])
    drawn = []
    for rank in (0, 1):
        trainer = type("T", (), {"current_epoch": 0, "global_rank": rank})()
        SeedEachBatch(0).on_train_batch_start(trainer, ready.module, None, 0)
        drawn.append(torch.rand(1))
    assert not torch.equal(*drawn)
