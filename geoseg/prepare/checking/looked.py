"""Looked: the windows of a check, what was measured of them, and how they are read again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from geoseg.classes import ClassInfo
from geoseg.prepare.checking.labellook import Known
from geoseg.prepare.checking.opening import Opened
from geoseg.prepare.checking.pairing import Images
from geoseg.prepare.checking.scan import Scan


@dataclass(frozen=True, slots=True)
class Looked:
    """What pictures are made of."""

    opened: Opened
    """The windows."""
    images: Images
    """Their images."""
    scan: Scan
    """What was measured."""
    known: Known
    """What values of masks mean."""
    infos: Sequence[ClassInfo]
    """Names and colours of the classes."""
