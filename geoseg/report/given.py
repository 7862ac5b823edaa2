"""What went into a training: classes, options, scenes, and which windows were drawn of them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from geoseg import plot
from geoseg.page.html import Html, Part, element, folded, joined, swatch, table
from geoseg.report.facts import TrainingFacts
from geoseg.report.pictures import can_draw, drawn
from geoseg.report.windows import batch_of
from geoseg.sampling import RandomWindows
from geoseg.scene import Scene
from geoseg.shortlist import some
from geoseg.spec import Spec
from geoseg.urimask import told
from geoseg.window import Window

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SHOWN = 8
"""Windows of the sample."""
_MOST_SCENES = 200
"""Rows of the table of scenes."""


def classes(facts: TrainingFacts) -> Sequence[Part]:
    """The classes, and how often they occur in the training scenes."""
    counts = facts.histogram or {}
    total = sum(counts.values())
    head = ["class", "id", "colour"]
    rows: list[list[Part]] = []
    for info in facts.classes.classes:
        name = joined([swatch(info.color), info.name])
        row: list[Part] = [name, str(info.id), f"#{bytes(info.color).hex()}"]
        if total:
            count = counts.get(info.name, 0)
            row += [f"{count:,}", f"{count / total:.2%}"]
        rows.append(row)
    head += ["pixels in training", "share"] if total else []
    shown = table("Classes, in the order of the model's channels", head, rows, numbers=(1, 3, 4))
    if not total:
        return [shown]
    shares = [f"{name} {count / total:.1%}" for name, count in counts.items()]
    return [
        shown,
        drawn(
            lambda: plot.histogram(counts, facts.classes),
            alt=f"Bars of the classes' shares: {', '.join(shares)}.",
            caption=f"{total:,} labelled pixels of the training scenes.",
        ),
    ]


def options(facts: TrainingFacts) -> Sequence[Part]:
    """All options; those that are no default are marked."""
    parts = [_options("Options of training", facts.training)]
    if facts.prediction is not None:
        parts.append(_options("Options of prediction", facts.prediction))
    if facts.versions:
        rows = [[name, version] for name, version in facts.versions.items()]
        parts.append(folded("Versions", table("Versions", ["package", "version"], rows)))
    return parts


def scenes(facts: TrainingFacts) -> Sequence[Part]:
    """A table of all scenes."""
    found = list(facts.scenes())
    if not found:
        return []
    head = ["scene", "part", "height x width", "pixel", "CRS", "bands", "dtype", "AOI", "files"]
    rows = [_scene_row(part, scene) for part, scene in found[:_MOST_SCENES]]
    caption = f"{len(found)} scenes"
    if len(found) > _MOST_SCENES:
        caption += f", of which the first {_MOST_SCENES} are listed"
    return [table(caption, head, rows)]


def sampling(facts: TrainingFacts) -> Sequence[Part]:
    """Where the windows of the first epoch lie, and what some of them hold."""
    if not facts.train or not can_draw():
        return []
    training = facts.training
    windows = RandomWindows(
        facts.train,
        training.image_size,
        length=training.length,
        seed=training.seed,
        sampling=training.sampling,
    )
    counts = np.bincount(windows.draw_many(range(len(windows)))[:, 0], minlength=len(facts.train))
    scenes = [f"{n:,} in {s.id}" for n, s in zip(counts, facts.train, strict=True)]
    told = some(scenes, _SHOWN, counted=False)
    places = [windows.draw(i) for i in range(min(_SHOWN, len(windows)))]
    shown = [(facts.train[number], window) for number, window in places]
    return [
        drawn(
            lambda: plot.sampling(windows, facts.train),
            alt=f"Map of the {len(windows):,} windows of the first epoch: {told}.",
            caption="The windows of the first epoch; every epoch draws others. An orange line is the "
            "edge of an area of interest.",
        ),
        drawn(
            lambda: _sample(facts, shown),
            alt=f"The first {len(shown)} training windows: images above, labels below.",
            caption="The first windows, before augmentation. Each is stretched by itself.",
        ),
    ]


def _sample(facts: TrainingFacts, shown: Sequence[tuple[Scene, Window]]) -> Figure:
    batch = batch_of(shown, facts.training.image_size)
    return plot.batch(batch, facts.classes, band_names=shown[0][0].image.band_names)


def _options(caption: str, spec: Spec) -> Html:
    head = ["option", "value", "given"]
    return table(f"{caption}; in bold what is not the default", head, _option_rows(spec))


def _option_rows(spec: Spec, before: str = "") -> Iterator[list[Part]]:
    """A row for each option; those of an option are named with a dot."""
    values = spec.model_dump(mode="json")
    for name, field in type(spec).model_fields.items():
        value = getattr(spec, name)
        text = _text(values[name])
        if isinstance(value, Spec):
            yield from _option_rows(value, f"{before}{name}.")
        elif value == field.get_default(call_default_factory=True):
            yield [before + name, text, "default"]
        else:
            yield [before + name, element("strong", text), "chosen"]


def _text(value: Any) -> str:
    if value is None:
        return "-"
    return told(value) if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _scene_row(part: str, scene: Scene) -> list[Part]:
    grid = scene.grid
    size = grid.ground_resolution
    return [
        scene.id,
        part,
        _unbroken(f"{grid.height} x {grid.width}"),
        "-" if size is None else _unbroken(f"{size[0]:.3g} x {size[1]:.3g} m"),
        grid.describe().split(", ")[0] if grid.crs is not None else "-",
        ", ".join(scene.image.band_names),
        np.dtype(scene.image.dtype).name,
        "-" if scene.aoi is None else "yes",
        element("span", ", ".join(map(told, scene.inputs)) or "-", at={"class": "path"}),
    ]


def _unbroken(text: str) -> str:
    """A text that stays on one line."""
    return text.replace(" ", "\u00a0")
