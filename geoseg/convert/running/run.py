"""One run over the patches of a conversion: what is kept, what is read, what is written."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import Literal

from geoseg.convert.conversion import Progress
from geoseg.convert.patch import Patch
from geoseg.convert.running.encode import Encoded, Failed, Outcome, Recipe
from geoseg.convert.running.stream import outcomes
from geoseg.convert.running.work import Work
from geoseg.convert.running.writing import Writing
from geoseg.errors import GeosegError, SourceError


@dataclass(slots=True)
class Counts:
    """What a run has done so far."""

    written: int = 0
    kept: int = 0
    redone: int = 0
    removed: int = 0
    retold: list[str] = field(default_factory=list)
    """Keys of kept values of which the manifest tells something else than before."""
    written_bytes: int = 0
    skipped: list[Failed] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    """Keys of skipped patches that the store had, and has not any more."""
    unplaced: list[Patch] = field(default_factory=list)
    """Patches with files that do not tell where they lie, though others do, or tell a CRS alone."""

    @property
    def done(self) -> int:
        """Patches that are dealt with."""
        return self.written + self.kept + self.redone + len(self.skipped)

    @property
    def changed(self) -> bool:
        """Whether the store is another than before."""
        return bool(self.written or self.redone or self.removed or self.lost or self.retold)


class Run:
    """Writes patches into a work folder."""

    def __init__(
        self,
        work: Work,
        recipe: Recipe,
        *,
        target: str,
        on_error: Literal["stop", "skip"],
        by_bytes: bool,
        workers: int | None,
        progress: Callable[[Progress], None] | None,
    ) -> None:
        """Nothing is read yet; see `geoseg.convert.convert.convert`."""
        self._work, self._recipe, self._target = work, recipe, target
        self._stops, self._workers, self._progress = on_error == "stop", workers, progress
        self._writing = Writing(work, by_bytes=by_bytes)
        self._begun = time.monotonic()
        self._total = 0
        self._states: Mapping[str, str] = {}
        self.counts = Counts()

    def go(
        self,
        patches: Sequence[Patch],
        *,
        states: Mapping[str, str],
        failed: Mapping[str, Failed],
    ) -> None:
        """Bring the store to what the patches hold.

        Args:
            patches: In the order in which they are written, those of a group together.
            states: By key, of their files; see `state_of`.
            failed: By key, those that need not be tried.

        Raises:
            SourceError: A patch cannot be read, and the run is to stop there.
            StoreError: The store cannot be written.
        """
        self._total, self._states = len(patches), states
        try:
            self._read([patch for patch in patches if not self._is_kept(patch)], failed)
        except GeosegError as error:
            if not self._work.is_worth_keeping:
                raise
            count = self._work.journal.written
            raise type(error)(
                f"{error} ({count} patches that were written before are kept in a hidden folder beside "
                f"{self._target}: `--resume` goes on with them)"
            ) from error

    def remove(self, keys: Sequence[str]) -> None:
        """Remove patches that the sources no longer give."""
        if keys:
            self._work.remove(keys)
            self.counts.removed += len(keys)

    def _is_kept(self, patch: Patch) -> bool:
        """Whether a patch is there as it would be written, as far as that is known without reading it."""
        noted = self._work.journal.noted.get(patch.key)
        if noted is None or not noted.state or noted.state != self._states[patch.key]:
            return False
        if not self._work.holds(patch.key):
            return False
        self.counts.kept += 1
        self._tell()
        return True

    def _read(self, patches: Sequence[Patch], failed: Mapping[str, Failed]) -> None:
        for patch in patches:
            if patch.key in failed:
                self._skip(failed[patch.key])
        left = [patch for patch in patches if patch.key not in failed] if failed else patches
        group: str | None = None
        stream = outcomes(self._recipe, left, workers=self._workers, target=self._target)
        with closing(stream):
            for outcome in stream:
                if outcome.patch.group != group:
                    self._writing.commit()
                    group = outcome.patch.group
                self._take(outcome)
        self._writing.commit()

    def _take(self, outcome: Outcome) -> None:
        if isinstance(outcome, Failed):
            if self._stops:
                raise SourceError(
                    f"{outcome.error}; mend it, or leave such patches out with `--on-error skip`"
                )
            self._skip(outcome)
            return
        if outcome.unplaced:
            self.counts.unplaced.append(outcome.patch)
        self._put(outcome)
        self._tell()

    def _put(self, encoded: Encoded) -> None:
        journal, row = self._work.journal, encoded.row
        noted, state = journal.noted.get(row["key"]), self._states[row["key"]]
        if noted is None:
            self.counts.written += 1
        elif noted.sha256 == row["sha256"] and self._work.holds(row["key"]):
            self.counts.kept += 1
            if not journal.is_told(row):
                self.counts.retold.append(row["key"])
            self._writing.keep(encoded, state)
            return
        else:
            self.counts.redone += 1
        self.counts.written_bytes += len(encoded.value)
        self._writing.add(encoded, state)

    def _skip(self, failed: Failed) -> None:
        """Leave a patch out, and what an earlier run had written of it."""
        key, journal = failed.patch.key, self._work.journal
        if key in journal.noted or journal.is_of_base(key):  # a killed run may have removed it
            failed = replace(
                failed, error=f"{failed.error}; its earlier value was removed from the store"
            )
            self.counts.lost.append(key)
        if key in journal.noted:
            self._work.remove([key])  # counted as skipped, not as removed too
        self.counts.skipped.append(failed)
        self._tell()

    def _tell(self) -> None:
        if self._progress is not None:
            counts, seconds = self.counts, time.monotonic() - self._begun
            self._progress(Progress(counts.done, self._total, counts.written_bytes, seconds))
