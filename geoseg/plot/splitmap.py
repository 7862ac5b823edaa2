"""Where the windows of each part of a split lie."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import shapely
from numpy.typing import NDArray

from geoseg.plot.drawing import CAPTION, SIDE, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_PAIRS = NDArray[np.object_]
_COLORS = ("#0072b2", "#e69f00", "#cc3311", "#009e73", "#aa4499", "#56b4e9", "#999933", "#332288")
"""Told apart by most who see few colours."""
_NAMED = {"train": "#0072b2", "val": "#e69f00", "test": "#cc3311", "dropped": "#b8b8b8"}
_BELOW = "dropped"
_MOST_REGIONS = 6
_NARROWEST = 4.5
"""Inches, so that the names of the parts have room."""
_COLUMNS = 3


def split_map(regions: Sequence[tuple[_PAIRS, _PAIRS]]) -> Figure:
    """A map of windows in the colours of their parts, a panel for each place.

    Args:
        regions: (window,) polygons in metres and (window,) names of parts of each place; the six with the most
            windows are shown.
    """
    from matplotlib.patches import Patch

    shown = sorted(regions, key=lambda region: -len(region[0]))[:_MOST_REGIONS]
    columns = min(len(shown), _COLUMNS)
    rows = -(-len(shown) // columns)
    figure = new_figure(max(columns * SIDE, _NARROWEST) + 0.6, rows * SIDE + 1.0)
    panels = list(figure.subplots(rows, columns, squeeze=False).flat)
    colors = _colors({str(name) for _, names in regions for name in names})
    for panel in panels[len(shown) :]:
        panel.set_axis_off()
    for panel, (boxes, names) in zip(panels, shown, strict=False):
        _draw(panel, boxes, names, colors)
    counts = {name: sum(int((names == name).sum()) for _, names in regions) for name in colors}
    handles = [Patch(color=colors[name], label=f"{name}: {counts[name]:,}") for name in colors]
    figure.legend(
        handles=handles,
        loc="outside lower center",
        ncols=min(len(handles), 2 * columns),
        fontsize=CAPTION,
    )
    if len(shown) < len(regions):
        figure.suptitle(f"the {len(shown)} largest of {len(regions)} places", fontsize=CAPTION)
    return figure


def _draw(panel: Axes, boxes: _PAIRS, names: _PAIRS, colors: dict[str, str]) -> None:
    """Windows in metres from the lower left; those that no part uses lie below."""
    from matplotlib.collections import PolyCollection

    corner = shapely.get_coordinates(boxes).min(axis=0)
    for name in sorted(colors, key=lambda name: name != _BELOW):
        corners = [shapely.get_coordinates(box)[:4] - corner for box in boxes[names == name]]
        panel.add_collection(
            PolyCollection(corners, facecolors=colors[name], edgecolors="white", linewidths=0.2)
        )
    panel.autoscale_view()
    panel.set_aspect("equal")
    panel.tick_params(labelsize=CAPTION - 1)
    panel.set_xlabel("m", fontsize=CAPTION)


def _colors(names: set[str]) -> dict[str, str]:
    """{part: colour}, the known parts first."""
    known = {name: color for name, color in _NAMED.items() if name in names}
    free = [color for color in _COLORS if color not in known.values()]
    others = sorted(names - set(known))
    return known | {name: free[i % len(free)] for i, name in enumerate(others)}
