"""Which id each feature is burned with, and what its class asks for."""

from __future__ import annotations

import math
import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from geoseg.classes import ClassMap
from geoseg.errors import ConfigError, LabelError
from geoseg.labels.features import class_id, class_ids
from geoseg.shortlist import some
from geoseg.sources.features.columns import as_text, column_of, texts_as_keys

if TYPE_CHECKING:
    from geopandas import GeoDataFrame

WideIds = NDArray[np.int64]
ClassesGiven = ClassMap | Mapping[Any, Any] | Sequence[Any] | None
T = TypeVar("T")

_OTHERS = "*"
"""Stands for the classes that a mapping does not name."""
_LARGEST = 2**32 - 1
"""The largest id that a GeoTIFF of whole numbers holds."""
_SHOWN = 20
"""How many values an error lists."""
_FEATURES = 3
"""How many features it names for each."""


@dataclass(frozen=True, slots=True)
class Classes:
    """The classes that features may have: a ClassMap, names with ids, or any ids."""

    map: ClassMap | None = None
    """With names and colours; its ids are 254 at most."""
    names: Mapping[str, int] | None = None
    """{value of the column, as text: id}; ids may be large, and several names may share one."""

    @classmethod
    def of(cls, given: ClassesGiven) -> Classes:
        """The classes that an argument `class_map` stands for.

        Args:
            given: A ClassMap, or its written form (a list of names or records, or a mapping with
                `classes`); {name: id}; None where the column holds the ids themselves.

        Raises:
            ConfigError: It is none of these, or an id is no whole number from 0.
        """
        if given is None or isinstance(given, ClassMap):
            return cls(map=given)
        if isinstance(given, Mapping) and not isinstance(given.get("classes"), list | tuple):
            return cls(names=_named_ids(given))
        if isinstance(given, str) or not isinstance(given, Mapping | Sequence):
            raise ConfigError(
                f"class_map is {given!r}, expected a ClassMap, its list of names, or {{name: id}}"
            )
        plain = dict(given) if isinstance(given, Mapping) else list(given)
        return cls(map=ClassMap.model_validate(plain))

    @property
    def ids(self) -> tuple[int, ...]:
        """All ids that are known beforehand, ascending."""
        known = self.map.ids if self.map is not None else (self.names or {}).values()
        return tuple(sorted(set(known)))

    def name_of(self, number: int) -> str | None:
        """What an id is called; None where it has no name."""
        if self.map is not None:
            return self.map.name_of(number) if number in self.map.ids else None
        called = [name for name, one in (self.names or {}).items() if one == number]
        return ", ".join(called) or None

    def id_of(self, value: Any, *, argument: str) -> int:
        """The id that an argument names, by name or as a number.

        Raises:
            ConfigError: There is no such class.
        """
        found = self._found(value)
        if found is None:
            known = self.map.names if self.map is not None else tuple(self.names or ())
            raise ConfigError(
                f"{argument} names the class {value!r}, which is none; expected "
                + (f"one of: {', '.join(known)}, or an id of theirs" if known else "an id from 0")
            )
        return found

    def _found(self, value: Any) -> int | None:
        text = as_text(value)
        if self.map is not None:
            known = class_id(value, self.map)
            return class_id(whole(text), self.map) if known is None else known
        if self.names is not None and text in self.names:
            return self.names[str(text)]
        number = whole(text)
        return number if self.names is None or number in self.names.values() else None


def whole(value: Any) -> int | None:
    """A whole number from 0 that a value is, or that a text writes; None where it is none."""
    value = value.item() if isinstance(value, np.generic) else value
    if isinstance(value, str) and value.isdecimal():
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return int(value) if value >= 0 and value == int(value) else None


def feature_ids(
    frame: GeoDataFrame, classes: Classes, *, class_by: str | None, default: int | None, name: str
) -> WideIds:
    """(feature,) the id of each feature.

    Args:
        frame: The features.
        classes: What may be in the column.
        class_by: The column; None: all have the default.
        default: The id of features whose class is missing or unknown; None: those are an error.
        name: What errors call the features.

    Raises:
        LabelError: Features have no class, or one that is none; all of them in one error.
        SourceError: There is no such column.
    """
    if classes.map is not None:
        ids = class_ids(frame, class_by=class_by, default=default, classes=classes.map, name=name)
        return ids.astype(np.int64)
    if class_by is None:
        if default is None:
            raise LabelError(
                f"{name}: nothing tells the class of the features; pass class_by= (a column) or "
                "default_class= (a class)"
            )
        return np.full(len(frame), default, np.int64)
    import pandas as pd

    codes, values = pd.factorize(column_of(frame, class_by, argument="class_by", name=name))
    found = [_value_id(value, classes) for value in values] + [None]  # code -1: no value
    if default is None:
        _refuse_lost(frame, codes, values, found, column=class_by, named=classes.names, name=name)
    table = [default if number is None else number for number in found]
    return np.array([0 if number is None else number for number in table], np.int64)[codes]


