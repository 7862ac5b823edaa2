"""A small picture of each pair: the image, and beside it the same with the mask over it."""

from __future__ import annotations

import colorsys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.prepare.tiling.pixels import Pair, Part
from geoseg.prepare.tiling.png import write_png
from geoseg.window import Window

PREVIEWS = "previews"
_LONGEST = 512
"""Pixels that the longer side of a panel has at most."""
_SMALL = 256
"""Pixels: smaller panels are enlarged."""
_GAP = 8
_VEIL = 0.35
"""How strongly classes are coloured inside their outlines."""
_GOLDEN = 0.618034
"""Of a circle: steps of it never come near where they have been for long."""


def previewed(parts: Iterable[Part], pair: Pair, window: Window, path: Path) -> Iterator[Part]:
    """The same parts; a picture of every n-th pixel of them is written when they have passed.

    Raises:
        StoreError: It cannot be written.
    """
    step = -(-max(window.shape) // _LONGEST)
    seen: list[tuple[Any, ...]] = []
    for part in parts:
        rows = slice(-part.row % step, None, step), slice(None, None, step)
        # Copies: a view would keep all of the part.
        planes = (part.image[(slice(None), *rows)], *(a[rows] for a in _planes(part)))
        seen.append(tuple(plane.copy() for plane in planes))
        yield part
    image = np.concatenate([kept[0] for kept in seen], axis=1)
    valid, ids, known = (np.concatenate([kept[i] for kept in seen]) for i in (1, 2, 3))
    picture = _picture(pair, image, valid, ids, known)
    zoom = max(_SMALL // max(valid.shape), 1)
    write_png(path, picture.repeat(zoom, axis=0).repeat(zoom, axis=1).transpose(2, 0, 1))


def _planes(part: Part) -> tuple[NDArray[Any], ...]:
    return part.valid, part.ids, part.known


def _picture(
    pair: Pair,
    image: NDArray[Any],
    valid: NDArray[np.bool_],
    ids: NDArray[Any],
    known: NDArray[np.bool_],
) -> NDArray[np.uint8]:
    """(height, width, 3): image, gap, image with classes."""
    from geoseg.plot.view import colored_bands, stretched

    plain = stretched(colored_bands(pair.image.band_names, image), valid)
    numbers, place = np.unique(np.where(known, ids, 0), return_inverse=True)
    table = np.array([_color(int(number), pair) for number in numbers], np.float64)
    colors = table[place.reshape(ids.shape)]
    veil = np.where(known & (ids != 0), _VEIL, 0.0)
    veil[_outlines(ids, known)] = 1.0
    over = plain * (1 - veil[..., None]) + colors * veil[..., None]
    gap = np.full((len(ids), _GAP, 3), 255, np.uint8)
    return np.concatenate([plain, gap, np.round(over).astype(np.uint8)], axis=1)


def _outlines(ids: NDArray[Any], known: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Pixels of a class beside pixels of another, those of 0 and without a class left out."""
    shown = np.where(known, ids, 0)
    edge = np.zeros(ids.shape, bool)
    down, across = shown[1:] != shown[:-1], shown[:, 1:] != shown[:, :-1]
    edge[1:] |= down
    edge[:-1] |= down
    edge[:, 1:] |= across
    edge[:, :-1] |= across
    edge &= shown != 0
    return edge


def _color(number: int, pair: Pair) -> tuple[float, ...]:
    """Of the mask's colour table, else one of a circle."""
    table = pair.rule.colors or {}
    if number in table and number != 0:
        return tuple(map(float, table[number][:3]))
    red, green, blue = colorsys.hsv_to_rgb(number * _GOLDEN % 1, 0.8, 0.95)
    return 255 * red, 255 * green, 255 * blue
