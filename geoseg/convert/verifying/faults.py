"""Faults: what is found to differ between a store and its originals."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

FaultKind = Literal[
    "missing",
    "extra",
    "damaged",
    "hash",
    "names",
    "dtype",
    "shape",
    "values",
    "file",
    "manifest",
    "place",
]
_KEPT = 1000
"""Faults that are kept; of a wrong folder there would be millions."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is not as it should be."""

    kind: FaultKind
    """missing: a source without key; extra: a key without source; damaged: the value is no safetensors;
    hash: it is not what the manifest has the sha256 of; names, dtype, shape, values: of its tensors; file:
    the original cannot be read, or is no mask; manifest: what it tells is not so, or is not told; place: an
    original lies on other ground than the largest of its patch."""
    key: str
    text: str
    """The whole fault in words."""
    tensor: str | None = None
    file: str | None = None
    """The original."""
    row: int | None = None
    """Of the first pixel that differs."""
    col: int | None = None
    stored: str | None = None
    """What the store has there."""
    expected: str | None = None
    """What the original has there."""
    count: int | None = None
    """Pixels that differ."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, without those that are not known."""
        return {name: value for name, value in asdict(self).items() if value is not None}


@dataclass(slots=True)
class Faults:
    """Collects faults: all are counted, the first ones kept."""

    kept: list[Fault] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    """{kind: how many}."""
    keys: set[str] = field(default_factory=set)
    """The patches with a fault."""

    def add(self, fault: Fault) -> None:
        """One more."""
        self.counts[fault.kind] = self.counts.get(fault.kind, 0) + 1
        self.keys.add(fault.key)
        if len(self.kept) < _KEPT:
            self.kept.append(fault)
