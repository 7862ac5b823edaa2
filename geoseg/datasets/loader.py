"""EpochLoader: a DataLoader that reads nothing before its first batch is asked for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch.utils.data import DataLoader


class EpochLoader(DataLoader[Any]):
    """A DataLoader whose workers begin to read with the first batch, not with `iter`.

    Lightning makes the iterator of the first epoch before it knows which epoch that is: a training that
    goes on from a checkpoint sets the sampler's epoch afterwards. Workers would by then read windows of
    epoch 0, and the order of that epoch would be drawn.
    """

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]
        """Batches of the epoch that the sampler knows when the first is asked for."""
        yield from super().__iter__()
