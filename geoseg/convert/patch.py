"""A patch of a data set as it was found: names only, nothing opened."""

from __future__ import annotations

from dataclasses import dataclass
from posixpath import join


@dataclass(frozen=True, slots=True)
class Patch:
    """One patch: a folder of files, one file, or a row of a table. Light: half a million of them fit."""

    key: str
    """Its key in the store."""
    group: str
    """The name of the group that it belongs to."""
    root: str
    """The folder that the user named for this group, as it was named."""
    path: str
    """The folder or file of the patch: POSIX, relative to `root`."""
    sample: str
    """The same for patches of different groups that show the same; the key where nothing is known."""
    split: str | None = None
    """The part of the data set: train, validation, test, ..."""
    labels: tuple[str, ...] | None = None
    """Names of the classes of the whole patch."""
    mask: str | None = None
    """A mask file: POSIX, relative to `root`; where it is not there, the path at which it is expected."""

    @property
    def full_path(self) -> str:
        """`path` below `root`."""
        return within(self.root, self.path)

    @property
    def mask_path(self) -> str | None:
        """`mask` below `root`."""
        return None if self.mask is None else within(self.root, self.mask)

    def describe(self) -> str:
        """For messages: the key, and where it lies."""
        return f"{self.key} ({self.full_path})"


@dataclass(frozen=True, slots=True)
class Incomplete:
    """A patch of which files are missing or empty."""

    patch: Patch
    files: tuple[str, ...]
    """The files that are missing or empty, with the root in front."""
    empty: tuple[str, ...] = ()
    """Those of `files` that are there with zero bytes."""
    instead: tuple[str, ...] = ()
    """Files that lie there and differ from the missing ones in the ending or in upper and lower case."""

    def describe(self) -> str:
        """One line: the patch, what is missing, what is empty, and what lies there instead."""
        absent = [file for file in self.files if file not in self.empty]
        told = (("missing", absent), ("empty", self.empty), ("there is instead", self.instead))
        texts = [f"{what}: {', '.join(map(self._short, files))}" for what, files in told if files]
        return f"{self.patch.describe()}: {'; '.join(texts)}"

    def _short(self, file: str) -> str:
        folder = self.patch.full_path
        return file.removeprefix(f"{folder}/") if file != folder else file.rsplit("/", 1)[-1]


def within(root: str, path: str) -> str:
    """A POSIX path below a folder; the folder itself for `.`."""
    return root if path in ("", ".") else join(root, path)
