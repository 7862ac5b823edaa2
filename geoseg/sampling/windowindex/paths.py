"""Paths in an index: where those of a file lead, and how they are written into one."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from geoseg.placed import is_path
from geoseg.warn import warn


def as_paths(given: Sequence[str]) -> tuple[str, ...]:
    """One path or several, as texts that mean the same from any working directory."""
    several = (given,) if isinstance(given, str | os.PathLike) else given
    return tuple(absolute(os.fspath(path)) for path in several)


def absolute(path: str) -> str:
    """A local path from the root; URLs, `/vsi...` and drivers' names stay as they are."""
    return str(Path(path).absolute()) if is_path(path) else path


def identity(path: str) -> str:
    """The same text for all spellings of a file."""
    return os.path.realpath(path) if is_path(path) else path


def resolved(
    paths: Sequence[str],
    *,
    folder: Path | None,
    base: str | None,
    where: str,
    own: bool = False,
) -> tuple[str, ...]:
    """What to open for the paths of an index.

    Absolute paths, URLs and `/vsi...` stay as they are. A relative path is meant against the base where
    one is given, else against the index's folder; what is not there but is in the working directory is
    taken from there. What geoseg wrote is relative to the index's folder, so that what is not below the
    base is looked for there.

    Args:
        paths: As they are written, each once.
        folder: Of the index's file; None for a table in memory: the working directory.
        base: The folder that is given for relative paths.
        where: What a warning calls the index.
        own: Whether geoseg wrote the index.

    Warns:
        UserWarning: Files were found in the working directory only, and how many.
    """
    first = Path(base).absolute() if base is not None else folder
    if first is None:
        return as_paths(paths)
    second = folder if own and base is not None else None
    found, strays = [], []
    for path in paths:
        target = _joined(first, path)
        if second is not None and not Path(target).exists():
            beside = _joined(second, path)
            target = beside if Path(beside).exists() else target
        if base is None and target != path and _is_stray(path, target):
            strays.append(path)
            target = str(Path(path).absolute())
        found.append(target)
    if strays:
        warn(
            f"{where}: {len(strays)} of {len(paths)} files are not in its folder {first} but in the working "
            f"directory, the first is {strays[0]}; they are taken from there; write paths relative to the "
            "index, or give mask_base_path"
        )
    return tuple(found)


def relative_to(folder: Path, paths: Sequence[str]) -> list[str]:
    """How paths are written into an index of a folder: relative to it, with slashes.

    URLs, `/vsi...` and files on another drive stay as they are.

    Args:
        folder: Where the index will lie.
        paths: What can be opened now, each once.
    """
    real = os.path.realpath(folder)
    return [_written(real, path) for path in paths]


def _is_stray(path: str, target: str) -> bool:
    return not Path(target).exists() and Path(path).exists()


def _joined(folder: Path, path: str) -> str:
    """The path itself, or one below the folder where it is relative."""
    if not is_path(path) or Path(path).is_absolute() or path.startswith("/"):
        return path
    joined = folder / path
    if ".." not in joined.parts:
        return str(joined)
    short = Path(os.path.normpath(joined))  # wrong where a link comes before the dots
    try:
        return str(short if short.samefile(joined) else joined)
    except OSError:
        return str(joined)


def _written(folder: str, path: str) -> str:
    if not is_path(path):
        return path
    name = Path(path)
    # The file's own name stays, should it be a link: the folder's may not, as dots follow it.
    real = Path(os.path.realpath(name.parent)) / name.name
    try:
        return Path(os.path.relpath(real, folder)).as_posix()
    except ValueError:  # another drive
        return real.as_posix()
