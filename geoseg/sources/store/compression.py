"""Whole values in zstd: smaller, readable by geoseg alone; a value tells by its first bytes what it is.

A zstd frame begins with 28 B5 2F FD. As the length of a safetensors header these bytes would mean more than
4 GB, so that no safetensors value begins with them.
Source: RFC 8878, section 3.1.1.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from geoseg.errors import SourceError, StoreError

ZSTD = "zstd"
"""The name of the compression, as manifests have it."""
MOST_BYTES = 0xFFFFFFFF
"""LMDB's longest value: nothing that was stored is larger."""

_MAGIC = b"\x28\xb5\x2f\xfd"
_LEVEL = 3
_BLOCK_BYTES, _LEAST_BLOCK = 128 << 10, 3
"""A block holds so much, and takes at least so much: what claims to be smaller is none."""
_SINGLE_SEGMENT, _RESERVED = 0x20, 0x08
_DICTIONARY_BYTES = (0, 1, 2, 4)
_SIZE_BYTES = (0, 2, 4, 8)


def compressed(value: bytes) -> bytes:
    """A value as a zstd frame that tells its size; the same bytes for the same value and library.

    Raises:
        StoreError: It is larger than LMDB's values are.
    """
    if len(value) > MOST_BYTES:
        raise StoreError(f"it has {len(value)} bytes, expected at most {MOST_BYTES}; cut it up")
    frame: bytes = _codec().compress(value, asbytes=True)
    return frame


def compression_of(value: Any) -> str | None:
    """The name of the compression of a stored value; None: it is plain.

    Args:
        value: bytes, or a memoryview of them.
    """
    return ZSTD if value[:4] == _MAGIC else None


def plain(value: Any, *, where: str = "the value") -> Any:
    """The safetensors bytes of a stored value: those of a plain one as they are, without a copy.

    Args:
        value: bytes, or a memoryview of them.
        where: Begins the error text.

    Returns:
        The value itself, or a buffer of its own that may be written.

    Raises:
        SourceError: It is a zstd frame that is damaged, or tells no size or an absurd one.
    """
    if value[:4] != _MAGIC:
        return value
    size = _content_size(value, where)
    try:
        return memoryview(_codec().decompress(value, decompressed_size=size)).cast("B")
    except (OSError, ValueError) as error:  # pyarrow's for bytes that are no whole frame
        raise _damaged(where, f"it cannot be decompressed ({error})") from error
    except MemoryError as error:
        raise SourceError(
            f"{where}: is compressed and holds {size} bytes, more than there is memory for; read it on "
            "a larger machine"
        ) from error


def _content_size(value: Any, where: str) -> int:
    """The size that the frame's header tells, where a frame of this length can hold so much."""
    head = bytes(value[:18])  # the longest header of a frame
    at = len(_MAGIC) + 1
    mark = head[at - 1] if len(head) >= at else _RESERVED
    if mark & _RESERVED:
        raise _damaged(where, "its frame has no zstd header")
    single = bool(mark & _SINGLE_SEGMENT)
    at += (not single) + _DICTIONARY_BYTES[mark & 3]
    nbytes = _SIZE_BYTES[mark >> 6] or int(single)
    if not nbytes:
        raise SourceError(
            f"{where}: is compressed and does not tell the size of its content; write it with the "
            "content size in the frame, as zstd's one-step functions do"
        )
    field = head[at : at + nbytes]
    if len(field) < nbytes:
        raise _damaged(where, "its frame ends within the header")
    size = int.from_bytes(field, "little") + (256 if nbytes == 2 else 0)  # noqa: PLR2004
    most = min(len(value) // _LEAST_BLOCK * _BLOCK_BYTES, MOST_BYTES)
    if size > most:
        raise _damaged(
            where,
            f"its {len(value)} bytes claim to hold {size}, which is more than they can ({most})",
        )
    return size


def _damaged(where: str, what: str) -> SourceError:
    return SourceError(
        f"{where}: is no whole compressed value: {what}; it was cut or overwritten, write it again"
    )


@lru_cache(maxsize=1)
def _codec() -> Any:
    import pyarrow as pa

    return pa.Codec(ZSTD, compression_level=_LEVEL)
