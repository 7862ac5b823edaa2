"""preview_png: image, truth, prediction and errors side by side, without matplotlib."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
import rasterio
from rasterio.errors import NotGeoreferencedWarning

from geoseg.errors import StoreError
from geoseg.labels.base import Labels
from geoseg.outputs import written_whole
from geoseg.plot.lettering import lettered
from geoseg.plot.panels import Color, legend_of, panels_of
from geoseg.plot.view import WHITE, Colors
from geoseg.scene import Scene
from geoseg.sources.handles import GDAL_ERRORS

_INK: Color = (40, 40, 40)
_GAP = 8
_LINE = 14
"""Height of lettering, and side of the squares in the legend."""
_SMALL = 360
"""Pixels: shorter panels are enlarged."""


def preview_png(uri: str, scene: Scene, prediction: Labels) -> None:
    """Write a picture of a prediction: what is inside the scene's AOI, at most 1500 px a panel.

    Args:
        uri: The PNG; it appears whole or not at all.
        scene: Gives image and, if it has labels, truth and errors.
        prediction: On the scene's grid.

    Raises:
        GridError: The prediction is not on the scene's grid.
        StoreError: The file cannot be written.
    """
    panels = panels_of(scene, prediction)
    _write_png(uri, _page(panels, legend_of(prediction.classes, errors="errors" in panels)))


def _page(panels: dict[str, Colors], legend: Sequence[tuple[str, Color]]) -> Colors:
    """Titled panels side by side, and the legend below."""
    height, width = next(iter(panels.values())).shape[:2]
    zoom = max(_SMALL // max(height, width), 1)
    titled = []
    for title, panel in panels.items():
        large = panel.repeat(zoom, axis=0).repeat(zoom, axis=1)
        head = _blank(_LINE + _GAP, large.shape[1])
        _draw(head, title, 0, 0)
        titled += [np.concatenate([head, large]), _blank(len(head) + len(large), _GAP)]
    row = np.concatenate([_blank(len(titled[0]), _GAP), *titled], axis=1)
    gap = _blank(_GAP, row.shape[1])
    return np.concatenate([gap, row, gap, _legend(legend, row.shape[1]), gap])


def _legend(entries: Sequence[tuple[str, Color]], width: int) -> Colors:
    """Squares of colour with their names, on as many lines as they need."""
    lines = [_blank(_LINE, width)]
    col = _GAP
    for name, color in entries:
        needed = _LINE + _GAP + lettered(name).shape[1] + 2 * _GAP
        if col + needed > width and col > _GAP:
            lines += [_blank(_GAP, width), _blank(_LINE, width)]
            col = _GAP
        lines[-1][:, col : col + _LINE] = color
        _draw(lines[-1], name, 0, col + _LINE + _GAP // 2)
        col += needed
    return np.concatenate(lines)


def _draw(page: Colors, text: str, row: int, col: int) -> None:
    """Letter a text in place; what does not fit is cut."""
    room = page[row : row + _LINE, col:]
    ink = lettered(text)[:, : room.shape[1]]
    room[:, : ink.shape[1]][ink] = _INK


def _blank(height: int, width: int) -> Colors:
    return np.full((height, width, 3), WHITE, np.uint8)


def _write_png(uri: str, page: Colors) -> None:
    height, width = page.shape[:2]
    with written_whole(uri) as path:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", NotGeoreferencedWarning)
                with rasterio.open(
                    path, "w", driver="PNG", dtype="uint8", count=3, height=height, width=width
                ) as file:
                    file.write(page.transpose(2, 0, 1))
        except GDAL_ERRORS as error:
            raise StoreError(f"{uri}: the picture cannot be written: {error}") from error
