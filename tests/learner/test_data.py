"""SegmentationData: which windows the Trainer's ranks and workers look at."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from geoseg.datasets import LocalSampler, RandomWindowGeoDataset
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
