"""How near boundaries of labels lie to edges of the image, compared with any pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.prepare.edges import Mask, image_edges, label_edges, shrunk
from geoseg.sources.base import Chip

_STRONG = 90
"""Percentile of the strength from which a pixel is an edge."""
_LEAST_BOUNDARY = 32
"""Pixels beside a boundary."""


@dataclass(frozen=True, slots=True)
class Nearness:
    """How much of a boundary has an edge within a pixel."""

    boundary: int
    """Pixels beside boundaries of labels."""
    near: int
    """Of these, pixels that are an edge of the image or beside one."""
    expected: float
    """As many would be so by chance: the share of all pixels, times `boundary`."""

    def __add__(self, other: Nearness) -> Nearness:
        return Nearness(
            self.boundary + other.boundary,
            self.near + other.near,
            self.expected + other.expected,
        )

    @property
    def share(self) -> float:
        """Of the boundary, near an edge."""
        return self.near / self.boundary if self.boundary else 0.0

    @property
    def chance(self) -> float:
        """Of any pixels, near an edge."""
        return self.expected / self.boundary if self.boundary else 0.0

    @property
    def ratio(self) -> float:
        """How many times chance; 1 where the two have nothing to do with one another."""
        return self.near / self.expected if self.expected else 1.0

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "boundary_pixels": self.boundary,
            "share_near_edge": self.share,
            "share_by_chance": self.chance,
            "ratio": self.ratio,
        }


def nearness_of(ids: NDArray[Any], image: Chip) -> Nearness | None:
    """How near the boundaries of a window lie to its edges.

    An edge is a pixel among the tenth with the strongest gradient; near is one of the eight beside it.

    Args:
        ids: (height, width) labels.
        image: Pixels, valid where labels are known too.

    Returns:
        None where the window has hardly a boundary, or its image no edge.
    """
    inside = shrunk(image.valid)
    boundary = (label_edges(ids, image.valid) > 0) & inside
    count = int(np.count_nonzero(boundary))
    if count < _LEAST_BOUNDARY:
        return None
    strength = image_edges(image.data, image.valid)
    least = np.percentile(strength[inside], _STRONG)
    strong = inside & (strength >= least if least > 0 else strength > 0)
    if not strong.any():
        return None
    near = grown(strong) & inside
    share = np.count_nonzero(near) / np.count_nonzero(inside)
    return Nearness(count, int(np.count_nonzero(near & boundary)), float(share * count))


def grown(mask: Mask) -> Mask:
    """With the eight pixels around each."""
    tall = mask.copy()
    tall[1:] |= mask[:-1]
    tall[:-1] |= mask[1:]
    wide = tall.copy()
    wide[:, 1:] |= tall[:, :-1]
    wide[:, :-1] |= tall[:, 1:]
    return wide
