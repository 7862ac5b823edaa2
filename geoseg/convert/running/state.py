"""The state of what patches are made from, which tells without reading whether it has changed."""

from __future__ import annotations

import json
import os
from hashlib import blake2b

from geoseg.convert.formats import DRIVERS
from geoseg.convert.layout import Group
from geoseg.convert.patch import Patch
from geoseg.convert.tiff.sidecars import sidecars_in

_ALONE = tuple(DRIVERS)
"""Endings of files that hold all of their pixels themselves."""
_DIGEST_BYTES = 16
_FOLDERS = 256
"""That are remembered; patches come folder by folder."""


class Sidecars:
    """World files and the like beside images, which change what is told of them; a folder is listed once."""

    def __init__(self) -> None:
        """Nothing is listed yet; what is listed does not get old, so that it is for one look at all."""
        self._listed: dict[str, dict[str, list[str]]] = {}

    def of(self, path: str) -> list[str]:
        """The paths of those of an image, sorted.

        Raises:
            OSError: The folder cannot be listed.
        """
        folder, name = os.path.split(path)
        found = self._listed.get(folder)
        if found is None:
            if len(self._listed) >= _FOLDERS:
                self._listed.clear()
            found = self._listed[folder] = sidecars_in(folder or ".")
        if not found:
            return []
        name = name.lower()
        names = {*found.get(name, ()), *found.get(name.rpartition(".")[0], ())}
        return sorted(os.path.join(folder, beside) for beside in names)  # noqa: PTH118


def state_of(group: Group, patch: Patch, *, beside: Sidecars) -> str:
    """A digest of the state of a patch's files, and of what is told of it; look before they are read.

    Two digests of a patch are equal where its files have the same size and times, and the same sidecars with
    theirs, so that they need not be read again. Empty, which stands for none, where a file is missing or
    empty, or where other files may hold its pixels: such a patch is read again and compared.
    """
    told = [patch.path, patch.group, patch.sample, patch.split, patch.labels, patch.mask]
    parts = [json.dumps(told)]
    for path, bands in group.files(patch):
        if not path.lower().endswith(_ALONE):
            return ""
        try:
            found = os.stat(path)  # noqa: PTH116 - a Path costs more than the call
            sidecars = [f"{name} {_told(os.stat(name))}" for name in beside.of(path)]  # noqa: PTH116
        except OSError:
            return ""
        if not found.st_size:
            return ""
        parts += [f"{len(bands)} {_told(found)}", *sidecars]
    return blake2b("\n".join(parts).encode(), digest_size=_DIGEST_BYTES).hexdigest()


def _told(found: os.stat_result) -> str:
    return f"{found.st_size} {found.st_mtime_ns} {found.st_ctime_ns}"
