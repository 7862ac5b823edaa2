"""Signals as exceptions, those that come at a bad moment too."""

from __future__ import annotations

import signal
import sys
import threading
import time
from functools import partial

import pytest

from geoseg.cli.stopped import Stopped, signals_raised


class _Noisy:
    """Is hit by a signal within its destructor, where Python drops whatever is raised."""

    def __init__(self, number):
        self.number = number

    def __del__(self):
        signal.raise_signal(self.number)
        time.sleep(0)


@pytest.fixture(autouse=True)
def hooks(monkeypatch):
    """The hooks of before, since a stopped command leaves its own until the process ends."""
    monkeypatch.setattr(sys, "unraisablehook", sys.unraisablehook)
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)


def _work(begin):
    begin()
    for _ in range(500):
        time.sleep(0.01)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_is_raised_where_the_program_is(number):
    with pytest.raises(Stopped) as stopped, signals_raised():
        _work(partial(signal.raise_signal, number))
    assert stopped.value.number == number


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_that_is_dropped_by_a_destructor_comes_again(number):
    before = signal.getsignal(number)
    noisy = [_Noisy(number)]
    with pytest.raises(Stopped) as stopped, signals_raised():
        _work(noisy.clear)
    assert stopped.value.number == number
    assert signal.getsignal(number) is before
