"""What a SegmentationModule is given, and what of it a checkpoint keeps: plain values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, get_args

from geoseg.classes import ClassMap
from geoseg.classweights import ClassWeights
from geoseg.errors import ConfigError
from geoseg.learner.choices import chosen
from geoseg.spec import Spec


def class_map_of(classes: ClassMap | Sequence[str] | Mapping[str, Any]) -> ClassMap:
    """Classes in any of the ways in which they can be given."""
    if isinstance(classes, ClassMap):
        return classes
    if isinstance(classes, Mapping):
        return ClassMap.model_validate(dict(classes))
    return ClassMap.of(*classes)


def class_weights_of(
    given: str | Sequence[float], classes: int
) -> ClassWeights | tuple[float, ...] | None:
    """None for no weights; a rule that waits for counts; or numbers.

    Raises:
        ConfigError: The rule is unknown, or there is not one number a class.
    """
    if given == "none":
        return None
    if isinstance(given, str):
        return chosen(
            "rule of class weights", given, {rule: rule for rule in get_args(ClassWeights)}
        )
    if len(given) != classes:
        raise ConfigError(
            f"{len(given)} class weights for {classes} classes; give one number a class"
        )
    return tuple(float(weight) for weight in given)


def kept_augmentation(given: Any) -> dict[str, Any]:
    """What a checkpoint keeps of it: text and fields; of a callable nothing."""
    if isinstance(given, str):
        return {"augmentation": given}
    if not isinstance(given, Sequence):
        return {}
    if not all(isinstance(part, str | Mapping | Spec) for part in given):
        return {}
    fields = [part.model_dump(mode="json") if isinstance(part, Spec) else part for part in given]
    return {"augmentation": fields}
