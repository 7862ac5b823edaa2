"""Which of several stores a patch belongs in, by its key alone."""

from __future__ import annotations

from hashlib import blake2b

from geoseg.errors import ConfigError

_HASH_BYTES = 8


def shard_of_key(key: str, count: int) -> int:
    """The number of a key's store, from 0: the same on every machine, in every process, for ever.

    The first 8 bytes of BLAKE2b of the key's UTF-8 as a big-endian number, modulo the count.

    >>> [shard_of_key(key, 4) for key in ("a", "b", "c")]
    [3, 1, 3]

    Raises:
        ConfigError: There is no such count of stores.
    """
    if count < 1:
        raise ConfigError(f"the number of shards is {count}, expected 1 or more")
    digest = blake2b(key.encode("utf-8", "surrogateescape"), digest_size=_HASH_BYTES).digest()
    return int.from_bytes(digest, "big") % count