def by_class(
    value: T | Mapping[Any, T], ids: WideIds, classes: Classes, *, off: T, argument: str
) -> NDArray[Any]:
    """(feature,) one value for all, or that of each feature's class.

    Args:
        value: The value, or {class: value} by name or id, where "*" stands for the classes not named.
        ids: (feature,) the class of each.
        classes: What the mapping may name.
        off: The value of classes that nothing names.
        argument: What errors call the value.

    Raises:
        ConfigError: A class is none or is named twice, without a class map no feature has it, or a value is
            of another type than `off`.
    """
    given = tuple(value.values()) if isinstance(value, Mapping) else (value,)
    kinds = (bool, np.bool_) if isinstance(off, bool) else (int, float, np.number)
    wrong = [
        v for v in given if not isinstance(v, kinds) or (isinstance(v, bool) and off is not False)
    ]
    if wrong:
        expected = "True or False" if isinstance(off, bool) else "a number"
        raise ConfigError(
            f"{argument} is {wrong[0]!r}, expected {expected}, or one for each class as {{class: ...}}"
        )
    if not isinstance(value, Mapping):
        return np.full(len(ids), value, type(off))
    numbers = [classes.id_of(k, argument=argument) for k in value if k != _OTHERS]
    if len(set(numbers)) < len(numbers):
        raise ConfigError(f"{argument} names a class twice, by name and by id: {list(value)}")
    if classes.map is None and classes.names is None:
        _refuse_unused(numbers, ids, argument)
    found = np.full(len(ids), value.get(_OTHERS, off), type(off))
    for key, one in value.items():
        if key != _OTHERS:
            found[ids == classes.id_of(key, argument=argument)] = one
    return found


def _refuse_unused(numbers: list[int], ids: WideIds, argument: str) -> None:
    """An id that no feature has is a slip where no class map tells that there is such a class."""
    there = np.unique(ids)
    unused = [number for number in numbers if number not in there]
    if unused and len(ids):
        shown = some(there, _SHOWN, counted=False)
        raise ConfigError(
            f"{argument} names the class {unused[0]}, which no feature has; expected one of: {shown}; or pass "
            "class_map= with all classes"
        )


def _named_ids(given: Mapping[Any, Any]) -> dict[str, int]:
    try:
        named = {str(key): operator.index(number) for key, number in texts_as_keys(given).items()}
    except (TypeError, ValueError) as error:
        raise ConfigError(f"class_map {dict(given)!r} is not {{name: id}}: {error}") from error
    wrong = {key: number for key, number in named.items() if not 0 <= number <= _LARGEST}
    if wrong or not named:
        raise ConfigError(
            f"class_map holds {wrong or 'no class'}, expected {{name: id}} with ids from 0 to {_LARGEST}"
        )
    return named


def _value_id(value: Any, classes: Classes) -> int | None:
    """The id of a value of the column; of {name: id} only what it names has one."""
    if classes.names is not None:
        return classes.names.get(as_text(value) or "")
    return None if isinstance(value, str) or (whole(value) or 0) >= 2**63 else whole(value)


def _refuse_lost(
    frame: GeoDataFrame,
    codes: NDArray[np.intp],
    values: Any,
    found: list[int | None],
    *,
    column: str,
    named: Mapping[str, int] | None,
    name: str,
) -> None:
    """One error for all features whose value is no id."""
    codes = codes % len(found)  # the last stands for no value
    lost = np.array([number is None for number in found])[codes]
    if not lost.any():
        return
    texts = []
    for code in dict.fromkeys(codes[lost].tolist()):
        value = "no value" if code == len(values) else repr(_plain(values[code]))
        texts.append(f"{value} ({_features(frame, codes == code)})")
    more = f" and {len(texts) - _SHOWN} other values" if len(texts) > _SHOWN else ""
    expected = "ids are whole numbers from 0; for names pass class_map={name: id}"
    if named is not None:
        expected = f"class_map names {', '.join(named)}; complete it"
    raise LabelError(
        f"{name}: column {column!r} holds what cannot be burned: {', '.join(texts[:_SHOWN])}{more}; "
        f"{expected}, or pass default_class= for the rest"
    )


def _features(frame: GeoDataFrame, which: NDArray[np.bool_]) -> str:
    """Some features by their numbers, counted from 0 in the layer."""
    numbers = frame.index[which]
    return f"feature{'s' if len(numbers) > 1 else ''} {some(numbers, _FEATURES)}"


def _plain(value: Any) -> Any:
    """A numpy number as Python's own, for a text."""
    return value.item() if isinstance(value, np.generic) else value


def name_features(frame: GeoDataFrame, ids: WideIds, wrong: NDArray[np.bool_]) -> str:
    """Ids with the features that have them, for an error: `300 (feature 7)`."""
    texts = [f"{one} ({_features(frame, ids == one)})" for one in np.unique(ids[wrong])[:_SHOWN]]
    return ", ".join(texts)
