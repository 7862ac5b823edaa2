"""Names of classes of whole patches, as one vector an item."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from geoseg.datasets.patchstore.chosen import Chosen
from geoseg.datasets.patchstore.lists import found_in, numbered
from geoseg.datasets.patchstore.rows import Rows
from geoseg.errors import ConfigError, LabelError


def scene_labels(
    rows: Rows, chosen: Chosen, wanted: bool | Sequence[str]
) -> tuple[tuple[str, ...], NDArray[np.uint8]]:
    """The names that there are, and (item, name) 1 where an item has it.

    Where groups are joined an item has the names of all its patches.

    Args:
        rows: Of all stores: the names are those of all splits, so that these agree.
        chosen: The items.
        wanted: The names in their order, or True for all, sorted.

    Raises:
        ConfigError: No manifest tells any.
        LabelError: An item has none that is known, or one that is not wanted.
    """
    codes, lists = numbered(rows.labels)
    every = tuple(sorted({name for names in lists for name in names or ()}))
    if not every:
        raise ConfigError(
            f"{rows.readers[0].uri}: no manifest tells labels of patches; convert with metadata that has "
            "them, or leave scene_labels out"
        )
    names = every if isinstance(wanted, bool) else tuple(wanted)
    strange = sorted({*every} - {*names})
    told = found_in(rows.labels, (*names, *strange))
    has = np.array([names is not None for names in lists])[codes]
    found = np.zeros((len(chosen.names), told.shape[1]), np.uint8)
    known = np.zeros(len(chosen.names), bool)
    for numbers in chosen.rows.values():
        found |= told[numbers]
        known |= has[numbers]
    _check(chosen, names, strange, found=found, known=known)
    return names, found[:, : len(names)].copy()


def _check(
    chosen: Chosen,
    names: Sequence[str],
    strange: Sequence[str],
    *,
    found: NDArray[np.uint8],
    known: NDArray[np.bool_],
) -> None:
    if not known.all():
        raise LabelError(
            f"{int((~known).sum())} of {len(known)} patches have no labels, as {chosen.names[~known][0]!r}; "
            "choose others with split=... or keys=[...], or leave scene_labels out"
        )
    odd = np.asarray(found[:, len(names) :].any(axis=0))
    if odd.any():
        lost = [name for name, there in zip(strange, odd.tolist(), strict=True) if there]
        raise LabelError(f"patches have the labels {lost}, expected {list(names)}; name these too")
