"""What people read when something goes wrong: a few lines and an exit code, never a traceback."""

from __future__ import annotations

import re
import signal
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer
from pydantic import ValidationError

from geoseg.cli.problems import problems_of
from geoseg.cli.stopped import Stopped, signals_raised
from geoseg.errors import ConfigError, GeosegError, StoreError

DATA, CALL = 1, 2
"""Exit codes: the data are at fault; the call is."""

_LINES = 3
_IN_WORKER = re.compile(r"^Caught \w+ in DataLoader worker.*\n[\w.]+: ", re.DOTALL)
"""What torch puts before the text of an error in a worker: a whole traceback."""
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")


@contextmanager
def told_briefly(
    *, debug: bool, name: str = "", stopped: str = "what was not whole yet has been removed"
) -> Iterator[None]:
    """Errors within as one to three lines on stderr and an exit code, warnings as a line each.

    Args:
        debug: Let errors through, with their traceback.
        name: What a problem with keys and values is about, the experiment's file as a rule.
        stopped: What has become of the work when a signal stops it.
    """
    with _warnings_in_lines(), signals_raised():
        try:
            yield
        except Stopped as stop:
            what = signal.Signals(stop.number).name
            _tell(f"stopped by {what}; {_noted(stop) or stopped}")
            raise typer.Exit(DATA) from stop
        except BrokenPipeError:  # the reader of a pipe has seen enough
            raise
        except (GeosegError, ValidationError, OSError, MemoryError, RuntimeError) as error:
            notes = [note] if (note := _noted(error)) else []
            if debug or not (lines := lines_of(error, name, most=_LINES - len(notes))):
                raise
            _tell(*lines, *notes)
            raise typer.Exit(code_of(error)) from error


def _noted(error: BaseException) -> str:
    """What was noted of an error on its way, in a line: what of the work is kept."""
    return " ".join("; ".join(getattr(error, "__notes__", ())).split())


def code_of(error: Exception) -> int:
    """2 where the call is at fault, the place of an output included; else 1."""
    return CALL if isinstance(error, ConfigError | ValidationError | StoreError) else DATA


def lines_of(error: Exception, name: str, *, most: int = _LINES) -> list[str]:
    """The text of an error, in so many lines at most."""
    if isinstance(error, MemoryError | RuntimeError):
        return _of_the_machine(error)
    if not isinstance(error, ValidationError):
        return [" ".join(_IN_WORKER.sub("", str(error)).split())]
    found = [_joined(name, place, what) for place, what in problems_of(error).items()]
    if len(found) > most:
        more = len(found) - most
        found[most - 1 :] = [f"{found[most - 1]}; and {more} more like these"]
    return found


def _of_the_machine(error: Exception) -> list[str]:
    """What is wrong where memory ran out or a worker was killed; nothing for a fault of ours."""
    text = str(error)
    if "DataLoader worker" in text and "killed" in text:
        return ["a process that reads was killed, by lack of memory perhaps; use fewer workers"]
    if isinstance(error, MemoryError) or "out of memory" in text or "allocate memory" in text:
        return ["the memory is not enough; use a smaller size, batch_size or number of workers"]
    return []


def _joined(*parts: str) -> str:
    return " ".join(": ".join(part for part in parts if part).split())


def printable(text: str) -> str:
    """A text of a file in a line on a terminal, which does not obey what is in it.

    Control characters and those that turn the direction of writing become their escapes.
    """
    return _CONTROLS.sub(lambda found: ascii(found[0])[1:-1], text)


def _tell(first: str, *others: str) -> None:
    typer.echo(f"error: {printable(first)}", err=True)
    for line in others:
        typer.echo(f"       {printable(line)}", err=True)


@contextmanager
def _warnings_in_lines() -> Iterator[None]:
    """Each warning once, in one line; how often it came again is told at the end."""
    counts: dict[str, int] = {}

    def show(message: Any, *_: Any, **__: Any) -> None:
        text = " ".join(str(message).split())
        counts[text] = counts.get(text, 0) + 1
        if counts[text] == 1:
            typer.echo(f"warning: {text}", err=True)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what libraries say to programmers
        warnings.simplefilter("always", UserWarning)
        warnings.showwarning = show
        try:
            yield
        finally:
            again = {text: count - 1 for text, count in counts.items() if count > 1}
            for text, count in again.items():
                typer.echo(f"warning: {count} times more: {text}", err=True)
