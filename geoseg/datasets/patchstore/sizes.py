"""One size and one dtype for the items of a data set, found from the kinds of their patches."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.datasets.patchstore.chosen import Chosen
from geoseg.errors import ConfigError, SourceError
from geoseg.sources.store.bands import largest_size
from geoseg.sources.store.safetensors_format import Tensor

Planes = Mapping[str, Sequence[Sequence[Tensor]]]
"""The planes that are read, by group, of each kind."""


def common_size(
    chosen: Chosen, kinds: Mapping[str, NDArray[Any]], planes: Planes
) -> tuple[int, int]:
    """(height, width) of all items: that of the largest plane that is read of any group.

    Args:
        chosen: The items.
        kinds: For each group, the number of the kind of each item's patch.
        planes: Of the kinds.

    Raises:
        ConfigError: Items have different sizes.
    """
    sides = np.zeros((len(chosen.names), 2), np.int64)
    for group, of_kind in planes.items():
        table = np.array([largest_size(found) for found in of_kind], np.int64)
        sides = np.maximum(sides, table[kinds[group]])
    distinct, first, counts = np.unique(sides, axis=0, return_index=True, return_counts=True)
    if len(distinct) == 1:
        return int(distinct[0, 0]), int(distinct[0, 1])
    told = Counter({n: int(count) for n, count in enumerate(counts)})
    listed = ", ".join(
        f"{distinct[n][0]} x {distinct[n][1]} px ({count}, as {chosen.names[first[n]]!r})"
        for n, count in told.most_common(3)
    )
    raise ConfigError(
        f"patches of {len(distinct)} sizes make no batch: {listed}; pass size=(height, width) to bring all "
        "to one size"
    )


def common_dtype(images: Mapping[str, Sequence[Tensor]]) -> np.dtype[Any]:
    """The dtype that holds the values of all bands (`numpy.result_type`); bool counts as uint8.

    Args:
        images: Planes, by what errors call their patch.

    Raises:
        SourceError: Pixels are no real numbers.
    """
    found = {np.dtype(np.uint8)} if not images else set()
    for where, planes in images.items():
        for plane in planes:
            if plane.dtype.kind not in "biuf":
                raise SourceError(
                    f"{where}: {plane.name!r} is {plane.dtype}, expected whole or floating numbers; leave "
                    "it out of `bands`"
                )
            found.add(np.dtype(np.uint8) if plane.dtype.kind == "b" else plane.dtype)
    return np.result_type(*found)
