"""Patches to values, in this process or in others, whichever is done sooner."""

from __future__ import annotations

import os
import time
from collections.abc import Generator, Sequence

from geoseg.convert.patch import Patch
from geoseg.convert.running.encode import Encoded, Outcome, Recipe, encode_patch
from geoseg.convert.running.workers import Workers

_MEASURED_SECONDS = 2.0
"""For which patches are read here before it is decided whether others help."""
_START_SECONDS = 4.0
"""That workers take to start: they import, and open their first files."""
_SENDING = 0.4e9
"""Bytes a second from one process to another, both sides counted."""
_GAIN = 0.65
"""What workers must bring the time down to."""
_MOST_WORKERS = 16
_HELD_BYTES = 16 << 20
"""Values that a worker holds."""


def outcomes(
    recipe: Recipe, patches: Sequence[Patch], *, workers: int | None, target: str
) -> Generator[Outcome, None, None]:
    """What comes of each patch, in order; close it to end its processes.

    Args:
        recipe: How values are made.
        patches: What is read.
        workers: Processes; 0: none but this; None: as many as make it sooner, measured on the first ones.
        target: The store, for error texts.
    """
    done = 0
    at_once = None
    if workers is None:
        seconds, nbytes = 0.0, 0
        while done < len(patches) and seconds < _MEASURED_SECONDS:
            begun = time.perf_counter()
            outcome = encode_patch(recipe, patches[done])
            seconds += time.perf_counter() - begun
            done += 1
            nbytes += len(outcome.value) if isinstance(outcome, Encoded) else 0
            yield outcome
        size = nbytes // max(done, 1)
        workers = helpful_workers(len(patches) - done, seconds / max(done, 1), size, cores=_cores())
        at_once = max(_HELD_BYTES // max(size, 1), 1)
    if not workers or done == len(patches):
        for patch in patches[done:]:
            yield encode_patch(recipe, patch)
        return
    with Workers(recipe, workers, target=target) as processes:
        rest = (patches[i] for i in range(done, len(patches)))
        yield from processes.outcomes(rest, at_once=at_once or 4)


def helpful_workers(patches: int, seconds: float, nbytes: int, *, cores: int) -> int:
    """How many processes read patches sooner than this one alone; 0: none does.

    Args:
        patches: How many there are.
        seconds: That one takes here.
        nbytes: Of a value.
        cores: That this process may use.
    """
    alone = patches * seconds
    count = min(cores, _MOST_WORKERS)
    sending = patches * nbytes / _SENDING  # this process takes them one after the other
    together = _START_SECONDS + max(alone / count + sending / count, sending)
    return count if count > 1 and together < _GAIN * alone else 0


def _cores() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # macOS, Windows
        return os.cpu_count() or 1
