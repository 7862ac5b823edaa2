"""The panels of a picture that compares a prediction with the truth, and their legend."""

from __future__ import annotations

import numpy as np

from geoseg.classes import ClassMap
from geoseg.errors import GridError, LabelError
from geoseg.labels.base import Ids, Labels
from geoseg.labels.evaluation.nearest import NearestLabels
from geoseg.plot.view import Colors, extent_of, look_at, thinned_labels
from geoseg.scene import Scene
from geoseg.window import Window

Color = tuple[int, int, int]

IGNORED: Color = (225, 225, 225)
RIGHT: Color = (200, 215, 200)
WRONG: Color = (190, 30, 150)


def panels_of(scene: Scene, prediction: Labels, window: Window | None = None) -> dict[str, Colors]:
    """Title to picture: image, prediction and, where the scene has labels, truth and errors.

    What is inside the scene's AOI, or a window, is shown, at most 1500 px a side.

    Raises:
        GridError: The prediction is not on the scene's grid.
        LabelError: Truth and prediction have different classes.
    """
    if not _on_one_grid(scene, prediction):
        raise GridError(
            f"scene {scene.id!r} is {scene.grid.describe()}, but the prediction "
            f"{prediction.grid.describe()}; compare what was predicted on the scene's own grid"
        )
    classes = prediction.classes
    _check_classes(scene, classes)
    view = look_at(scene, extent_of(scene) if window is None else window)
    predicted = thinned_labels(prediction, view.window)
    panels = {"image": view.image}
    if view.labels is not None:
        panels["truth"] = in_class_colors(view.labels, classes)
    panels["prediction"] = in_class_colors(predicted, classes)
    if view.labels is not None:
        panels["errors"] = in_error_colors(view.labels, predicted, classes.ignore_id)
    return panels


def onto_scene(scene: Scene, prediction: Labels) -> tuple[Labels, str | None]:
    """A prediction on the scene's grid, and a note that says so where its own is another.

    Raises:
        GridError: The grids differ and one of them has no CRS, or they lie apart.
    """
    if _on_one_grid(scene, prediction):
        return prediction, None
    note = (
        f"the prediction ({prediction.grid.describe()}) was brought onto the scene's grid: nearest"
    )
    return NearestLabels(prediction, scene.grid), note


def legend_of(classes: ClassMap, *, errors: bool) -> list[tuple[str, Color]]:
    """(name, colour) of all that the panels show."""
    entries = [(info.name, info.color) for info in classes.classes]
    if errors:
        entries += [("right", RIGHT), ("wrong", WRONG)]
    return [*entries, ("ignored", IGNORED)]


def in_class_colors(ids: Ids, classes: ClassMap) -> Colors:
    """Ids (height, width) as colours; light grey where ignored."""
    table = np.full((256, 3), IGNORED, np.uint8)
    for info in classes.classes:
        table[info.id] = info.color
    return table[ids]


def in_error_colors(truth: Ids, prediction: Ids, ignore_id: int) -> Colors:
    """Magenta where the prediction is wrong; light grey where either is ignored."""
    right, wrong = np.array(RIGHT, np.uint8), np.array(WRONG, np.uint8)
    colors = np.where((truth == prediction)[..., None], right, wrong)
    colors[(truth == ignore_id) | (prediction == ignore_id)] = IGNORED
    return colors


def _on_one_grid(scene: Scene, prediction: Labels) -> bool:
    grid, other = scene.grid, prediction.grid
    return grid.shape == other.shape and grid.offset_of(other) == (0, 0)


def _check_classes(scene: Scene, classes: ClassMap) -> None:
    """See that truth and prediction mean the same by the same id; colours may differ."""
    if scene.labels is None:
        return
    own = scene.labels.class_map
    if (own.ids, own.names, own.ignore_id) != (classes.ids, classes.names, classes.ignore_id):
        raise LabelError(
            f"scene {scene.id!r}: its labels have the classes {_told(own)}, but the prediction has "
            f"{_told(classes)}; compare labels of one class map"
        )


def _told(classes: ClassMap) -> str:
    named = ", ".join(f"{info.id} {info.name}" for info in classes.classes)
    return f"{named} (ignored: {classes.ignore_id})"
