"""A folder that is written by one run and appears whole; a run that was killed is taken up again."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from geoseg.errors import ConfigError, StoreError
from geoseg.outputs import local_path
from geoseg.prepare.tiling.kept import changed_in, keep_others, sizes_of
from geoseg.prepare.tiling.tally import Record
from geoseg.sampling.windowindex.turns import turn
from geoseg.warn import warn

_PLAN, _JOURNAL = ".plan", ".journal"


class Work:
    """The hidden folder of a run: what was written so far, and a line for each window that is done."""

    def __init__(
        self, target: Path, folder: Path, done: dict[int, Record], journal: IO[bytes]
    ) -> None:
        """Use `begun`."""
        self.target, self.folder = target, folder
        self.done = done
        """{row: what became of it}."""
        self._journal = journal

    def note(self, record: Record) -> None:
        """A window is done: its files are whole."""
        self.done[record.number] = record
        line = json.dumps(record.to_list(), separators=(",", ":")) + "\n"
        try:
            self._journal.write(line.encode())
            self._journal.flush()
        except OSError as error:
            raise _not_written(self.target, error) from error

    def finish(self, note: str) -> None:
        """Give the folder its name; what others laid into an older result stays.

        Args:
            note: The name of the report's file in it.
        """
        self._journal.close()
        try:
            for name in (_PLAN, _JOURNAL):
                (self.folder / name).unlink()
            old = _replaced(self.target)
            if self.target.exists():
                shutil.rmtree(old, ignore_errors=True)
                if (self.target / note).exists():
                    keep_others(self.target, self.folder, {note: 0, **_note(self.target / note)[2]})
                self.target.rename(old)
            self.folder.rename(self.target)
            shutil.rmtree(old, ignore_errors=True)
        except OSError as error:
            raise _not_written(self.target, error) from error


@contextmanager
def begun(target: Path, fingerprint: str | None, *, resume: bool) -> Iterator[Work]:
    """The work on a folder, from its beginning or from where a run of the same plan was stopped.

    Where it ends in an error what was done so far stays, hidden beside the target, for the next run.

    Args:
        target: The folder that is wanted.
        fingerprint: Of all that tells what is written; None: it cannot be told, and nothing is resumed.
        resume: Whether to go on where another run of that stopped.
    """
    folder = _unfinished(target)
    try:
        done = _done(folder, fingerprint) if resume and fingerprint else None
        if done is None:
            for old in (folder, _replaced(target)):
                shutil.rmtree(old, ignore_errors=True)
            folder.mkdir(parents=True)
            (folder / _PLAN).write_text(fingerprint or "", encoding="utf-8")
            done = {}
        journal = (folder / _JOURNAL).open("ab")
    except OSError as error:
        raise _not_written(target, error) from error
    with journal:
        yield Work(target, folder, done, journal)


@contextmanager
def alone(out: str | os.PathLike[str]) -> Iterator[Path]:
    """The folder of an output while no other run writes it; others wait.

    Raises:
        StoreError: It is a file or no local path, or nothing can be written there.
    """
    target = local_path(os.fspath(out)).absolute()
    if target.exists() and not target.is_dir():
        raise StoreError(f"{out}: is a file, expected a folder to be made; choose another name")
    with turn(str(target.with_name(f"{target.name}.run"))):  # locks are for files
        if not target.exists() and _replaced(target).exists():  # killed while it was replaced
            _replaced(target).rename(target)
        yield target


def finished(
    target: Path, note: str, fingerprint: str | None, *, resume: bool, overwrite: bool
) -> Any | None:
    """The report of a folder that holds what is wanted already; None where it has to be made.

    Args:
        target: The folder.
        note: The name of the report's file in it.
        fingerprint: Of what is wanted.
        resume: Whether what is there may do.
        overwrite: Whether another result of the same kind may be replaced.

    Raises:
        StoreError: There is something else.

    Warns:
        UserWarning: It held this, but files are missing or were changed, and how many.
    """
    if not target.exists() or not any(target.iterdir()):
        return None
    try:
        told, report, sizes = _note(target / note)
        changed = changed_in(target, sizes, note)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StoreError(
            f"{target}: is a folder with something in it that was not written by this step; remove it, or "
            "choose another name"
        ) from error
    if fingerprint is None or told != fingerprint:
        if overwrite:
            return None
        raise StoreError(
            f"{target}: holds the result of other inputs or settings; pass overwrite (--overwrite) to replace it, "
            "remove it, or choose another name"
        )
    if changed and resume:
        warn(
            f"{target}: {len(changed)} of {len(sizes)} files are missing or were changed after they were written, "
            f"the first is {changed[0]}; all are made anew"
        )
    return report if resume and not changed else None


def refuse_within(target: Path, inputs: Iterable[str]) -> None:
    """See that no input lies in the folder that is written, which may be replaced.

    Raises:
        ConfigError: One does.
    """
    folder = Path(os.path.realpath(target))
    for uri in inputs:
        real = Path(os.path.realpath(uri))
        if real == folder or folder in real.parents:
            raise ConfigError(f"{target}: holds {uri}, which is read; write to another folder")


def write_note(path: Path, fingerprint: str | None, report: Mapping[str, Any]) -> None:
    """Write the report of a result and the sizes of its files, by which it is known again; the last of all.

    Raises:
        StoreError: It cannot be written.
    """
    try:
        files = sizes_of(path.parent)
        told = {"fingerprint": fingerprint, "report": dict(report), "files": files}
        text = json.dumps(told, indent=1)
        path.write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise _not_written(path, error) from error


def _note(path: Path) -> tuple[Any, Any, dict[str, int]]:
    """(fingerprint, report, {file: bytes}) of a result."""
    found = json.loads(path.read_text(encoding="utf-8"))
    return found["fingerprint"], found["report"], {**found["files"]}


def _unfinished(target: Path) -> Path:
    """Where a result lies until it is whole."""
    return target.with_name(f".{target.name}.unfinished")


def _replaced(target: Path) -> Path:
    """Where a result lies while another takes its name."""
    return target.with_name(f".{target.name}.unfinished-old")


def _done(folder: Path, fingerprint: str) -> dict[int, Record] | None:
    """What a run that was stopped had done; None where there is none of this plan."""
    try:
        if (folder / _PLAN).read_text(encoding="utf-8") != fingerprint:
            return None
        content = (folder / _JOURNAL).read_bytes()
    except OSError:
        return None
    whole = content[: content.rfind(b"\n") + 1]
    if len(whole) < len(content):  # it was killed while it wrote a line
        os.truncate(folder / _JOURNAL, len(whole))
    records = [Record.from_list(json.loads(line)) for line in whole.splitlines()]
    return {record.number: record for record in records}


def _not_written(target: Path, error: OSError) -> StoreError:
    return StoreError(
        f"{target}: cannot be written: {error.strerror or error}; make room, or choose another place"
    )
