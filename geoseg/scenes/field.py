"""A field that takes scenes, and entries that stand for many."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)

from geoseg.scene import Scene
from geoseg.scenes.many import ManyScenes
from geoseg.scenes.pattern import ScenePattern
from geoseg.scenes.table import SceneTable

_KINDS: dict[str, type[ManyScenes]] = {"glob": ScenePattern, "table": SceneTable}
"""Key that only such an entry has, and what it is then."""


def _alone(value: Any, info: ValidationInfo) -> Any:
    """One such entry may stand without a list."""
    found = _many(value, info)
    return value if found is None else found


def _among(value: Any, handler: ValidatorFunctionWrapHandler, info: ValidationInfo) -> Any:
    found = _many(value, info)
    return (handler(value),) if found is None else found


def _many(value: Any, info: ValidationInfo) -> tuple[Scene, ...] | None:
    """The scenes that an entry stands for; None where it stands for no others."""
    kind = _kind_of(value)
    if kind is not None:
        value = kind.model_validate(value, context=info.context)
    return value.scenes() if isinstance(value, ManyScenes) else None


def _kind_of(value: Any) -> type[ManyScenes] | None:
    if not isinstance(value, dict):
        return None
    return next((kind for key, kind in _KINDS.items() if key in value), None)


def _joined(groups: Iterable[tuple[Scene, ...]]) -> tuple[Scene, ...]:
    return tuple(scene for group in groups for scene in group)


_Item = Scene | ScenePattern | SceneTable
_Items = tuple[_Item, ...] | ScenePattern | SceneTable
SceneList = Annotated[
    tuple[Annotated[Scene, WrapValidator(_among, json_schema_input_type=_Item)], ...],
    BeforeValidator(_alone, json_schema_input_type=_Items),
    AfterValidator(_joined),
]
"""A field of scenes; of ScenePatterns and SceneTables, or one of them without a list, it holds the
scenes that they stand for."""
