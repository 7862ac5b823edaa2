"""SegmentationData: which windows the Trainer's ranks and workers look at."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from geoseg.datasets import LocalSampler, RandomWindowGeoDataset
from geoseg.errors import ConfigError
from geoseg.learner import SegmentationData
from tests.learner.test_learner import made_scene


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
from tests.learner.test_learner import CLASSES, made_scene
from geoseg.datasets import RandomWindowGeoDataset
from geoseg.learner import SegmentationData, SegmentationModule

class Tell(pl.Callback):
    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        places = list(zip(batch["row"].tolist(), batch["col"].tolist()))
        with open(f"{sys.argv[3]}/{trainer.global_rank}.jsonl", "a") as file:
            file.write(json.dumps([trainer.current_epoch, places]) + "\\n")

if __name__ == "__main__":
    module = SegmentationModule(CLASSES, 2, model_options={"width": 4, "depth": 2})
    windows = RandomWindowGeoDataset([made_scene()], 20, 22, order=sys.argv[2], normalize=False)
    data = SegmentationData(windows, size=20, length=22, batch_size=4)
    trainer = pl.Trainer(
        accelerator="cpu", devices=2, strategy="ddp", max_epochs=2, logger=False,
        enable_checkpointing=False, enable_progress_bar=False, callbacks=[Tell()],
    )
    trainer.fit(module, data)
"""


@pytest.mark.slow
@pytest.mark.parametrize("order", ["block", "uniform"])
def test_two_ranks_share_the_windows_of_each_epoch(tmp_path, order):
    script = tmp_path / "ranks.py"
    script.write_text(_TWO_RANKS)
    root = str(Path(__file__).parent.parent.parent)
    done = subprocess.run(
        [sys.executable, str(script), root, order, str(tmp_path)],
        capture_output=True, text=True, check=False, timeout=200,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    seen = {}
    for rank in (0, 1):
        for line in (tmp_path / f"{rank}.jsonl").read_text().splitlines():
            epoch, places = json.loads(line)
            seen.setdefault((epoch, rank), []).extend(map(tuple, places))
    windows = RandomWindowGeoDataset([made_scene()], 20, 22)
    for epoch in (0, 1):
        windows.set_epoch(epoch)
        expected = [(w.row, w.col) for _, w in map(windows.place, range(22))]
        assert len(seen[epoch, 0]) == len(seen[epoch, 1]) == 11
        assert sorted(seen[epoch, 0] + seen[epoch, 1]) == sorted(expected)
    assert sorted(seen[0, 0]) != sorted(seen[1, 0])
