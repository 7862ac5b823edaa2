"""Finished bands on disk beside an output that is not whole yet: what a later run goes on from."""

from __future__ import annotations

import glob
import json
import shutil
import warnings
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from typing import Any, Self

from pydantic import ValidationError

from geoseg.errors import ConfigError, StoreError
from geoseg.labels.bandfile import BandDraft, Told, is_whole, read_band
from geoseg.labels.manifest import Part
from geoseg.labels.rows import BAND_ROWS, LabelRows, row_bands
from geoseg.outputs import local_path

_STATE = "state.json"


class KeptBands:
    """A hidden folder with one file a finished band, and a list of them with their checksums.

    Every file is written under another name first, and named in the list when it is whole: whenever
    the process ends, even by `kill -9`, the folder holds what the list says. A band whose checksum is
    not right (the machine lost power, say) is predicted again. Size: a byte a pixel, and 4 a class where
    scores are kept.
    """

    def __init__(self, uri: str, part: Part, outputs: Sequence[str] = ()) -> None:
        """Name the folder; see `open`.

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
        self._others = self._hidden()

    @classmethod
    def open(cls, uri: str, part: Part, outputs: Sequence[str] = ()) -> Self:
        """What an earlier run left, or nothing yet.

        Raises:
            ConfigError: The earlier run was another one.

        Warns:
            UserWarning: Bands are damaged, or another kind of machine computed them.
        """
        kept = cls(uri, part, outputs)
        before = kept._read_state()
        if before is None:
            return kept
        earlier = Part.model_validate(before["part"])
        kept._check_same(earlier)
        kept.part = part.model_copy(update={"notes": earlier.notes})
        _remove_drafts(kept.folder, before)
        kept._others = kept._hidden()
        listed = {int(number): (size, crc) for number, (size, crc) in before["bands"].items()}
        kept.bands = {n: told for n, told in listed.items() if is_whole(kept._path(n), told)}
        if damaged := len(listed) - len(kept.bands):
            warnings.warn(
                f"{uri}: {damaged} of {len(listed)} bands that an earlier run finished are damaged; "
                "they are predicted again",
                stacklevel=4,
            )
        return kept

    def begin(self) -> list[tuple[range, bool]]:
        """Make the folder; call it when the writer of the output has begun.

        Returns:
            All rows in stretches of whole bands, and whether they are there already.

        Raises:
            StoreError: The folder cannot be made or written.
        """
        self._drafts = self._hidden() - self._others
        try:
            if not self.bands and self.folder.exists():
                shutil.rmtree(self.folder)
            self.folder.mkdir(parents=True, exist_ok=True)
            self._write_state()
        except OSError as error:
            raise StoreError(
                f"{self.uri}: nothing can be written to the folder {self.folder.parent.absolute()}: "
                f"{error.strerror}; choose another place or change its permissions"
            ) from error
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
                self.bands[number] = self._draft.finish()
                self._draft = None
                self.part = self.part.with_note(note)
                self._write_state()
        except OSError as error:
            raise self._not_kept(error) from error

    def read(self, rows: range) -> Generator[LabelRows]:
        """Rows of whole bands, in order, as they were kept.

        Raises:
            StoreError: A file cannot be read.
        """
        for band in row_bands(rows):
            path = self._path(band.start // BAND_ROWS)
            try:
                yield from read_band(path, band, scores=self.part.manifest.scores)
            except (OSError, ValueError) as error:
                if isinstance(error, StoreError):
                    raise
                raise StoreError(
                    f"{self.uri}: the finished rows from {band.start} cannot be read: {error}; run it "
                    "again with resume, they are predicted again"
                ) from error

    @contextmanager
    def until_whole(self) -> Iterator[None]:
        """A block at whose end the output is whole and the folder is removed.

        Where it ends by an exception that gets a note of what is kept; without any finished band nothing
        is.
        """
        try:
            yield
        except BaseException as error:
            if self._draft is not None:
                self._draft.discard()
            if self.bands:
                error.add_note(
                    f"{len(self.bands)} finished bands of rows are kept in {self.folder}: run it again "
                    "with resume (--resume) to go on, or remove the folder"
                )
            else:
                self.remove()
            raise
        self.remove()

    def remove(self) -> None:
        """Remove the folder."""
        shutil.rmtree(self.folder, ignore_errors=True)

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
            warnings.warn(
                f"{self.uri}: the earlier run computed with {told_machine(theirs)}, this one with "
                f"{told_machine(ours)}; scores may differ in the last digits",
                stacklevel=5,
            )

    def _read_state(self) -> dict[str, Any] | None:
        """The list of the earlier run; None where there is none that can be read."""
        try:
            return _state_in(self.folder)
        except (OSError, ValueError, ValidationError, KeyError, TypeError) as error:
            warnings.warn(
                f"{self.uri}: what an earlier run left cannot be read ({type(error).__name__}); it "
                "begins anew",
                stacklevel=5,
            )
            return None

    def _hidden(self) -> set[str]:
        """Folders beside the output in which it is, or was, being written; see `geoseg.outputs`."""
        names = (glob.escape(local_path(uri).name) for uri in self._outputs)
        found = (self.folder.parent.glob(f".{name}-????????") for name in names)
        return {path.name for paths in found for path in paths}

    def _write_state(self) -> None:
        part, drafts = self.part.model_dump(mode="json"), sorted(self._drafts)
        state = {"part": part, "bands": self.bands, "drafts": drafts}
        draft = self.folder / f"{_STATE}.new"
        draft.write_text(json.dumps(state), encoding="utf-8")
        draft.replace(self.folder / _STATE)

    def _path(self, number: int) -> Path:
        return self.folder / f"band-{number:06}.npy"

    def _not_kept(self, error: OSError) -> StoreError:
        return StoreError(
            f"{self.uri}: finished rows cannot be kept in {self.folder}: {error.strerror or error}. Is the "
            "disk full? Make room, or run it with keep=False, and then it cannot be resumed"
        )


def folder_of(uri: str) -> Path:
    """Where the finished bands of an output are kept."""
    path = local_path(uri)
    return path.with_name(f".{path.name}.resume")


def remove_leftovers(uri: str) -> None:
    """Remove what an earlier run kept beside an output, which nobody resumes.

    Warns:
        UserWarning: There were finished bands.
    """
    folder = folder_of(uri)
    if not folder.exists():
        return
    count = 0
    try:
        if (state := _state_in(folder)) is not None:
            _remove_drafts(folder, state)
            count = len(state["bands"])
    except (OSError, ValueError, KeyError, TypeError):  # damaged, and not needed any more
        count = len(list(folder.glob("band-*.npy")))
    shutil.rmtree(folder, ignore_errors=True)
    if count:
        warnings.warn(
            f"{uri}: an earlier run that did not come to its end left {count} finished bands; this run is "
            "without resume, so they were removed",
            stacklevel=4,
        )


def told_machine(machine: Any) -> str:
    """What computes, in words."""
    return ", ".join(f"{key} {value}" for key, value in machine.items()) or "another machine"


def _state_in(folder: Path) -> dict[str, Any] | None:
    """The list in a folder; None where there is none."""
    try:
        state: dict[str, Any] = json.loads((folder / _STATE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    Part.model_validate(state["part"])
    return state


def _remove_drafts(folder: Path, state: dict[str, Any]) -> None:
    """Remove what writers that were killed had begun."""
    for name in state["drafts"]:
        shutil.rmtree(folder.parent / name, ignore_errors=True)
