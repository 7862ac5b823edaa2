"""Names of classes in the place of ids, where an experiment writes labels down."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from geoseg.classes import ClassMap
from geoseg.labels.values import listed

_RULE = "named"
"""What `background` may say beside an id."""


def with_ids(value: Any, classes: ClassMap) -> Any:
    """Scenes as they are written, with ids where `mapping` and `background` name classes.

    Args:
        value: A scene or an entry of several as a mapping, or a list of these; the rest stays as it is.
        classes: Whose names are meant.

    Raises:
        ValueError: A name is that of no class.
    """
    if isinstance(value, list | tuple):
        return [with_ids(item, classes) for item in value]
    if not isinstance(value, dict):
        return value
    where = f"scene {value['id']!r}: " if "id" in value else ""
    found = {**value, **_resolved(value, classes, where)}
    if isinstance(labels := value.get("labels"), dict):
        found["labels"] = {**labels, **_resolved(labels, classes, where)}
    return found


def _resolved(fields: Mapping[str, Any], classes: ClassMap, where: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if isinstance(mapping := fields.get("mapping"), dict):
        found["mapping"] = {
            key: _id_of(name, f"{where}mapping", classes) for key, name in mapping.items()
        }
    if "background" in fields and fields["background"] != _RULE:
        found["background"] = _id_of(fields["background"], f"{where}background", classes)
    return found


def _id_of(name: Any, what: str, classes: ClassMap) -> Any:
    if not isinstance(name, str) or name.isdigit():
        return name
    if name not in classes.names:
        raise ValueError(
            f"{what}: {name!r} is no class; expected one of {listed(classes)}, by name or id, or "
            f"{classes.ignore_id} for ignored"
        )
    return classes.id_of(name)
