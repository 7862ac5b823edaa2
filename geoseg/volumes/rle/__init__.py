"""Binary volumes as runs of voxels: to and from text, and worked with as they are.

The text is that of H2O Hydrogen Torch: pairs "start length" of 1-based starts, single spaces, over all
voxels in one line. Which axis runs fastest along that line is the `Order`; no text tells its own.
"""

from __future__ import annotations

from geoseg.volumes.rle.layout import Order, Shape
from geoseg.volumes.rle.value import Rle, parse_with_notes

__all__ = ["Order", "Rle", "Shape", "parse_with_notes"]
