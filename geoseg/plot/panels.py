"""The panels of a picture that compares a prediction with the truth, and their legend."""

from __future__ import annotations

import numpy as np

from geoseg.classes import ClassMap
from geoseg.errors import GridError
from geoseg.labels.base import Ids, Labels
from geoseg.plot.view import Colors, extent_of, look_at, thinned_labels
from geoseg.scene import Scene

Color = tuple[int, int, int]

IGNORED: Color = (225, 225, 225)
RIGHT: Color = (200, 215, 200)
WRONG: Color = (190, 30, 150)


def panels_of(scene: Scene, prediction: Labels) -> dict[str, Colors]:
    """Title to picture: image, prediction and, where the scene has labels, truth and errors.

    What is inside the scene's AOI is shown, at most 1500 px a side.

    Raises:
        GridError: The prediction is not on the scene's grid.
    """
    grid, other = scene.grid, prediction.grid
    if grid.shape != other.shape or grid.offset_of(other) != (0, 0):
        raise GridError(
            f"scene {scene.id!r} is {grid.describe()}, but the prediction {other.describe()}; compare "
            "what was predicted on the scene's own grid"
        )
    view = look_at(scene, extent_of(scene))
    predicted = thinned_labels(prediction, view.window)
    classes = prediction.classes
    panels = {"image": view.image}
    if view.labels is not None:
        panels["truth"] = in_class_colors(view.labels, classes)
    panels["prediction"] = in_class_colors(predicted, classes)
    if view.labels is not None:
        panels["errors"] = in_error_colors(view.labels, predicted, classes.ignore_id)
    return panels


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
