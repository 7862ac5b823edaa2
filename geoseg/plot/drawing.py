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

_PAGE = 11.0
"""Inches of both sides of a sheet that panels share."""
_LONGISH = 3
"""How often the longer side holds the shorter one, from which panels no longer lie two by two."""
_NARROWEST = 2.0
"""Inches of a panel's width at least."""
_TITLE_INCHES = 0.3
"""Of height above a panel."""
_LINE = 0.2
"""Inches of height of a line of letters."""
_LEGEND_INCHES = 2.6
"""Width of an entry of the legend, about."""
_LEGEND_ROW = 0.25
"""Height of a row of the legend."""
_LONG = 32
"""Letters of a name that is shown whole."""
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


def row_of(panels: Mapping[str, Any], *, side: float = SIDE) -> tuple[Figure, list[Axes]]:
    """Pictures of one size side by side, (height, width, 3) each, with their titles.

    Args:
        panels: Title to picture.
        side: Inches of a picture's longer side.
    """
    height, width = next(iter(panels.values())).shape[:2]
    return _laid_out(panels, len(panels), side / max(height, width))


def block_of(panels: Mapping[str, Any]) -> tuple[Figure, list[Axes]]:
    """The same, as large as a page lets them be: two a row; long ones one below or beside another.

    Args:
        panels: Title to picture, (height, width, 3) each.
    """
    height, width = next(iter(panels.values())).shape[:2]
    columns = min(2, len(panels))
    if width > _LONGISH * height:
        columns = 1
    elif height > _LONGISH * width:
        columns = len(panels)
    rows = -(-len(panels) // columns)
    return _laid_out(panels, columns, _PAGE / max(rows * height, columns * width))


def _laid_out(panels: Mapping[str, Any], columns: int, inch: float) -> tuple[Figure, list[Axes]]:
    """Pictures in rows of so many; a pixel takes `inch` inches."""
    height, width = next(iter(panels.values())).shape[:2]
    rows = -(-len(panels) // columns)
    wide = max(width * inch, _NARROWEST)
    titles = [wrapped(title, wide, size=TITLE) for title in panels]
    lines = max(title.count("\n") for title in titles)
    high = height * inch + _TITLE_INCHES + _LINE * lines
    figure = new_figure(columns * wide, rows * high + 1.0 - _TITLE_INCHES)
    axes = list(figure.subplots(rows, columns, squeeze=False).flat)
    for ax in axes[len(panels) :]:
        ax.set_axis_off()
    for ax, title, panel in zip(axes, titles, panels.values(), strict=False):
        show(ax, panel)
        ax.set_title(literal(title), fontsize=TITLE)
    return figure, axes[: len(panels)]


def caption(figure: Figure, axes: Sequence[Axes], text: str) -> None:
    """Write a text under the first panel, in as many lines as its width asks for."""
    columns = len({place.colspan.start for ax in axes if (place := ax.get_subplotspec())})
    lines = wrapped(text, figure.get_figwidth() / columns, size=CAPTION)
    figure.set_figheight(figure.get_figheight() + _LINE * lines.count("\n"))
    axes[0].set_xlabel(literal(lines), fontsize=CAPTION)


def wrapped(text: str, inches: float, *, size: int) -> str:
    """A text in lines that are no longer than a panel is wide: what sticks out is cut off."""
    from matplotlib.textpath import TextPath

    def widest(lines: str) -> float:
        paths = [TextPath((0, 0), literal(line), size=size) for line in lines.split("\n")]
        return float(max(path.get_extents().x1 for path in paths))

    room = 72 * inches - size  # a letter's width is left empty
    if widest(text) <= room:
        return text
    least, most = 1, len(text)
    while least < most:
        letters = (least + most + 1) // 2
        if widest(textwrap.fill(text, letters)) <= room:
            least = letters
        else:
            most = letters - 1
    return textwrap.fill(text, least)


def literal(text: str) -> str:
    """A text as matplotlib draws it letter by letter: no formula, and no label that is left out."""
    plain = text.replace("$", r"\$")
    return f" {plain}" if plain.startswith("_") else plain


def short(name: str) -> str:
    """A name beside an axis or in a legend, where a long one would leave no room for the rest.

    >>> short("water"), short("a" * 30 + "b" * 30)
    ('water', 'aaaaaaaaaaaaaaaaaaaa...bbbbbbbbb')
    """
    if len(name) > _LONG:
        name = f"{name[:20]}...{name[-9:]}"
    return literal(name)


def show(axes: Axes, panel: Any) -> None:
    """A picture (height, width, 3) without ticks."""
    axes.imshow(panel, interpolation="nearest")
    axes.set(xticks=[], yticks=[])


def legend(figure: Figure, entries: Sequence[tuple[str, Color]]) -> None:
    """Squares of colour with their names, below the panels on as many lines as they need."""
    from matplotlib.patches import Patch

    patches = [
        Patch(facecolor=hex_of(color), edgecolor="#777777", linewidth=0.5, label=short(name))
        for name, color in entries
    ]
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
    """With three decimals; a dash where there is none."""
    return "-" if value is None else f"{value:.3f}"


def as_array(tensor: Any) -> Any:
    """A tensor on any device, or an array, as an array."""
    return np.asarray(tensor.detach().cpu() if hasattr(tensor, "detach") else tensor)


def sheet_of(rows: Mapping[str, Sequence[Any]], *, titles: Sequence[str] = ()) -> Figure:
    """Rows of pictures of one size, each with its name at the left.

    Args:
        rows: Name to pictures (height, width, 3), as many in each row.
        titles: Texts above the columns.
    """
    first = next(iter(rows.values()))
    height, width = first[0].shape[:2]
    inch = SIDE / 2 / max(height, width)
    figure = new_figure(
        len(first) * width * inch + 0.5, len(rows) * height * inch + 0.5 + _LINE * bool(titles)
    )
    axes = figure.subplots(len(rows), len(first), squeeze=False)
    for line, (name, pictures) in zip(axes, rows.items(), strict=True):
        line[0].set_ylabel(name, fontsize=CAPTION)
        for ax, picture in zip(line, pictures, strict=True):
            show(ax, picture)
    for ax, title in zip(axes[0], titles, strict=False):
        ax.set_title(literal(title), fontsize=SMALL)
    return figure


def legend_line(figure: Figure, text: str) -> None:
    """A line of text below the panels."""
    figure.supxlabel(literal(text), fontsize=CAPTION)
