"""Random windows in an order that is kind to the disk: neighbours soon after one another."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from torch import distributed as dist
from torch.utils.data import DistributedSampler

from geoseg.errors import ConfigError
from geoseg.sampling import Boxes
from geoseg.scene import Scene

if TYPE_CHECKING:
    from geoseg.datasets.random import RandomWindowGeoDataset

_PIECE = 1024
"""Pixels a side of the pieces that are gone through: a multiple of the usual blocks of files."""
_AT_ONCE = 4
"""Pieces whose windows are mixed; the decoded blocks of so many have to stay in the cache."""
_FOR_ORDER = 1
"""Sets the random numbers of the order apart from those of the windows."""


def fits_cache(scenes: Sequence[Scene]) -> bool:
    """Whether the decoded pixels of all scenes fit what their sources keep decoded."""
    total, least = 0, math.inf
    for scene in scenes:
        height, width = scene.image.grid.shape
        if (kept := scene.image.cache_bytes) < math.inf:
            total += len(scene.image.band_names) * height * width * scene.image.dtype.itemsize
            least = min(least, kept)
    return total <= least


def block_order(boxes: Boxes, *, seed: int, epoch: int) -> NDArray[np.int64]:
    """Numbers of windows, so that those whose corners lie in one piece of a scene are near another.

    Pieces come in random order, each with all its windows; a window comes at most four pieces late,
    so that those of about four pieces are mixed.

    Args:
        boxes: The windows of an epoch.
        seed: The order follows from it, the epoch and the windows.
        epoch: See `seed`.
    """
    rng = np.random.default_rng((seed, epoch, _FOR_ORDER))
    pieces = np.column_stack([boxes[:, 0], boxes[:, 1:3] // _PIECE])
    found, piece = np.unique(pieces, axis=0, return_inverse=True)
    turn = rng.permutation(len(found))[piece.ravel()]
    late = rng.random(len(boxes)) * _AT_ONCE
    return np.argsort(turn + late)


class LocalSampler(DistributedSampler[dict[str, Any]]):
    """Each rank, and on it each worker, goes through a stretch of its own of a data set's order.

    For random windows in block order, so that no two workers decode the same blocks:

    ```python
    data = RandomWindowGeoDataset(scenes, 256, 10_000, order="block")
    sampler = LocalSampler(data, 16, workers=4)
    loader = DataLoader(data, 16, sampler=sampler, num_workers=4, collate_fn=collate)
    for epoch in range(10):
        sampler.set_epoch(epoch)
        for batch in loader:
            ...
    ```

    Which windows share a batch then depends on the number of ranks and workers. In uniform order it
    does not depend on workers. Where the length is no multiple of the ranks, the first windows are
    read again, so that all ranks take equally many steps. Lightning leaves it as it is.
    """

    def __init__(
        self,
        windows: RandomWindowGeoDataset,
        batch_size: int,
        *,
        workers: int = 0,
        rank: int | None = None,
        world: int | None = None,
    ) -> None:
        """Nothing is drawn yet.

        Args:
            windows: The data set of the DataLoader.
            batch_size: That of the DataLoader.
            workers: The DataLoader's `num_workers`.
            rank: Number of this process among those that train together; None: torch.distributed's.
            world: How many those are; None: torch.distributed's.

        Raises:
            ConfigError: A number is too small, or the rank is none of the world.
        """
        together = dist.is_available() and dist.is_initialized()
        rank = rank if rank is not None else dist.get_rank() if together else 0
        world = world if world is not None else dist.get_world_size() if together else 1
        if batch_size < 1 or workers < 0 or not 0 <= rank < world:
            raise ConfigError(
                f"batch_size {batch_size}, workers {workers}, rank {rank} of {world}: expected at "
                "least 1, at least 0, and a rank from 0 to one less than the world"
            )
        super().__init__(windows, num_replicas=world, rank=rank, shuffle=False)
        self.windows, self.batch_size = windows, batch_size
        self.workers = workers if windows.order == "block" else 0

    def __iter__(self) -> Iterator[Any]:
        first = self.rank * self.num_samples
        turns = take_turns(self.num_samples, self.batch_size, max(self.workers, 1))
        return iter(((first + turns) % len(self.windows)).tolist())

    def set_epoch(self, epoch: int) -> None:
        """Choose the windows of an epoch, here and in running workers; Lightning calls it."""
        super().set_epoch(epoch)
        self.windows.set_epoch(epoch)


def take_turns(count: int, batch_size: int, workers: int) -> NDArray[np.int64]:
    """0 to count in such an order that batches, dealt to workers in turn, give each one stretch.

    Each number occurs once; those that fill no batch come last.

    >>> take_turns(9, 2, 2).reshape(-1)[:8].reshape(4, 2).tolist()
    [[0, 1], [4, 5], [2, 3], [6, 7]]
    """
    whole = count // batch_size
    stretches = np.array_split(np.arange(whole), workers)
    turns = [stretches[i % workers][i // workers] for i in range(whole)]
    batches = np.arange(whole * batch_size).reshape(whole, batch_size)[turns]
    return np.append(batches.ravel(), np.arange(whole * batch_size, count))
