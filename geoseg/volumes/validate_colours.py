"""Whether slices are the colours of a flat picture: its red, green and blue are read as a depth of 3."""

from __future__ import annotations

from collections.abc import Iterable

from geoseg.volumes.rle import Rle
from geoseg.volumes.zip.images import Header

_COLOURS = (3, 4)
"""Slices that may be colours, with transparency or without."""


class ColourCheck:
    """What the images and masks of a frame tell of it, row by row."""

    def __init__(self) -> None:
        """Nothing is known yet."""
        self._told: list[str] = []
        self._shallow = self._some = 0
        self._deep = False

    def image(self, header: Header, where: str) -> None:
        """Look at an image.

        Args:
            header: Of the image.
            where: What errors call it.
        """
        if header.colours:
            self._told.append(where)

    def masks(self, header: Header, rles: Iterable[Rle]) -> None:
        """Look at the masks of an image."""
        _, depth, height, width = header.shape
        ends = [int(rle.starts[-1] + rle.lengths[-1]) for rle in rles if rle.area]
        self._shallow += depth in _COLOURS
        self._some += bool(ends)
        self._deep |= depth not in _COLOURS or max(ends, default=0) > height * width

    def tell(self, warnings: list[str], file: str) -> None:
        """Add a warning where there is reason.

        Args:
            warnings: To which it is added.
            file: Of the frame.
        """
        if self._told:
            warnings.append(
                f"{self._told[0]}: the bands are said to be red, green and blue, but are read as slices of one "
                f"channel ({len(self._told)} images); write slices as pages, with a band for each channel"
            )
        elif self._shallow and self._some and not self._deep:
            warnings.append(
                f"{file}: images have {_COLOURS[0]} or {_COLOURS[1]} slices, and no run of any mask reaches past "
                f"the voxels of one slice ({self._shallow} images): are the slices the colours of flat pictures? "
                "Those are stored with four axes: (height, width, 1, channel) beside image_axes='HWD'"
            )
