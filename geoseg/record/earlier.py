"""What an earlier run has left about itself in a folder."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from geoseg.record.run import FACTS, FORMAT

_PART = ("started", "ended", "status")


def earlier_facts(folder: Path) -> dict[str, Any] | None:
    """The facts of the run that was in this folder; None where there was none, or they cannot be read."""
    try:
        found = json.loads((folder / FACTS).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) and found.get("format") == FORMAT else None


def parts_so_far(facts: dict[str, Any]) -> list[dict[str, Any]]:
    """When each part of a run began, when it ended and how, the last one too: for the run that goes on."""
    before = facts.get("parts_before")
    known = before if isinstance(before, list) else []
    return [*known, {key: facts.get(key) for key in _PART}]


def differences(one: Any, other: Any, path: str = "") -> Iterator[tuple[str, Any, Any]]:
    """(path, value, value) of each place at which two trees of plain values differ; None: not there."""
    if isinstance(one, dict) and isinstance(other, dict):
        for key in dict.fromkeys((*one, *other)):
            below = f"{path}.{key}" if path else str(key)
            yield from differences(one.get(key), other.get(key), below)
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for place, (here, there) in enumerate(zip(one, other, strict=True)):
            yield from differences(here, there, f"{path}.{place}")
    elif one != other:
        yield path, one, other
