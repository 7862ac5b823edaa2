"""What geoseg notes with an index that it writes: how it was made, and that nobody changed it since."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, astuple, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from geoseg.grid import Grid
from geoseg.sampling.windowindex.boxes import Outside
from geoseg.sampling.windowindex.paths import relative_to
from geoseg.sources.cache import stamp
from geoseg.window import Edge, Size, pair

FORMAT = 1
"""Of the note and of the table; another one is made anew."""
IN_PARQUET = b"geoseg"
"""The key in the metadata of a Parquet file's schema."""


@dataclass(frozen=True, slots=True)
class MaskState:
    """A mask as it was when the index was built."""

    path: str
    """As it is written in the index."""
    size: int | None
    """Bytes; None for what is no local file."""
    mtime_ns: int | None
    """When it was last changed; None for what is no local file."""
    grid: dict[str, Any]
    """Its CRS, transform, height and width."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """What an index was built of: the same again gives the same windows."""

    patch_size: tuple[int, int]
    """(height, width) in pixels."""
    stride: tuple[int, int]
    """(rows, columns) in pixels."""
    edge: Edge
    """What happens at the last row and column."""
    masks: tuple[MaskState, ...] = ()
    """In their order."""

    @classmethod
    def of(cls, patch_size: Size, stride: Size | None, edge: Edge) -> Recipe:
        """From what the user gives."""
        size = pair(patch_size)
        return cls(size, size if stride is None else pair(stride), edge)

    def of_masks(self, masks: tuple[MaskState, ...]) -> Recipe:
        """The same for certain masks."""
        return replace(self, masks=masks)


@dataclass(frozen=True, slots=True)
class MaskFile:
    """What rows of a mask do not tell of it.

    Its place is told by the bounds and the CRS of its rows. When it was changed is left out: the same
    windows of the same masks are to give the same bytes.
    """

    height: int
    """Pixels."""
    width: int
    """Pixels."""
    size: int | None
    """Bytes; None for what is no local file."""


@dataclass(frozen=True, slots=True)
class Note:
    """What is known of an index that geoseg wrote."""

    content: str
    """A digest of all rows and columns."""
    key: str
    """The column of the masks."""
    outside: Outside
    """"pad" where windows may reach past their masks."""
    built: Recipe | None
    """None where it holds more than regular windows, or only some of them: it cannot be made anew."""
    masks: tuple[MaskFile, ...] = ()
    """In the order in which rows name them first."""
    format: int = FORMAT

    def to_json(self) -> str:
        """As text, the same for the same note."""
        told = {**asdict(replace(self, masks=())), "masks": [list(astuple(m)) for m in self.masks]}
        return json.dumps(told, sort_keys=True, allow_nan=False)

    @classmethod
    def from_json(cls, text: str | bytes) -> Note | None:
        """The note; None where it is no note that this release can read."""
        try:
            found = json.loads(text)
            built = found.pop("built")
            if built is not None:
                masks = tuple(MaskState(**mask) for mask in built.pop("masks"))
                size, stride = tuple(built.pop("patch_size")), tuple(built.pop("stride"))
                built = Recipe(size, stride, **built, masks=masks)
            files = tuple(MaskFile(*mask) for mask in found.pop("masks", ()))
            return cls(**found, built=built, masks=files)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return None


def side_note(uri: str) -> Path:
    """Where the note of a CSV file lies."""
    path = Path(uri)
    return path.with_name(f"{path.name}.geoseg.json")


def states_of(
    masks: Sequence[str], grids: Sequence[Grid], *, folder: Path
) -> tuple[MaskState, ...]:
    """The masks as they are now, for an index in a folder."""
    states = []
    for path, mask, grid in zip(relative_to(folder, masks), masks, grids, strict=True):
        mtime, size = stamp(mask) or (None, None)
        told = grid.model_dump(mode="json")
        states.append(MaskState(path=path, size=size, mtime_ns=mtime, grid=told))
    return tuple(states)


def files_of(masks: Sequence[str], grids: Sequence[Grid]) -> tuple[MaskFile, ...]:
    """The files of masks as they are now."""
    sizes = [(stamp(mask) or (None, None))[1] for mask in masks]
    return tuple(MaskFile(g.height, g.width, s) for g, s in zip(grids, sizes, strict=True))


def differences(old: Note, key: str, wanted: Recipe) -> list[str]:
    """What a built index differs in from what is wanted, in words; nothing where it is that."""
    if old.format != FORMAT or old.built is None:
        return [f"its format was {old.format}, is {FORMAT}"]
    found = [] if old.key == key else [f"the mask column was {old.key!r}, is {key!r}"]
    for name in ("patch_size", "stride", "edge"):
        before, now = getattr(old.built, name), getattr(wanted, name)
        if before != now:
            found.append(f"{name} was {_shown(before)}, is {_shown(now)}")
    return found + _differences_of_masks(old.built.masks, wanted.masks)


def _differences_of_masks(old: Sequence[MaskState], new: Sequence[MaskState]) -> list[str]:
    before, now = {mask.path: mask for mask in old}, {mask.path: mask for mask in new}
    found = _named("new", [path for path in now if path not in before])
    found += _named("no longer wanted", [path for path in before if path not in now])
    for name, text in (
        ("grid", "has another grid"),
        ("size", "has another size"),
        ("mtime_ns", "was changed"),
    ):
        common = [path for path in now if path in before]
        changed = [
            path for path in common if getattr(before[path], name) != getattr(now[path], name)
        ]
        found += _named(text, changed)
    if not found and list(before) != list(now):
        found.append("the masks come in another order")
    return found


def _named(what: str, paths: Sequence[str]) -> list[str]:
    if not paths:
        return []
    more = f" (and {len(paths) - 1} more masks)" if len(paths) > 1 else ""
    return [f"the mask {paths[0]} {'is ' if what.startswith('n') else ''}{what}{more}"]


def _shown(value: Any) -> str:
    return f"{value[0]} x {value[1]}" if isinstance(value, tuple) else repr(value)


def digest_of_table(table: Any) -> str:
    """A digest of the content of an Arrow table, whatever its encoding in a file."""
    import pyarrow as pa

    digest = hashlib.sha256()
    for name, column in zip(table.column_names, table.columns, strict=True):
        kind = str(column.type).removeprefix("large_")
        digest.update(f"{name}\0{kind}\0{len(column)}\0".encode())
        if pa.types.is_integer(column.type) or pa.types.is_floating(column.type):
            digest.update(np.packbits(column.is_valid().to_numpy()).tobytes())
            digest.update(column.fill_null(0).to_numpy().tobytes())
        else:
            for cell in column.to_pylist():
                digest.update(_bytes(cell))
    return digest.hexdigest()


def _bytes(cell: Any) -> bytes:
    data = cell if isinstance(cell, bytes) else repr(cell).encode("utf-8", "surrogatepass")
    return len(data).to_bytes(8, "big") + data


def digest_of_bytes(data: bytes) -> str:
    """A digest of a file's bytes."""
    return hashlib.sha256(data).hexdigest()
