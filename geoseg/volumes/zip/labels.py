"""The lists of classes and texts of a row."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Cells:
    """What a row lists, as the file holds it."""

    class_id: list[str | None] | None
    """Names of classes."""
    rle_mask: list[str | None] | None
    """A text for each."""


def label_problems(cells: Cells, classes: Sequence[str]) -> list[str]:
    """What is wrong with the lists themselves; empty where each class has its text.

    Args:
        cells: The lists.
        classes: Names of all classes.
    """
    if cells.class_id is None or cells.rle_mask is None:
        missing = [key for key in ("class_id", "rle_mask") if getattr(cells, key) is None]
        problem = (
            f"{' and '.join(missing)} is null; expected a list with an item for each class, the empty "
            "string for a class that is not there"
        )
        return [problem]
    names, texts = cells.class_id, cells.rle_mask
    problems = []
    if len(names) != len(texts):
        problems.append(
            f"class_id lists {len(names)} names, rle_mask {len(texts)} texts; expected as many"
        )
    nulls = [place for place, name in enumerate(names) if name is None]
    problems += [f"class_id holds null as item {place + 1}; expected a name" for place in nulls]
    counts = Counter(name for name in names if name is not None)
    problems += [
        f"class {name!r}: is listed {count} times, expected once"
        for name, count in counts.items()
        if count > 1
    ]
    problems += [
        f"class {name!r}: is missing in class_id; every row lists all classes, with the empty string "
        "for one that is not there"
        for name in classes
        if name not in counts
    ]
    problems += [
        f"class {name!r}: is unknown; classes: {', '.join(classes)}"
        for name in counts
        if name not in classes
    ]
    return problems


def label_problem(cells: Cells, classes: Sequence[str]) -> str:
    """The first of `label_problems`; empty where there is none."""
    return next(iter(label_problems(cells, classes)), "")


def ordered(cells: Cells, classes: Sequence[str]) -> list[str | None]:
    """The texts in the order of the classes, for lists without problems."""
    texts = dict(zip(cells.class_id or (), cells.rle_mask or (), strict=True))
    return [texts[name] for name in classes]
