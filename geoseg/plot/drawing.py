"""What figures are put together from: panels in a row, legends, and texts that fit."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from geoseg.errors import GeosegError
from geoseg.plot.panels import Color
from geoseg.scene import Scene
from geoseg.window import Window

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SIDE = 4.0
"""Inches of a panel's longer side."""
TITLE, CAPTION, SMALL = 12, 10, 9
"""Points of the letters above and below a panel, and of numbers within one; 72 to an inch."""
COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#555555")
"""Of lines and bars that are no classes: told apart by colour-blind readers too (Okabe and Ito, 2008)."""

_NARROWEST = 2.0
"""Inches of a panel's width at least."""
_LINE = 0.2
"""Inches of height of a line of letters."""
_LEGEND_INCHES = 2.6
"""Width of an entry of the legend, about."""
_LEGEND_ROW = 0.25
"""Height of a row of the legend."""
_KM = 1000.0


def new_figure(width: float, height: float) -> Figure:
    """An empty figure, in inches.

    Raises:
        GeosegError: matplotlib is not installed.
    """
    try:
        from geoseg.plot.picture import Picture
    except ImportError as error:
        raise GeosegError(
            'pictures need matplotlib, which is not installed; pip install "geoseg[plot]"'
        ) from error
    return Picture(figsize=(width, height), layout="constrained")


def row_of(panels: Mapping[str, Any]) -> tuple[Figure, list[Axes]]:
    """Pictures of one size side by side, with their titles."""
    height, width = next(iter(panels.values())).shape[:2]
    inch = _SIDE / max(height, width)
    wide = max(width * inch, _NARROWEST)
    titles = [wrapped(title, wide, size=_TITLE) for title in panels]
    lines = max(title.count("\n") for title in titles)
    figure = new_figure(len(panels) * wide, height * inch + 1.0 + _LINE * lines)
    axes = list(figure.subplots(1, len(panels), squeeze=False)[0])
    for ax, title, panel in zip(axes, titles, panels.values(), strict=True):
        show(ax, panel)
        ax.set_title(title, fontsize=_TITLE)
    return figure, axes


def caption(figure: Figure, axes: Sequence[Axes], text: str) -> None:
    """Write a text under the first panel, in as many lines as its width asks for."""
    wrapped = wrapped(text, figure.get_figwidth() / len(axes), size=_CAPTION)
    figure.set_figheight(figure.get_figheight() + _LINE * wrapped.count("\n"))
    axes[0].set_xlabel(wrapped, fontsize=_CAPTION)


def wrapped(text: str, inches: float, *, size: int) -> str:
    """A text in lines that are no longer than a panel is wide: what sticks out is cut off."""
    from matplotlib.textpath import TextPath

    def too_long(lines: str) -> bool:
        widths = [TextPath((0, 0), line, size=size).get_extents().x1 for line in lines.split("\n")]
        return bool(max(widths) > 72 * inches - size)  # a letter's width is left empty

    wrapped, letters = text, len(text)
    while letters > 1 and too_long(wrapped):
        letters -= 1
        wrapped = textwrap.fill(text, letters)
    return wrapped


def show(axes: Axes, panel: Any) -> None:
    axes.imshow(panel, interpolation="nearest")
    axes.set(xticks=[], yticks=[])


def legend(figure: Figure, entries: Sequence[tuple[str, Color]]) -> None:
    from matplotlib.patches import Patch

    patches = [Patch(color=hex_of(color), label=name) for name, color in entries]
    columns = max(int(figure.get_figwidth() / _LEGEND_INCHES), 1)
    rows = -(-len(patches) // columns)
    figure.set_figheight(figure.get_figheight() + _LEGEND_ROW * max(rows - 1, 0))
    figure.legend(handles=patches, loc="outside lower center", ncols=min(len(patches), columns))


def size_text(scene: Scene, window: Window) -> str:
    """How large the ground is that a picture shows."""
    size = scene.grid.ground_resolution
    if size is None:
        return f"{window.width} x {window.height} px"
    width, height = window.width * size[0] / _KM, window.height * size[1] / _KM
    return f"{width:.3g} x {height:.3g} km, pixels of {size[0]:.3g} x {size[1]:.3g} m"


def hex_of(color: Color) -> str:
    """A colour as matplotlib reads it."""
    return "#" + bytes(color).hex()


def number_text(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def as_array(tensor: Any) -> Any:
    """A tensor on any device, or an array, as an array."""
    return np.asarray(tensor.detach().cpu() if hasattr(tensor, "detach") else tensor)
