"""A digest of all that tells what is written, by which a run knows its own work again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic_core import PydanticSerializationError

from geoseg.errors import ConfigError
from geoseg.placed import is_path
from geoseg.prepare.tiling.inputs import Inputs
from geoseg.sampling.windowindex.note import digest_of_table
from geoseg.sources.cache import stamp

_FORMAT = 1
"""Of what is written; another one is made anew."""


def fingerprint_of(
    inputs: Inputs, settings: Mapping[str, Any], *, full_hash: bool = False
) -> str | None:
    """A digest of rows, files and settings; None where an image is an array in memory.

    Args:
        inputs: What is cut.
        settings: How.
        full_hash: Take files by their bytes, where else size and time of change are enough.
    """
    import pyarrow as pa

    index = inputs.index
    try:
        images = [image.model_dump(mode="json") for image in inputs.images]
    except (PydanticSerializationError, ConfigError):
        return None
    told = {
        "format": _FORMAT,
        "settings": dict(settings),
        "output": inputs.output,
        "resampling": inputs.resampling,
        "ignore_id": inputs.ignore_id,
        "binary": inputs.binary,
        "images": images,
        "files": [[uri, _bytes(uri) if full_hash else stamp(uri)] for uri in inputs.files],
        "masks": [index.masks, [index.grid_of(m).model_dump(mode="json") for m in index.masks]],
        "names": inputs.names,
        "rows": digest_of_table(pa.Table.from_pandas(index.table, preserve_index=False)),
        "boxes": hashlib.sha256(index.boxes.tobytes()).hexdigest(),
        "image_of": hashlib.sha256(inputs.image_of.tobytes()).hexdigest(),
    }
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def _bytes(uri: str) -> Any:
    """Names and digests of a file, or of those below a folder; of what is not here what else is known."""
    path = Path(uri)
    if not is_path(uri) or not path.exists():
        return stamp(uri)
    files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    return [[str(file.relative_to(path)), _digest(file)] for file in files]


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
