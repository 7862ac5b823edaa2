"""Class ids of the values that patches hold as labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.classes import ClassMap
from geoseg.errors import ConfigError, LabelError
from geoseg.labels.corine import BIGEARTHNET_19, BIGEARTHNET_19_CODES
from geoseg.labels.values import counted, known_values, listed, to_ids

Classes = Sequence[str] | Mapping[str, Any] | ClassMap
_READY: dict[str, tuple[ClassMap, Mapping[int, int]]] = {
    "bigearthnet-19": (BIGEARTHNET_19, BIGEARTHNET_19_CODES)
}
"""Mappings by name, with the classes that they lead to."""


@dataclass(frozen=True, slots=True)
class MaskRule:
    """What the values in an array of class ids mean."""

    classes: ClassMap
    known: Mapping[int, int]
    """{value: class id}."""
    mapped: bool
    """Whether a mapping was given."""

    def ids_of(
        self, values: NDArray[Any], measured: NDArray[np.bool_] | None, *, where: str
    ) -> NDArray[np.uint8]:
        """Class ids of values; the ignored id where they are not measured.

        Args:
            values: (height, width).
            measured: (height, width); None: everywhere.
            where: Begins the error text.

        Raises:
            LabelError: Values are unknown; the text counts them.
        """
        known = np.ones(values.shape, bool) if measured is None else measured
        plain = values.view(np.uint8) if values.dtype == bool else values
        ids, unknown = to_ids(plain, known, known=self.known, ignore_id=self.classes.ignore_id)
        if unknown is not None:
            raise LabelError(f"{where}: {self._unknown(counted(plain[unknown], 'pixels'))}")
        return ids

    def _unknown(self, values: str) -> str:
        if self.mapped:
            return (
                f"values that `mapping` does not name: {values}; it names {sorted(self.known)}; add them "
                f"with a class id, or with {self.classes.ignore_id} to ignore them"
            )
        return (
            f"values that are no class: {values}; the classes are {listed(self.classes)}; pass "
            "mapping={value: class id, ...}"
        )


def mask_rule(
    classes: Classes | None,
    mapping: Mapping[int, int] | str | None,
    told: Sequence[Mapping[str, Any]],
) -> MaskRule:
    """The rule for class ids.

    Args:
        classes: The class map; None: that of a ready mapping, or else the one that the stores name.
        mapping: {value: class id}, or the name of a ready one; None: values are class ids.
        told: What the manifests tell of the stores.

    Raises:
        ConfigError: There are no classes, or there is no ready mapping of that name.
        LabelError: The mapping leads to what is no class.
        pydantic.ValidationError: The classes make no class map.
    """
    ready: ClassMap | None = None
    if isinstance(mapping, str):
        if mapping not in _READY:
            raise ConfigError(
                f"mapping is {mapping!r}, expected {{value: class id}} or one of: {', '.join(_READY)}"
            )
        ready, mapping = _READY[mapping]
    known = _class_map(classes) or ready or _common([store.get("classes") for store in told])
    return MaskRule(known, known_values(known, mapping), mapped=mapping is not None)


def _class_map(classes: Classes | None) -> ClassMap | None:
    if classes is None:
        return None
    plain = classes if isinstance(classes, ClassMap | Mapping) else list(classes)
    return ClassMap.model_validate(plain)


def _common(told: Sequence[Any]) -> ClassMap:
    """The classes that all stores name."""
    if any(classes is None for classes in told):
        raise ConfigError(
            "labels are asked for, but nobody tells the classes; pass classes=[...], the names with ids "
            "from 0, or a ClassMap"
        )
    first, *others = [ClassMap.model_validate(classes) for classes in told]
    for other in others:
        if (other.ids, other.names, other.ignore_id) != (first.ids, first.names, first.ignore_id):
            raise ConfigError(
                f"the stores have other classes: {listed(first)}; and {listed(other)}; pass classes=..."
            )
    return first
