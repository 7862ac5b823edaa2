"""RandomBoxes: number i of an epoch is the same wherever and whenever it is asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Literal

import numpy as np

from geoseg.choices import one_of
from geoseg.datasets.volumetric.boxes import Place
from geoseg.datasets.volumetric.labels import VolumeLabels
from geoseg.datasets.windowed.options import whole_of
from geoseg.datasets.windowed.position import position_of
from geoseg.errors import ConfigError
from geoseg.sampling import Sampling
from geoseg.sampling.boxes import Floats, chosen
from geoseg.sampling.kinds import Turns, kinds_of
from geoseg.volumes.rle import Shape

Balance = Literal["balanced"] | Mapping[str, float] | None
"""{class name: share of the boxes that are laid around one of its voxels}, or equal shares for all."""
VolumeWeights = Literal["size", "equal"]
"""How volumes are chosen: by their voxels (of the class, for boxes around one), or all alike."""


class RandomBoxes:
    """Random boxes of one size.

    Every place of a volume where a box fits is equally likely. A box around a class is laid around one
    of its voxels, each as likely as the other, anyhow within the volume. Each epoch has as many boxes
    around each class as its share says.
    """

    def __init__(
        self,
        shapes: Sequence[Shape],
        size: Shape,
        *,
        length: int | None,
        seed: int,
        balance: Balance,
        weights: VolumeWeights,
        labels: VolumeLabels | None,
    ) -> None:
        """Weigh the volumes.

        Args:
            shapes: Of the volumes.
            size: Of a box; along sides of volumes that are shorter, boxes begin at 0.
            length: Boxes in an epoch; None: so many as cover all volumes side by side.
            seed: Another seed, other boxes.
            balance: See `Balance`; the rest are laid anywhere.
            weights: See `VolumeWeights`.
            labels: Of the volumes, for `balance`.

        Raises:
            ConfigError: An argument is wrong, or no voxel is of a class that is asked for.
            pydantic.ValidationError: Shares are no shares, or more than 1 together.
        """
        one_of(weights, VolumeWeights, name="volume_weights")
        given = None if length is None else whole_of(length, name="length", least=1)
        self.length = given or sum(
            prod(-(-side // span) for side, span in zip(shape, size, strict=True))
            for shape in shapes
        )
        self.seed, self._size, self._labels = seed, np.array(size), labels
        self._shapes = np.array(shapes)
        self._kinds: list[tuple[int | None, Floats]] = []
        shares = []
        for channel, share in _kinds(balance, labels):
            voxels = self._shapes.prod(axis=1)
            if channel is not None and labels is not None:
                voxels = labels.counts[:, channel]
            each = voxels if weights == "size" else voxels > 0
            self._kinds.append((channel, np.cumsum(each, dtype=float)))
            shares.append(share)
        self._turns = Turns(shares, self.length, seed)

    def __len__(self) -> int:
        return self.length

    def draw(self, index: int, epoch: int) -> Place:
        """Where box `index` of an epoch lies; IndexError past the end."""
        position = position_of(index, self.length)
        rng = np.random.default_rng((self.seed, epoch, position))
        channel, sums = self._kinds[int(self._turns.of(range(position, position + 1), epoch)[0])]
        number = int(chosen(rng.random(1), sums)[0])
        most = np.maximum(self._shapes[number] - self._size, 0)
        least = np.zeros_like(most)
        if channel is not None and self._labels is not None:
            voxel = np.array(self._labels.voxel(number, channel, rng))
            least, most = np.clip(voxel - self._size + 1, 0, most), np.minimum(voxel, most)
        plane, row, col = rng.integers(least, most, endpoint=True).tolist()
        return number, (plane, row, col)


def _kinds(balance: Balance, labels: VolumeLabels | None) -> list[tuple[int | None, float]]:
    """(channel of the class that boxes are laid around, or None for anywhere; their share)."""
    if balance is None:
        return [(None, 1.0)]
    if labels is None:
        raise ConfigError("class_balance needs the masks, which labels=False leaves out")
    rules = Sampling.model_validate({"class_balance": balance})
    kinds = kinds_of(rules, labels.classes, labels.counts.sum(axis=0))
    return [(None if kind.around is None else kind.around[0], kind.share) for kind in kinds]
