"""An evaluation as a table of plain text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from geoseg.labels.metrics import mean

_METRICS = {"iou": "IoU", "f1": "F1", "precision": "precision", "recall": "recall"}


def evaluation_table(result: dict[str, Any]) -> str:
    """A line for each class, the means, what was left out, and a line for each of several scenes.

    Args:
        result: What `Evaluation.to_dict` gives. What has no value is shown as "-".
    """
    overall, scenes = result["overall"], result["scenes"]
    parts = [_class_table(overall), _summary(overall)]
    if len(scenes) > 1:
        parts.append(_scene_table(scenes))
    return "\n\n".join(parts)


def _class_table(part: dict[str, Any]) -> str:
    rows = [["class", *_METRICS.values(), "pixels"]]
    for record, counts in zip(part["per_class"], part["confusion"], strict=True):
        values = [_number(record[key]) for key in _METRICS]
        rows.append([record["name"], *values, f"{sum(counts):,}"])
    means = [_number(mean([c[key] for c in part["per_class"]])) for key in _METRICS]
    rows.append(["mean", *means, f"{_total(part):,}"])
    return _aligned(rows)


def _summary(part: dict[str, Any]) -> str:
    text = (
        f"accuracy {_number(part['accuracy'])}, kappa {_number(part['kappa'])}; "
        f"{part['ignored']:,} pixels ignored (no truth, or outside the AOI)"
    )
    if part["unpredicted"]:
        text += f"\n{part['unpredicted']:,} pixels with truth were not predicted and are left out"
    return text


def _scene_table(scenes: dict[str, dict[str, Any]]) -> str:
    rows = [["scene", "mean IoU", "accuracy", "kappa", "pixels"]]
    for name, part in scenes.items():
        values = [_number(part[key]) for key in ("mean_iou", "accuracy", "kappa")]
        rows.append([name, *values, f"{_total(part):,}"])
    return _aligned(rows)


def _total(part: dict[str, Any]) -> int:
    return sum(sum(counts) for counts in part["confusion"])


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _aligned(rows: Sequence[Sequence[str]]) -> str:
    """Columns of equal width: the first to the left, numbers to the right."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in rows
    ]
    return "\n".join(lines)
