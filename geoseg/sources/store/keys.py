"""Keys of a store: what LMDB takes as one."""

from __future__ import annotations

from geoseg.errors import StoreError
from geoseg.sources.store.reader import MOST_KEY_BYTES


def check_key(key: str, uri: str) -> bytes:
    """A key as LMDB has it.

    Args:
        key: Name of a patch.
        uri: Begins the error text.

    Raises:
        StoreError: It is no text, empty or too long.
    """
    try:
        raw = key.encode()
    except UnicodeEncodeError as error:
        raise StoreError(f"{uri}: the key {key!r} is no text: {error}") from error
    if not 0 < len(raw) <= MOST_KEY_BYTES:
        raise StoreError(
            f"{uri}: the key {key!r} is {len(raw)} bytes long, expected 1 to {MOST_KEY_BYTES}; "
            "choose another name"
        )
    return raw


def key_twice(key: str, uri: str) -> StoreError:
    """The error for a key that is written twice."""
    return StoreError(f"{uri}: the key {key!r} is there twice; give each patch its own")
