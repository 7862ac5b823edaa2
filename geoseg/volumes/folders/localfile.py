"""LocalFile: a file on disk, read as a member of a zip is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from geoseg.volumes.metadata import ImageAxes
from geoseg.volumes.zip.archive import Member, damage_told
from geoseg.volumes.zip.images.kinds import image_of_member


class LocalFile(Member):
    """A file with the members of a Member, so that the readers of image formats take it."""

    def __init__(self, path: Path) -> None:
        """Name a file.

        Args:
            path: It must be there.
        """
        self.where = str(path)
        self.size = self.packed = path.stat().st_size
        self._path = path

    @contextmanager
    def open(self) -> Iterator[IO[bytes]]:
        """Its bytes from the first on."""
        with damage_told(self.where), self._path.open("rb") as stream:
            yield stream

    def place(self) -> int | None:
        """0: nothing lies before its first byte."""
        return 0

    def mapped(self) -> NDArray[np.uint8] | None:
        """Its bytes, read-only, loaded as they are looked at."""
        if not self.size:
            return np.empty(0, np.uint8)
        with damage_told(self.where):
            return np.memmap(self._path, np.uint8, "r")

    def source(self) -> tuple[str, int] | None:
        """The file, and where its bytes begin in it."""
        return str(self._path), 0


def read_image(path: Path, image_axes: ImageAxes) -> NDArray[np.generic]:
    """The image of a file, (channel, depth, height, width), in its dtype.

    Raises:
        SourceError: It is damaged, or of a kind that is not read.
    """
    return image_of_member(LocalFile(path), image_axes).read(None)
