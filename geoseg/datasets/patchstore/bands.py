"""Which planes of pixels of each group are the channels of an item, and which holds class ids."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from geoseg.datasets.patchstore.presets import MASK, Example, Groups, of_preset, some_bands
from geoseg.datasets.patchstore.rows import Kind
from geoseg.errors import ConfigError, SourceError
from geoseg.sources.stacks.together import told_apart
from geoseg.sources.store.bands import array_of, choose_bands
from geoseg.sources.store.safetensors_format import Tensor

Wanted = str | Sequence[str] | None
"""Names of bands, a preset's name, or None for all."""


@dataclass(frozen=True, slots=True)
class Pick:
    """What is read of the patches of one group."""

    planes: tuple[str, ...]
    """Names of the bands to ask for."""
    channels: tuple[int, ...]
    """Which channel of an item each of them is."""
    label: str | None
    """The array of class ids, if it is in this group."""


@dataclass(frozen=True, slots=True)
class Picked:
    """What is read of patches."""

    picks: Mapping[str, Pick]
    """Of each group."""
    band_names: tuple[str, ...]
    """Of an item's channels in their order; given as bands they pick the same."""
    stack_names: tuple[str, ...]
    """Of the same channels, as a StackSource of the groups tells them apart."""


def pick_bands(
    groups: Groups,
    bands: Wanted | Mapping[str, Wanted],
    labels: str | None,
    *,
    known: Callable[[], Sequence[str]] = tuple,
) -> Picked:
    """What to read of each group, and the names of an item's channels.

    Args:
        groups: Those that are joined.
        bands: See LMDBDataset.
        labels: See LMDBDataset.
        known: Gives the groups of the stores, joined or not.

    Raises:
        ConfigError: A name is in no group or in several, or patches have different bands.
    """
    if labels is not None:
        _check_joined(groups, labels, what="labels", known=known)
    for name in () if bands is None or isinstance(bands, str | Mapping) else bands:
        _check_joined(groups, name, what="bands", known=known)
    label = None if labels is None else _place(groups, labels, what="labels")
    wanted = _wanted(groups, bands, label)
    if not wanted:
        raise ConfigError("no band is left; name some with bands=[...]")
    channels = [(group, plane) for group, name in wanted for plane in _planes(groups[group], name)]
    if len({*channels}) < len(channels):
        twice = next(c for c in channels if channels.count(c) > 1)
        raise ConfigError(f"bands: {_written(*twice)!r} is named twice; name each once")
    picks = {
        group: Pick(
            planes=tuple(plane for owner, plane in channels if owner == group),
            channels=tuple(n for n, (owner, _) in enumerate(channels) if owner == group),
            label=label[1] if label is not None and label[0] == group else None,
        )
        for group in groups
    }
    return Picked(picks, tuple(_name(groups, *channel) for channel in channels), _names(picks))


def planes_of(example: Example, pick: Pick) -> tuple[Tensor, ...]:
    """The planes of a kind of patches, the one of class ids last.

    Raises:
        SourceError: The patches lack one, or the class ids are not one band.
    """
    layout = example.kind.layout
    images = choose_bands(layout, pick.planes, example.where) if pick.planes else ()
    if pick.label is None:
        return images
    ids = choose_bands(layout, (pick.label,), example.where)
    if len(ids) != 1 or ids[0].dtype.kind == "c":
        raise SourceError(
            f"{example.where}: {pick.label!r} has {len(ids)} bands of {ids[0].dtype}, expected one of class "
            "ids; name another array with labels=..."
        )
    return (*images, *ids)


def nodata_of(kind: Kind, planes: Sequence[Tensor]) -> tuple[float | None, ...]:
    """The number that means "missing" in each plane."""
    if not kind.nodata:
        return (None,) * len(planes)
    return tuple(kind.nodata.get(array_of(kind.layout, plane)) for plane in planes)


def _wanted(
    groups: Groups, bands: Wanted | Mapping[str, Wanted], label: tuple[str, str] | None
) -> list[tuple[str, str]]:
    """(group, name) of each band or array that is asked for."""
    if bands is None:
        return [pair for group in groups for pair in _all_of(groups, group, label)]
    if isinstance(bands, Mapping):
        strange = [group for group in bands if group not in groups]
        if strange:
            raise ConfigError(
                f"bands names the group {strange[0]!r}, but joined are {[*groups]}; see join=..."
            )
        return [pair for group in bands for pair in _wanted_of(groups, group, bands[group], label)]
    if isinstance(bands, str):
        return of_preset(groups, bands)
    return [_place(groups, name, what="bands") for name in bands]


