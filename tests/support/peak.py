"""Processes whose peak memory is the same in each run, so that a test can tell growth from noise."""

from __future__ import annotations

import os

STEADY = {
    # One arena: what threads that wait keep of freed memory hangs on how busy the machine is.
    "MALLOC_ARENA_MAX": "1",
    # What is large goes back when it is freed. Without this glibc raises the bound by and by, and what it then
    # keeps hangs on the order in which arrays were freed.
    "MALLOC_MMAP_THRESHOLD_": str(128 << 10),
}
"""How glibc is to allocate."""


def steady():
    """The environment of such a process."""
    return os.environ | STEADY
