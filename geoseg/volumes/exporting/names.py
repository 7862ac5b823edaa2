"""Names of the files of volumes in a folder, and of which volume an earlier run wrote them."""

from __future__ import annotations

import csv
import re
from pathlib import Path

from geoseg.errors import StoreError
from geoseg.volumes.exporting.layers import Kind

INDEX, CLASSES = "index.csv", "classes.yaml"
"""Files beside the volumes: what lies where, and what the ids mean."""
COLUMNS = ("volume", "plane", "time", "file")
"""Of the index."""
SCORES = ".scores"
"""What follows the stem of a volume in the names of its scores."""
_DIGITS = 3
"""Of the numbers of planes, unless there are more."""


def files_of(base: str, kind: Kind, *, depth: int) -> list[str]:
    """The files of one volume's masks, or of its scores.

    >>> files_of("a", "tiff", depth=2), files_of("a.scores", "geotiff", depth=2)
    (['a.tif'], ['a.scores_000.tif', 'a.scores_001.tif'])
    """
    if kind == "geotiff":
        digits = max(len(str(depth - 1)), _DIGITS)
        return [_plane(base, plane, digits) for plane in range(depth)]
    return [f"{base}.npy" if kind == "npy" else f"{base}.tif"]


def is_one_of(file: str, base: str, kind: Kind) -> bool:
    """Whether a name is one that `files_of` gives, of however many planes.

    >>> is_one_of("a_0012.tif", "a", "geotiff"), is_one_of("a_x.tif", "a", "geotiff")
    (True, False)
    """
    if kind == "geotiff":
        return re.fullmatch(rf"{re.escape(base)}_[0-9]{{{_DIGITS},}}\.tif", file) is not None
    return [file] == files_of(base, kind, depth=1)


def owners_of(folder: Path) -> dict[str, str] | None:
    """File to volume, as the index of an earlier run tells; None where there is none.

    Raises:
        StoreError: There is an index of something else, or it cannot be read.
    """
    path = folder / INDEX
    try:
        with path.open(newline="", encoding="utf-8") as file:
            head, *rows = csv.reader(file)
            if tuple(head) == COLUMNS:
                return {name: volume for volume, _, _, name in filter(None, rows)}
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise StoreError(
            f"{path}: cannot be read: {error.strerror}; name another folder"
        ) from error
    except (ValueError, csv.Error):
        pass  # not a table, or not of these columns: told below
    raise StoreError(
        f"{path}: is not an index of volumes, expected the columns {','.join(COLUMNS)}; name another folder"
    )


def _plane(base: str, plane: int, digits: int) -> str:
    return f"{base}_{plane:0{digits}d}.tif"
