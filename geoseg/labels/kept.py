"""Finished bands on disk beside an output that is not whole yet: what a later run goes on from."""

from __future__ import annotations

import glob
import os
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from itertools import groupby
from pathlib import Path
from typing import Any, Self

from geoseg.drafts import take_back
from geoseg.errors import ConfigError, StoreError, errors_as
from geoseg.labels.bandfile import BandDraft, Told, is_whole, read_band
from geoseg.labels.keptfolder import KeptList, clear, folder_of, listed_in, write_list
from geoseg.labels.manifest import Part
from geoseg.labels.rows import BAND_ROWS, LabelRows, row_bands
from geoseg.outputs import local_path
from geoseg.runlock import RunLock
from geoseg.spec import FrozenMap
from geoseg.warn import warn


class KeptBands:
    """A hidden folder with one file a finished band, and a list of them with their checksums.

    From `open` to the end of `until_whole` it is locked, so that no other run on this output begins.

    Every file is written under another name first, and named in the list when it is whole: whenever
    the process ends, even by `kill -9`, the folder holds what the list says. A band whose checksum is
    not right (the machine lost power, say) is predicted again. Size: a byte a pixel, and 4 a class where
    scores are kept.
    """

    def __init__(self, uri: str, part: Part, outputs: Sequence[str] = ()) -> None:
        """Lock the folder; see `open`.

        Args:
            uri: The output.
            part: What is predicted.
            outputs: All files that are written at the end, where they are more.
        """
        self.uri, self.part, self._outputs = uri, part, tuple(outputs) or (uri,)
        self.folder = folder_of(uri)
        self.bands: dict[int, Told] = {}
        """Number of a finished band to (bytes, checksum) of its file."""
        self._draft: BandDraft | None = None
        self._drafts: set[str] = set()
        """Hidden folders in which a writer of the output has begun."""
        self._process = os.getpid()
        self._lock = RunLock(self.folder, uri)
        self._others = self._hidden()

    @classmethod
    def open(cls, uri: str, part: Part, outputs: Sequence[str] = ()) -> Self:
        """What an earlier run left, or nothing yet.

        Where that was killed while its files took their names, they are taken back, see
        `geoseg.drafts.take_back`.

        Raises:
            ConfigError: The earlier run was another one.
            StoreError: Another run is writing this output, or nothing can be written there.

        Warns:
            UserWarning: Bands are damaged, or another kind of machine computed them.
        """
        kept = cls(uri, part, outputs)
        with ExitStack() as stack:
            stack.callback(kept._close)
            if (before := kept._read_state()) is not None:
                kept._go_on(before)
            stack.pop_all()
        return kept

    def _go_on(self, before: KeptList) -> None:
        """Take over what an earlier run left."""
        self._check_same(before.part)
        self.part = self.part.model_copy(update={"notes": before.part.notes})
        for name in self._hidden().intersection(before.drafts):
            take_back(self.folder.parent / name)
        self._others = self._hidden()
        self.bands = {n: told for n, told in before.bands.items() if is_whole(self._path(n), told)}
        if damaged := len(before.bands) - len(self.bands):
            warn(
                f"{self.uri}: {damaged} of {len(before.bands)} bands that an earlier run finished are "
                "damaged; they are predicted again"
            )

    def begin(self) -> list[tuple[range, bool]]:
        """Write the first list; call it when the writer of the output has begun.

        Returns:
            All rows in stretches of whole bands, and whether they are there already.

        Raises:
            StoreError: The folder cannot be written.
        """
        self._drafts = self._hidden() - self._others
        with errors_as(
            StoreError,
            f"{self.uri}: nothing can be written to the folder {self.folder.parent.absolute()}",
            cure="choose another place or change its permissions",
        ):
            if not self.bands:
                clear(self.folder)
            self._write_state()
        bands = groupby(
            row_bands(range(*self.part.rows)),
            key=lambda rows: rows.start // BAND_ROWS in self.bands,
        )
        stretches = [(list(rows), there) for there, rows in bands]
        return [(range(rows[0].start, rows[-1].stop), there) for rows, there in stretches]

    def put(self, piece: LabelRows, note: str | None = None) -> None:
        """Keep the next rows of a band, unless the band is there already.

        Args:
            piece: Rows of one band, that follow those before.
            note: What happened on the way, for the part.

        Raises:
            StoreError: The disk is full, say; the bands before are kept.
        """
        number = piece.row // BAND_ROWS
        if number in self.bands:
            return
        try:
            if self._draft is None:
                self._draft = BandDraft(self._path(number))
            self._draft.add(piece)
            if piece.window.row_stop == min((number + 1) * BAND_ROWS, self.part.rows[1]):
                told, self._draft = self._draft.finish(), None
                self.part = self.part.with_note(note)
                self._add(number, told)
        except OSError as error:
            raise self._not_kept(error) from error

    def _add(self, number: int, told: Told) -> None:
        """Put a band on the list; it counts when that is written."""
        self.bands[number] = told
        with ExitStack() as stack:
            stack.callback(self.bands.pop, number)
            self._write_state()
            stack.pop_all()

    def read(self, rows: range) -> Generator[LabelRows]:
        """Rows of whole bands, in order, as they were kept.

        Raises:
            StoreError: A file cannot be read.
        """
        for band in row_bands(rows):
            path = self._path(band.start // BAND_ROWS)
            with errors_as(
                StoreError,
                f"{self.uri}: the finished rows from {band.start} cannot be read",
                cure="run it again with resume, they are predicted again",
                of=(OSError, ValueError),
            ):
                yield from read_band(path, band, scores=self.part.manifest.scores)

    @contextmanager
    def until_whole(self) -> Iterator[None]:
        """A block at whose end the output is whole and the folder is removed.

        Where it ends by an exception that gets a note of what is kept; without any finished band nothing
        is.
        """
        try:
            yield
        except BaseException as error:
            if self._process != os.getpid():  # a forked child must not tidy up for its parent
                raise
            if self._draft is not None:
                self._draft.discard()
            if not self.bands:
                self.remove()
                raise
            self._close()
            error.add_note(
                f"{len(self.bands)} finished bands of rows are kept in {self.folder}: run it again with "
                "resume (--resume) to go on, or remove the folder"
            )
            raise
        self.remove()

    def remove(self) -> None:
        """Remove the folder, and let other runs begin."""
        clear(self.folder)
        self._close()

    def _close(self) -> None:
        self._lock.release()
        with suppress(OSError):  # it holds bands, or another run has begun in it
            self.folder.rmdir()

    def _check_same(self, before: Part) -> None:
        found = self.part.manifest.differences(before.manifest)
        if found is None and self.part.rows != before.rows:
            found = f"rows are {self.part.rows}, were {before.rows}"
        if found is not None:
            raise ConfigError(
                f"{self.uri}: an earlier run cannot be resumed, it was another one: {found}; run it as "
                "before, or without resume to begin anew"
            )
        ours, theirs = self.part.manifest.machine, before.manifest.machine
        if ours != theirs:
            warn(
                f"{self.uri}: the earlier run computed with {told_machine(theirs)}, this one with "
                f"{told_machine(ours)}; scores may differ in the last digits"
            )

    def _read_state(self) -> KeptList | None:
        """The list of the earlier run; None where there is none that can be read."""
        try:
            return listed_in(self.folder)
        except (OSError, ValueError) as error:
            warn(
                f"{self.uri}: what an earlier run left cannot be read ({type(error).__name__}); it "
                "begins anew"
            )
            return None

    def _hidden(self) -> set[str]:
        """Folders beside the output in which it is, or was, being written; see `geoseg.drafts`."""
        names = (glob.escape(local_path(uri).name) for uri in self._outputs)
        found = (self.folder.parent.glob(f".{name}-????????") for name in names)
        return {path.name for paths in found for path in paths}

    def _write_state(self) -> None:
        bands, drafts = FrozenMap(self.bands), tuple(sorted(self._drafts))
        write_list(self.folder, KeptList(part=self.part, bands=bands, drafts=drafts))

    def _path(self, number: int) -> Path:
        return self.folder / f"band-{number:06}.npy"

    def _not_kept(self, error: OSError) -> StoreError:
        return StoreError(
            f"{self.uri}: finished rows cannot be kept in {self.folder}: {error.strerror or error}. Is the "
            "disk full? Make room, or run it with keep=False, and then it cannot be resumed"
        )


def remove_leftovers(uri: str) -> None:
    """Remove what an earlier run kept beside an output, which nobody resumes.

    Raises:
        StoreError: Another run is writing this output.

    Warns:
        UserWarning: There were finished bands.
    """
    folder = folder_of(uri)
    if not folder.exists():
        return
    lock = RunLock(folder, uri)
    try:
        count = _forgotten(folder, Path(uri).stem)
        clear(folder)
    finally:
        lock.release()
    with suppress(OSError):  # another run has begun in it
        folder.rmdir()
    if count:
        warn(
            f"{uri}: an earlier run that did not come to its end left {count} finished bands; this run is "
            "without resume, so they were removed"
        )


def _forgotten(folder: Path, stem: str) -> int:
    """Take back what a run had begun to write when it was killed; how many bands it had finished."""
    try:
        state = listed_in(folder)
    except (OSError, ValueError):  # damaged, and not needed any more
        return len(list(folder.glob("band-*.npy")))
    if state is None:
        return 0
    # The files of a map need not all be called as it is, but they begin so.
    hidden = {path.name for path in folder.parent.glob(f".{glob.escape(stem)}*-????????")}
    for name in hidden.intersection(state.drafts):
        take_back(folder.parent / name)
    return len(state.bands)


def told_machine(machine: Any) -> str:
    """What computes, in words."""
    return ", ".join(f"{key} {value}" for key, value in machine.items()) or "another machine"
