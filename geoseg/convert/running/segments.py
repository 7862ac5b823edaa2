"""The files of a journal: how a line tells of a row or of a removed key, and reading what may be damaged."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from geoseg.errors import SourceError
from geoseg.sources.store.compression import plain

SUFFIX = ".rows"
GONE = b"-"
"""Stands where a row has its state."""
Line = tuple[bytes, bytes, Any]
"""The state of a row or `GONE`, the text, and what that is: a row, or a key."""


def segments(folder: Path) -> list[tuple[int, Path]]:
    """The segments in a folder by their numbers, in order; none where there is no folder."""
    found = [path for path in folder.glob(f"*{SUFFIX}") if path.stem.isdecimal()]
    return sorted((int(path.stem), path) for path in found)


def keys_noted(folder: Path) -> int:
    """How many patches a run has noted in a folder, whatever the state that is in."""
    keys: set[str] = set()
    for _, path in segments(folder):
        for line in lines_of(path) or []:
            if is_gone(line):
                keys.discard(line[2])
            else:
                keys.add(line[2]["key"])
    return len(keys)


def text_of(row: Mapping[str, Any]) -> bytes:
    """A row as a line has it."""
    return json.dumps(row, separators=(",", ":"), sort_keys=True).encode()


def is_gone(line: Line) -> bool:
    """Whether it tells of a key that was removed."""
    return line[0] == GONE


def lines_of(path: Path) -> list[Line] | None:
    """The lines of a segment; None where it is damaged."""
    try:
        return [_line(text) for text in bytes(plain(path.read_bytes())).split(b"\n")]
    except (OSError, SourceError, ValueError, RecursionError):
        return None


def _line(told: bytes) -> Line:
    """A line that was read.

    Raises:
        ValueError: It is none.
    """
    state, _, text = told.partition(b" ")
    found = json.loads(text)
    named = {"key": found, "sha256": ""} if state == GONE else found
    if not isinstance(named, dict) or not all(
        isinstance(named.get(name), str) for name in ("key", "sha256")
    ):
        raise ValueError("neither a row nor a key")
    return state, text, found
