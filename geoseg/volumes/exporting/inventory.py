"""What a folder of volumes holds: the files of this run, and those of one before it."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from geoseg.classes import ClassMap
from geoseg.errors import StoreError
from geoseg.outputs import written_whole
from geoseg.volumes.exporting.layers import Kind
from geoseg.volumes.exporting.names import CLASSES, INDEX, left_of, owners_of
from geoseg.volumes.writing.names import key_of


class Inventory:
    """Which file is whose; written as an index when the run ends.

    The index of an earlier run goes before its first file does: a folder that has one is whole.
    """

    def __init__(self, folder: Path) -> None:
        """Look at a folder, which may be missing.

        Args:
            folder: Where the files are.
        """
        self._folder = folder
        self._before = owners_of(folder)
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
        if not self._files:
            _remove([self._folder / INDEX, self._folder / CLASSES])

    def note(self, files: Sequence[str], stem: str) -> None:
        """Keep that files were written for a volume."""
        self._files |= {key_of(file): (file, stem) for file in files}

    def list(self, stem: str, files: Sequence[str], times: Sequence[str], *, planes: bool) -> None:
        """Lines of the index for the masks of a volume.

        Args:
            stem: The volume.
            files: Of its masks.
            times: Of its planes, or empty.
            planes: Whether each plane has a file of its own.
        """
        if not planes:
            self._rows.append((stem, "", " ".join(times), files[0]))
            return
        for plane, (file, time) in enumerate(zip(files, times or ("",) * len(files), strict=True)):
            self._rows.append((stem, plane, time, file))

    def remove_left(self, base: str, kind: Kind, stem: str) -> None:
        """Remove what an earlier run has left of the masks or scores that begin with a base.

        Raises:
            StoreError: It cannot be removed.
        """

        def kept(file: str) -> bool:
            return key_of(file) in self._files or self._before.get(file, stem) != stem

        _remove(left_of(base, kind, self._folder, kept=kept))

    def finish(self, classes: ClassMap) -> None:
        """Write the classes, and the index last."""
        with written_whole(str(self._folder / CLASSES)) as path:
            path.write_text(classes.to_yaml(), encoding="utf-8")
        with (
            written_whole(str(self._folder / INDEX)) as path,
            path.open("w", newline="", encoding="utf-8") as file,
        ):
            table = csv.writer(file, lineterminator="\n")
            table.writerow(("volume", "plane", "time", "file"))
            table.writerows(self._rows)


def _remove(files: Sequence[Path]) -> None:
    for file in files:
        try:
            file.unlink(missing_ok=True)
        except OSError as error:
            raise StoreError(
                f"{file}: is of an earlier run and cannot be removed: {error.strerror}; remove it"
            ) from error
