"""The hidden folder beside an output: where it is, what it lists, and how it is emptied."""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path

from geoseg.labels.bandfile import Told
from geoseg.labels.manifest import Part
from geoseg.outputs import check_names
from geoseg.runlock import LOCK
from geoseg.spec import FrozenMap, Spec

_LIST = "state.json"


class KeptList(Spec):
    """What a folder holds."""

    part: Part
    """What is predicted."""
    bands: FrozenMap[int, Told]
    """Number of a finished band to what tells its file."""
    drafts: tuple[str, ...]
    """Names of hidden folders beside this one in which a writer of the output has begun."""


def folder_of(uri: str) -> Path:
    """Where the finished bands of an output are kept.

    Raises:
        StoreError: The output cannot be named so.
    """
    (path,) = check_names((uri,))
    return path.with_name(f".{path.name}.resume")


def listed_in(folder: Path) -> KeptList | None:
    """The list in a folder; None where there is none.

    Raises:
        OSError: It cannot be read.
        ValueError: It is damaged.
    """
    try:
        return KeptList.model_validate_json((folder / _LIST).read_bytes())
    except FileNotFoundError:
        return None


def write_list(folder: Path, kept: KeptList) -> None:
    """Put a list in the place of the one before; at any time there is one or the other.

    Raises:
        OSError: It cannot be written.
    """
    draft = folder / f"{_LIST}.new"
    draft.write_text(kept.model_dump_json(), encoding="utf-8")
    draft.replace(folder / _LIST)


def clear(folder: Path) -> None:
    """Remove all that is in a folder but its lock; what cannot be removed stays."""
    for path in list(folder.iterdir()) if folder.is_dir() else []:
        if path.name == LOCK:
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            with suppress(OSError):
                path.unlink()
