"""Names below a folder, by `os.scandir` alone: no file is opened, and none asked for its state."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from geoseg.errors import SourceError

T = TypeVar("T")


def walk(
    root: str,
    *,
    folders: bool,
    depth: int | None,
    taken: Callable[[str, str], T | None],
    without: str | None = None,
) -> Iterator[tuple[str, T]]:
    """Paths relative to a folder, with what `taken` found in them; in no order.

    Hidden names are passed over. Links to files are files (those to nothing, too, so that they are told
    later); links to folders are neither taken nor followed. Below a folder that is taken nothing is looked for.

    Args:
        root: The folder.
        folders: Whether folders are looked for, or files.
        depth: The only level at which to take, children being 1; None is any.
        taken: (name, path) to what is found in it; None is not taken.
        without: A folder, in which nothing is looked for, and which is not taken.

    Raises:
        SourceError: A folder cannot be listed.
    """
    waiting = [("", 1)]
    left_out = path_within(root, without)
    while waiting:
        above, level = waiting.pop()
        at_level = depth is None or depth == level
        deeper = depth is None or level < depth
        for entry in listed(root, above):
            is_folder = entry.is_dir(follow_symlinks=False)
            if is_folder and left_out is not None and above + entry.name == left_out:
                continue
            if is_folder is folders and at_level:
                path = above + entry.name
                found = taken(entry.name, path)
                if found is not None and (folders or not _leads_to_folder(entry)):
                    yield path, found
                    continue
            if is_folder and deeper:
                waiting.append((f"{above}{entry.name}/", level + 1))


def listed(root: str, path: str = "") -> list[os.DirEntry[str]]:
    """What lies in a folder and is not hidden.

    Raises:
        SourceError: It cannot be listed.
    """
    folder = os.path.join(root, path)  # noqa: PTH118 (twice as fast, and the path is text)
    try:
        with os.scandir(folder) as entries:
            return [entry for entry in entries if not entry.name.startswith(".")]
    except OSError as error:
        raise SourceError(
            f"{folder}: this folder cannot be listed: {error.strerror}; check its access rights"
        ) from error


def path_within(root: str, path: str | None) -> str | None:
    """A path relative to a folder in which it lies, links followed; else None."""
    if path is None:
        return None
    folder, inner = Path(os.path.realpath(root)), Path(os.path.realpath(path))
    return inner.relative_to(folder).as_posix() if inner.is_relative_to(folder) else None


def _leads_to_folder(entry: os.DirEntry[str]) -> bool:
    return entry.is_symlink() and entry.is_dir()
