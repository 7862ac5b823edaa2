"""Keys that are there twice: which template of keys would tell the patches apart."""

from __future__ import annotations

from collections.abc import Sequence

from geoseg.convert.layout import Group, Layout
from geoseg.convert.patch import Patch
from geoseg.convert.templates import PATH_FIELDS, compiled
from geoseg.errors import SourceError

Pairs = Sequence[tuple[Patch, Patch]]
"""Patches of one key; the first of each pair is the one that had it first."""

_GENERIC = "generic"


def doubled_keys(layout: Layout, pairs: Pairs) -> SourceError:
    """The error of pairs of patches with one key, of which there is at least one."""
    one, two = pairs[0]
    more = f" (patches with a key of another: {len(pairs)})" if len(pairs) > 1 else ""
    return SourceError(
        f"two patches have the key {one.key!r}: {one.full_path} and {two.full_path}{more}; remove or "
        f"rename one of them{_or_else(layout, pairs)}"
    )


def _or_else(layout: Layout, pairs: Pairs) -> str:
    if layout.name != _GENERIC:
        return ", or give a layout of your own with another `key`, such as {parent}_{stem}"
    group = layout.group(pairs[0][0].group)
    cure = ", or fill the table's column key" if group.table is not None else ""
    # Names of files that hold the key leave no choice of another one.
    if group.file is None or "{key}" not in group.file:
        cure += f", or give keys by --key {_key_apart(group, pairs)!r}"
    if group.on == "name" and group.table is None:  # whatever is an image
        cure += ", or tell masks from images by --images and --masks"
    return cure


def _key_apart(group: Group, pairs: Pairs) -> str:
    """The plainest template of keys that differ in all pairs, as far as one is known."""
    known = compiled(group.pattern).groupindex.keys() | PATH_FIELDS
    differ = {
        "split": [one.split != two.split for one, two in pairs],
        "label": [one.labels != two.labels for one, two in pairs],
        "name": _parts_differ(pairs, 1),
        "parent": _parts_differ(pairs, 2),
        "grandparent": _parts_differ(pairs, 3),
    }
    for field, apart in differ.items():
        if all(apart) and field in known:
            return "{name}" if field == "name" else f"{{{field}}}_{group.key}"
    return "{grandparent}_{parent}_{name}"


def _parts_differ(pairs: Pairs, depth: int) -> list[bool]:
    """Of each pair, whether a part of the paths, counted from their ends, differs."""
    found = ([patch.full_path.split("/")[-depth:][:1] for patch in pair] for pair in pairs)
    return [one != two for one, two in found]
