"""The files of a result: which were written, whether they are still so, and what others laid beside them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

_OF_ANOTHER = (".aux.xml", ".ovr")
"""Ends of names of files that GDAL makes beside a raster: they tell of its pixels."""


def sizes_of(folder: Path) -> dict[str, int]:
    """{file: bytes} of all below a folder, without what is hidden; names are relative to it."""
    found = {
        name: path.stat().st_size for name, path in _files(folder) if not path.name.startswith(".")
    }
    return dict(sorted(found.items()))


def changed_in(folder: Path, sizes: Mapping[str, int], note: str) -> list[str]:
    """The files that are missing, have another size, or are newer than the note that was written last.

    Args:
        folder: The result.
        sizes: Of its files, as they were written.
        note: The name of the note in it.
    """
    last = (folder / note).stat().st_mtime_ns
    return [name for name, size in sizes.items() if not _as_written(folder / name, size, last)]


def keep_others(old: Path, new: Path, sizes: Mapping[str, int]) -> None:
    """Copy from an old result what is no file of it, but not over a file of the new one.

    Args:
        old: The result that is replaced.
        new: That which takes its place.
        sizes: Of the files that the old one was written with.
    """
    for name, path in _files(old):
        beside = next((name.removesuffix(end) for end in _OF_ANOTHER if name.endswith(end)), name)
        target = new / name
        if name not in sizes and beside not in sizes and not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, target)


def _files(folder: Path) -> Iterator[tuple[str, Path]]:
    return ((p.relative_to(folder).as_posix(), p) for p in folder.rglob("*") if p.is_file())


def _as_written(path: Path, size: int, last: int) -> bool:
    try:
        facts = path.stat()
    except OSError:
        return False
    return facts.st_size == size and facts.st_mtime_ns <= last
