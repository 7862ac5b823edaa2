"""Polygons over the image they belong to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import shapely
from numpy.typing import NDArray

from geoseg.plot.view import View
from geoseg.sources.base import VectorSource
from geoseg.sources.features.ongrid import polygons_on

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from geoseg.grid import Grid

_COLOR = "#ffd800"
_POINTS = 1.2
"""Width of an outline."""


def draw_outlines(axes: Axes, source: VectorSource, grid: Grid, view: View) -> int:
    """Draw the outlines of polygons, holes too, where they lie on a picture.

    Args:
        axes: With the picture of the view, a unit a pixel shown.
        source: The polygons, in any CRS.
        grid: Of the scene.
        view: What is shown of it.

    Returns:
        How many polygons meet the view.
    """
    from matplotlib.collections import LineCollection

    window = view.window
    frame = polygons_on(grid, source)
    box = shapely.box(window.col, window.row, window.col_stop, window.row_stop)
    shapes = np.asarray(frame.geometry.values)
    shapes = shapes[shapely.intersects(shapes, box)]
    lines = [_on_picture(ring, view) for ring in shapely.get_rings(shapes)]
    axes.add_collection(LineCollection(lines, colors=_COLOR, linewidths=_POINTS), autolim=False)
    return len(shapes)


def _on_picture(ring: Any, view: View) -> NDArray[np.float64]:
    """(point, 2) in the picture's units, whose first pixel reaches from -0.5 to 0.5."""
    corner = view.window.col, view.window.row
    points: NDArray[np.float64] = (shapely.get_coordinates(ring) - corner) / view.step - 0.5
    return points
