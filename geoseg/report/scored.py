"""What came of a training: scores, confusion, maps beside the truth, and where they are worst."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from geoseg import plot
from geoseg.labels.base import Labels
from geoseg.page.html import Html, Part, element, joined, swatch, table
from geoseg.report.facts import TrainingFacts
from geoseg.report.pictures import can_draw, drawn, part_of
from geoseg.report.windows import Judged, batch_of, judged, resized
from geoseg.scene import Scene

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MOST_SCENES = 4
"""Test scenes that are shown."""
_WORST = 6
"""Windows that are shown."""
_MOST_ROWS = 200
"""Scenes in the table."""
_OVERALL = {
    "mean IoU": "mean_iou",
    "mean F1": "mean_f1",
    "accuracy": "accuracy",
    "kappa": "kappa",
    "mean boundary IoU": "mean_boundary_iou",
}
_PER_CLASS = {
    "IoU": "iou",
    "F1": "f1",
    "precision": "precision",
    "recall": "recall",
    "boundary IoU": "boundary_iou",
}


def scores(facts: TrainingFacts) -> Sequence[Part]:
    """Tables of all scores: overall, of classes and of scenes."""
    evaluation = facts.evaluation
    if evaluation is None:
        return []
    found = evaluation.to_dict()
    overall = found["overall"]
    names = [name for name, key in _OVERALL.items() if key in overall]
    rows = [[name, number(overall[_OVERALL[name]])] for name in names]
    parts: list[Part] = [
        table(
            "All test scenes together: each pixel weighs the same",
            ["score", "value"],
            rows,
            numbers=[1],
        ),
        _class_table(facts, overall),
        drawn(
            lambda: plot.evaluation(evaluation),
            alt=f"Confusion matrix and bars of the IoU of each class; mean {number(overall['mean_iou'])}.",
            caption="Left: where the pixels of each true class went. Right: IoU of each class.",
        ),
    ]
    return [*parts, _scene_table(found["scenes"])]


def confusion(facts: TrainingFacts) -> Sequence[Part]:
    """The confusion matrix in pixels."""
    if facts.evaluation is None:
        return []
    counts = facts.evaluation.overall.confusion
    totals = counts.sum(axis=1)
    rows: list[list[Part]] = []
    for name, line, total in zip(facts.evaluation.classes.names, counts, totals, strict=True):
        cells = [_shaded(int(count), int(total)) for count in line]
        rows.append([name, *cells, f"{total:,}"])
    rows.append(["all", *(f"{n:,}" for n in counts.sum(axis=0)), f"{totals.sum():,}"])
    head = ["truth", *facts.evaluation.classes.names, "all"]
    caption = "Pixels: rows are the truth, columns the prediction; the stronger the colour, the larger the share of its row"
    return [table(caption, head, rows, numbers=range(1, len(head)))]


def maps(facts: TrainingFacts) -> Sequence[Part]:
    """Prediction and truth of a few test scenes."""
    shown = _predicted(facts)[:_MOST_SCENES]
    if not shown or not can_draw():
        return []
    parts: list[Part] = []
    for scene, labels in shown:
        part, told = part_of(scene)
        parts.append(
            drawn(
                lambda scene=scene, labels=labels, part=part: plot.comparison(scene, labels, part),  # type: ignore[misc]
                alt=f"Image, truth, prediction and errors of {scene.id}{told}.",
                caption=f"{scene.id}{told}{_accuracy(facts, scene)}",
            )
        )
    if len(facts.test) > len(shown):
        parts.append(element("p", f"{len(shown)} of {len(facts.test)} test scenes are shown."))
    return parts


def worst(facts: TrainingFacts) -> Sequence[Part]:
    """The windows of these scenes in which the least is right."""
    if not can_draw():
        return []
    predicted = {scene.id: labels for scene, labels in _predicted(facts)[:_MOST_SCENES]}
    size = facts.training.image_size
    found: list[Judged] = []
    for scene in facts.test:
        if scene.id in predicted:
            found += judged(scene, predicted[scene.id], part_of(scene)[0], size)
    found = sorted((one for one in found if one.right < 1), key=lambda one: one.right)[:_WORST]
    if not found:
        return []
    places = [f"{one.scene.id} at row {one.window.row}, column {one.window.col}" for one in found]
    shares = ", ".join(f"{one.right:.0%}" for one in found)
    return [
        drawn(
            lambda: _windows(facts, found, predicted),
            alt=f"The {len(found)} windows with the least right pixels: {shares} are right.",
            caption=f"From the left: {'; '.join(places)}.",
        )
    ]


def number(value: float | None) -> str:
    """With three decimals; a dash where there is none."""
    return "-" if value is None else f"{value:.3f}"


def _windows(facts: TrainingFacts, found: Sequence[Judged], predicted: dict[str, Labels]) -> Figure:
    size = facts.training.image_size
    ids = [resized(predicted[one.scene.id].read(one.window), size) for one in found]
    return plot.batch(
        batch_of([(one.scene, one.window) for one in found], size),
        facts.classes,
        prediction=np.stack(ids),
        band_names=found[0].scene.image.band_names,
        titles=[f"{one.right:.0%} right" for one in found],
    )


def _predicted(facts: TrainingFacts) -> list[tuple[Scene, Labels]]:
    known = facts.predictions
    return [(scene, known[scene.id]) for scene in facts.test if scene.id in known]


def _accuracy(facts: TrainingFacts, scene: Scene) -> str:
    if facts.evaluation is None or scene.id not in facts.evaluation.scenes:
        return "."
    part = facts.evaluation.scenes[scene.id].to_dict(facts.evaluation.classes)
    return f": mean IoU {number(part['mean_iou'])}, accuracy {number(part['accuracy'])}."


def _class_table(facts: TrainingFacts, overall: dict[str, Any]) -> Html:
    records = overall["per_class"]
    names = [name for name, key in _PER_CLASS.items() if key in records[0]]
    intervals = "iou_interval" in records[0]
    colors = {info.name: info.color for info in facts.classes.classes}
    rows: list[list[Part]] = []
    for record, line in zip(records, overall["confusion"], strict=True):
        row: list[Part] = [joined([swatch(colors[record["name"]]), record["name"]])]
        row += [number(record[_PER_CLASS[name]]) for name in names]
        row += [_interval(record["iou_interval"])] if intervals else []
        rows.append([*row, f"{sum(line):,}"])
    head = ["class", *names, *(["95 % interval of the IoU"] if intervals else []), "true pixels"]
    return table("Scores of each class", head, rows, numbers=range(1, len(head)))


def _scene_table(scenes: dict[str, dict[str, Any]]) -> Html:
    rows = []
    for name, part in list(scenes.items())[:_MOST_ROWS]:
        total = sum(map(sum, part["confusion"]))
        values = [number(part[key]) for key in ("mean_iou", "accuracy", "kappa")]
        rows.append(
            [name, *values, f"{total:,}", f"{part['ignored']:,}", f"{part['unpredicted']:,}"]
        )
    head = ["scene", "mean IoU", "accuracy", "kappa", "compared px", "ignored px", "unpredicted px"]
    caption = "Scores of each test scene"
    if len(scenes) > _MOST_ROWS:
        caption += f": the first {_MOST_ROWS} of {len(scenes)}"
    return table(caption, head, rows, numbers=range(1, len(head)))


def _interval(interval: Sequence[float] | None) -> str:
    return "-" if interval is None else f"{interval[0]:.3f} to {interval[1]:.3f}"


def _shaded(count: int, total: int) -> Html:
    share = count / total if total else 0.0
    style = f"--part:{0.55 * share:.3f}"
    return element("span", f"{count:,}", at={"class": "share", "style": style})
