"""Small pictures of windows: the image with the boundaries of labels, and the labels beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.io import MemoryFile

from geoseg.classes import ClassInfo
from geoseg.prepare.checking.labellook import labelled_of
from geoseg.prepare.checking.looked import Looked
from geoseg.prepare.checking.nearness import grown
from geoseg.prepare.checking.scan import read_both
from geoseg.prepare.edges import label_edges
from geoseg.rasterpath import georeference_optional

Colors = NDArray[np.uint8]

IGNORED = (225, 225, 225)
UNKNOWN = (255, 0, 255)
_SIDE = 256
"""Pixels a side of a panel, about."""
_GAP = 8


@dataclass(frozen=True, slots=True)
class Quicklook:
    """A picture of a window."""

    png: bytes
    """The file."""
    size: tuple[int, int]
    """(width, height) of it in pixels."""
    has_image: bool
    """Whether there are two panels: the image with boundaries, and the labels."""


def quicklook(looked: Looked, row: int) -> Quicklook:
    """Draw a window.

    Raises:
        GeosegError: It cannot be read.
    """
    window = looked.opened.index.windows[row]
    ids, valid, pixels, seen, names = read_both(looked.opened, looked.images, row, window)
    step = -(-max(ids.shape) // _SIDE)
    ids, valid = ids[::step, ::step], valid[::step, ::step]
    labelled = labelled_of(ids, valid, looked.known.ignored)
    labels = _in_colors(ids, labelled, looked.infos)
    panels = [labels]
    if pixels is not None and seen is not None:
        picture = _picture(pixels[:, ::step, ::step], seen[::step, ::step], names)
        panels = [picture, labels]
    zoom = max(_SIDE // max(ids.shape), 1)
    panels = [panel.repeat(zoom, axis=0).repeat(zoom, axis=1) for panel in panels]
    if len(panels) > 1:
        panels[0] = _with_boundaries(panels[0], ids, labelled, labels, zoom)
    page = _side_by_side(panels)
    return Quicklook(png_of(page), (page.shape[1], page.shape[0]), len(panels) > 1)


def png_of(picture: Colors) -> bytes:
    """A picture (height, width, 3) as PNG."""
    height, width = picture.shape[:2]
    shape = {"count": 3, "height": height, "width": width, "dtype": "uint8"}
    with MemoryFile() as memory:
        with georeference_optional():
            file = memory.open(driver="PNG", **shape)
        with file:
            file.write(picture.transpose(2, 0, 1))
        return bytes(memory.read())


def _picture(pixels: NDArray[Any], valid: NDArray[np.bool_], names: tuple[str, ...]) -> Colors:
    from geoseg.plot.view import colored_bands, stretched

    shown = colored_bands(names, pixels)
    return stretched(np.real(shown), valid & np.isfinite(shown).all(axis=0))


def _in_colors(
    ids: NDArray[Any], labelled: NDArray[np.bool_], infos: Sequence[ClassInfo]
) -> Colors:
    """Labels as colours; light grey where ignored, magenta where no class."""
    colors = np.full((*ids.shape, 3), IGNORED, np.uint8)
    colors[labelled] = UNKNOWN
    for info in infos:
        colors[labelled & (ids == info.id)] = info.color
    return colors


def _with_boundaries(
    picture: Colors,
    ids: NDArray[Any],
    labelled: NDArray[np.bool_],
    labels: Colors,
    zoom: int,
) -> Colors:
    """The picture with pixels beside a boundary in the colour of their label."""
    large = ids.repeat(zoom, axis=0).repeat(zoom, axis=1)
    known = labelled.repeat(zoom, axis=0).repeat(zoom, axis=1)
    beside = label_edges(large, known) > 0
    if zoom > 1:
        beside = grown(beside) & known
    found = picture.copy()
    found[beside] = labels.repeat(zoom, axis=0).repeat(zoom, axis=1)[beside]
    return found


def _side_by_side(panels: Sequence[Colors]) -> Colors:
    gap = np.full((panels[0].shape[0], _GAP, 3), 255, np.uint8)
    parts = [part for panel in panels for part in (gap, panel)][1:]
    return np.concatenate(parts, axis=1)
