"""The safetensors format: named arrays to one value of bytes, and back without a copy.

A value is the length of its header (u64, little-endian), the header (compact JSON, padded with spaces to
a multiple of 8 bytes) and the data of the arrays, one after the other. Headers are made and parsed once
for each set of names, dtypes and shapes. Source: https://huggingface.co/docs/safetensors.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import SourceError, StoreError

# In the order in which the arrays of a value lie, as the safetensors library writes them.
_DTYPES: dict[str, np.dtype[Any]] = {
    "U64": np.dtype("<u8"),
    "I64": np.dtype("<i8"),
    "F64": np.dtype("<f8"),
    "C64": np.dtype("<c8"),
    "F32": np.dtype("<f4"),
    "U32": np.dtype("<u4"),
    "I32": np.dtype("<i4"),
    "F16": np.dtype("<f2"),
    "U16": np.dtype("<u2"),
    "I16": np.dtype("<i2"),
    "I8": np.dtype("i1"),
    "U8": np.dtype("u1"),
    "BOOL": np.dtype("?"),
}
_CODES = {dtype: code for code, dtype in _DTYPES.items()}
_RANKS = {dtype: rank for rank, dtype in enumerate(_DTYPES.values())}

_METADATA = "__metadata__"
_NOTES = f'{{"{_METADATA}":{{'
"""How a header with notes begins, as libraries write it."""
_KEPT = 4096
"""Headers remembered; beyond that (every value has shapes of its own) they are forgotten together."""
_MOST_AXES = 32
_MOST_PIXELS = 1 << 56
"""numpy counts the bytes of an array in 63 bits, though another of its sides be 0."""
_ALIGNED = 8
"""What a header's length is a multiple of; also the bytes of that length."""

_Signature = tuple[tuple[str, str, tuple[int, ...]], ...]


