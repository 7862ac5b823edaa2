"""What a check finds: one Finding for each kind of defect, with some examples."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from geoseg.prepare.checking.kinds import KINDS, SEVERITIES, Severity
from geoseg.window import Window

EXAMPLES = 20
"""Of a finding at most."""
_OF_ONE_FILE = 5
"""Examples of one file, so that others are seen too."""
_SINGLE = {"classes": "class"}
_FILES = 1000
"""That a finding lists."""


@dataclass(frozen=True, slots=True)
class Example:
    """One place where something was found."""

    file: str | None = None
    """The mask or image; None where it is about the whole index."""
    row: int | None = None
    """Of the index's file, from 0."""
    window: Window | None = None
    """In pixels of the mask."""
    detail: str = ""
    """What is there."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; the window as row, col, height, width."""
        w = self.window
        window = None if w is None else [w.row, w.col, w.height, w.width]
        return {"file": self.file, "row": self.row, "window": window, "detail": self.detail}


@dataclass(frozen=True, slots=True)
class Finding:
    """A defect, or what is worth a word, wherever it was found."""

    code: str
    """A short name that stays the same, as "unknown-ids"."""
    severity: Severity
    """"error": training on it fails or learns what is wrong; "warning": look at it; "note": know it."""
    title: str
    """What was found."""
    count: int
    """How many `unit` have it."""
    unit: str
    """What is counted, as "windows"."""
    cure: str
    """What to do."""
    examples: tuple[Example, ...]
    """The first places, 5 of a file and 20 in all at most."""
    files: Mapping[str, int]
    """{mask or image: how many places of it}, 1000 at most."""
    rows: tuple[int, ...] = ()
    """All rows of the index's file that have it, from 0; not in `to_dict`."""

    @property
    def how_many(self) -> str:
        """The count with its unit, as "1 window" or "12 windows"."""
        unit = self.unit if self.count != 1 else _SINGLE.get(self.unit, self.unit[:-1])
        return f"{self.count:,} {unit}"

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "code": self.code,
            "severity": self.severity,
            "title": self.title,
            "count": self.count,
            "unit": self.unit,
            "cure": self.cure,
            "files": dict(self.files),
            "examples": [example.to_dict() for example in self.examples],
        }


@dataclass
class _Open:
    """A finding that is still being added to."""

    severity: Severity
    count: int = 0
    examples: list[Example] = field(default_factory=list)
    files: Counter[str] = field(default_factory=Counter)
    rows: list[int] = field(default_factory=list)


class Findings:
    """Collects what is found; memory does not grow with the number of places, but for row numbers."""

    def __init__(self) -> None:
        self._open: dict[str, _Open] = {}

    def add(
        self,
        code: str,
        example: Example | None = None,
        *,
        count: int = 1,
        severity: Severity | None = None,
    ) -> None:
        """Note a place.

        Args:
            code: One of KINDS.
            example: Where, and what is there.
            count: For how many it stands.
            severity: Another than the kind's own.
        """
        found = self._open.setdefault(code, _Open(severity or KINDS[code].severity))
        found.count += count
        if example is None:
            return
        seen = 0 if example.file is None else found.files[example.file]
        if len(found.examples) < EXAMPLES and seen < _OF_ONE_FILE:
            found.examples.append(example)
        if example.file is not None:
            found.files[example.file] += 1
        if example.row is not None:
            found.rows.append(example.row)

    def has(self, code: str) -> bool:
        """Whether there is any of a kind."""
        return code in self._open

    def all(self) -> tuple[Finding, ...]:
        """Errors first, then as the kinds are ordered."""
        order = {code: place for place, code in enumerate(KINDS)}
        found = [_closed(code, opened) for code, opened in self._open.items()]
        found.sort(key=lambda f: (SEVERITIES.index(f.severity), order[f.code]))
        return tuple(found)


def _closed(code: str, found: _Open) -> Finding:
    kind = KINDS[code]
    return Finding(
        code=code,
        severity=found.severity,
        title=kind.title,
        count=found.count,
        unit=kind.unit,
        cure=kind.cure,
        examples=tuple(found.examples),
        files=dict(itertools.islice(found.files.items(), _FILES)),
        rows=tuple(sorted(set(found.rows))),
    )
