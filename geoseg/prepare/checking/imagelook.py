"""What one window of an image holds: valid pixels, NaN, one value everywhere."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from geoseg.prepare.checking.labellook import digest_of
from geoseg.sources.base import Chip


@dataclass(frozen=True, slots=True)
class ImageLook:
    """What is in a window of an image."""

    valid: int
    """Pixels."""
    nan: int
    """Values that are NaN, of all bands."""
    infinite: int
    """Values that are infinite."""
    constant: tuple[float, ...] | None
    """The value of each band where all valid pixels have the same; None otherwise, or for one pixel."""
    digest: bytes | None
    """Equal for equal pixels; None where there is none to compare: nothing valid, or constant."""


def look_at_image(chip: Chip) -> ImageLook:
    """Look at a window of an image."""
    data, valid = chip.data, chip.valid
    pixels = int(np.count_nonzero(valid))
    nan = infinite = 0
    if data.dtype.kind in "fc" and not np.isfinite(data).all():
        nan = int(np.isnan(data).sum())
        infinite = int(np.isinf(data).sum())
    constant = _constant(chip, pixels)
    digest = None
    if pixels and constant is None:
        whole = pixels == valid.size
        digest = digest_of(data) if whole else digest_of(np.where(valid, data, 0), valid)
    return ImageLook(pixels, nan, infinite, constant, digest)


def _constant(chip: Chip, pixels: int) -> tuple[float, ...] | None:
    if pixels < 2:  # noqa: PLR2004
        return None
    row, col = np.unravel_index(int(chip.valid.argmax()), chip.valid.shape)
    first = chip.data[:, row, col]
    line = chip.data[:, row][:, chip.valid[row]]
    if (line != first[:, None]).any():  # nearly always, and the rest need not be looked at
        return None
    if ((chip.data != first[:, None, None]) & chip.valid).any():
        return None
    return tuple(float(np.real(value)) for value in first)
