"""Figures as pictures in the page, of a bounded size; without matplotlib there are none."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from importlib.util import find_spec
from typing import TYPE_CHECKING

from geoseg.page.html import Html, picture
from geoseg.plot.view import extent_of
from geoseg.scene import Scene
from geoseg.window import Window

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_DPI = 100
_WIDEST, _HIGHEST = 1400, 1400
"""Pixels of a picture at most."""
_PART = 4096
"""Pixels a side of what is shown of a scene at most: reading it takes seconds, not hours."""


def can_draw() -> bool:
    """Whether matplotlib is installed."""
    return find_spec("matplotlib") is not None


def drawn(draw: Callable[[], Figure], *, alt: str, caption: str) -> Html:
    """A figure in the page, or nothing without matplotlib.

    Args:
        draw: Makes the figure.
        alt: What it shows, for who does not see it.
        caption: The text below.
    """
    if not can_draw():
        return Html("")
    figure = draw()
    width, height = figure.get_size_inches()
    dpi = min(_DPI, _WIDEST / width, _HIGHEST / height)
    png = io.BytesIO()
    with warnings.catch_warnings():
        # A letter that the font of figures lacks is a box there; the page itself has the name in full.
        warnings.filterwarnings("ignore", "Glyph .* missing", UserWarning)
        figure.savefig(png, format="png", dpi=dpi)
    data = png.getvalue()
    size = int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")
    return picture(data, alt=alt, caption=caption, size=size)


def part_of(scene: Scene) -> tuple[Window, str]:
    """What is shown of a scene, and a word about what is not: the middle of its AOI, if it is large."""
    whole = extent_of(scene)
    height, width = min(whole.height, _PART), min(whole.width, _PART)
    row = whole.row + (whole.height - height) // 2
    col = whole.col + (whole.width - width) // 2
    part = Window(row, col, height, width)
    if part == whole:
        return part, ""
    return part, f", the middle {height} x {width} px of {whole.height} x {whole.width}"
