"""The patches of one group in one folder."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from operator import attrgetter

from geoseg.convert.finding.masks import Masks, find_masks
from geoseg.convert.finding.naming import namer
from geoseg.convert.finding.tables import table_patches
from geoseg.convert.finding.walking import walk
from geoseg.convert.layout import Group
from geoseg.convert.patch import Patch
from geoseg.convert.templates import compiled

_Matches = Iterator[tuple[str, re.Match[str]]]


def group_patches(group: Group, root: str, *, without: str | None = None) -> list[Patch]:
    """The patches of a group, sorted by path as text.

    Args:
        group: What is looked for.
        root: The folder to look in.
        without: A folder in it that is left out.

    Raises:
        SourceError: A folder cannot be listed, or images and masks do not belong together.
    """
    if group.table is not None:
        return table_patches(group, root)
    masks = find_masks(group, root, without=without)
    matches = walk(
        root,
        folders=group.kind == "folder",
        depth=group.depth,
        taken=taker(group),
        without=without,
    )
    found = (_several_files if group.kind == "files" else _each)(group, root, matches, masks)
    if masks is not None:
        masks.check(root)
    return sorted(found, key=attrgetter("path", "key"))


def _each(group: Group, root: str, matches: _Matches, masks: Masks | None) -> list[Patch]:
    name = namer(group, root)
    patches = []
    for path, match in matches:
        patch = name(path, match)
        if masks is None:
            patches.append(patch)
        elif not masks.has(path):
            patches.append(replace(patch, mask=masks.of(path, match)))
    return patches


def _several_files(group: Group, root: str, matches: _Matches, masks: Masks | None) -> list[Patch]:
    name = namer(group, root)
    found: dict[tuple[str, str], Patch] = {}
    for path, match in matches:
        if masks is not None and masks.has(path):
            continue
        if group.bands and match["band"] not in group.bands:
            continue
        patch = name(path, match)
        if (patch.path, patch.key) not in found:
            mask = masks.of(path, match) if masks is not None else None
            found[patch.path, patch.key] = replace(patch, mask=mask)
    return list(found.values())


def taker(group: Group) -> Callable[[str, str], re.Match[str] | None]:
    """Whether a name or path, as the group has it, fits the group's pattern."""
    search = compiled(group.pattern).search
    if group.on == "path":
        return lambda name, path: search(path)  # noqa: ARG005
    return lambda name, path: search(name)  # noqa: ARG005
