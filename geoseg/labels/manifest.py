"""What a prediction was made of: two parts of one map must have been made of the same."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Literal

from geoseg.classes import ClassMap
from geoseg.grid import Grid
from geoseg.labels.blend import Blend
from geoseg.spec import FrozenMap, Spec

_TOLD = 3
"""Differences that an error names; more are counted."""


class FileStamp(Spec):
    """A file of the input, as it was."""

    name: str
    """Without its folder, which may differ from machine to machine."""
    size: int | None
    """Bytes; None for what is no local file."""
    modified: int | None
    """Nanoseconds since 1970, as the file system tells; copies have another."""
    digest: str | None
    """SHA-256 of its first and last bytes."""


class Manifest(Spec):
    """The input, the model and the parameters of a prediction."""

    format: Literal["geoseg-prediction/1"] = "geoseg-prediction/1"
    """What this is."""
    version: str
    """Of geoseg."""
    scene: FrozenMap[str, str]
    """The image and the AOI: path of a field to its value."""
    files: tuple[FileStamp, ...]
    """The files of both."""
    model: str
    """SHA-256 of the weights and of how the model is built."""
    grid: Grid
    """Of the whole scene."""
    classes: ClassMap
    """Of the map."""
    size: tuple[int, int]
    """(height, width) of a window."""
    stride: tuple[int, int]
    """Pixels from window to window."""
    blend: Blend
    """How windows are joined."""
    batch_size: int
    """Windows in a step."""
    tta: str | None
    """Transforms that are averaged."""
    precision: str = "32"
    """Number format of the arithmetic."""
    scores: bool
    """Whether scores are kept too."""
    machine: FrozenMap[str, str] = FrozenMap()
    """What computes: between machines scores may differ in the last digits."""

    def differences(self, before: Manifest, *, moved: bool = False) -> str | None:
        """What is not as it was in an earlier manifest, in words; None where nothing is.

        Args:
            before: The earlier one.
            moved: The files may be copies: when they were modified does not count.
        """
        ours, theirs = (_comparable(manifest, moved=moved) for manifest in (self, before))
        found = [
            f"{key} is {ours.get(key, 'missing')}, was {theirs.get(key, 'missing')}"
            for key in sorted({*ours, *theirs})
            if ours.get(key) != theirs.get(key)
        ]
        if not found:
            return None
        more = f"; and {len(found) - _TOLD} more differences" if len(found) > _TOLD else ""
        return "; ".join(found[:_TOLD]) + more


class Part(Spec):
    """Some rows of a prediction."""

    manifest: Manifest
    """Of the whole."""
    rows: tuple[int, int]
    """The first row, and the one after the last."""
    notes: tuple[str, ...] = ()
    """What happened on the way for which scores may differ in the last digits."""

    def with_note(self, note: str | None) -> Part:
        """The same with a note more; None is none."""
        if note is None or note in self.notes:
            return self
        return self.model_copy(update={"notes": (*self.notes, note)})


def flattened(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """(path of a field, its value as JSON) of nested mappings; lists of plain values stay whole."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from flattened(item, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list | tuple) and any(isinstance(v, dict | list | tuple) for v in value):
        for i, item in enumerate(value):
            yield from flattened(item, f"{path}.{i}" if path else str(i))
    else:
        yield path, value if isinstance(value, str) else json.dumps(value)


def _comparable(manifest: Manifest, *, moved: bool) -> dict[str, str]:
    flat = dict(flattened(manifest.model_dump(mode="json", exclude={"machine", "files"})))
    for stamp in manifest.files:
        whole = stamp.model_dump(exclude={"name", "modified"} if moved else {"name"})
        flat |= dict(flattened(whole, f"file {stamp.name}"))
    return flat
