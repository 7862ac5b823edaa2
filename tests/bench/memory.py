"""How much memory this process has taken, as Linux tells.

Not `ru_maxrss`: a process inherits that from the one that started it.
"""

from __future__ import annotations

from pathlib import Path


def forget_peak() -> None:
    """The peak so far does not count."""
    Path("/proc/self/clear_refs").write_text("5")


def peak_mb() -> float:
    """The most that was in memory at once since then, in 10^6 bytes."""
    return _megabytes("VmHWM")


def now_mb() -> float:
    """What is in memory, in 10^6 bytes."""
    return _megabytes("VmRSS")


def _megabytes(name: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:")) * 1024 / 1e6
