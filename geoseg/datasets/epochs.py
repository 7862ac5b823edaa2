"""Data sets of one's own that have other items in each epoch."""

from __future__ import annotations

from typing import Any

from torch import distributed as dist
from torch.utils.data import Dataset, DistributedSampler


class EpochSampler(DistributedSampler[dict[str, Any]]):
    """All numbers of a data set in another order in each epoch, which is told to its `set_epoch` too.

    Shared among the ranks of torch.distributed; Lightning leaves it as it is and calls `set_epoch`.
    """

    def __init__(self, dataset: Dataset[dict[str, Any]], *, seed: int = 0) -> None:
        """Nothing is drawn yet.

        Args:
            dataset: Map-style, with a method `set_epoch` or without one.
            seed: The order follows from it and the epoch.
        """
        together = dist.is_available() and dist.is_initialized()
        rank, world = (dist.get_rank(), dist.get_world_size()) if together else (0, 1)
        super().__init__(dataset, num_replicas=world, rank=rank, shuffle=True, seed=seed)

    def set_epoch(self, epoch: int) -> None:
        """Choose the order and the items of an epoch; Lightning calls it."""
        super().set_epoch(epoch)
        tell_epoch(self.dataset, epoch)


def tell_epoch(dataset: object, epoch: int) -> None:
    """Call a data set's `set_epoch`, where it has one."""
    if (told := getattr(dataset, "set_epoch", None)) is not None:
        told(epoch)
