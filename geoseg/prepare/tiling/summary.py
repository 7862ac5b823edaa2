"""What was cut, in numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from geoseg.prepare.tiling.inputs import Inputs
from geoseg.prepare.tiling.tally import Record


def summary(inputs: Inputs, records: Sequence[Record]) -> dict[str, Any]:
    """The report as plain values, without where it lies."""
    kept = [record for record in records if record.left is None]
    pixels = sum(record.pixels for record in kept)
    counts: Counter[int] = Counter()
    for record in kept:
        counts.update(record.counts)
    rows = [record.number for record in kept]
    columns = inputs.index.table
    parts = columns["split"].iloc[rows] if "split" in columns else ()
    return {
        "output": inputs.output,
        "windows": len(records),
        "written": len(kept),
        "left_out": dict(sorted(Counter(r.left for r in records if r.left is not None).items())),
        "coverage": inputs.index.coverage().share,
        "valid_share": sum(record.valid for record in kept) / pixels if pixels else 0.0,
        "labelled_share": sum(record.labelled for record in kept) / pixels if pixels else 0.0,
        "class_counts": {str(i): n for i, n in sorted(counts.items())},
        "splits": dict(sorted(Counter(str(part) for part in parts).items())),
        "without_image": sum(not record.valid for record in kept),
    }