def _wanted_of(
    groups: Groups, group: str, wanted: Wanted, label: tuple[str, str] | None
) -> list[tuple[str, str]]:
    if wanted is None:
        return _all_of(groups, group, label)
    if isinstance(wanted, str):
        return of_preset({group: groups[group]}, wanted)
    return [(group, name) for name in wanted]


def _all_of(groups: Groups, group: str, label: tuple[str, str] | None) -> list[tuple[str, str]]:
    """All arrays of a group but those of class ids; its patches must agree on them."""
    first, *others = groups[group]
    for other in others:
        if {*first.kind.arrays} != {*other.kind.arrays}:
            raise ConfigError(
                f"patches have different bands: {first.where} has {some_bands(first.kind.arrays)}, {other.where} has "
                f"{some_bands(other.kind.arrays)}; name those that all have with bands=[...], or one group of "
                'patches with join=("s2",)'
            )
    left_out = {MASK, label[1] if label is not None and label[0] == group else MASK}
    return [(group, name) for name in first.kind.arrays if name not in left_out]


def _check_joined(
    groups: Groups, name: str, *, what: str, known: Callable[[], Sequence[str]]
) -> None:
    """See that a name with a group is not of one that is left out.

    Raises:
        ConfigError: It is.
    """
    group, slash, _ = name.partition("/")
    arrays = {array for first, *_ in groups.values() for array in first.kind.arrays}
    if not slash or group in groups or name in arrays or group not in known():
        return
    if "" in groups:
        raise ConfigError(
            f"{what}: {name!r} is of the group {group!r}, but no groups are joined; pass "
            f"join=(..., {group!r})"
        )
    raise ConfigError(
        f"{what}: {name!r} is of the group {group!r}, but joined are {[*groups]}; add {group!r} to join"
    )


def _place(groups: Groups, name: str, *, what: str) -> tuple[str, str]:
    """(group, name of the band) of "s2/B04", or of "B04" where one group alone has it."""
    group, slash, rest = name.partition("/")
    if slash and group in groups:
        return group, rest
    if len(groups) == 1:
        return next(iter(groups)), name
    owners = [group for group, (first, *_) in groups.items() if name in first.kind.arrays]
    if len(owners) == 1:
        return owners[0], name
    told = f"in the groups {owners}" if owners else f"in none of the groups {[*groups]}"
    example = f"{(owners or [*groups])[0]}/{rest or name}"
    raise ConfigError(f"{what}: {name!r} is {told}; write the group with it, as in {example!r}")


def _planes(examples: Sequence[Example], name: str) -> tuple[str, ...]:
    """The names of the planes that a name stands for; the same in all patches."""
    found: dict[tuple[str, ...], str] = {}
    for example in examples:
        try:
            planes = choose_bands(example.kind.layout, (name,), example.where)
        except SourceError as error:
            if len(examples) == 1:
                raise
            raise SourceError(
                f"{error}; where patches of several groups lie in a store, take one of these with "
                'join=("s2",), or several that belong together'
            ) from error
        found.setdefault(tuple(plane.name for plane in planes), example.where)
    if len(found) > 1:
        told = ", ".join(f"{len(planes)} in {where}" for planes, where in list(found.items())[:3])
        raise ConfigError(
            f"bands: {name!r} has another number of channels from patch to patch: {told}; name those that "
            f"all have, as in [{name + '_1'!r}]"
        )
    return next(iter(found))


def _name(groups: Groups, group: str, plane: str) -> str:
    """The name of a channel: with its group where that is needed to find it again."""
    if not group or len(groups) == 1:
        return plane
    owners = [other for other, (first, *_) in groups.items() if plane in first.kind.arrays]
    plain = owners == [group] and plane.partition("/")[0] not in groups
    return plane if plain else f"{group}/{plane}"


def _names(picks: Mapping[str, Pick]) -> tuple[str, ...]:
    """The channels' names, told apart as a StackSource of the groups does it."""
    read = [pick for pick in picks.values() if pick.planes]
    apart = told_apart([pick.planes for pick in read])
    names = np.empty(len(apart), object)
    names[[channel for pick in read for channel in pick.channels]] = apart
    return tuple(names.tolist())


def _written(group: str, name: str) -> str:
    return f"{group}/{name}" if group else name
