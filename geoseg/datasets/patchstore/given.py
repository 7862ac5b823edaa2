"""Arguments of LMDBDataset, looked at before a store is."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from geoseg.classes import ClassMap
from geoseg.datasets.patchstore.bands import Wanted
from geoseg.datasets.patchstore.masks import Classes
from geoseg.errors import ConfigError


def refuse_set(given: object, *, name: str) -> None:
    """See that what is given has an order: texts in a set come in another one in each process.

    Raises:
        ConfigError: It is a set.
    """
    if isinstance(given, set | frozenset):
        raise ConfigError(
            f"{name} is a set, {given!r}, and a set has no order; give a list in the order wanted"
        )


def names_of(given: Any, *, name: str) -> tuple[str, ...]:
    """Names in their order, of anything that gives them, once.

    Raises:
        ConfigError: It is one text, a set, or holds something else than text.
    """
    if isinstance(given, str):
        raise ConfigError(f"{name} is {given!r}, expected several names, as in [{given!r}]")
    refuse_set(given, name=name)
    if not isinstance(given, Iterable):
        raise ConfigError(f"{name} is {given!r}, expected a list of names")
    names = tuple(given)
    for odd in names:
        if not isinstance(odd, str):
            raise ConfigError(f"{name} has {odd!r} in it, expected names, which are text")
    return names


def bands_of(given: Any) -> Wanted | dict[str, Wanted]:
    """Bands as a preset's name, names, {group: the same}, or None for all.

    Raises:
        ConfigError: It is something else.
    """
    if not isinstance(given, Mapping):
        return _wanted(given, name="bands")
    groups = names_of(given, name="bands")
    return {group: _wanted(given[group], name=f"bands[{group!r}]") for group in groups}


def text_of(given: Any, *, name: str, example: str) -> str | None:
    """A name; None as it is.

    Raises:
        ConfigError: It is something else.
    """
    if given is None or isinstance(given, str):
        return given
    raise ConfigError(f"{name} is {given!r}, expected one name, as in {example!r}")


def classes_of(given: Any) -> Classes | None:
    """A class map, its fields, or names with ids from 0; None as it is.

    Raises:
        ConfigError: It is one text, a set (ids follow the order), or no list.
    """
    if given is None or isinstance(given, Mapping):
        return given
    if isinstance(given, str):
        raise ConfigError(f"classes is {given!r}, expected several names, as in [{given!r}]")
    refuse_set(given, name="classes")
    if not isinstance(given, Iterable):
        raise ConfigError(f"classes is {given!r}, expected a list of names or a ClassMap")
    return given if isinstance(given, ClassMap) else tuple(given)


def mapping_of(given: Any) -> dict[int, int] | str | None:
    """{value: class id}, or a ready mapping's name; None as it is.

    Raises:
        ConfigError: It is something else, or has a text such as "111" in place of a number.
    """
    if given is None or isinstance(given, str):
        return given
    if not isinstance(given, Mapping):
        raise ConfigError(
            f"mapping is {given!r}, expected {{value: class id}}, or the name of a ready one, as in "
            "'bigearthnet-19'"
        )
    return {_whole(value): _whole(target) for value, target in given.items()}


def scene_labels_of(given: Any) -> bool | tuple[str, ...]:
    """Whether items have labels, or the names of these.

    Raises:
        ConfigError: It is something else.
    """
    if isinstance(given, bool | np.bool_):
        return bool(given)
    return names_of(given, name="scene_labels")


def _wanted(given: Any, *, name: str) -> Wanted:
    return given if given is None or isinstance(given, str) else names_of(given, name=name)


def _whole(given: Any) -> int:
    try:
        return operator.index(given)
    except TypeError:
        raise ConfigError(
            f"mapping has {given!r} ({type(given).__name__}) in it, expected whole numbers: "
            "{value: class id}"
        ) from None