@dataclass(frozen=True, slots=True, eq=False)
class Tensor:
    """Where one array lies in a value."""

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    offset: int
    """Bytes from the start of the value."""
    nbytes: int


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """What the header of a value says.

    Layouts whose headers are the same but for the notes are equal: they share their tensors.
    """

    tensors: Mapping[str, Tensor]
    """By name, in the order of the data: larger dtypes first, then by name (B1, B10, B2)."""
    size: int
    """Bytes of the whole value."""
    aligned: bool
    """Whether each array lies as its dtype wants where the value begins at a multiple of 8 bytes."""
    metadata: Mapping[str, str]
    """What the writer noted beside the arrays."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Layout) and self.tensors is other.tensors

    def __hash__(self) -> int:
        return id(self.tensors)


_written: dict[_Signature, tuple[bytes, tuple[str, ...]]] = {}
_parsed: dict[tuple[str, int], Layout] = {}


def encode(arrays: Mapping[str, NDArray[Any]], metadata: Mapping[str, str] | None = None) -> bytes:
    """The value of named arrays, byte for byte as `safetensors.numpy.save` gives it.

    Arrays of any memory order and byte order; their values are what is written.

    Args:
        arrays: By name.
        metadata: Notes beside the arrays, which any reader of safetensors takes. They are sorted, so that
            the same notes are the same bytes; the library's own order is random.

    Raises:
        StoreError: A dtype that the format or this library has no name for, a name it reserves, or a note
            that is no text.
    """
    given = {name: np.asarray(array) for name, array in arrays.items()}
    signature = tuple((name, array.dtype.str, array.shape) for name, array in given.items())
    known = _written.get(signature)
    if known is None:
        known = _header(given)
        _keep(_written, signature, known)
    header, names = known
    if metadata is not None:
        header = _with_notes(header, metadata)
    parts: list[Any] = [header, *(_in_order(given[name]) for name in names)]
    return b"".join(parts)


def layout_of(value: Any, *, where: str) -> Layout:
    """Where the arrays of a value lie; all of it is checked, so that no view reaches past the value.

    Args:
        value: bytes, or a memoryview of them.
        where: Begins the error text.

    Raises:
        SourceError: The value is damaged, is no safetensors value, or holds a dtype that numpy lacks.
    """
    if len(value) < _ALIGNED:
        raise _damaged(where, f"it is {len(value)} bytes long, too short for a header")
    (length,) = struct.unpack_from("<Q", value)
    start = _ALIGNED + length
    if start > len(value):
        raise _damaged(where, f"its header of {length} bytes reaches past its {len(value)} bytes")
    layout = _layout(bytes(value[_ALIGNED:start]), where)
    if layout.size != len(value):
        raise _damaged(where, f"it is {len(value)} bytes long, its header tells of {layout.size}")
    return layout


def view(value: Any, tensor: Tensor) -> NDArray[Any]:
    """An array over the memory of a value, read-only where that is."""
    return np.ndarray(tensor.shape, tensor.dtype, value, tensor.offset)


def views(value: Any, layout: Layout, names: Iterable[str]) -> dict[str, NDArray[Any]]:
    """Arrays of a value over its memory; those that are not aligned there are copies."""
    tensors, array = layout.tensors, np.ndarray  # names that are near: this is what reading takes
    chosen = [tensors[name] for name in names]
    found = {t.name: array(t.shape, t.dtype, value, t.offset) for t in chosen}
    if layout.aligned and array((1,), np.uint64, value).flags.aligned:
        return found
    return {name: aligned(part) for name, part in found.items()}


def aligned(array: NDArray[Any]) -> NDArray[Any]:
    """The array, copied if it does not lie in memory as its dtype wants."""
    return array if array.flags.aligned else array.copy()


def _keep(cache: dict[Any, Any], key: Any, item: Any) -> None:
    if len(cache) >= _KEPT:
        cache.clear()
    cache[key] = item


def _in_order(array: NDArray[Any]) -> NDArray[Any]:
    """The array in C order and little-endian, so that its memory is what is written."""
    return array.astype(array.dtype.newbyteorder("<"), order="C", copy=False)


def _header(arrays: Mapping[str, NDArray[Any]]) -> tuple[bytes, tuple[str, ...]]:
    """The bytes before the data, and the names in the order of the data."""
    dtypes = {name: array.dtype.newbyteorder("<") for name, array in arrays.items()}
    for name, dtype in dtypes.items():
        if dtype not in _CODES:
            raise StoreError(
                f"the array {name!r} is {arrays[name].dtype}, expected one of: "
                f"{', '.join(sorted(str(known) for known in _CODES))}; convert it with astype"
            )
    if _METADATA in arrays:
        raise StoreError(f"an array is called {_METADATA!r}, which the format reserves; rename it")
    names = tuple(sorted(arrays, key=lambda name: (_RANKS[dtypes[name]], name.encode())))
    entries, offset = {}, 0
    for name in names:
        array, first = arrays[name], offset
        offset += array.nbytes
        entries[name] = {
            "dtype": _CODES[dtypes[name]],
            "shape": list(array.shape),
            "data_offsets": [first, offset],
        }
    return _framed(_json(entries)), names


def _json(entries: Mapping[str, Any]) -> bytes:
    return json.dumps(entries, separators=(",", ":"), ensure_ascii=False).encode()


def _framed(text: bytes) -> bytes:
    """The text of a header with its length before it, and spaces up to a whole number of words."""
    text += b" " * (-len(text) % _ALIGNED)
    return struct.pack("<Q", len(text)) + text


def _with_notes(header: bytes, metadata: Mapping[str, str]) -> bytes:
    """The header with notes before the arrays, which is where the library puts them."""
    given: Mapping[Any, Any] = metadata
    for name, note in given.items():
        if not isinstance(name, str) or not isinstance(note, str):
            raise StoreError(
                f"the note {name!r}: {note!r} is no text; make it text, as by json.dumps"
            )
    try:
        notes = _json({_METADATA: dict(sorted(metadata.items()))})
    except UnicodeEncodeError as error:
        raise StoreError(f"the notes {dict(metadata)!r} are no text: {error}") from error
    entries = header[_ALIGNED:].rstrip()
    return _framed(notes[:-1] + (b"," if len(entries) > len(b"{}") else b"") + entries[1:])


def _layout(header: bytes, where: str) -> Layout:
    """What a header says: parsed once for all headers that differ in nothing but their notes."""
    try:
        notes, rest = _notes_apart(header.decode())
        layout = _parsed.get((rest, len(header)))
        if layout is None:
            layout = _parse(rest, _ALIGNED + len(header), where)
            _keep(_parsed, (rest, len(header)), layout)
    except (ValueError, RecursionError) as error:  # also for bytes that are no UTF-8
        raise _damaged(where, f"its header is no JSON: {error}") from error
    if notes is None:
        return layout
    if layout.metadata:
        raise _damaged(where, f"its header is no JSON: {_METADATA} is there twice")
    return replace(layout, metadata=_checked(notes, where))


def _notes_apart(text: str) -> tuple[Any, str]:
    """(the notes, a header without them), where the notes stand before the arrays; else (None, text)."""
    if not text.startswith(_NOTES):
        return None, text
    notes, end = _decoder.raw_decode(text, len(_NOTES) - 1)
    if text[end : end + 2] != ',"':
        return None, text
    return notes, "{" + text[end + 1 :]


def _checked(notes: Any, where: str) -> dict[str, str]:
    if not isinstance(notes, dict):
        raise _damaged(where, f"{_METADATA} is no JSON object")
    for name, note in notes.items():
        if not isinstance(note, str):
            raise _damaged(where, f"the note {name!r} in {_METADATA} is {note!r}, expected text")
    return notes


def _parse(header: str, start: int, where: str) -> Layout:
    """What a header says.

    Args:
        header: Its text.
        start: The byte of the value at which the data begin.
        where: Begins the error text.
    """
    entries = json.loads(header, object_pairs_hook=_without_doubles)
    if not isinstance(entries, dict):
        raise _damaged(where, "its header is no JSON object")
    metadata = _checked(entries.pop(_METADATA, {}), where)
    end = start
    tensors = sorted(
        (_tensor(name, entry, start, where) for name, entry in entries.items()),
        key=lambda tensor: (tensor.offset, tensor.nbytes),
    )
    for tensor in tensors:
        if tensor.offset != end:
            raise _damaged(
                where,
                f"{tensor.name!r} begins at byte {tensor.offset - start} of the data, expected "
                f"{end - start}",
            )
        end += tensor.nbytes
    named = {tensor.name: tensor for tensor in tensors}
    aligned = all(tensor.offset % tensor.dtype.itemsize == 0 for tensor in tensors)
    return Layout(named, end, aligned, metadata)


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name is there twice")
    return found


_decoder = json.JSONDecoder(object_pairs_hook=_without_doubles)


def _tensor(name: str, entry: Any, start: int, where: str) -> Tensor:
    try:
        code, shape, (first, end) = entry["dtype"], tuple(entry["shape"]), entry["data_offsets"]
    except (TypeError, KeyError, ValueError) as error:
        raise _damaged(where, f"{name!r} is no entry of dtype, shape and data_offsets") from error
    numbers = (*shape, first, end)
    whole = all(type(number) is int and number >= 0 for number in numbers)  # True is no size
    if not whole or len(shape) > _MOST_AXES:
        raise _damaged(where, f"{name!r} has shape {shape} at bytes {first} to {end}")
    if not isinstance(code, str) or code not in _DTYPES:
        raise SourceError(
            f"{where}: {name!r} is {code}, which numpy does not know; expected one of: "
            f"{', '.join(_DTYPES)}; convert it to F32 and write it again"
        )
    nbytes = math.prod(shape) * _DTYPES[code].itemsize
    if end - first != nbytes:
        raise _damaged(
            where, f"{name!r} is {code} {shape}, {nbytes} bytes, but has {end - first} bytes"
        )
    if math.prod(max(side, 1) for side in shape) > _MOST_PIXELS:
        raise _damaged(where, f"{name!r} has shape {shape}, more than numpy counts")
    return Tensor(name, _DTYPES[code], shape, start + first, nbytes)


def _damaged(where: str, what: str) -> SourceError:
    return SourceError(
        f"{where}: is no whole safetensors value: {what}; it was cut or overwritten, write it again"
    )
