"""Bars of the volumes commands: on a terminal, and nowhere else."""

import io
import sys
import time

import pytest

from geoseg.cli.volumes.progress import counted, told_as_it_goes, told_of_each


class _Terminal(io.StringIO):
    def isatty(self):
        return True


def _counted():
    for _ in counted(range(40), total=40, told="volumes"):
        time.sleep(0.01)


def _of_each():
    with told_of_each(40, "volumes") as show:
        for item in range(40):
            time.sleep(0.01)
            show(item)


def _as_it_goes():
    with told_as_it_goes("volumes") as show:
        for done in range(1, 41):
            time.sleep(0.01)
            show(done, 40)


@pytest.mark.parametrize("bar", [_counted, _of_each, _as_it_goes])
@pytest.mark.parametrize(("stream", "shown"), [(_Terminal, True), (io.StringIO, False)])
def test_a_bar_has_count_and_total_on_a_terminal_alone(monkeypatch, bar, stream, shown):
    told = stream()
    monkeypatch.setattr(sys, "stderr", told)
    bar()
    assert ("/40 [" in told.getvalue() and "volume/s" in told.getvalue()) == shown
    assert bool(told.getvalue()) == shown
