"""SegmentationData: which windows the Trainer's ranks and workers look at."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import jaccard_score

from geoseg.datasets import LocalSampler, RandomWindowGeoDataset
from geoseg.errors import ConfigError
from geoseg.learner import SegmentationData
from tests.learner.test_learner import made_scene
from tests.support.waiting import PATIENCE


def test_workers_get_stretches_of_their_own_in_block_order_only():
    for order in ("block", "uniform"):
        windows = RandomWindowGeoDataset([made_scene()], 20, 16, order=order)
        data = SegmentationData(windows, size=20, length=16, batch_size=4, workers=2)
        sampler = data.train_dataloader().sampler
        assert isinstance(sampler, LocalSampler)
        numbers = list(sampler)
        assert sorted(numbers) == list(range(16))
        second_batch = [4, 5, 6, 7] if order == "uniform" else [8, 9, 10, 11]
        assert numbers[4:8] == second_batch


class Items(torch.utils.data.Dataset):
    def __init__(self, count):
        self.count = count

    def __len__(self):
        return self.count


def test_fewer_windows_than_processes_are_refused_where_one_would_wait_for_ever(monkeypatch):
    scene = made_scene()
    few = SegmentationData([scene], [scene], size=64, length=2)
    windows = len(few.val_dataloader().dataset)
    few.check_ranks(1)
    few.check_ranks(min(windows, 2))
    with pytest.raises(ConfigError, match=r"windows for training \(2\) than devices \(3\)"):
        few.check_ranks(3)
    wide = SegmentationData([scene], [scene], size=64, length=99)
    with pytest.raises(ConfigError, match=rf"for validation \({windows}\) than devices \(.*`size`"):
        wide.check_ranks(windows + 1)
    for train, valid, what in (
        (Items(1), Items(9), "training"),
        (Items(9), Items(1), "validation"),
    ):
        own = SegmentationData(train, valid)
        with pytest.raises(ConfigError, match=rf"for {what} \(1\) than devices \(2\)"):
            own.check_ranks(2)
        # In a Lightning script only the processes know how many they are.
        with monkeypatch.context() as patched:
            patched.setattr("torch.distributed.is_initialized", lambda: True)
            patched.setattr("torch.distributed.get_world_size", lambda *_: 2)
            patched.setattr("torch.distributed.get_rank", lambda *_: 0)
            loader = own.train_dataloader if what == "training" else own.val_dataloader
            with pytest.raises(ConfigError, match=rf"for {what} \(1\) than devices \(2\)"):
                loader()


_TWO_RANKS = """
import json, sys
sys.path.insert(0, sys.argv[1])
import pytorch_lightning as pl
import torch
from tests.learner.test_learner import CLASSES, made_scene
from geoseg.datasets import RandomWindowGeoDataset
from geoseg.learner import SegmentationData, SegmentationModule

def fit(data, told, epochs, module=None, **options):
    module = module or SegmentationModule(CLASSES, 2, model_options={"width": 4, "depth": 2})
    pl.Trainer(
        accelerator="cpu", devices=2, strategy="ddp", max_epochs=epochs, logger=False,
        enable_checkpointing=False, enable_progress_bar=False, callbacks=[told], **options,
    ).fit(module, data)

class Places(pl.Callback):
    def __init__(self, order):
        self.order = order

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        places = list(zip(batch["row"].tolist(), batch["col"].tolist()))
        with open(f"{sys.argv[2]}/{self.order}-{trainer.global_rank}.jsonl", "a") as file:
            file.write(json.dumps([trainer.current_epoch, places]) + "\\n")

class Measured(pl.Callback):
    def on_validation_epoch_end(self, trainer, pl_module):
        total = trainer.strategy.reduce(pl_module.confusion.clone(), reduce_op="sum").sum()
        if trainer.is_global_zero:
            print("pixels", int(total), flush=True)

    def on_train_end(self, trainer, pl_module):
        score = float(trainer.callback_metrics["valid_mean_iou"])
        print("score", score, "of", trainer.global_rank, flush=True)

if __name__ == "__main__":
    for order in ("block", "uniform"):
        windows = RandomWindowGeoDataset([made_scene()], 20, 22, order=order, normalize=False)
        fit(SegmentationData(windows, size=20, length=22, batch_size=4), Places(order), 2)
    network = torch.nn.Conv2d(2, 2, 1)  # bright above a threshold, which is wrong for many pixels
    with torch.no_grad():
        network.weight.copy_(torch.tensor([[0.0, 0.0], [1.0, 0.0]])[..., None, None])
        network.bias.copy_(torch.tensor([143.5 / 255, 0.0]))
    threshold = SegmentationModule(
        CLASSES, 2, model=network, mean=[0, 0], std=[1, 1], lr=1e-12, augmentation="none",
    )
    data = SegmentationData([made_scene()], [made_scene(1)], size=(21, 30), length=8, batch_size=4)
    fit(data, Measured(), 1, threshold, num_sanity_val_steps=0)
"""


@pytest.fixture(scope="module")
def ranks(tmp_path_factory):
    """(folder with the places that each of two ranks saw, what a validation in both said).

    One script trains three times: most of its time goes to the start of two processes.
    """
    folder = tmp_path_factory.mktemp("ranks")
    script = folder / "ranks.py"
    script.write_text(_TWO_RANKS)
    root = str(Path(__file__).parent.parent.parent)
    done = subprocess.run(
        [sys.executable, str(script), root, str(folder)],
        capture_output=True, text=True, check=False, timeout=PATIENCE,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    return folder, done.stdout


@pytest.mark.slow
def test_two_ranks_count_every_validation_pixel_once(ranks):
    said = ranks[1].splitlines()
    pixels = int(made_scene(1).image.valid.sum())
    assert [line for line in said if line.startswith("pixels")] == [f"pixels {pixels}"]
    scores = sorted(line.split(" of ") for line in said if line.startswith("score"))
    assert [rank for _, rank in scores] == ["0", "1"]
    # Nine windows: one more for a rank than for the other, and none twice. Both log the score of all pixels.
    chip = made_scene(1).image.read(made_scene(1).grid.whole)
    truth = made_scene(1).labels.read(made_scene(1).grid, made_scene(1).grid.whole)[chip.valid] == 1
    found = chip.data[0][chip.valid] > 143
    of_classes = [
        jaccard_score(truth, found, pos_label=positive, average="binary")
        for positive in (True, False)
    ]
    assert max(of_classes) < 0.9
    assert [float(score.split()[1]) for score, _ in scores] == pytest.approx(
        [np.mean(of_classes)] * 2, abs=1e-6
    )


@pytest.mark.slow
@pytest.mark.parametrize("order", ["block", "uniform"])
def test_two_ranks_share_the_windows_of_each_epoch(ranks, order):
    seen = {}
    for rank in (0, 1):
        for line in (ranks[0] / f"{order}-{rank}.jsonl").read_text().splitlines():
            epoch, places = json.loads(line)
            seen.setdefault((epoch, rank), []).extend(map(tuple, places))
    windows = RandomWindowGeoDataset([made_scene()], 20, 22)
    for epoch in (0, 1):
        windows.set_epoch(epoch)
        expected = [(w.row, w.col) for _, w in map(windows.place, range(22))]
        assert len(seen[epoch, 0]) == len(seen[epoch, 1]) == 11
        assert sorted(seen[epoch, 0] + seen[epoch, 1]) == sorted(expected)
    assert sorted(seen[0, 0]) != sorted(seen[1, 0])
