"""Names of the files of volumes in a folder, and those that an earlier run has left."""

from __future__ import annotations

import csv
from collections.abc import Callable
from itertools import count
from pathlib import Path

from geoseg.volumes.exporting.layers import Kind

INDEX, CLASSES = "index.csv", "classes.yaml"
"""Files beside the volumes: what lies where, and what the ids mean."""
SCORES = ".scores"
"""What follows the stem of a volume in the names of its scores."""
_DIGITS = 3
"""Of the numbers of planes, unless there are more."""
_MOST_DIGITS = 7
"""Of numbers of planes that are looked for."""


def files_of(base: str, kind: Kind, *, depth: int) -> list[str]:
    """The files of one volume's masks, or of its scores.

    >>> files_of("a", "tiff", depth=2), files_of("a.scores", "geotiff", depth=2)
    (['a.tif'], ['a.scores_000.tif', 'a.scores_001.tif'])
    """
    if kind == "geotiff":
        digits = max(len(str(depth - 1)), _DIGITS)
        return [_plane(base, plane, digits) for plane in range(depth)]
    return [f"{base}.npy" if kind == "npy" else f"{base}.tif"]


def left_of(base: str, kind: Kind, folder: Path, *, kept: Callable[[str], bool]) -> list[Path]:
    """Files that an earlier run has left where it wrote these masks or scores, the last plane first.

    Numbers of planes have no gaps, so that what follows one is not of that run: a file of somebody else.

    Args:
        base: What the names begin with.
        kind: Of the files.
        folder: Where they are.
        kept: Whether a file of a name is not meant.
    """
    if kind != "geotiff":
        return [
            folder / name
            for name in files_of(base, kind, depth=1)
            if not kept(name) and (folder / name).is_file()
        ]
    found = []
    for digits in range(_DIGITS, _MOST_DIGITS + 1):
        for plane in count():
            name = _plane(base, plane, digits)
            if not kept(name):
                if len(str(plane)) > digits or not (folder / name).is_file():
                    break
                found.append(folder / name)
    return found[::-1]


def owners_of(folder: Path) -> dict[str, str]:
    """File to volume, as the index of an earlier run tells; empty where there is none."""
    try:
        with (folder / INDEX).open(newline="", encoding="utf-8") as file:
            return {row["file"]: row["volume"] for row in csv.DictReader(file)}
    except (OSError, ValueError, KeyError, csv.Error):
        return {}


def _plane(base: str, plane: int, digits: int) -> str:
    return f"{base}_{plane:0{digits}d}.tif"
