"""Probabilities that a prediction kept beside the masks of a volume."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import SourceError
from geoseg.volumes.layout import SCORES
from geoseg.volumes.metadata import ImageAxes
from geoseg.volumes.zip import VolumeRow
from geoseg.volumes.zip.images.npy import NpyImage

_STORED: ImageAxes = "DHW"
"""Axes that come without being moved: those of scores are others, and are moved here."""


def read_scores(row: VolumeRow) -> NDArray[np.float16] | None:
    """The probabilities of a row, (class, depth, height, width) float16, 0 to 1.

    Returns:
        None where the zip holds none for it.

    Raises:
        SourceError: They are damaged, or do not fit the volume and its classes.
    """
    archive = row.zip.archive
    name = archive.find(SCORES + row.name)
    if name is None:
        return None
    stored = NpyImage(archive.member(name), _STORED).read(None)
    depth, height, width = row.shape
    expected = (depth, len(row.classes), height, width)
    if stored.shape != expected or stored.dtype != np.float16:
        raise SourceError(
            f"{row.where}: its scores are {stored.dtype} {stored.shape}, expected float16 {expected} "
            "(depth, class, height, width); predict it again"
        )
    return stored.transpose(1, 0, 2, 3)
