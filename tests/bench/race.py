"""Contenders timed in turn in one process: A B C A B C, medians of CPU time."""

from __future__ import annotations

import resource
import statistics
import time
from collections.abc import Callable
from typing import Any


def race(
    contenders: dict[str, Callable[[], Any]],
    rounds: int = 3,
    *,
    between: Callable[[], Any] | None = None,
) -> dict[str, float]:
    """Median CPU seconds of each contender; every round runs all of them, one after the other.

    Before each run `between` is called, which is not timed.
    """
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, run in contenders.items():
            if between is not None:
                between()
            begin = cpu_seconds()
            run()
            times[name].append(cpu_seconds() - begin)
    return {name: statistics.median(values) for name, values in times.items()}


def cpu_seconds() -> float:
    """CPU time of this process, all threads, user and system."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def wall_seconds(run: Callable[[], Any]) -> float:
    """Wall time of one run."""
    begin = time.perf_counter()
    run()
    return time.perf_counter() - begin


def report(title: str, ratio: float, goal: float, note: str = "") -> None:
    """One line: what was reached and what the goal is."""
    met = "met" if ratio >= goal else "MISSED"
    print(f"\n{title}: {ratio:.2f} x (goal {goal:g}: {met}) {note}", flush=True)  # noqa: T201
