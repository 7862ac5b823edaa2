"""The hidden folder in which a store is written: its own while its process lives, kept if that is killed.

In it: `lock`; `settings.json`; `rows/`, the journal; `NAME/`, the store itself, which takes the target's
name in the end.
"""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import Self

from geoseg.convert.running.journal import Journal
from geoseg.convert.running.leftover import SETTINGS, Leftover
from geoseg.convert.running.settings import Settings
from geoseg.convert.running.syncing import sync
from geoseg.convert.running.target import NEW, Target
from geoseg.errors import StoreError, errors_as
from geoseg.runlock import LOCK, RunLock
from geoseg.sources.store.environments import DATA_FILE
from geoseg.sources.store.growing import GrowingEnvironment, affordable, note_map_size
from geoseg.sources.store.manifest import MANIFEST, ManifestRows

_RICO_MAP = 100 << 40
"""The size of the map that rico-hdl's files note."""
_SPARE = 64 << 20


class Work:
    """A store that is being written; on leaving the `with` it is finished, kept for `resume`, or gone."""

    def __init__(self, target: Target, settings: Settings, *, resume: bool) -> None:
        """Nothing is made before the `with`.

        Args:
            target: What it becomes.
            settings: What the run was asked for.
            resume: Whether to go on with what a killed run has left, or from the finished store.
        """
        self._target, self._settings = target, settings
        self._left = Leftover(target, settings, resume=resume)
        self._folder = target.work
        self._begun = self._finished = False
        self.is_copy = False
        """Whether the store began as a copy of the finished one, in this run."""
        self._process = os.getpid()
        self._state: list[list[int]] | None = None
        self._journal: Journal | None = None
        self._env: GrowingEnvironment | None = None

    def __enter__(self) -> Self:
        self._lock = RunLock(self._folder, self._target.uri, what="store")
        try:
            self._target.settle()
        except BaseException:
            self._lock.release()
            self._remove_if_empty()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if os.getpid() != self._process:
            return
        if self._env is not None:
            self._env.close()
        if self._begun and (self._finished or not self.is_worth_keeping):
            self._clear()
        self._lock.release()
        self._remove_if_empty()

    @property
    def is_worth_keeping(self) -> bool:
        """Whether another run could go on with what is here."""
        written = self._journal is not None and self._journal.written
        return bool(written) and not self._settings.rico_identical

    @property
    def journal(self) -> Journal:
        """What is noted of the values."""
        if self._journal is None:
            raise self._not_begun()
        return self._journal

    @property
    def env(self) -> GrowingEnvironment:
        """Where the values are."""
        if self._env is None:
            raise self._not_begun()
        return self._env

    def begin(self, *, nbytes: int, base: bool) -> None:
        """Open the store: what a killed run has left, a copy of the finished one, or an empty one.

        Args:
            nbytes: What is expected to be written.
            base: Whether to begin with the finished store.

        Raises:
            ConfigError: What is left was begun with other settings.
            StoreError: The disk is full, or the folder cannot be written.

        Warns:
            UserWarning: What is left is removed, or is damaged.
        """
        self._state = self._target.state if base else None
        with errors_as(
            StoreError,
            f"{self._target.uri}: cannot be begun",
            cure=f"make room on the disk of {self._folder.parent.absolute()}, or choose another place",
        ):
            self._journal = self._left.journal(self._state)
            self._begun, goes_on = True, self._journal is not None
            if not goes_on:
                self._clear()
                self._start()
        size = affordable(nbytes + nbytes // 5 + _SPARE)
        self._env = GrowingEnvironment(self._store, uri=self._target.uri, map_bytes=size)
        if goes_on:
            self._settle()

    def _start(self) -> None:
        """Begin, with the finished store where it has a state, and note that all is begun."""
        self._store.mkdir()
        self._journal = self._left.read_journal(self._state)
        if self._state is not None:
            shutil.copyfile(self._target.path / DATA_FILE, self._store / DATA_FILE)
            sync(self._store / DATA_FILE)
            self.is_copy = True
        # Last: what has no settings was not begun whole, and is not gone on with.
        self._left.note(self._state)

    def _settle(self) -> None:
        """Let journal and values of a killed run agree."""
        there = set(self.env.all_keys())
        self.journal.settle(self.holds)
        if self.journal.damaged:  # who knows what else they told
            self.journal.drop([key for key in self.journal.noted if not self.holds(key)])
        strange = there - self.journal.noted.keys()
        if strange and self._target.is_store:  # a manifest may lack some; none is removed for that
            strange -= self._target.keys() - self.journal.removed
        if strange:
            self.env.delete(sorted(strange))

    def holds(self, key: str) -> bool:
        """Whether the value of a key is the one that is noted."""
        value = self.env.get(key)
        noted = self.journal.noted[key]
        return value is not None and sha256(value).hexdigest() == noted.sha256

    def remove(self, keys: Sequence[str]) -> None:
        """Remove patches.

        Raises:
            StoreError: The disk is full.
        """
        self.journal.drop(keys)
        self.env.delete(keys)

    def finish(self) -> int:
        """Write the manifest and give the target's name to the store.

        Returns:
            The bytes of the file that holds the values.

        Raises:
            StoreError: The disk is full, or something is in the way.
        """
        self.env.close()
        data, rows, roots = self._store / DATA_FILE, ManifestRows(), Counter[str]()
        for row in self.journal.rows():
            rows.add_row(row)
            roots[row["group"]] += 1
        told = self._settings.told() | {"roots": dict(roots)}
        try:
            note_map_size(data, _RICO_MAP if self._settings.rico_identical else None)
            rows.write(self._store / MANIFEST, told=told)
            sync(self._store / MANIFEST)
            sync(self._store)
        except OSError as error:
            raise StoreError(
                f"{self._target.uri}: cannot be finished: {error.strerror or error}; make room on its "
                "disk, and `--resume` goes on"
            ) from error
        size = data.stat().st_size
        self._target.replace(self._store, state=self._state)
        self._finished = True
        return size

    def leave(self) -> int:
        """Leave the finished store as it is: nothing differs.

        Returns:
            The bytes of the file that holds its values.
        """
        self._finished = True
        return (self._target.path / DATA_FILE).stat().st_size

    @property
    def _store(self) -> Path:
        return self._folder / NEW

    def _clear(self) -> None:
        """Remove what a run has left; its settings first, without which nothing half removed is gone on with."""
        (self._folder / SETTINGS).unlink(missing_ok=True)
        for path in list(self._folder.iterdir()):
            if path.name == LOCK:
                continue
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)

    def _not_begun(self) -> StoreError:
        return StoreError(f"{self._target.uri}: is not open yet; call `begin` first")

    def _remove_if_empty(self) -> None:
        with suppress(OSError):  # there is something in it, or another run has it
            self._folder.rmdir()
