"""The bands of a layout that names none: those that the files have."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress

import rasterio

from geoseg.convert.finding.walking import listed
from geoseg.convert.layout import Group, Layout
from geoseg.convert.patch import Patch, within
from geoseg.convert.templates import compiled
from geoseg.errors import SourceError
from geoseg.rasterpath import georeference_optional, why_not_opened
from geoseg.sources.handles import GDAL_ERRORS


def settled(layout: Layout, patches: Sequence[Patch]) -> Layout:
    """The layout with the bands of every group named; the same one where they are.

    One file a band: all that any patch has. One file of many bands: those of the group's first image that can be
    opened, by their descriptions, else numbered from "1".

    Raises:
        SourceError: No image of a group can be opened, or no file of a band is there.
    """
    if all(group.bands for group in layout.groups):
        return layout
    groups = tuple(_settled_group(group, patches) for group in layout.groups)
    return layout.model_copy(update={"groups": groups})


def with_files_of_bands(layout: Layout, patches: Sequence[Patch]) -> Layout:
    """As `settled`, for groups with a file a band only: no file is opened.

    Raises:
        SourceError: No file of a band is there.
    """
    groups = tuple(
        _settled_group(group, patches) if group.has_file_of_band else group
        for group in layout.groups
    )
    return layout.model_copy(update={"groups": groups})


def _settled_group(group: Group, patches: Sequence[Patch]) -> Group:
    own = [patch for patch in patches if patch.group == group.name]
    if group.bands or not own:
        return group
    first = None
    if group.has_file_of_band:
        names = {name for patch in own for name in _bands_beside(group, patch)}
        bands = tuple(sorted(names, key=_natural))
    else:
        first, bands = _first_opened(group, own)
    if not bands:
        raise SourceError(
            f"{own[0].full_path}: no file of a band is there, expected {group.file!r}; name the bands"
        )
    return group.with_bands(bands, like=first)


def _first_opened(group: Group, patches: Sequence[Patch]) -> tuple[str, tuple[str, ...]]:
    """(path, bands) of the first image that can be opened: what is to become of the others, the run decides."""
    for patch in patches:
        path = _image_of(group, patch)
        with suppress(SourceError):
            return path, _bands_within(path)
    path = _image_of(group, patches[0])
    return path, _bands_within(path)  # tells what is wrong with it


def _image_of(group: Group, patch: Patch) -> str:
    return within(patch.full_path, "" if group.file is None else group.file_name(patch))


def _bands_within(path: str) -> tuple[str, ...]:
    try:
        with georeference_optional(), rasterio.open(path) as file:
            described = tuple(file.descriptions)
            count = file.count
    except GDAL_ERRORS as error:
        raise SourceError(why_not_opened(path, error)) from error
    if all(described) and len(set(described)) == count:
        return described
    return tuple(str(number) for number in range(1, count + 1))


def _bands_beside(group: Group, patch: Patch) -> Iterator[str]:
    """The bands of which a patch has files; all of them where the folders are named by the bands."""
    marker = "\0"  # stands in no name
    template = group.file_name(patch, band=marker)
    folder, _, name = template.rpartition("/")
    if marker in folder:
        yield from _bands_above(patch, template, marker)
        return
    pattern = _around(name, marker)
    for entry in listed(patch.full_path, folder):
        if match := pattern.search(entry.name):
            yield match["band"]


def _bands_above(patch: Patch, template: str, marker: str) -> Iterator[str]:
    pattern = _around(template.split("/", 1)[0], marker)
    for entry in listed(patch.full_path):
        if match := pattern.search(entry.name):
            yield match["band"]


def _around(name: str, marker: str) -> re.Pattern[str]:
    text = re.escape(name).replace(re.escape(marker), "(?P<band>[^/]+)", 1)
    return compiled(rf"\A{text.replace(re.escape(marker), '(?P=band)')}\Z")


def _natural(name: str) -> list[tuple[int, str]]:
    """B2 before B10."""
    return [(int(part or -1) if part.isdigit() else -1, part) for part in re.split(r"(\d+)", name)]
