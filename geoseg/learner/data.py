"""SegmentationData: training and validation windows for a Lightning Trainer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pytorch_lightning as pl
from torch.utils.data import DataLoader, Dataset, Sampler

from geoseg.datasets import RandomWindowGeoDataset, SlidingWindowGeoDataset, collate
from geoseg.scene import Scene
from geoseg.window import Size

Samples = Sequence[Scene] | Dataset[dict[str, Any]]
"""Scenes, or a map-style data set with the keys `image`, `mask` and `valid`."""


class SegmentationData(pl.LightningDataModule):
    """Random windows for training, every pixel once for validation.

    Images come in their native dtype: the module scales and normalises them on its device.
    """

    def __init__(
        self,
        train: Samples,
        valid: Samples | None = None,
        *,
        size: Size = 256,
        length: int = 256,
        batch_size: int = 8,
        seed: int = 0,
        workers: int = 0,
    ) -> None:
        """Name the data; nothing is read yet.

        Args:
            train: Scenes from which windows are drawn, or a data set.
            valid: Scenes that are looked at window by window, or a data set; None: no validation.
            size: Pixels of a window, one number or (height, width).
            length: Windows in an epoch.
            batch_size: Windows in a step.
            seed: The windows follow from it, the epoch and their number.
            workers: Processes that read; 0 reads in this one.
        """
        super().__init__()
        self.train, self.valid = train, valid
        self.size, self.length, self.batch_size = size, length, batch_size
        self.seed, self.workers = seed, workers

    def train_dataloader(self) -> DataLoader[dict[str, Any]]:
        """Batches of random windows, others in each epoch."""
        if isinstance(self.train, Dataset):
            return self._loader(self.train, shuffle=True)
        windows = RandomWindowGeoDataset(
            self.train, self.size, self.length, seed=self.seed, normalize=False
        )
        return self._loader(windows, sampler=EpochSampler(windows))

    def val_dataloader(self) -> list[Any] | DataLoader[dict[str, Any]]:
        """Batches of windows side by side; no pixel is counted twice."""
        if self.valid is None:
            return []
        if isinstance(self.valid, Dataset):
            return self._loader(self.valid)
        windows = SlidingWindowGeoDataset(self.valid, self.size, edge="pad", normalize=False)
        return self._loader(windows)

    def _loader(
        self,
        windows: Dataset[dict[str, Any]],
        *,
        shuffle: bool = False,
        sampler: Sampler[int] | None = None,
    ) -> DataLoader[dict[str, Any]]:
        return DataLoader(
            windows,
            self.batch_size,
            shuffle=shuffle,
            sampler=sampler,
            num_workers=self.workers,
            persistent_workers=self.workers > 0,
            collate_fn=collate,
        )


class EpochSampler(Sampler[int]):
    """All numbers in order; what the Trainer says of the epoch reaches the data set."""

    def __init__(self, windows: RandomWindowGeoDataset) -> None:
        """The windows are random already: their numbers need no shuffling."""
        self.windows = windows

    def __iter__(self) -> Iterator[int]:
        return iter(range(len(self.windows)))

    def __len__(self) -> int:
        return len(self.windows)

    def set_epoch(self, epoch: int) -> None:
        """Called by the Trainer before each epoch."""
        self.windows.set_epoch(epoch)
