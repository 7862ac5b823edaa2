"""Keys and the like, made of a path by the templates of a group."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from sys import intern

from geoseg.convert.layout import Group
from geoseg.convert.patch import Patch
from geoseg.convert.templates import fields_of, stem_of

Name = Callable[[str, re.Match[str]], Patch]
"""(path relative to the source, what the pattern matched) to the patch."""


def namer(group: Group, root: str) -> Name:
    """The function that names the patches of a group.

    Args:
        group: Their group.
        root: The folder that the user named; its own name and the one above it may be in keys.
    """
    above = _above(root)
    label_of_parent = "parent" in fields_of(group.label or "")
    own_sample = group.sample != "{key}"
    cut = (group.file or "").count("/") + 1 if group.kind == "files" else 0

    def name(path: str, match: re.Match[str]) -> Patch:
        fields = _path_fields(f"{above}/{path}") | match.groupdict(default="")
        key = group.key.format_map(fields)
        if own_sample:
            fields["key"] = key
        labelled = group.label and ("/" in path or not label_of_parent)
        return Patch(
            key=key,
            group=group.name,
            root=root,
            path="/".join(path.split("/")[:-cut]) or "." if cut else path,
            sample=group.sample.format_map(fields) if own_sample else key,
            split=intern(group.split.format_map(fields)) if group.split else None,
            labels=(intern(group.label.format_map(fields)),) if labelled and group.label else None,
        )

    return name


def sample_else(group: Group, patch: Patch) -> str:
    """The sample of a patch where that of the group's `sample` is there twice."""
    if group.sample_else == "{key}":
        return patch.key
    fields = _path_fields(f"{_above(patch.root)}/{patch.path}") | {"key": patch.key}
    return group.sample_else.format_map(fields)


def _above(root: str) -> str:
    """The names of a folder and of the one above it, also where the folder is given as `..`."""
    return "/".join(Path(os.path.abspath(root)).parts[-2:])  # noqa: PTH100 - `absolute` keeps the dots


def _path_fields(path: str) -> dict[str, str]:
    grandparent, parent, name = path.rsplit("/", 3)[-3:]
    return {"name": name, "stem": stem_of(name), "parent": parent, "grandparent": grandparent}
