"""Which patches are without some of their files: by listing folders, nothing is opened."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import lru_cache

from geoseg.convert.finding.settling import with_files_of_bands
from geoseg.convert.layout import Layout
from geoseg.convert.patch import Incomplete, Patch
from geoseg.convert.templates import stem_of
from geoseg.errors import SourceError

_FOLDERS = 64
"""Listings that are kept: patches of a folder come one after the other, their masks from another one."""


def missing_files(
    layout: Layout, patches: Sequence[Patch], *, sizes: bool = True
) -> list[Incomplete]:
    """The patches of which files are missing or empty, in their order.

    Each folder is listed once. What is in the files is not looked at.

    Args:
        layout: What the patches were found by.
        patches: Those to look at.
        sizes: Whether files of zero bytes count as missing; asking for its size costs a call a file.
    """
    groups = {group.name: group for group in with_files_of_bands(layout, patches).groups}
    names_in = lru_cache(maxsize=_FOLDERS)(_names_in)
    incomplete = []
    for patch in patches:
        found = _incomplete(patch, groups[patch.group].paths(patch), names_in, sizes=sizes)
        if found is not None:
            incomplete.append(found)
    return incomplete


def not_whole(found: Sequence[Incomplete]) -> SourceError:
    """The error of patches that are not whole, of which there is at least one."""
    first, more = found[0], ""
    if len(found) > 1:
        more = f" ({len(found)} patches are not whole)"
    cure = "get the files, or leave such patches out with `--on-error skip`; `--check` lists them"
    if any(file == first.patch.mask_path for file in first.files):
        cure += (
            ". Where an image is to have no mask, name the pairs in a table with columns image and mask, and "
            "leave the cell empty"
        )
    return SourceError(f"{first.describe()}{more}; {cure}")


def _incomplete(
    patch: Patch, paths: Sequence[str], names_in: Callable[[str], frozenset[str]], *, sizes: bool
) -> Incomplete | None:
    absent, empty, instead = [], [], []
    for path in paths:
        folder, name = os.path.split(path)
        if name not in names_in(folder):
            absent.append(path)
            instead += _alike(path, names_in(folder))
        elif sizes and _is_empty(path):
            empty.append(path)
    if not absent and not empty:
        return None
    files = tuple(path for path in paths if path in absent or path in empty)
    return Incomplete(patch, files, tuple(empty), tuple(dict.fromkeys(instead)))


def _names_in(folder: str) -> frozenset[str]:
    try:
        with os.scandir(folder or ".") as entries:
            # A folder and a link that leads nowhere are no files, a link to one is.
            return frozenset(entry.name for entry in entries if entry.is_file())
    except OSError:
        return frozenset()


def _is_empty(path: str) -> bool:
    try:
        return os.stat(path).st_size == 0  # noqa: PTH116 (half a million Paths would cost as much again)
    except OSError:
        return True


def _alike(path: str, names: frozenset[str]) -> list[str]:
    """Files beside a missing one that only their endings or capitals tell from it."""
    folder, name = os.path.split(path)
    stem = stem_of(name).lower()
    return [f"{folder}/{other}" for other in sorted(names) if stem_of(other).lower() == stem]
