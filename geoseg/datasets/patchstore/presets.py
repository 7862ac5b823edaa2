"""Bands of patches by the name of a preset, such as "rgb"."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from geoseg.datasets.bandsets import BANDSETS, bandsets
from geoseg.datasets.patchstore.rows import Kind
from geoseg.errors import ConfigError
from geoseg.shortlist import some
from geoseg.sources.store.bands import natural_order

MASK = "mask"
"""The array of class ids in stores that geoseg makes: never taken for a band unless it is named."""

_SHOWN = 20


@dataclass(frozen=True, slots=True, eq=False)
class Example:
    """A kind of patches, and one of them for error texts."""

    kind: Kind
    where: str


Groups = Mapping[str, Sequence[Example]]
"""The kinds of patches of each group; "" is the name of the group where none are joined."""


def of_preset(groups: Groups, name: str) -> list[tuple[str, str]]:
    """(group, name) of each band that a preset stands for.

    Raises:
        ConfigError: There is no such preset, or no group has its bands, or several have.
    """
    if name not in BANDSETS:
        raise ConfigError(
            f"bands is {name!r}, expected a list of names or one of: {', '.join(BANDSETS)}; one band is "
            f"[{name!r}]"
        )
    found = {group: bands for group in groups if (bands := _meant(groups[group][0], name))}
    if len(found) > 1:
        raise ConfigError(
            f"bands: {name!r} is in the groups {[*found]}; write the group with it, as in "
            f"bands={{{next(iter(found))!r}: {name!r}}}"
        )
    for group, bands in found.items():
        return [(group, band) for band in bands]
    told = "; ".join(_without(first, name) for first, *_ in groups.values())
    raise ConfigError(f"{told}; name bands with bands=[...]")


def _meant(example: Example, name: str) -> tuple[str, ...]:
    """The bands of a patch that a preset stands for; none where it lacks some."""
    arrays = {*example.kind.arrays}
    return next((bands for bands in _presets(example, name) if {*bands} <= arrays), ())


def _presets(example: Example, name: str) -> list[tuple[str, ...]]:
    images = [array for array in example.kind.arrays if array != MASK]
    tensors = example.kind.layout.tensors
    dtypes = {tensors[array].dtype for array in images if array in tensors}
    return bandsets(name, images, bytes_only=dtypes == {np.dtype(np.uint8)})


def _without(example: Example, name: str) -> str:
    """That a patch lacks the bands of a preset."""
    asked = "; or ".join(some_bands(bands) for bands in _presets(example, name))
    return (
        f"{example.where}: has no {name!r} bands ({asked}), but {some_bands(example.kind.arrays)}"
    )


def some_bands(names: Sequence[str]) -> str:
    """Names of bands for a text, the first of them."""
    return some(natural_order(names), _SHOWN)
