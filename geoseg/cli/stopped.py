"""SIGTERM and Ctrl-C as an exception, so that what is half written is removed on the way out."""

from __future__ import annotations

import _thread
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_SOON = 0.01
"""Seconds after which a signal comes again that got lost."""


class Stopped(BaseException):
    """A signal has come.

    Not KeyboardInterrupt, which Lightning catches and turns into an exit of its own.
    """

    def __init__(self, number: int) -> None:
        """Take the signal's number."""
        super().__init__(number)
        self.number = number


@contextmanager
def signals_raised() -> Iterator[None]:
    """SIGTERM and SIGINT raise `Stopped` in the main thread; a second one ends the process.

    In workers that were forked a signal ends quietly: it is the main process that tells.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    process, hook = os.getpid(), sys.excepthook

    def stop(number: int, _: Any) -> None:
        signal.signal(number, signal.SIG_DFL)
        if os.getpid() != process:
            raise KeyboardInterrupt  # torch lets its workers end by this without a word
        # What breaks in threads and destructors from here on is because of the stop.
        sys.unraisablehook = lost
        threading.excepthook = _nothing
        raise Stopped(number)

    def lost(unraisable: Any) -> None:
        # Python drops what is raised within a destructor or a callback, which torch runs many of per batch.
        if isinstance(stopped := unraisable.exc_value, Stopped):
            signal.signal(stopped.number, stop)
            _thread.start_new_thread(_again, (stopped.number,))

    def tell(*error: Any) -> None:
        if os.getpid() == process:  # a worker that loses its parent has nothing to add
            hook(*error)

    before = {number: signal.signal(number, stop) for number in _stopping()}
    sys.excepthook = tell
    try:
        yield
    finally:
        sys.excepthook = hook
        for number, handler in before.items():
            signal.signal(number, handler)


def _stopping() -> list[signal.Signals]:
    """The signals that stop a command; a closed terminal too, unless `nohup` says otherwise."""
    numbers = [signal.SIGTERM, signal.SIGINT]
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        numbers.append(signal.SIGHUP)
    return numbers


def _again(number: int) -> None:
    """Let a signal come once more, when what dropped it the first time is over."""
    time.sleep(_SOON)
    _thread.interrupt_main(signal.Signals(number))


def _nothing(_: Any) -> None:
    """Takes an exception that has nowhere to go."""
