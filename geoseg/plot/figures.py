"""Figures for notebooks and reports. Nothing global: no pyplot, no backend is chosen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from geoseg.classes import ClassMap
from geoseg.labels.base import Labels
from geoseg.plot.drawing import as_array, block_of, caption, legend, row_of, sheet_of, size_text
from geoseg.plot.panels import in_class_colors, legend_of, onto_scene, panels_of
from geoseg.plot.view import aoi_mask, colored_bands, extent_of, look_at, stretched
from geoseg.scene import Scene
from geoseg.sources.base import VectorSource
from geoseg.sources.vector import FileVectorSource
from geoseg.window import Window

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_ALONE = 10.0
"""Inches of the longer side of a picture that is looked into, by itself."""


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
    figure, axes = row_of({f"{scene.id}: polygons": view.image}, side=_ALONE)
    count = draw_outlines(axes[0], source, scene.grid, view)
    caption(figure, axes, f"{count} polygons; {size_text(scene, view.window)}")
    return figure


def comparison(scene: Scene, prediction: Labels, window: Window | None = None) -> Figure:
    """Image, truth, prediction and errors in one picture, inside the scene's AOI.

    Args:
        scene: Gives image and, if it has labels, truth.
        prediction: On any grid over the same ground; what is on another grid than the scene's is
            brought onto it, each pixel taking the id at its centre, and the picture says so.
        window: Which part of the scene; None: the smallest around the AOI.

    Raises:
        GridError: The prediction is on another grid, and one of the two has no CRS or they lie apart.
        LabelError: Truth and prediction have different classes.
    """
    predicted, note = onto_scene(scene, prediction)
    panels = panels_of(scene, predicted, window)
    figure, axes = block_of(panels)
    legend(figure, legend_of(prediction.classes, errors="errors" in panels))
    shown = extent_of(scene) if window is None else window
    size = size_text(scene, shown.intersection(scene.grid.whole) or shown)
    caption(figure, axes, size if note is None else f"{size}; {note}")
    return figure


def batch(
    batch: Mapping[str, Any],
    classes: ClassMap,
    *,
    prediction: Any = None,
    band_names: Sequence[str] = (),
    titles: Sequence[str] = (),
    most: int = 8,
) -> Figure:
    """The windows of a batch: images, below them masks, and below these what a model made of them.

    Args:
        batch: `image` (batch, channel, height, width), `valid` and perhaps `mask` (batch, height,
            width), as a data set with geoseg's collate or a DataLoader gives them.
        classes: What the ids of the mask mean.
        prediction: Class ids (batch, height, width), or logits or probabilities (batch, class, height,
            width); None: not shown. It is left out where not valid.
        band_names: The channels' names; they tell which are red, green and blue.
        titles: Texts above the windows.
        most: Windows shown at most.
    """
    images, valid = as_array(batch["image"])[:most], as_array(batch["valid"])[:most]
    names = tuple(band_names) or tuple(str(i + 1) for i in range(images.shape[1]))
    shown = [stretched(colored_bands(names, i), v) for i, v in zip(images, valid, strict=True)]
    rows: dict[str, Any] = {"image": shown}
    if "mask" in batch:
        rows["labels"] = in_class_colors(as_array(batch["mask"])[:most].astype(np.uint8), classes)
    if prediction is not None:
        ids = np.where(valid, _ids_of(prediction, classes)[:most], classes.ignore_id)
        rows["prediction"] = in_class_colors(ids.astype(np.uint8), classes)
    figure = sheet_of(rows, titles=titles)
    if len(rows) > 1:
        legend(figure, legend_of(classes, errors=False))
    return figure


def _ids_of(prediction: Any, classes: ClassMap) -> Any:
    """(batch, height, width) class ids of ids, or of numbers for each class."""
    found = as_array(prediction)
    return found if found.ndim == 3 else classes.id_table()[found.argmax(axis=1)]  # noqa: PLR2004
