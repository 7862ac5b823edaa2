"""How the items of a data set are read: what each group gives, in one size and dtype."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.datasets.patchstore.bands import (
    Pick,
    Wanted,
    nodata_of,
    pick_bands,
    planes_of,
)
from geoseg.datasets.patchstore.chosen import Chosen
from geoseg.datasets.patchstore.masks import MaskRule
from geoseg.datasets.patchstore.parts import Part
from geoseg.datasets.patchstore.presets import Example
from geoseg.datasets.patchstore.rows import Rows
from geoseg.datasets.patchstore.sizes import common_dtype, common_size
from geoseg.datasets.patchstore.texts import Texts
from geoseg.sources.store.bands import largest_size
from geoseg.sources.store.safetensors_format import Tensor


@dataclass(frozen=True, eq=False)
class Plan:
    """What a data set knows before it reads."""

    names: Texts
    """Of the items."""
    band_names: tuple[str, ...]
    """Of their channels, as they may be given as bands."""
    stack_names: tuple[str, ...]
    """Of their channels, as a StackSource of the groups tells them apart."""
    dtype: np.dtype[Any]
    size: tuple[int, int]
    parts: tuple[Part, ...]
    """One for each group that something is read of."""


@dataclass(frozen=True, slots=True, eq=False)
class _Group:
    """The patches of one group."""

    rows: NDArray[np.intp]
    """Of each item."""
    kinds: NDArray[np.int32]
    """The number of the kind of each item's patch."""
    examples: list[Example]
    """The kinds."""


def planned(
    rows: Rows,
    chosen: Chosen,
    *,
    bands: Wanted | Mapping[str, Wanted],
    labels: str | None,
    size: tuple[int, int] | None,
    resampling: str,
    rule: MaskRule | None,
) -> Plan:
    """Make a plan from what the manifests tell; see LMDBDataset for the arguments and errors."""
    groups = {group: _group(rows, numbers) for group, numbers in chosen.rows.items()}
    examples = {group: part.examples for group, part in groups.items()}
    picked = pick_bands(examples, bands, labels, known=rows.groups)
    used = {group: pick for group, pick in picked.picks.items() if pick.planes or pick.label}
    planes = {
        group: [planes_of(example, pick) for example in groups[group].examples]
        for group, pick in used.items()
    }
    names = Texts(chosen.names)
    parts = tuple(
        Part(
            readers=rows.readers,
            pick=pick,
            keys=names if group == "" else Texts(rows.table["key"].to_numpy()[groups[group].rows]),
            stores=rows.table["store"].to_numpy()[groups[group].rows].astype(np.int16),
            kinds=groups[group].kinds,
            nodata=_nodata(groups[group], planes[group]),
            sizes=tuple(map(largest_size, planes[group])) if size is None else None,
            blended=resampling == "bilinear",
            rule=rule,
        )
        for group, pick in used.items()
    )
    kinds = {group: groups[group].kinds for group in used}
    return Plan(
        names=names,
        band_names=picked.band_names,
        stack_names=picked.stack_names,
        dtype=_dtype(groups, used, planes),
        size=size or common_size(chosen, kinds, planes),
        parts=parts,
    )


def _group(rows: Rows, numbers: NDArray[np.intp]) -> _Group:
    kinds = rows.table["kind"].to_numpy()[numbers]
    _, first, inverse = np.unique(kinds, return_index=True, return_inverse=True)
    examples = [Example(rows.kind(row), rows.where(row)) for row in numbers[first].tolist()]
    return _Group(numbers, inverse.astype(np.int32), examples)


def _nodata(
    group: _Group, planes: Sequence[Sequence[Tensor]]
) -> tuple[tuple[float | None, ...], ...]:
    return tuple(nodata_of(e.kind, found) for e, found in zip(group.examples, planes, strict=True))


def _dtype(
    groups: Mapping[str, _Group],
    picks: Mapping[str, Pick],
    planes: Mapping[str, Sequence[Sequence[Tensor]]],
) -> np.dtype[Any]:
    """Of the images: the planes of class ids, which come last, do not count."""
    images = {
        example.where: found[: len(pick.planes)]
        for group, pick in picks.items()
        for example, found in zip(groups[group].examples, planes[group], strict=True)
    }
    return common_dtype(images)
