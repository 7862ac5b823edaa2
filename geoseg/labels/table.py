"""An evaluation as a table of plain text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from geoseg.labels.evaluation.bootstrap import LEAST_BLOCKS
from geoseg.labels.metrics import mean

_METRICS = {
    "iou": "IoU",
    "f1": "F1",
    "precision": "precision",
    "recall": "recall",
    "boundary_iou": "boundary IoU",
}
_HECTARE = 10_000


def evaluation_table(result: dict[str, Any]) -> str:
    """A line for each class, the means, what was left out, and what else was measured.

    Objects and areas have tables of their own, and so have scenes where there are several.

    Args:
        result: What `Evaluation.to_dict` gives. What has no value is shown as "-".
    """
    overall, scenes = result["overall"], result["scenes"]
    parts = [_class_table(overall), _summary(overall)]
    if "objects" in overall:
        parts.append(object_table(overall["objects"]))
    if "areas" in overall:
        parts.append(f"{_area_table(overall['areas'])}\n{overall['areas_note']}")
    if len(scenes) > 1:
        parts.append(_scene_table(scenes))
    parts += [f"note: {note}" for note in result.get("notes", ())]
    return "\n\n".join(parts)


def object_table(objects: dict[str, Any]) -> str:
    """A line for each class, and one for all objects.

    Args:
        objects: What `ObjectCounts.to_dict` gives.
    """
    names = {
        "f1": "F1",
        "precision": "precision",
        "recall": "recall",
        "truth": "in truth",
        "predicted": "predicted",
        "matched": "matched",
    }
    rows = [[f"objects (IoU {objects['iou']:g})", *names.values()]]
    for record in [*objects["per_class"], {"name": "all", **objects}]:
        scores = [_number(record[key]) for key in ("f1", "precision", "recall")]
        counts = [f"{record[key]:,}" for key in ("truth", "predicted", "matched")]
        rows.append([record["name"], *scores, *counts])
    return _aligned(rows)


def _class_table(part: dict[str, Any]) -> str:
    records, intervals = part["per_class"], part.get("intervals")
    keys = [key for key in _METRICS if key in records[0]]
    rows = [["class", *(_METRICS[key] for key in keys), "pixels"]]
    for record, counts in zip(records, part["confusion"], strict=True):
        values = [_number(record[key]) for key in keys]
        rows.append([record["name"], *values, f"{sum(counts):,}"])
    means = [_number(mean([record[key] for record in records])) for key in keys]
    rows.append(["mean", *means, f"{_total(part):,}"])
    if intervals is not None:
        column = [f"IoU {intervals['level']:.0%} interval"]
        column += [_interval(record["iou_interval"]) for record in records]
        column.append(_interval(intervals["mean_iou"]))
        rows = [[*row[:2], cell, *row[2:]] for row, cell in zip(rows, column, strict=True)]
    return _aligned(rows)


def _summary(part: dict[str, Any]) -> str:
    accuracy, intervals = _number(part["accuracy"]), part.get("intervals")
    if intervals is not None:
        accuracy += f" ({_interval(intervals['accuracy'])})"
    text = (
        f"accuracy {accuracy}, kappa {_number(part['kappa'])}; "
        f"{part['ignored']:,} pixels ignored (no truth, or outside the AOI)"
    )
    if part["unpredicted"]:
        text += f"\n{part['unpredicted']:,} pixels with truth were not predicted and are left out"
    if "boundary_px" in part:
        text += f"\nboundary IoU of the pixels within {part['boundary_px']} px of a class boundary"
    return text if intervals is None else f"{text}\n{_resampled(intervals)}"


def _resampled(intervals: dict[str, Any]) -> str:
    count, size = intervals["blocks"], f"{intervals['block_px']} x {intervals['block_px']} px"
    if count < LEAST_BLOCKS:
        found = "one block" if count else "no block"
        return f"{found} of {size} with truth: no interval; smaller blocks (block_px) may give one"
    return f"intervals from {intervals['resamples']:,} resamples of {count:,} blocks of {size}"


def _area_table(areas: list[dict[str, Any]]) -> str:
    """In hectares, or all in square metres where some area would be shown as 0.00 ha."""
    keys = ("mapped", "adjusted", "standard_error")
    table = [[record[f"{key}_m2"] for key in keys] for record in areas]
    unit, size, digits = "ha", _HECTARE, 2
    if any(value and round(value / size, digits) == 0 for values in table for value in values):
        unit, size, digits = "m2", 1, 1
    rows = [[f"area in {unit}", "mapped", "error-adjusted", "standard error"]]
    for record, values in zip(areas, table, strict=True):
        shown = ["-" if value is None else f"{value / size:,.{digits}f}" for value in values]
        rows.append([record["name"], *shown])
    return _aligned(rows)


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


def _interval(interval: Sequence[float] | None) -> str:
    return "-" if interval is None else f"{interval[0]:.3f} to {interval[1]:.3f}"


def _aligned(rows: Sequence[Sequence[str]]) -> str:
    """Columns of equal width: the first to the left, numbers to the right."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in rows
    ]
    return "\n".join(lines)
