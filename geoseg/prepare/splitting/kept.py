"""What a buffer leaves of the parts that were asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import ConfigError
from geoseg.warn import warn

_MOST_DROPPED = 0.5
"""Share of the windows after which a word is due."""
_FAR_OFF = 2.0
"""So many times more or less than its share a part may have without a word."""
_CURE = "take larger blocks (block_m) or a smaller buffer (buffer_m)"


def check_kept(parts: NDArray[np.object_], shares: Mapping[str, float], *, buffer_m: float) -> None:
    """See that every part has windows, and about as many as were asked for.

    Args:
        parts: (window,) names; others than those of the shares are dropped windows.
        shares: {part: share that was asked for}.
        buffer_m: What windows were dropped for.

    Raises:
        ConfigError: A part has none.

    Warns:
        UserWarning: More than half of the windows are dropped, or a part is far from its share.
    """
    wanted = {part: share for part, share in shares.items() if share > 0}
    counts = {part: int((parts == part).sum()) for part in wanted}
    kept, lost = sum(counts.values()), len(parts) - sum(counts.values())
    if empty := [part for part, count in counts.items() if not count]:
        raise ConfigError(
            f"a buffer of {buffer_m:g} m leaves no window in {', '.join(empty)}: {lost} of {len(parts)} windows are "
            f"too near another part; {_CURE}"
        )
    off = [
        f"{part} has {counts[part] / kept:.0%} of the rest where {share:.0%} were asked for"
        for part, share in wanted.items()
        if not share / _FAR_OFF <= counts[part] / kept <= share * _FAR_OFF
    ]
    if off or lost > _MOST_DROPPED * len(parts):
        told = "; ".join([f"{lost} of {len(parts)} windows are dropped", *off])
        cure = (
            _CURE if lost else "smaller blocks (block_m) or more scenes come nearer to the shares"
        )
        warn(f"{told}; {cure}")


def check_trainings(
    fold: NDArray[np.int64], without: Sequence[Sequence[int]], *, buffer_m: float
) -> None:
    """See that every fold has windows to train on.

    Args:
        fold: (window,) where each validates.
        without: Of each window the folds whose training does without it.
        buffer_m: What they were dropped for.

    Raises:
        ConfigError: A fold has none.

    Warns:
        UserWarning: A fold's training lacks more than half of its windows.
    """
    for number in np.unique(fold).tolist():
        others = int((fold != number).sum())
        lost = sum(number in numbers for numbers in without)
        if lost == others:
            raise ConfigError(
                f"a buffer of {buffer_m:g} m leaves no window for the training of fold {number}; {_CURE}"
            )
        if lost > _MOST_DROPPED * others:
            warn(
                f"the training of fold {number} does without {lost} of its {others} windows; {_CURE}"
            )
