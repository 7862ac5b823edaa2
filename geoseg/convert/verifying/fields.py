"""Whether a manifest tells the truth of where a patch comes from, and what it belongs to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from geoseg.convert.finding.groups import taker
from geoseg.convert.finding.naming import namer
from geoseg.convert.layout import Group
from geoseg.convert.patch import Patch

_OF_METADATA = ("sample", "split", "labels")
"""What a table of metadata tells, where there is one."""


class Fields:
    """Compares rows with the patches as they are found now."""

    def __init__(self, groups: Mapping[str, Group], *, without_metadata: bool) -> None:
        """Nothing is compared yet.

        Args:
            groups: Of the layout, by name.
            without_metadata: Whether sample, split and labels may come from a table that is not known.
        """
        self._groups, self._without_metadata = groups, without_metadata
        self._above: dict[tuple[str, str], tuple[tuple[str, ...], tuple[str, ...]]] = {}
        self.unchecked = 0
        """Patches with something of a table that is not known."""

    def untrue(self, patch: Patch, cells: Mapping[str, Any]) -> list[str]:
        """What the manifest tells, and the patch otherwise."""
        wrong = []
        if cells["group"] != patch.group:
            wrong.append(_told("group", cells["group"], patch.group))
        if not self._is_source(patch, cells["source"]):
            wrong.append(_told("source", cells["source"], patch.path))
        differ = [
            name
            for name in _OF_METADATA
            if cells[name] != getattr(patch, name) and not self._is_sample(patch, name, cells[name])
        ]
        if self._without_metadata:
            self.unchecked += bool(differ)
            return wrong
        return wrong + [_told(name, cells[name], getattr(patch, name)) for name in differ]

    def _is_source(self, patch: Patch, source: str | None) -> bool:
        """Whether a path is the patch's, as seen from the folder that was named or from another one.

        Which one, the first patch of a group and folder tells; the others have to agree.
        """
        if source is None:
            return False
        told, found = _parts(source), _parts(patch.path)
        shared = min(len(told), len(found))
        if told[len(told) - shared :] != found[len(found) - shared :]:
            return False
        above = told[: len(told) - shared], found[: len(found) - shared]
        return self._above.setdefault((patch.group, patch.root), above) == above

    def _is_sample(self, patch: Patch, name: str, told: str | None) -> bool:
        """Whether a sample is one that other runs may give: they look at other patches together."""
        group = self._groups[patch.group]
        if name != "sample" or not group.sample_if_unique:
            return False
        match = taker(group)(patch.path.rsplit("/", 1)[-1], patch.path)
        own = None if match is None else namer(group, patch.root)(patch.path, match).sample
        return told in (patch.key, own)


def _parts(path: str) -> tuple[str, ...]:
    return tuple(part for part in path.split("/") if part not in ("", "."))


def _told(column: str, told: Any, found: Any) -> str:
    return f"the manifest tells of the {column} {told!r}, the source gives {found!r}"
