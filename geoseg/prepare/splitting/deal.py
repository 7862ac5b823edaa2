"""Blocks dealt into folds or parts, with the classes alike in each (scikit-learn)."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import ConfigError

_Ints = NDArray[np.int64]

_LEAST = 2
"""Parts or folds of a split."""
_ROUNDING = 1e-6
"""How far shares may be from 1 together."""
_TRIES = 8
"""Deals that are compared; how alike the classes come out hangs on the order of the blocks."""


def deal_folds(blocks: _Ints, strata: _Ints | None, *, folds: int, seed: int) -> _Ints:
    """(window,) the number of each window's fold, from 0; a block's windows are all in one.

    Args:
        blocks: (window,) numbers of blocks.
        strata: (window,) the classes to balance; None: only the number of windows is.
        folds: How many.
        seed: Another seed, another deal.

    Raises:
        ConfigError: There are fewer blocks than folds.
    """
    if folds < _LEAST:
        raise ConfigError(f"folds is {folds}, expected at least {_LEAST}")
    _enough(blocks, folds, f"{folds} folds")
    wanted = np.full(folds, 1 / folds)
    return _best(
        lambda attempt: _dealt(blocks, strata, folds=folds, seed=attempt),
        strata,
        wanted,
        seed=seed,
    )


def deal_parts(
    blocks: _Ints, strata: _Ints | None, *, shares: Mapping[str, float], seed: int
) -> NDArray[np.str_]:
    """(window,) the part of each window; a block's windows are all in one.

    Args:
        blocks: (window,) numbers of blocks.
        strata: (window,) the classes to balance; None: only the number of windows is.
        shares: {part: share of the windows}, which sum to 1; a part of share 0 stays empty.
        seed: Another seed, another deal.

    Raises:
        ConfigError: Shares are wrong, or there are fewer blocks than parts.
    """
    wanted = {part: share for part, share in shares.items() if share > 0}
    if (
        min(shares.values()) < 0
        or abs(sum(shares.values()) - 1) > _ROUNDING
        or len(wanted) < _LEAST
    ):
        raise ConfigError(f"shares are {dict(shares)}, expected at least two above 0 that sum to 1")
    _enough(blocks, len(wanted), "the parts " + ", ".join(wanted))
    names = np.array(list(wanted))
    number = _best(
        lambda attempt: _carved(blocks, strata, list(wanted.values()), seed=attempt),
        strata,
        np.array(list(wanted.values())),
        seed=seed,
    )
    found: NDArray[np.str_] = names[number]
    return found


def _carved(blocks: _Ints, strata: _Ints | None, shares: list[float], *, seed: int) -> _Ints:
    """All in the first part; the others are cut from it one after another, a fold of the right size each."""
    found = np.zeros(len(blocks), np.int64)
    for part in range(len(shares) - 1, 0, -1):
        rows = np.flatnonzero(found == 0)
        left = len(np.unique(blocks[rows]))
        share = shares[part] / sum(shares[: part + 1])
        # As many blocks must stay as there are parts to come.
        folds = int(np.clip(round(1 / share), 2, left))
        mine = None if strata is None else strata[rows]
        fold = _dealt(blocks[rows], mine, folds=folds, seed=seed)
        keeps = [f for f in range(folds) if len(np.unique(blocks[rows[fold != f]])) >= part]
        chosen = min(
            keeps,
            key=lambda f: _unlike(mine, (fold == f).astype(np.int64), np.array([1 - share, share])),
        )
        found[rows[fold == chosen]] = part
    return found


def _dealt(blocks: _Ints, strata: _Ints | None, *, folds: int, seed: int) -> _Ints:
    try:
        from sklearn.model_selection import GroupKFold, StratifiedGroupKFold
    except ImportError as error:
        raise ConfigError(
            "splitting needs scikit-learn; install it with: pip install 'geoseg[prepare]'"
        ) from error
    rows = np.zeros(len(blocks))
    found = np.zeros(len(blocks), np.int64)
    kind = GroupKFold if strata is None else StratifiedGroupKFold
    splitter = kind(n_splits=folds, shuffle=True, random_state=seed)
    target = rows if strata is None else _common(strata, folds)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of rare classes; the report counts them
        for number, (_, mine) in enumerate(splitter.split(rows, target, blocks)):
            found[mine] = number
    return found


def _common(strata: _Ints, folds: int) -> _Ints:
    """The classes, those with fewer windows than folds as one, which scikit-learn would refuse."""
    kinds, place, counts = np.unique(strata, return_inverse=True, return_counts=True)
    rare = counts < folds
    found = np.where(rare[place], kinds.min() - 1, strata)
    # As one they may be too few still.
    return (
        found
        if rare[place].sum() >= folds or not rare.any()
        else np.where(rare[place], kinds[counts.argmax()], strata)
    )


def _best(
    deal: Callable[[int], _Ints], strata: _Ints | None, wanted: NDArray[np.float64], *, seed: int
) -> _Ints:
    """Of several deals the one whose parts have their sizes and classes, the first of equals."""
    deals = [deal(one) for one in np.random.SeedSequence(seed).generate_state(_TRIES).tolist()]
    full = [d for d in deals if len(np.unique(d)) == len(wanted)]
    if not full:
        raise ConfigError(
            f"no deal gives each of the {len(wanted)} parts a block; take smaller blocks or fewer parts"
        )
    return min(full, key=lambda d: _unlike(strata, d, wanted))


def _unlike(strata: _Ints | None, part: _Ints, wanted: NDArray[np.float64]) -> float:
    """How far sizes, and the windows of each class, are from the shares wanted; 0 is perfect."""
    kinds = [np.ones(len(part), np.bool_)]
    if strata is not None:
        kinds += [strata == kind for kind in np.unique(strata)]
    return sum(
        float(np.abs(np.bincount(part[kind], minlength=len(wanted)) / kind.sum() - wanted).sum())
        for kind in kinds
    )


def _enough(blocks: _Ints, parts: int, told: str) -> None:
    found = len(np.unique(blocks))
    if found < parts:
        raise ConfigError(
            f"the windows lie in {found} block{'s' * (found != 1)}, too few for {told}; take smaller blocks "
            "(block_m), or more scenes"
        )
