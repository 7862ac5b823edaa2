"""write_report: what a training was, how it went and what came of it, as one page of HTML."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

from geoseg.outputs import written_whole
from geoseg.page.html import Html, Part, element, items, joined, page, section
from geoseg.page.style import CSS
from geoseg.plot.curves import MEAN_IOU, best_epoch
from geoseg.report import given, learned, scored
from geoseg.report.facts import TrainingFacts
from geoseg.report.pictures import can_draw
from geoseg.scene import Scene
from geoseg.urimask import masked

_RARE = 0.01
"""A class with a smaller share of the labelled pixels is worth a word."""
_SECTIONS: tuple[tuple[str, str, Callable[[TrainingFacts], Sequence[Part]]], ...] = (
    ("scores", "Scores on the test scenes", scored.scores),
    ("confusion", "Confusion matrix", scored.confusion),
    ("maps", "Prediction and truth", scored.maps),
    ("worst", "Where it is worst", scored.worst),
    ("history", "History", learned.history),
    ("classes", "Classes", given.classes),
    ("sampling", "Training windows", given.sampling),
    ("scenes", "Scenes", given.scenes),
    ("options", "Options", given.options),
)
"""Name, title and what is in it; one with nothing in it is left out."""


def write_report(uri: str, facts: TrainingFacts) -> None:
    """Write a report of a training: one HTML file with all pictures in it, no script, nothing to fetch.

    Pictures need matplotlib (extra `plot`); without it the report has its tables only, and says so.
    Pixels are read for them: of each test scene 4096 x 4096 at most, of each training scene 64 million.
    Secrets in uris are masked, and home folders of files are told as `~`.

    Args:
        uri: The file; it appears whole or not at all.
        facts: What is told.

    Raises:
        StoreError: The file cannot be written.
        GeosegError: A scene or a prediction cannot be read.
    """
    text = report_text(facts)
    with written_whole(uri) as path:
        path.write_text(text, encoding="utf-8")


def report_text(facts: TrainingFacts) -> str:
    """The same as text."""
    found = [(name, title, make(facts)) for name, title, make in _SECTIONS]
    found = [("notes", "Notes", _notes(facts)), *found]
    shown = [(name, title, parts) for name, title, parts in found if _is_something(parts)]
    body = [_lead(facts), *(section(name, title, *parts) for name, title, parts in shown)]
    # Names of scenes, notes and errors may hold uris too.
    return masked(page(facts.title, [(name, title) for name, title, _ in shown], body, CSS))


def _is_something(parts: Sequence[Part]) -> bool:
    return bool(joined(parts).markup)


def _lead(facts: TrainingFacts) -> Html:
    """The most important numbers at the head of the page."""
    numbers = [(facts.training.model, "model"), (str(len(facts.classes)), "classes")]
    numbers += [
        (str(len(scenes)), f"{part} scene{'s' * (len(scenes) > 1)}")
        for part, scenes in _parts(facts)
        if scenes
    ]
    if facts.history:
        numbers.append((str(len(facts.history)), "epochs"))
    if (best := best_epoch(facts.history)) is not None:
        numbers.append((f"{best[MEAN_IOU]:.3f}", "best mean IoU of the validation"))
    if facts.evaluation is not None:
        numbers.append((scored.number(facts.evaluation.mean_iou), "mean IoU on the test scenes"))
    cards = [
        element("li", element("strong", value), element("span", name)) for value, name in numbers
    ]
    return element("ul", *cards, at={"class": "facts"})


def _parts(facts: TrainingFacts) -> Sequence[tuple[str, Sequence[Scene]]]:
    return ("training", facts.train), ("validation", facts.valid), ("test", facts.test)


def _notes(facts: TrainingFacts) -> Sequence[Part]:
    """What a reader should know."""
    notes = [*facts.notes, *(facts.evaluation.notes if facts.evaluation is not None else ())]
    notes += _found(facts)
    if not can_draw():
        notes.append(
            "This report has no pictures, because matplotlib is not installed: "
            'pip install "geoseg[plot]".'
        )
    return [element("div", items(notes), at={"class": "notes"})] if notes else []


def _found(facts: TrainingFacts) -> Iterator[str]:
    """What the numbers themselves say."""
    counts = facts.histogram or {}
    total = sum(counts.values())
    for name in facts.classes.names if total else ():
        share = counts.get(name, 0) / total
        if not share:
            yield f"The class {name!r} does not occur in the training scenes: no model can learn it."
        elif share < _RARE and facts.training.sampling.class_balance is None:
            yield (
                f"The class {name!r} has {share:.2%} of the labelled training pixels; "
                "class_balance: balanced in its sampling would show it more often."
            )
    best = best_epoch(facts.history)
    if best is None:
        yield "Nothing was measured on validation scenes."
        return
    last = facts.history[-1].get(MEAN_IOU, math.nan)
    if facts.training.select == "last" and best[MEAN_IOU] > last:
        yield (
            f"The model is that of the last epoch, with a mean IoU of {last:.3f} on the validation scenes; "
            f"epoch {best['epoch']:.0f} had {best[MEAN_IOU]:.3f}: select: best would have kept that."
        )
