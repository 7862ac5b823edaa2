"""Files that appear whole or not at all."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from geoseg.errors import ConfigError, StoreError

_NAMING = ".naming.json"
"""In the hidden folder from when its files begin to take their names: these, and which file each is."""


def local_path(uri: str) -> Path:
    """The path of an output.

    Raises:
        StoreError: It is no local path: only there can a file be renamed when it is whole.
    """
    if "://" in uri or uri.startswith("/vsi"):
        raise StoreError(
            f"{uri}: outputs are written to local paths only; write to a local file and copy it there"
        )
    return Path(uri)


def refuse_inputs(outputs: Iterable[str], inputs: Iterable[str]) -> None:
    """See that no output would replace a file that is read.

    Raises:
        ConfigError: One would.
    """
    read = {os.path.realpath(uri): uri for uri in inputs}
    for uri in outputs:
        if os.path.realpath(uri) in read or any(_same(uri, other) for other in read):
            raise ConfigError(
                f"{uri}: is read as an input too and would be overwritten; write to another place"
            )


def _same(uri: str, other: str) -> bool:
    """Whether two names are links to one file."""
    try:
        return os.path.samefile(uri, other)  # noqa: PTH121 - uris are text
    except (OSError, ValueError):
        return False


@contextmanager
def written_whole(uri: str) -> Iterator[Path]:
    """A path to write to; it takes the name `uri` when the block ends without any exception.

    The path lies in a hidden folder beside the target, which is removed in any case with all that was
    put there. A file under the final name stays as it is until it is replaced. Missing parent folders
    are made.

    Raises:
        StoreError: The folder cannot be made or written, or `uri` is a folder or no local path.
    """
    with written_together((uri,)) as (path,):
        yield path


@contextmanager
def written_together(uris: Sequence[str]) -> Iterator[tuple[Path, ...]]:
    """Paths to write to, as `written_whole` gives one; all take their names when the block ends.

    They take them one after another, in the order given: no file system renames several files at once.
    Where one cannot, those before it are taken back and what had their names has them again. Only a
    process that is killed between two of them leaves new files beside old ones, each of them whole,
    until `take_back`.

    Args:
        uris: Files of one folder.

    Raises:
        StoreError: As of `written_whole`, for any of them.
    """
    targets = [local_path(uri) for uri in uris]
    for target, uri in zip(targets, uris, strict=True):
        if target.is_dir():
            raise StoreError(f"{uri}: is a folder, expected the path of a file; add a file name")
    first = targets[0]
    try:
        first.parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=f".{first.name}-", dir=first.parent))
    except OSError as error:
        raise StoreError(
            f"{uris[0]}: nothing can be written to the folder {first.parent.absolute()}: "
            f"{error.strerror}; choose another place or change its permissions"
        ) from error
    process = os.getpid()
    try:
        yield tuple(folder / target.name for target in targets)
        _name_all(folder, targets)
    finally:
        if os.getpid() == process:  # a forked child must not tidy up for its parent
            shutil.rmtree(folder, ignore_errors=True)


def _name_all(folder: Path, targets: Sequence[Path]) -> None:
    """Give files of a folder their final names, all of them or none."""
    tried: list[tuple[Path, Path | None]] = []
    whole = False
    if len(targets) > 1:
        _note_names(folder, targets)
    try:
        for target in targets:
            try:
                if len(targets) > 1:  # one is replaced or not
                    tried.append((target, _kept(target, folder)))
                (folder / target.name).replace(target)
            except OSError as error:
                raise StoreError(
                    f"{target}: cannot be replaced: {error.strerror}; remove it"
                ) from error
        whole = True
    finally:
        for target, old in reversed([] if whole else tried):
            target.unlink(missing_ok=True) if old is None else old.replace(target)


def _kept(target: Path, folder: Path) -> Path | None:
    """A second name for the file that is to be replaced; None where there is none."""
    if not target.exists():
        return None
    old = folder / _old_name(target.name)
    try:
        old.hardlink_to(target)  # the target keeps its name
    except OSError:
        target.rename(old)  # a file system without links
    return old


def _old_name(name: str) -> str:
    return f"old-{name}"


def _note_names(folder: Path, targets: Sequence[Path]) -> None:
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
        target, old = folder.parent / name, folder / _old_name(name)
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
