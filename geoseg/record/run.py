"""`run.yaml` and `run.json` of a run: all that is needed to tell it and to do it again."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from geoseg import yamltext
from geoseg.errors import ConfigError
from geoseg.outputs import written_whole
from geoseg.record.git import git_state
from geoseg.record.versions import versions
from geoseg.spec import Spec
from geoseg.urimask import MASK, masked_values

RESOLVED, FACTS = "run.yaml", "run.json"
"""The resolved experiment, and what else is known of the run."""

FORMAT = "geoseg-run/1"
"""Tells such a record from other JSON."""
_HEAD = "# Written by a run: its experiment, with everything expanded.\n"
"""How such a file begins; one that begins otherwise is somebody's own."""
_MASKED = f"# Secrets in uris are {MASK}: before it is run again, write them in, or give them by the environment.\n"


def refuse_own_file(folder: Path) -> None:
    """See that the record would not replace a file that somebody wrote.

    Raises:
        ConfigError: The folder holds one of that name.
    """
    file = folder / RESOLVED
    if file.is_file() and not file.read_bytes().startswith(_HEAD.encode()):
        raise ConfigError(
            f"{file}: would be replaced by the record of the run; choose another `output`, such as a folder "
            "below, or rename the file"
        )


class Record:
    """The facts of a run, written anew whenever one is added."""

    def __init__(self, uri: Path, facts: dict[str, Any]) -> None:
        self._uri, self._facts = uri, facts
        self._write()

    def add(self, **facts: Any) -> None:
        """Write down what is known now, such as the scores; values are plain."""
        self._facts |= facts
        self._write()

    def _write(self) -> None:
        told = masked_values(self._facts)
        text = json.dumps(told, indent=2, ensure_ascii=False) + "\n"
        with written_whole(str(self._uri)) as path:
            path.write_text(text, encoding="utf-8")


@contextmanager
def recorded(
    experiment: Spec,
    folder: Path,
    *,
    seeds: dict[str, int],
    file: str | None,
    known: Mapping[str, Any] | None = None,
) -> Iterator[Record]:
    """Write down what is run, and around the block when it began, when it ended and how.

    Others may read it: places of files are told, but not the secrets in their uris.

    Args:
        experiment: What is run; its `output` becomes ".", the folder of its file.
        folder: Where the two files are written.
        seeds: {what follows from it: seed}.
        file: The experiment's file, in whose folder git is asked; None: the working directory.
        known: Facts from the beginning on, such as those of a run that is gone on with.

    Yields:
        The record, for facts that come later.

    Raises:
        StoreError: The files cannot be written.
    """
    text = resolved_text(experiment)
    if text is not None:
        with written_whole(str(folder / RESOLVED)) as path:
            path.write_text(_HEAD + text, encoding="utf-8")
    else:
        (folder / RESOLVED).unlink(missing_ok=True)  # of a run before this one
    started = datetime.now(UTC)
    record = Record(
        folder / FACTS,
        {
            "format": FORMAT,
            "status": "running",
            "started": _stamp(started),
            "ended": None,
            "seconds": None,
            "file": None if file is None else str(Path(file).resolve()),
            "experiment": None if text is None else RESOLVED,
            "seeds": seeds,
            "versions": versions(),
            "platform": platform.platform(),
            "git": git_state(Path.cwd() if file is None else Path(file).resolve().parent),
            **(known or {}),
        },
    )
    ending: dict[str, Any] = {"status": "stopped"}  # by a signal or the keyboard
    try:
        yield record
        ending = {"status": "finished"}
    except Exception as error:
        ending = {"status": "failed", "error": " ".join(f"{type(error).__name__}: {error}".split())}
        raise
    finally:
        ended = datetime.now(UTC)
        seconds = round((ended - started).total_seconds(), 3)
        record.add(ended=_stamp(ended), seconds=seconds, **ending)


def resolved_text(experiment: Spec) -> str | None:
    """The experiment as YAML with absolute uris without their secrets; None where it holds arrays."""
    try:
        values = yamltext.load(experiment.to_yaml())
    except ConfigError:
        return None
    # Relative uris of a Spec made in Python are meant from the working directory.
    placed = type(experiment).model_validate(values, context={"base": os.getcwd()})  # noqa: PTH109
    whole = {**yamltext.load(placed.to_yaml()), "output": "."}
    told = masked_values(whole)
    return ("" if told == whole else _MASKED) + yamltext.dump(told)


def _stamp(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
