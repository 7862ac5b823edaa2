"""Why nothing was found: a look at what lies in the folder instead."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from geoseg.convert.finding.groups import taker
from geoseg.convert.finding.walking import listed
from geoseg.convert.layout import Group, Layout
from geoseg.convert.layouts import LAYOUTS
from geoseg.convert.patch import Patch
from geoseg.errors import SourceError

_LOOKED_AT = 20_000
"""Names that are looked at; the folder may be huge, and something else altogether."""

_Seen = dict[str, bool]
"""{path relative to the folder: whether it is a folder}"""


def nothing_found(layout: Layout, group: Group, root: str) -> SourceError:
    """The error of a folder without a patch: what was looked for, and what the folder looks like."""
    what = "folder" if group.kind == "folder" else "file"
    fit = f" whose {group.on} fits '{group.pattern}'" if group.pattern else ""
    level = f" {group.depth} levels below it" if group.depth is not None else ""
    return SourceError(
        f"{root}: no patch of {layout.name} ({group.flag}) found, expected a {what}{fit}{level}; "
        f"{_instead(layout, group, root)}"
    )


def check_level(layout: Layout, group: Group, patches: list[Patch]) -> None:
    """See that the first patches are what they should be: folders at a depth, or named by a table.

    Where any folder at a depth is a patch, none of the first ones may be without all of its files.

    Raises:
        SourceError: The patches lie elsewhere; where is told.
    """
    if group.table is not None:
        _check_folders(group, patches)
        return
    if group.kind != "folder" or group.pattern or not group.bands:
        return
    for patch in patches[:8]:
        if any(os.path.exists(path) for path in group.paths(patch)):  # noqa: PTH110
            return
    root = patches[0].root
    seen = _seen(root)
    levels = _levels(group, root, seen)
    if (levels and group.depth not in levels) or _other_group(layout, group, root, seen):
        raise SourceError(
            f"{root}: the folders {group.depth} levels below it hold no files of {layout.name} ({group.flag}); "
            f"{_instead(layout, group, root)}"
        )


def _check_folders(group: Group, patches: list[Patch]) -> None:
    """Of a table whose rows are to name folders: see that they name no files."""
    if group.file is None:
        return
    for patch in patches[:8]:
        if Path(patch.full_path).is_file():
            raise SourceError(
                f"{group.table}: names the file {patch.full_path}, expected folders, as --images "
                f"{group.file!r} names the files within each; leave --images out"
            )


def _instead(layout: Layout, group: Group, root: str) -> str:
    seen = _seen(root)
    if not seen:
        return "the folder is empty; name another"
    sure = _is_a_patch(group, root) or _other_group(layout, group, root, seen)
    # A pattern may be broad: a level is then no more than a guess, and so is another layout.
    guesses = (
        _other_level(group, root, seen),
        _other_layouts(layout, root, seen) if group.pattern else "",
    )
    there = ", ".join(f"{path}/" if seen[path] else path for path in islice(seen, 3))
    return sure or "; ".join(filter(None, guesses)) or f"it holds {there}; name another folder"


def _is_a_patch(group: Group, root: str) -> str:
    folder = Path(root).absolute()
    if group.kind == "folder" and group.pattern and taker(group)(folder.name, folder.name):
        return f"this folder is a patch itself: name the folder above, {folder.parent}"
    return ""


def _other_level(group: Group, root: str, seen: _Seen) -> str:
    if group.depth is None:
        return ""
    for level, path in sorted(_levels(group, root, seen).items()):
        if level < group.depth:
            above = Path(root).absolute().parents[group.depth - level - 1]
            return f"patches lie {_levels_text(group.depth - level)} higher: name the folder above, {above}"
        if level > group.depth:
            below = "/".join(path.split("/")[: level - group.depth])
            return f"patches lie {_levels_text(level - group.depth)} lower: name a folder below, such as {below}"
    return ""


def _other_group(layout: Layout, group: Group, root: str, seen: _Seen) -> str:
    for other in layout.groups:
        levels = _levels(other, root, seen)
        if other != group and (other.depth in levels or (levels and other.depth is None)):
            return f"it looks like that of {other.flag} (there is {next(iter(levels.values()))})"
    return ""


def _other_layouts(layout: Layout, root: str, seen: _Seen) -> str:
    fits = {
        f"{other.name} ({group.flag})": next(iter(levels.values()))
        for name, other in LAYOUTS.items()
        for group in other.groups
        if name != layout.name and (levels := _levels(group, root, seen))
        if group.depth in (None, *levels)
    }
    if not fits:
        return ""
    return f"{next(iter(fits.values()))} would fit the layout {' or '.join(fits)}"


def _levels(group: Group, root: str, seen: _Seen) -> dict[int, str]:
    """{level at which patches of a group lie: the first of them}, whatever its depth."""
    taken = taker(group)
    levels: dict[int, str] = {}
    for path, is_folder in seen.items():
        level = path.count("/") + 1
        fits = is_folder is (group.kind == "folder") and taken(path.rsplit("/", 1)[-1], path)
        if fits and level not in levels and (not is_folder or _has_files(group, root, path)):
            levels[level] = path
    return levels


def _has_files(group: Group, root: str, path: str) -> bool:
    """Whether a folder has the files of a patch: of many names it may be one by chance."""
    patch = Patch(key="", group=group.name, root=root, path=path, sample="")
    return all(os.path.exists(file) for file in group.paths(patch))  # noqa: PTH110


def _seen(root: str) -> _Seen:
    return dict(islice(_breadth_first(root), _LOOKED_AT))


def _breadth_first(root: str) -> Iterator[tuple[str, bool]]:
    waiting = deque([""])
    while waiting:
        above = waiting.popleft()
        for entry in sorted(listed(root, above), key=lambda entry: entry.name):
            is_folder = entry.is_dir(follow_symlinks=False)
            yield above + entry.name, is_folder
            if is_folder:
                waiting.append(f"{above}{entry.name}/")


def _levels_text(count: int) -> str:
    return "one level" if count == 1 else f"{count} levels"
