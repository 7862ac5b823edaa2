"""Hidden folders in which outputs are written until they are whole, and what killed processes left there."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from io import FileIO
from pathlib import Path
from typing import Any

from geoseg.errors import StoreError
from geoseg.filelock import locked, opened

_OWNER = ".owner.json"
"""In the hidden folder: the names of its outputs, locked as long as its process writes them."""
_NAMING = ".naming.json"
"""In the hidden folder from when its files begin to take their names: these, and which file each is."""
_RANDOM = 8
"""Letters that `tempfile` puts at the end of a name."""


@contextmanager
def draft_folder(targets: Sequence[Path]) -> Iterator[Path]:
    """An empty hidden folder beside outputs, which is removed at the end of the block in any case.

    Only a process that is killed leaves it, for `remove_leftovers`.

    Args:
        targets: The outputs, in one folder that is there; the hidden one is named after the first.

    Raises:
        OSError: It cannot be made.
    """
    first, process = targets[0], os.getpid()
    folder = Path(tempfile.mkdtemp(prefix=f".{first.name}-", dir=first.parent))
    owner = None
    try:
        owner = _owned(folder, [target.name for target in targets])
        yield folder
    finally:
        if owner is not None:
            owner.close()
        if os.getpid() == process:  # a forked child must not tidy up for its parent
            shutil.rmtree(folder, ignore_errors=True)


def _owned(folder: Path, names: list[str]) -> FileIO:
    """The locked file that says whose the folder is; empty where nothing can be locked."""
    file = opened(folder / _OWNER, "x")
    with suppress(OSError):  # no locks, or no room: then nobody takes the folder for a leftover
        if locked(file, wait=True):
            file.write(json.dumps(names).encode())
    return file


def remove_leftovers(targets: Sequence[Path]) -> None:
    """Remove the hidden folders of processes that were killed while they wrote any of these outputs.

    Names that they had begun to give are taken back, see `take_back`. A folder whose process still
    writes, of which nobody knows whose it is, or of other outputs, stays.

    Args:
        targets: In one folder, with one name up to the first dot.

    Raises:
        StoreError: As of `take_back`.
    """
    names = {target.name for target in targets}
    for folder in _hidden_beside(targets[0]):
        with suppress(FileNotFoundError, PermissionError):
            _remove_left(folder, names)


def _hidden_beside(target: Path) -> list[Path]:
    """Hidden folders that may be of an output."""
    start = "." + target.name.partition(".")[0]
    try:
        with os.scandir(target.parent) as found:
            return [
                Path(entry.path)
                for entry in found
                if entry.name.startswith(start)
                and entry.name[-_RANDOM - 1 : -_RANDOM] == "-"
                and entry.is_dir(follow_symlinks=False)
            ]
    except OSError:
        return []  # there is none yet, or writing will tell


def _remove_left(folder: Path, names: set[str]) -> None:
    with closing(opened(folder / _OWNER, "r+")) as owner:
        try:
            left = locked(owner) and not names.isdisjoint(_told(owner))
        except OSError:
            return  # nobody knows
        if left:
            take_back(folder)
    if left:
        shutil.rmtree(folder, ignore_errors=True)  # Windows removes no open file


def _told(owner: FileIO) -> list[str]:
    """The names of a folder's outputs."""
    try:
        found = json.loads(owner.readall())
    except (ValueError, RecursionError):
        return []
    return [name for name in found if isinstance(name, str)] if isinstance(found, list) else []


def old_name(name: str) -> str:
    """What a file is called in the hidden folder while its name is given to another."""
    return f"old-{name}"


def note_names(folder: Path, targets: Sequence[Path]) -> None:
    """Write down what is going to be named, for `take_back`."""
    files = {target.name: _file_at(folder / target.name) for target in targets}
    try:
        (folder / _NAMING).write_text(json.dumps(files), encoding="utf-8")
    except OSError as error:
        raise StoreError(
            f"{targets[-1]}: cannot be written: {error.strerror}. Is the disk full? Make room"
        ) from error


def take_back(folder: Path) -> None:
    """Remove the hidden folder of a process that was killed, and the names that it had begun to give.

    Where only some of its files had got their names, these are removed, and what had the names before
    has them again. A name that somebody else has given to another file since then stays. Where all had
    got them, they stay: nothing is half done.

    Args:
        folder: As `written_together` makes it; no process uses it any more.

    Raises:
        StoreError: A file cannot be removed or renamed.
    """
    begun = _noted_names(folder)
    waiting = [name for name in begun if (folder / name).exists()]
    for name in begun if waiting else ():
        target, old = folder.parent / name, folder / old_name(name)
        try:
            if name in waiting:
                if old.exists() and not target.exists():  # a file system without links
                    old.replace(target)
            elif _file_at(target) == begun[name]:
                old.replace(target) if old.exists() else target.unlink(missing_ok=True)
        except OSError as error:
            raise StoreError(
                f"{target}: a run that was killed had begun to replace it, which cannot be taken back: "
                f"{error.strerror}; remove it"
            ) from error
    shutil.rmtree(folder, ignore_errors=True)


def _noted_names(folder: Path) -> dict[str, Any]:
    """Name to what tells its file; nothing where no name was given yet."""
    try:
        found = json.loads((folder / _NAMING).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    if not isinstance(found, dict):
        return {}
    return {name: told for name, told in found.items() if Path(name).name == name != ".."}


def _file_at(path: Path) -> list[int] | None:
    """What tells a file from others, under whatever name; None where there is none."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return [found.st_ino, found.st_size, found.st_mtime_ns]
