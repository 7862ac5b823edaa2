"""Data sets of one's own as each process reads them: told the epoch, and with random numbers to rely on."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset

from geoseg.datasets.epochs import tell_epoch
from geoseg.datasets.folder import ImageFolderDataset
from geoseg.datasets.lmdb import LMDBDataset
from geoseg.datasets.random import RandomWindowGeoDataset
from geoseg.datasets.sliding import SlidingWindowGeoDataset
from geoseg.datasets.volume import VolumeDataset

_RELIABLE = (
    ImageFolderDataset,
    LMDBDataset,
    RandomWindowGeoDataset,
    SlidingWindowGeoDataset,
    VolumeDataset,
)
"""Data sets that tell running workers the epoch, and draw no random numbers but those of their seed; not
classes that are derived from them, which may."""
_NOT_YET = -1
"""Stands for the epoch until one is told."""


class OwnItems(Dataset[Any]):
    """Items of a data set that follow from seed, epoch and index alone, whichever process reads them.

    Workers that already run have a data set of their own, which nobody tells the epoch, and random numbers
    that depend on what they have read before. Here a `set_epoch` of the data set is called in each of them
    before the first item of an epoch, and what `torch`, `numpy` and `random` draw on a CPU is seeded for
    each item (or batch, where the data set reads batches by `__getitems__`).
    """

    def __init__(self, dataset: Dataset[Any], *, seed: int = 0) -> None:
        """Nothing is read yet.

        Args:
            dataset: Map-style, with a method `set_epoch` or without one.
            seed: Another seed, other random numbers.
        """
        self.dataset, self.seed = dataset, seed
        self._epoch = torch.full((), _NOT_YET, dtype=torch.int64)
        self._epoch.share_memory_()  # type: ignore[no-untyped-call]
        self._told = _NOT_YET

    def __len__(self) -> int:
        return len(self.dataset)  # type: ignore[arg-type]

    def set_epoch(self, epoch: int) -> None:
        """Choose the items of an epoch, here and in running workers."""
        self._epoch.fill_(epoch)
        self._tell(epoch)

    def __getitem__(self, index: int) -> Any:
        """One item."""
        with seeded(self.seed, self._heard() - _NOT_YET, index):
            return self.dataset[index]

    def __getitems__(self, indices: list[int]) -> Sequence[Any]:
        """The items of a batch."""
        together = getattr(self.dataset, "__getitems__", None)
        if together is None:
            return [self[index] for index in indices]
        with seeded(self.seed, self._heard() - _NOT_YET, *indices):
            items: Sequence[Any] = together(indices)
            return items

    def _heard(self) -> int:
        """The epoch, told to the data set of this process if that does not know it."""
        epoch = int(self._epoch)
        if epoch != self._told:
            self._tell(epoch)
        return epoch

    def _tell(self, epoch: int) -> None:
        tell_epoch(self.dataset, epoch)
        self._told = epoch


def reliable(dataset: Dataset[Any], *, seed: int) -> Dataset[Any]:
    """A data set whose items follow from seed, epoch and index; those of geoseg's own do."""
    return dataset if type(dataset) in _RELIABLE else OwnItems(dataset, seed=seed)


@contextmanager
def seeded(*numbers: int) -> Iterator[None]:
    """Random numbers of an item; those of the process go on afterwards as if nothing had been drawn.

    Args:
        numbers: What they follow from, none of them below 0.
    """
    seed = int(np.random.SeedSequence(numbers).generate_state(1)[0])
    drawn = torch.get_rng_state(), np.random.get_state(), random.getstate()  # noqa: NPY002
    torch.default_generator.manual_seed(seed)  # torch.manual_seed would reach the device too
    np.random.seed(seed)  # noqa: NPY002
    random.seed(seed)
    try:
        yield
    finally:
        torch.set_rng_state(drawn[0])
        np.random.set_state(drawn[1])  # noqa: NPY002
        random.setstate(drawn[2])
