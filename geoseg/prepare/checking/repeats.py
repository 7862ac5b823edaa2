"""Windows that repeat one another: listed twice, or of equal pixels."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from geoseg.prepare.checking.findings import Example, Findings
from geoseg.prepare.checking.opening import Opened
from geoseg.prepare.checking.scan import Scan
from geoseg.prepare.splitting.leakage import DROPPED

_LEAST_EDGES = 100
"""Pixels of boundary, without which labels are equal by chance."""


def find_repeats(opened: Opened, scan: Scan, found: Findings) -> None:
    """Tell rows that repeat a window, and windows of equal pixels.

    Equal images with other labels are worse than equal pairs; windows without anything in them, constant or
    empty, are equal by nature and not compared.
    """
    once = _once(opened, found)
    parts = parts_of(opened)
    alike = _groups(once, scan.image_digests)
    repeated: set[int] = set()
    for rows in alike:
        labels = {scan.label_digests[row] for row in rows if scan.read[row]}
        repeated.update(rows[1:])
        across = _across(rows, parts)
        if across:
            _tell(opened, found, "duplicate-across-parts", rows, [parts[row] for row in rows])
        if len(labels) > 1:
            _tell(opened, found, "conflicting-labels", rows)
        elif not across:
            _tell(opened, found, "duplicate-windows", rows[1:], first=rows[0])
    told = [row for row in once if scan.edges[row] >= _LEAST_EDGES and row not in repeated]
    for rows in _groups(told, scan.label_digests):
        _tell(opened, found, "duplicate-labels", rows[1:], first=rows[0])


def parts_of(opened: Opened) -> list[str | None]:
    """(window,) the part or fold of each; None without one, and for what no part may use."""
    table = opened.index.table
    name = next((name for name in ("split", "fold") if name in table), None)
    if name is None:
        return [None] * len(table)
    cells = table[name].astype(str).tolist()
    return [None if cell in (DROPPED, "nan", "None") else f"{name} {cell}" for cell in cells]


def _once(opened: Opened, found: Findings) -> list[int]:
    """The first row of each window."""
    seen: dict[tuple[str, tuple[int, ...]], int] = {}
    once = []
    boxes: NDArray[np.int64] = opened.index.boxes
    for row, (mask, box) in enumerate(zip(opened.index.mask_paths, boxes.tolist(), strict=True)):
        first = seen.setdefault((mask, tuple(box)), row)
        if first == row or _images_differ(opened, first, row):
            once.append(row)
        else:
            _tell(opened, found, "row-repeated", [row], first=first)
    return once


def _images_differ(opened: Opened, one: int, other: int) -> bool:
    paths = opened.index.image_paths
    return paths is not None and paths[one] != paths[other]


def _groups(rows: Iterable[int], digests: Sequence[bytes | None]) -> list[list[int]]:
    """Rows of equal digests, where there are several."""
    by_digest = defaultdict[bytes, list[int]](list)
    for row in rows:
        digest = digests[row]
        if digest is not None:
            by_digest[digest].append(row)
    return [same for same in by_digest.values() if len(same) > 1]


def _across(rows: Sequence[int], parts: Sequence[str | None]) -> bool:
    return len({parts[row] for row in rows} - {None}) > 1


def _tell(
    opened: Opened,
    found: Findings,
    code: str,
    rows: Sequence[int],
    parts: Sequence[str | None] | None = None,
    *,
    first: int | None = None,
) -> None:
    """Each row with what it equals."""
    for place, row in enumerate(rows):
        other = first if first is not None else rows[0] if place else rows[1]
        detail = f"equals row {int(opened.rows[other])} of {opened.index.mask_paths[other]}"
        if parts is not None:
            detail = f"{parts[place]}; {detail}"
        window = opened.index.windows[row]
        example = Example(opened.index.mask_paths[row], int(opened.rows[row]), window, detail)
        found.add(code, example)
