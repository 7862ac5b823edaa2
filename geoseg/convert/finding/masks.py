"""Which mask belongs to which image: both patterns name the same key."""

from __future__ import annotations

import re

from geoseg.convert.finding.walking import walk
from geoseg.convert.layout import Group
from geoseg.convert.templates import compiled
from geoseg.convert.wildcards import expected_path
from geoseg.errors import SourceError
from geoseg.warn import warn

_Key = tuple[str | None, ...]


def find_masks(group: Group, root: str, *, without: str | None = None) -> Masks | None:
    """The masks of a group; None where it has none. A folder may be left out.

    Raises:
        SourceError: Two masks have the same key.
    """
    if group.mask is None:
        return None
    pattern = compiled(group.mask)
    shared = pattern.groupindex.keys() & compiled(group.pattern).groupindex.keys()
    masks = Masks(group.mask, names=tuple(sorted(shared)))
    taken = walk(
        root,
        folders=False,
        depth=None,
        taken=lambda _, path: pattern.search(path),
        without=without,
    )
    for path, match in sorted(taken, key=lambda found: found[0]):
        masks.add(path, match)
    return masks


class Masks:
    """The masks below a folder, asked for by what their patterns share with those of the images."""

    def __init__(self, pattern: str, *, names: tuple[str, ...]) -> None:
        self._pattern, self._names = pattern, names
        self._by_key: dict[_Key, str] = {}
        self._paths: set[str] = set()
        self._used: set[str] = set()
        self._lacking: list[str] = []

    def add(self, path: str, match: re.Match[str]) -> None:
        """Take up a mask.

        Raises:
            SourceError: There is one of its key.
        """
        key = self._key(match)
        if key in self._by_key:
            raise SourceError(
                f"two masks have the key {match['key']!r}: {self._by_key[key]} and {path}; make the pattern of "
                "masks narrower"
            )
        self._by_key[key] = path
        self._paths.add(path)

    def has(self, path: str) -> bool:
        """Whether this file is a mask, and so no image."""
        return path in self._paths

    def of(self, path: str, match: re.Match[str]) -> str:
        """The mask of an image; of one that is missing the path at which it is expected."""
        mask = self._by_key.get(self._key(match))
        if mask is None:
            self._lacking.append(path)
            return expected_path(self._pattern, {name: match[name] for name in self._names})
        self._used.add(mask)
        return mask

    def check(self, root: str) -> None:
        """Tell of masks without an image; images without a mask are told with other files that are missing.

        Raises:
            SourceError: No image has a mask: the patterns do not fit.
        """
        if self._lacking and not self._used:
            raise SourceError(
                f"{root}: no image has a mask: images: {len(self._lacking)}, among them {min(self._lacking)}; masks: "
                f"{len(self._paths)}{f', among them {min(self._paths)}' if self._paths else ''}; expected names of "
                "masks as the pattern has them; correct it, or leave the masks out"
            )
        if unused := sorted(self._paths - self._used):
            warn(f"{root}: masks without an image, left out: {len(unused)}, among them {unused[0]}")

    def _key(self, match: re.Match[str]) -> _Key:
        return tuple(match[name] for name in self._names)
