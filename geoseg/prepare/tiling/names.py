"""Names of pairs: readable, the same every time, and no two alike."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import PurePosixPath

from geoseg.placed import is_path
from geoseg.window import Window

_ODD = re.compile(r'[\x00-\x1f<>:"|?*\\/]+')
"""What some file system does not take in a name."""


def mask_names(paths: Sequence[str]) -> dict[str, str]:
    """A name for each mask: its stem, with the names of folders before it where stems are equal.

    Case does not tell names apart: on some file systems they would be one file.

    Args:
        paths: Files or URLs, each once.

    >>> mask_names(["/a/x.tif", "/b/x.tif", "/b/y.tif"])
    {'/a/x.tif': 'a_x', '/b/x.tif': 'b_x', '/b/y.tif': 'y'}
    """
    parts = {path: _parts(path) for path in paths}
    longest = max(map(len, parts.values()), default=1)
    found = {path: steps[-1] for path, steps in parts.items()}
    for count in range(2, longest + 1):
        often = Counter(name.casefold() for name in found.values())
        for path, name in list(found.items()):
            if often[name.casefold()] > 1:
                found[path] = "_".join(parts[path][-count:])
    ordered = sorted(found)  # so that numbers do not go by the order of the masks
    numbered = dict(zip(ordered, apart([found[path] for path in ordered]), strict=True))
    return {path: numbered[path] for path in paths}


def window_name(mask: str, window: Window) -> str:
    """The name of a window of a mask: where its first pixel is.

    >>> window_name("x", Window(512, 1024, 256, 256))
    'x__r000512_c001024'
    """
    return f"{mask}__r{window.row:06d}_c{window.col:06d}"


def apart(names: Sequence[str]) -> list[str]:
    """The same names, with a number after each that was there before.

    >>> apart(["a", "A", "a-2", "b"])
    ['a', 'A-2', 'a-2-2', 'b']
    """
    taken: set[str] = set()
    again: Counter[str] = Counter()
    found = []
    for name in names:
        base, unique = name.casefold(), name
        while unique.casefold() in taken:
            again[base] += 1
            unique = f"{name}-{again[base] + 1}"
        taken.add(unique.casefold())
        found.append(unique)
    return found


def _parts(path: str) -> list[str]:
    """Folders and the name without its suffix, as they may stand in a name."""
    place = os.path.abspath(path) if is_path(path) else path.split("?", maxsplit=1)[0]  # noqa: PTH100 - text
    *folders, last = re.split(r"[\\/]+", place)
    steps = [*folders, PurePosixPath(last).stem]
    return [_ODD.sub("-", step) for step in steps if step] or ["mask"]
