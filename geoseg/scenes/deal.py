"""Dealing whole scenes out to training, validation and test by chance."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

from geoseg.errors import SceneError


def deal(ids: Sequence[str], shares: Mapping[str, float], seed: int) -> dict[str, list[str]]:
    """Each part's scenes: every scene lies in one part, whatever the order in which they are given.

    Scenes stand in an order that follows from `seed` and their ids alone and are cut into parts, so
    that one scene more moves few of the others.

    >>> deal(["a", "b", "c", "d"], {"train": 0.75, "test": 0.25}, seed=0)
    {'train': ['b', 'c', 'd'], 'test': ['a']}

    Args:
        ids: Names of scenes, each once.
        shares: {part: its share of the scenes}, together 1.
        seed: Another number deals otherwise.

    Returns:
        {part: its scenes, sorted}, in the order of `shares`.

    Raises:
        SceneError: There are too few scenes for each part to get one.
    """
    queue = sorted(ids, key=lambda name: hashlib.sha256(f"{seed}/{name}".encode()).digest())
    counts = _counts(len(queue), shares)
    empty = [part for part, count in counts.items() if not count]
    if empty:
        raise SceneError(
            f"{len(queue)} scenes are too few for shares of {dict(shares)}: none is left for "
            f"{', '.join(empty)}; raise that share, or add scenes"
        )
    dealt, start = {}, 0
    for part, count in counts.items():
        dealt[part] = sorted(queue[start : start + count])
        start += count
    return dealt


def _counts(total: int, shares: Mapping[str, float]) -> dict[str, int]:
    """Whole numbers that sum to the total, each less than 1 from its share (largest remainders)."""
    exact = {part: round(share * total, 6) for part, share in shares.items()}
    counts = {part: int(number) for part, number in exact.items()}
    by_rest = sorted(counts, key=lambda part: counts[part] - exact[part])
    for part in by_rest[: total - sum(counts.values())]:
        counts[part] += 1
    return counts
