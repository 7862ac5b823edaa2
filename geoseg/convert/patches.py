"""From the folders that a user names to the patches in them; nothing is opened."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from geoseg.convert.finding.complete import missing_files
from geoseg.convert.finding.doubled import doubled_keys
from geoseg.convert.finding.groups import group_patches
from geoseg.convert.finding.hints import check_level, nothing_found
from geoseg.convert.finding.naming import sample_else
from geoseg.convert.given import AnyPath, path_of, paths_of, sources_of
from geoseg.convert.layout import Group, Layout
from geoseg.convert.metadata import with_metadata
from geoseg.convert.patch import Incomplete, Patch
from geoseg.errors import ConfigError, SourceError
from geoseg.sources.store.sharding import shard_of_key

__all__ = ["Incomplete", "Patch", "find_patches", "missing_files"]

MAX_KEY_BYTES = 511
"""What LMDB takes."""


def find_patches(
    layout: Layout,
    sources: Mapping[str, AnyPath],
    *,
    metadata: AnyPath | Sequence[AnyPath] | None = None,
    without: AnyPath | None = None,
) -> list[Patch]:
    """The patches in folders: groups in the layout's order, paths sorted as text within each.

    Args:
        layout: What to look for.
        sources: {name of a group: folder}; at least one. A group of a table may go without: its paths are
            then relative to the table's folder.
        metadata: A table that pairs patches and has their splits and labels, or several, for layouts that know
            such.
        without: A folder in which nothing is looked for: a store may lie in a source.

    Raises:
        ConfigError: No source is given, or one is no folder; the layout knows no metadata, or a table of it is
            missing; an argument is no path.
        SourceError: A source has no patch; a key is there twice, or too long for LMDB; tables cannot be read, or
            differ.
    """
    roots = _roots(layout, sources_of(sources))
    tables = paths_of(metadata, "metadata")
    left_out = None if without is None else path_of(without, "without")
    check_tables(layout, tables)
    patches: list[Patch] = []
    for group in layout.groups:
        if group.name in roots:
            patches += _of_group(layout, group, roots[group.name], left_out)
    patches = _with_unique_samples(layout, patches)
    _check_keys(layout, patches)
    return with_metadata(patches, tables) if tables else patches


def check_tables(layout: Layout, tables: Sequence[str]) -> None:
    """See that a layout knows metadata where tables of it are given.

    Raises:
        ConfigError: It does not.
    """
    if tables and layout.metadata is None:
        raise ConfigError(
            f"layout {layout.name!r} takes no metadata, got {', '.join(tables)}; leave it out"
        )


def of_shard(patches: Sequence[Patch], shard: Sequence[int] | None) -> list[Patch]:
    """The patches of a shard, (number from 0, count); all of None."""
    if shard is None:
        return [*patches]
    number, count = shard
    return [patch for patch in patches if shard_of_key(patch.key, count) == number]


def _roots(layout: Layout, sources: Mapping[str, str]) -> dict[str, str]:
    given = {layout.group(name).name: folder for name, folder in sources.items()}
    tables = {
        group.name: str(Path(group.table).parent)
        for group in layout.groups
        if group.table is not None
    }
    roots = tables | given
    if not roots:
        flags = ", ".join(group.flag for group in layout.groups)
        raise ConfigError(f"{layout.name}: no source is given, expected at least one of {flags}")
    for name, folder in given.items():
        if not Path(folder).is_dir():
            what = "is a file" if Path(folder).exists() else "there is no such folder"
            raise ConfigError(f"{folder}: {what}, expected the folder of {layout.group(name).flag}")
    return roots


def _of_group(layout: Layout, group: Group, root: str, without: str | None) -> list[Patch]:
    patches = group_patches(group, root, without=without)
    if not patches and group.table is not None:
        raise SourceError(f"{group.table}: the table has no rows, expected one for each patch")
    if not patches:
        raise nothing_found(layout, group, root)
    check_level(layout, group, patches)
    return patches


def _with_unique_samples(layout: Layout, patches: list[Patch]) -> list[Patch]:
    """Where a group has a sample twice, nobody knows by it which of them belongs to which."""
    groups = {group.name: group for group in layout.groups if group.sample_if_unique}
    if not groups:
        return patches
    counts = Counter((patch.group, patch.sample) for patch in patches if patch.group in groups)
    doubled = {sample for (_, sample), count in counts.items() if count > 1}
    return [
        replace(patch, sample=sample_else(groups[patch.group], patch))
        if patch.group in groups and patch.sample in doubled
        else patch
        for patch in patches
    ]


def _check_keys(layout: Layout, patches: Sequence[Patch]) -> None:
    first: dict[str, Patch] = {}
    doubled: list[tuple[Patch, Patch]] = []
    for patch in patches:
        _check_key(patch)
        other = first.setdefault(patch.key, patch)
        if other is not patch:
            doubled.append((other, patch))
    if doubled:
        raise doubled_keys(layout, doubled)


def _check_key(patch: Patch) -> None:
    try:
        size = len(patch.key.encode())
    except UnicodeEncodeError as error:
        raise SourceError(
            f"{patch.full_path!a}: the name is not UTF-8, and so no key; rename it"
        ) from error
    if not 1 <= size <= MAX_KEY_BYTES:
        raise SourceError(
            f"{patch.full_path}: its key has {size} bytes, LMDB takes 1 to {MAX_KEY_BYTES}; shorten the name "
            "of the folder or file"
        )
