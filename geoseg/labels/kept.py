"""Finished bands on disk beside an output that is not whole yet: what a later run goes on from."""

from __future__ import annotations

import glob
import json
import shutil
import warnings
import zlib
from collections.abc import Callable, Generator, Iterable, Sequence
from pathlib import Path
from typing import IO, Any, Self

import numpy as np
from pydantic import ValidationError

from geoseg.errors import ConfigError, StoreError
from geoseg.labels.manifest import Part
from geoseg.labels.rows import BAND_ROWS, LabelRows, by_bands, row_bands
from geoseg.outputs import local_path

_STATE = "state.json"
_BLOCK = 1 << 20


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
        self.bands: dict[int, tuple[int, int]] = {}
        """Number of a finished band to (bytes, checksum) of its file."""
        self._drafts: set[str] = set()
        """Hidden folders in which a writer of the output has begun."""
        self._others = self._hidden()

    @classmethod
    def open(cls, uri: str, part: Part, outputs: Sequence[str] = ()) -> Self:
        """What an earlier run left, or nothing yet.

        Raises:
            ConfigError: The earlier run was another one.
            StoreError: The folder cannot be made or written.

        Warns:
            UserWarning: Bands are damaged, or another kind of machine computed them.
        """
        kept = cls(uri, part, outputs)
        before = kept._read_state()
        if before is None:
            kept._begin()
            return kept
        earlier = Part.model_validate(before["part"])
        kept._check_same(earlier)
        kept.part = part.model_copy(update={"notes": earlier.notes})
        for name in before["drafts"]:  # of a writer that was killed
            shutil.rmtree(kept.folder.parent / name, ignore_errors=True)
        listed = {int(number): (size, crc) for number, (size, crc) in before["bands"].items()}
        kept.bands = {n: told for n, told in listed.items() if kept._is_whole(n, told)}
        if damaged := len(listed) - len(kept.bands):
            warnings.warn(
                f"{uri}: {damaged} of {len(listed)} bands that an earlier run finished are damaged; "
                "they are predicted again",
                stacklevel=4,
            )
        return kept

    def missing(self) -> list[range]:
        """The rows that are still to be predicted, in stretches of whole bands."""
        stretches: list[range] = []
        for rows in row_bands(range(*self.part.rows)):
            if rows.start // BAND_ROWS in self.bands:
                continue
            if stretches and stretches[-1].stop == rows.start:
                rows = range(stretches.pop().start, rows.stop)  # noqa: PLW2901
            stretches.append(rows)
        return stretches

    def keep(
        self, pieces: Iterable[LabelRows], *, note: Callable[[], str | None] = lambda: None
    ) -> None:
        """Write bands as they are finished.

        Args:
            pieces: Rows of whole bands, in order.
            note: Asked after each band: a note for the part.

        Raises:
            StoreError: The disk is full, say; the bands before are kept.
        """
        for number, group in by_bands(pieces):
            path = self._path(number)
            draft = path.with_suffix(".new")
            try:
                with draft.open("wb") as file:
                    counted = _Counted(file)
                    for piece in group:
                        _save(piece, counted)
                draft.replace(path)
                self.bands[number] = (counted.size, counted.crc)
                self.part = self.part.with_note(note())
                self._write_state()
            except OSError as error:
                if isinstance(error, StoreError) or error.errno is None:
                    raise  # of the reader, not of this folder
                draft.unlink(missing_ok=True)
                raise self._not_kept(error) from error

    def pieces(self) -> Generator[LabelRows]:
        """All rows, in order, as they were kept; asked for when the output's writer is open.

        Raises:
            StoreError: A file cannot be read.
        """
        self._drafts = self._hidden() - self._others
        self._write_state()
        for rows in row_bands(range(*self.part.rows)):
            row = rows.start
            try:
                with self._path(row // BAND_ROWS).open("rb") as file:
                    while row < rows.stop:
                        piece = _load(file, row, scores=self.part.manifest.scores)
                        yield piece
                        row += len(piece.ids)
            except (OSError, ValueError) as error:
                if isinstance(error, StoreError):
                    raise
                raise StoreError(
                    f"{self.uri}: the finished rows from {row} cannot be read: {error}; run it again with "
                    "resume, they are predicted again"
                ) from error

    def remove(self) -> None:
        """Remove the folder: the output is whole."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _begin(self) -> None:
        try:
            if self.folder.exists():
                shutil.rmtree(self.folder)
            self.folder.mkdir(parents=True)
            self._write_state()
        except OSError as error:
            raise StoreError(
                f"{self.uri}: nothing can be written to the folder {self.folder.parent.absolute()}: "
                f"{error.strerror}; choose another place or change its permissions"
            ) from error

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
            state = json.loads((self.folder / _STATE).read_text(encoding="utf-8"))
            Part.model_validate(state["part"])
        except FileNotFoundError:
            return None
        except (OSError, ValueError, ValidationError, KeyError, TypeError) as error:
            warnings.warn(
                f"{self.uri}: what an earlier run left cannot be read ({type(error).__name__}); it "
                "begins anew",
                stacklevel=5,
            )
            return None
        found: dict[str, Any] = state
        return found

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

    def _is_whole(self, number: int, told: tuple[int, int]) -> bool:
        size, crc = 0, 0
        try:
            with self._path(number).open("rb") as file:
                while block := file.read(_BLOCK):
                    size, crc = size + len(block), zlib.crc32(block, crc)
        except OSError:
            return False
        return (size, crc) == told

    def _path(self, number: int) -> Path:
        return self.folder / f"band-{number:06}.npy"

    def _not_kept(self, error: OSError) -> StoreError:
        return StoreError(
            f"{self.uri}: finished rows cannot be kept: {error.strerror}; {len(self.bands)} finished "
            f"bands are kept in {self.folder}. Is the disk full? Make room and run it again with resume"
        )


def folder_of(uri: str) -> Path:
    """Where the finished bands of an output are kept."""
    path = local_path(uri)
    return path.with_name(f".{path.name}.resume")


def remove_leftovers(uris: Iterable[str]) -> None:
    """Remove what an earlier run kept beside outputs, which nobody resumes.

    Warns:
        UserWarning: There was something.
    """
    for uri in uris:
        try:
            folder = folder_of(uri)
        except StoreError:  # no local path, so nothing lies beside it
            continue
        if folder.exists():
            shutil.rmtree(folder, ignore_errors=True)
            warnings.warn(
                f"{uri}: an earlier run that did not come to its end left bands to resume from; this run "
                "is without resume, so they were removed",
                stacklevel=4,
            )


def told_machine(machine: Any) -> str:
    """What computes, in words."""
    return ", ".join(f"{key} {value}" for key, value in machine.items()) or "another machine"


class _Counted:
    """A file to write to that keeps the size and the checksum."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file, self.size, self.crc = file, 0, 0

    def write(self, data: Any) -> int:
        self.size += memoryview(data).nbytes
        self.crc = zlib.crc32(data, self.crc)
        return self._file.write(data)


def _save(piece: LabelRows, file: Any) -> None:
    np.save(file, piece.ids, allow_pickle=False)
    if piece.scores is not None:
        np.save(file, piece.scores, allow_pickle=False)


def _load(file: IO[bytes], row: int, *, scores: bool) -> LabelRows:
    ids = np.load(file, allow_pickle=False)
    return LabelRows(row, ids, np.load(file, allow_pickle=False) if scores else None)
