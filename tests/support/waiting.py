"""Waiting for what another process does, however busy the machine is."""

from __future__ import annotations

import time

PATIENCE = 900
"""Seconds after which something hangs: a machine that is shared may take a minute to import torch."""


def wait_until(reached, process):
    """Waits until a function gives true; an error when the process ends before, or hangs."""
    until = time.monotonic() + PATIENCE
    while not reached():
        assert process.poll() is None, "the process ended before"
        assert time.monotonic() < until, "the process hangs"
        time.sleep(0.02)
