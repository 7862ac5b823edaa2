"""What a prediction was made of: two parts of one map must have been made of the same."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any, Literal, Protocol, runtime_checkable

from pydantic import ValidationError

from geoseg.classes import ClassMap
from geoseg.errors import StoreError
from geoseg.grid import Grid
from geoseg.labels.base import Labels, LabelWriter
from geoseg.labels.blend import Blend
from geoseg.spec import FrozenMap, Spec
from geoseg.warn import warn

PREDICTION_TAG = "GEOSEG_PREDICTION"
"""What files call the text of a MadeBy."""

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
    pieces: tuple[int, int] | None = None
    """(rows, columns) of the pieces in which the scene is predicted; None: whole rows."""
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


class MadeBy(Spec):
    """What a finished map tells of its making: the same for one run, for a resumed one, and for shards."""

    format: Literal["geoseg-map/1"] = "geoseg-map/1"
    """What this is."""
    version: str
    """Of geoseg."""
    model: str | None
    """As in the Manifest; None where nobody told."""
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
    precision: str
    """Number format of the arithmetic."""
    notes: tuple[str, ...] = ()
    """What happened on the way for which scores may differ in the last digits."""

    @classmethod
    def of(cls, manifest: Manifest, notes: Iterable[str | None] = ()) -> MadeBy:
        """What a map tells of a manifest.

        Args:
            manifest: Of the whole map.
            notes: Of the runs that made it, from the first row to the last; None is none, and those that
                are equal are told once.
        """
        shared = {name: getattr(manifest, name) for name in _SHARED}
        told = dict.fromkeys(note for note in notes if note is not None)
        return cls(**shared, notes=tuple(told))


_SHARED = ("version", "model", "size", "stride", "blend", "batch_size", "tta", "precision")
"""Fields that a map takes over from its manifest: none that tells of files, machines or times."""


@runtime_checkable
class TellingWriter(Protocol):
    """A writer that can keep a text beside the labels."""

    def tell(self, text: str) -> None:
        """Keep a text in the file, as the tag GEOSEG_PREDICTION."""


def tell(writer: LabelWriter, made_by: MadeBy) -> None:
    """Let a map tell how it was made, if its writer can keep that; call it before the writer ends."""
    if isinstance(writer, TellingWriter):
        writer.tell(made_by.model_dump_json())


def tell_on(writer: LabelWriter, labels: Labels) -> None:
    """Let a copy of labels tell what they tell of how they were made.

    Warns:
        UserWarning: It cannot be read.
    """
    try:
        found = labels.made_by
    except StoreError as error:
        warn(f"{error}; the copy does not tell how it was made")
        return
    if found is not None:
        tell(writer, found)


def made_by_in(text: str | None, uri: str) -> MadeBy | None:
    """What a file tells; None where it tells nothing.

    Raises:
        StoreError: The text cannot be read.
    """
    if text is None:
        return None
    try:
        return MadeBy.model_validate_json(text)
    except ValidationError as error:
        raise StoreError(
            f"{uri}: the tag {PREDICTION_TAG} cannot be read ({error.error_count()} errors); another version "
            "of geoseg wrote it, or it was changed: predict again, or open it with that version"
        ) from error


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


def _date(nanoseconds: int) -> str:
    """Nanoseconds since 1970 as people read them, in UTC."""
    seconds, rest = divmod(nanoseconds, 10**9)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S}.{rest:09}"


def _comparable(manifest: Manifest, *, moved: bool) -> dict[str, str]:
    flat = dict(flattened(manifest.model_dump(mode="json", exclude={"machine", "files"})))
    seen: Counter[str] = Counter()
    for stamp in manifest.files:
        seen[stamp.name] += 1  # files of several folders may have one name
        number = f" (number {count})" if (count := seen[stamp.name]) > 1 else ""
        whole = stamp.model_dump(exclude={"name", "modified"} if moved else {"name"})
        if whole.get("modified") is not None:
            whole["modified"] = _date(whole["modified"])
        flat |= dict(flattened(whole, f"file {stamp.name}{number}"))
    return flat
