"""By what a step that was done is known again: what it was told, and the files it read and wrote."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from geoseg.errors import SourceError
from geoseg.placed import is_path
from geoseg.prepare.pipeline.step import Step
from geoseg.version import __version__


def key_of(step: Step, inputs: dict[str, Any]) -> str:
    """A digest of a step's arguments, of its inputs, and of the version of geoseg.

    Args:
        step: The step.
        inputs: What they are like, see `inputs_of`.
    """
    facts = {
        "geoseg": __version__,
        "step": step.model_dump(mode="json", by_alias=True),
        "inputs": inputs,
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def inputs_of(step: Step, *, full_hash: bool) -> dict[str, Any]:
    """{input: what it is like}.

    Args:
        step: The step.
        full_hash: Read the inputs through, where else size and time of change are enough.

    Raises:
        SourceError: An input is missing.
    """
    found: dict[str, Any] = {}
    for uri in step.inputs():
        if not is_path(uri):
            found[uri] = None  # of what is not here only the name is known
        elif not Path(uri).exists():
            raise SourceError(f"{uri}: is missing, and a step reads it; make it, or mend the path")
        else:
            found[uri] = like(Path(uri), full_hash=full_hash)
    return found


def outputs_of(step: Step) -> dict[str, Any] | None:
    """{output: what it is like}; None where one is missing."""
    paths = [Path(uri) for uri in step.outputs()]
    if not all(path.exists() for path in paths):
        return None
    return {str(path): like(path, full_hash=False) for path in paths}


def like(path: Path, *, full_hash: bool) -> list[Any]:
    """Of each file, below a folder too: its name, size and time of change, or its digest."""
    files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())
    base = path.parent if path.is_file() else path
    return [[p.relative_to(base).as_posix(), *_file(p, full_hash=full_hash)] for p in _seen(files)]


def _seen(files: Iterable[Path]) -> Iterable[Path]:
    """Without what is hidden: drafts and locks."""
    return (path for path in files if not path.name.startswith("."))


def _file(path: Path, *, full_hash: bool) -> list[Any]:
    facts = path.stat()
    if not full_hash:
        return [facts.st_size, facts.st_mtime_ns]
    with path.open("rb") as file:
        return [facts.st_size, hashlib.file_digest(file, "sha256").hexdigest()]
