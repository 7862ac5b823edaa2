"""The folder that a conversion writes: what may be there, and how the finished store takes its name."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from geoseg.convert.running.syncing import sync
from geoseg.errors import ConfigError, StoreError, errors_as
from geoseg.outputs import local_path
from geoseg.shortlist import some
from geoseg.sources.store.environments import DATA_FILE, OLD, close_stores, convert_folder
from geoseg.sources.store.manifest import MANIFEST, TOLD, iter_rows
from geoseg.sources.store.reader import StoreReader

NEW = "store"
"""In the work folder: the store that is being written."""
_LMDB_LOCK = "lock.mdb"
_SHOWN = 3


class Target:
    """A store's folder, before and after."""

    def __init__(self, uri: str) -> None:
        """See what is there; nothing is changed.

        Raises:
            StoreError: It is a file, no local path, or a folder with something else in it.
        """
        self.uri = uri
        self._named = local_path(uri)
        if not uri or "\0" in uri or self._named.name in ("", ".."):
            raise StoreError(
                f"{uri!r}: is no name of a folder to write; give it one, such as out/store"
            )
        link = self._named.is_symlink()
        # The folder itself, where the name is that of a link to it: what is renamed must not be the link.
        self.path = Path(os.path.realpath(self._named)) if link else self._named
        self._look()

    def settle(self) -> None:
        """End what a run was killed in that replaced the store, and see again what is there; lock `work` first.

        Raises:
            StoreError: Somebody else has put a store there since then; nothing is changed.
        """
        old = self.work / OLD
        if old.is_dir():
            try:
                self._end_replacing(old)
            except OSError as error:
                raise StoreError(
                    f"{self.uri}: a run was killed while it replaced this store, which cannot be ended: "
                    f"{error.strerror or error}; see to the access rights of {old.absolute()}"
                ) from error
        self._look()

    def _end_replacing(self, old: Path) -> None:
        if not self.path.exists():
            old.replace(self.path)
        elif not (self.work / NEW).exists():  # it has its name, and the other's files are left
            self._carry_over(old)
        else:
            raise StoreError(
                f"{self.uri}: a run was killed while it replaced this store, and another store has its name "
                f"since then; the one that was here before is {old.absolute()}: move it away, or give it its "
                "name again"
            )

    def _look(self) -> None:
        uri = self.uri
        self.is_store = (self.path / DATA_FILE).is_file()
        if self.is_store:
            return
        if self.path.is_dir():
            if any(self.path.iterdir()):
                raise StoreError(
                    f"{uri}: is a folder with something in it that is no store, expected none, an empty one "
                    "or a store; choose another name"
                )
        elif not self.path.exists() and self._named.is_symlink():
            raise StoreError(
                f"{uri}: is a link to {self.path}, which is not there; make that folder, or remove the link"
            )
        elif self.path.exists():
            raise StoreError(
                f"{uri}: is a file, expected a folder to be made; remove it or choose another name"
            )

    @property
    def work(self) -> Path:
        """The hidden folder beside it, in which its store is written."""
        return convert_folder(self.path)

    @property
    def report(self) -> Path:
        """The file beside it that tells of skipped patches."""
        return self._named.with_name(f"{self._named.name}.skipped.csv")

    @property
    def state(self) -> list[list[int]] | None:
        """Size, time of change and number of the files of a finished store; None: there is none."""
        if not self.is_store:
            return None
        found = [path.stat() for path in (self.path / DATA_FILE, self._manifest())]
        return [[file.st_size, file.st_mtime_ns, file.st_ino] for file in found]

    def check_apart(self, sources: Mapping[str, str]) -> None:
        """See that no source lies in the target; the target may lie in a source.

        Raises:
            ConfigError: One does.
        """
        target = os.path.realpath(self.path)
        for group, source in sources.items():
            folder = os.path.realpath(source)
            inside = os.path.commonpath([folder, target]) if _one_drive(folder, target) else ""
            if inside == target:
                raise ConfigError(
                    f"{self.uri}: the source {source} ({group}) lies in the target; write to a folder that "
                    "holds no source"
                )

    def check_keys(self, keys: Iterable[str], *, resume: bool, append: bool) -> None:
        """See that a finished store may be written again.

        Args:
            keys: That are going to be written.
            resume: Whether those that are there are to be compared.
            append: Whether others that are there are to be kept.

        Raises:
            StoreError: It may not; nothing is changed.
        """
        if not self.is_store:
            return
        wanted, there = set(keys), self.keys()
        same, others = sorted(wanted & there), sorted(there - wanted)
        if same and not resume:
            raise StoreError(
                f"{self.uri}: holds {len(same)} of these {len(wanted)} patches already "
                f"({some(same, _SHOWN, counted=False)}) and was left as it is; `--resume` compares them with "
                "their sources and writes what is missing"
            )
        if others and not append:
            raise StoreError(
                f"{self.uri}: holds {len(others)} other patches ({some(others, _SHOWN, counted=False)}) and was left "
                "as it is; `--append` keeps them and adds the new ones, another target keeps the two apart"
            )

    def keys(self) -> set[str]:
        """Those of a finished store, whatever its manifest tells."""
        keys = set(StoreReader(self.uri).keys())
        close_stores()  # who catches an error may want to open it
        return keys

    def rows(self) -> Iterator[dict[str, Any]]:
        """What the manifest of a finished store tells of each patch.

        Raises:
            StoreError: There is none.
        """
        return iter_rows(self._manifest())

    def told(self) -> dict[str, Any]:
        """What the manifest of a finished store tells of the whole.

        Raises:
            StoreError: There is none.
        """
        import pyarrow.parquet as pq

        metadata = pq.read_schema(self._manifest()).metadata or {}
        told: dict[str, Any] = json.loads(metadata.get(TOLD, b"{}"))
        return told

    def _manifest(self) -> Path:
        path = self.path / MANIFEST
        if not path.is_file():
            raise StoreError(
                f"{self.uri}: has no {MANIFEST}, so that nothing can be added or compared; convert into a new "
                "target"
            )
        return path

    def replace(self, store: Path, *, state: list[list[int]] | None) -> None:
        """Give the target's name to a store that is whole.

        Args:
            store: In the work folder.
            state: Of the finished store that it began as a copy of.

        Raises:
            StoreError: It cannot be renamed, or the finished store has changed since.
        """
        close_stores()  # Windows renames no open file
        old = self.work / OLD
        with errors_as(
            StoreError,
            f"{self.uri}: cannot be finished",
            cure="make room, or choose another place",
        ):
            if state is not None and state != self.state:
                raise StoreError(
                    f"{self.uri}: has changed while this run was adding to a copy of it, and was left as it is; "
                    "run it again"
                )
            if self.is_store:
                self.path.replace(old)
            store.replace(self.path)
            sync(self.path.parent)
            if self.is_store:
                self._carry_over(old)

    def _carry_over(self, old: Path) -> None:
        """Files of others stay in the folder."""
        for path in list(old.iterdir()):
            to = self.path / path.name
            if path.name not in (DATA_FILE, MANIFEST, _LMDB_LOCK) and not to.exists():
                path.replace(to)
        shutil.rmtree(old, ignore_errors=True)


def _one_drive(one: str, other: str) -> bool:
    return Path(one).anchor == Path(other).anchor
