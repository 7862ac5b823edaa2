"""What a folder of volumes holds: the files of this run, and those of one before it."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

from geoseg.classes import ClassMap
from geoseg.errors import ConfigError, StoreError
from geoseg.outputs import written_together
from geoseg.volumes.exporting.layers import Kind
from geoseg.volumes.exporting.names import CLASSES, COLUMNS, INDEX, SCORES, is_one_of, owners_of
from geoseg.volumes.writing.names import key_of


class Inventory:
    """Which file is whose; written as an index when the run ends.

    The index of an earlier run goes before its first file does: a folder that has one is whole. Only what
    that index lists is of the earlier run; other files are somebody's own and stay.
    """

    def __init__(self, folder: Path) -> None:
        """Look at a folder, which may be missing.

        Args:
            folder: Where the files are.

        Raises:
            StoreError: Its index or its classes are not of an earlier run, and would be replaced.
        """
        self._folder = folder
        before = owners_of(folder)
        _check_classes(folder / CLASSES, indexed=before is not None)
        self._indexed = before is not None
        self._before = before or {}
        self._files: dict[str, tuple[str, str]] = {}
        self._rows: list[tuple[str, int | str, str, str]] = []

    def check(self, files: Sequence[str], stem: str) -> None:
        """See that files are no other volume's of this run.

        Raises:
            StoreError: One is, or a file that only case tells apart.
        """
        for file in files:
            if (found := self._files.get(key_of(file))) is not None:
                raise StoreError(
                    f"{stem}: its file {file} would replace {found[0]}, which was written for {found[1]}; rename "
                    "one of the volumes"
                )

    def forget(self) -> None:
        """Remove the index and classes of an earlier run, of which a file is about to be replaced.

        Raises:
            StoreError: They cannot be removed.
        """
        if self._indexed and not self._files:
            _remove([self._folder / INDEX, self._folder / CLASSES])

    def note(self, files: Sequence[str], stem: str) -> None:
        """Keep that files were written for a volume."""
        self._files |= {key_of(file): (file, stem) for file in files}

    def list(self, stem: str, files: Sequence[str], times: Sequence[str], *, planes: bool) -> None:
        """Lines of the index for the masks of a volume, or for its scores.

        Args:
            stem: The volume.
            files: Of its masks, or of its scores.
            times: Of its planes, or empty.
            planes: Whether each plane has a file of its own.
        """
        if not planes:
            self._rows.append((stem, "", " ".join(times), files[0]))
            return
        for plane, (file, time) in enumerate(zip(files, times or ("",) * len(files), strict=True)):
            self._rows.append((stem, plane, time, file))

    def remove_left(self, stem: str, kind: Kind) -> None:
        """Remove the masks and scores of a volume that an earlier run wrote and this one did not replace.

        Raises:
            StoreError: One cannot be removed.
        """
        listed = [file for file, volume in self._before.items() if volume == stem]
        _remove(
            [
                self._folder / file
                for file in listed
                if any(is_one_of(file, base, kind) for base in (stem, stem + SCORES))
                and key_of(file) not in self._files
            ]
        )

    def finish(self, classes: ClassMap) -> None:
        """Write the classes, and the index last."""
        notes = [str(self._folder / name) for name in (CLASSES, INDEX)]
        with written_together(notes) as (meanings, index):
            meanings.write_text(classes.to_yaml(), encoding="utf-8")
            with index.open("w", newline="", encoding="utf-8") as file:
                table = csv.writer(file, lineterminator="\n")
                table.writerow(COLUMNS)
                table.writerows(self._rows)


def _check_classes(path: Path, *, indexed: bool) -> None:
    """See that classes are of an earlier run, which left an index beside them.

    Raises:
        StoreError: They are not.
    """
    if not path.exists():
        return
    try:
        ClassMap.from_yaml(path)
    except (ConfigError, ValidationError):
        indexed = False
    if not indexed:
        raise StoreError(
            f"{path}: is not of an earlier run into this folder, and would be replaced; remove it, or name "
            "another folder"
        )


def _remove(files: Sequence[Path]) -> None:
    for file in files:
        try:
            file.unlink(missing_ok=True)
        except OSError as error:
            raise StoreError(
                f"{file}: is of an earlier run and cannot be removed: {error.strerror}; remove it"
            ) from error
