"""Figures for notebooks and reports. Nothing global: no pyplot, no backend is chosen."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from geoseg.classes import ClassMap
from geoseg.errors import GeosegError
from geoseg.labels.base import Labels
from geoseg.labels.evaluate import Evaluation
from geoseg.plot.panels import Color, in_class_colors, legend_of, panels_of
from geoseg.plot.view import aoi_mask, colored_bands, extent_of, look_at, stretched
from geoseg.scene import Scene
from geoseg.sources.base import VectorSource
from geoseg.sources.vector import FileVectorSource
from geoseg.window import Window

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_SIDE = 4.0
"""Inches of a panel's longer side."""
_NARROWEST = 2.0
"""Inches of a panel's width at least."""
_TITLE, _CAPTION = 12, 10
"""Points of the letters above and below a panel, 72 to an inch."""
_LINE = 0.2
"""Inches of height of a line of them."""
_LEGEND_INCHES = 2.6
"""Width of an entry of the legend, about."""
_LEGEND_ROW = 0.25
"""Height of a row of the legend."""
_KM = 1000.0


def scene(scene: Scene, window: Window | None = None) -> Figure:
    """The image of a scene and its labels, if any, with the outline of the AOI.

    Large scenes are thinned out to 1500 px a side. Colours are stretched from the 2nd to the 98th
    percentile of what is shown.

    Args:
        scene: What is shown.
        window: Which part of it; None: all.
    """
    view = look_at(scene, window)
    panels = {f"{scene.id}: image": view.image}
    if view.labels is not None and scene.labels is not None:
        panels["labels"] = in_class_colors(view.labels, scene.labels.class_map)
    figure, axes = row_of(panels)
    mask = aoi_mask(scene, view)
    if mask is not None and mask.any() and not mask.all():
        for ax in axes:
            ax.contour(mask, levels=[0.5], colors="#ff8c00", linewidths=1.5)
    if scene.labels is not None:
        legend(figure, legend_of(scene.labels.class_map, errors=False))
    caption(figure, axes, size_text(scene, view.window))
    return figure


def polygons(scene: Scene, source: VectorSource | str, window: Window | None = None) -> Figure:
    """The image of a scene under the outlines of polygons, such as those of a VectorLabelStore.

    Args:
        scene: Gives the image.
        source: The polygons, in any CRS: a source, or the path of a vector file.
        window: Which part of the scene; None: all.
    """
    from geoseg.plot.outlines import draw_outlines

    if isinstance(source, str):
        source = FileVectorSource(uri=source)
    view = look_at(scene, window)
    figure, axes = _row_of({f"{scene.id}: polygons": view.image})
    count = draw_outlines(axes[0], source, scene.grid, view)
    _caption(figure, axes, f"{count} polygons; {_size_text(scene, view.window)}")
    return figure


def comparison(scene: Scene, prediction: Labels) -> Figure:
    """Image, truth, prediction and errors side by side, inside the scene's AOI.

    Args:
        scene: Gives image and, if it has labels, truth.
        prediction: On the scene's grid.

    Raises:
        GridError: The prediction is not on the scene's grid.
    """
    panels = panels_of(scene, prediction)
    figure, axes = row_of(panels)
    legend(figure, legend_of(prediction.classes, errors="errors" in panels))
    caption(figure, axes, size_text(scene, extent_of(scene)))
    return figure


def batch(
    batch: Mapping[str, Any],
    classes: ClassMap,
    *,
    band_names: Sequence[str] = (),
    most: int = 8,
) -> Figure:
    """The windows of a batch, images above and masks below.

    Args:
        batch: `image` (batch, channel, height, width), `valid` and perhaps `mask` (batch, height,
            width), as a data set with geoseg's collate or a DataLoader gives them.
        classes: What the ids of the mask mean.
        band_names: The channels' names; they tell which are red, green and blue.
        most: Windows shown at most.
    """
    images, valid = as_array(batch["image"])[:most], as_array(batch["valid"])[:most]
    masks = as_array(batch["mask"])[:most] if "mask" in batch else None
    names = tuple(band_names) or tuple(str(i + 1) for i in range(images.shape[1]))
    rows = 1 if masks is None else 2
    figure = new_figure(len(images) * 2.0, rows * 2.0 + 0.5)
    axes = figure.subplots(rows, len(images), squeeze=False)
    for i, image in enumerate(images):
        show(axes[0, i], stretched(colored_bands(names, image), valid[i]))
        if masks is not None:
            show(axes[1, i], in_class_colors(masks[i].astype(np.uint8), classes))
    if masks is not None:
        legend(figure, legend_of(classes, errors=False))
    return figure
