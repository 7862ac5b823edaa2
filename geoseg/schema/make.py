"""The JSON Schema of a Spec, with every kind of the families in it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic.errors import PydanticInvalidForJsonSchema
from pydantic.json_schema import (
    GenerateJsonSchema,
    JsonSchemaValue,
    JsonSchemaWarningKind,
    models_json_schema,
)
from pydantic_core import core_schema

from geoseg.schema.docs import class_text, field_texts
from geoseg.spec import Spec, Tagged

_DRAFT = "http://json-schema.org/draft-07/schema#"
"""The draft that all editors know."""
_DEFS = "#/$defs/"
Schema = dict[str, Any]


class _Plainly(GenerateJsonSchema):
    """With the texts of the code, and without titles of fields, which say what their names say."""

    ignored_warning_kinds: set[JsonSchemaWarningKind] = {  # noqa: RUF012 - as declared by its base
        "skipped-choice",
        "non-serializable-default",
    }

    def field_title_should_be_set(self, schema: Any) -> bool:
        del schema
        return False

    def model_schema(self, schema: core_schema.ModelSchema) -> JsonSchemaValue:
        found, cls = super().model_schema(schema), schema["cls"]
        if not issubclass(cls, Spec):
            return found
        found["description"] = class_text(cls) or cls.__name__
        texts = field_texts(cls)
        for name, field in cls.model_fields.items():
            if name in texts:
                found["properties"][field.alias or name]["description"] = texts[name]
        if issubclass(cls, Tagged) and "type" in cls.model_fields:
            found["required"] = ["type", *found.get("required", [])]
        return found


def schema_of(spec: type[Spec]) -> Schema:
    """The JSON Schema (draft 7) of what `spec.from_yaml` takes.

    A family is one of its kinds by `type`; kinds that are defined in Python by then are among them,
    those that hold arrays have no text and are not. Descriptions are those of the code. Rules that
    concern several keys together are not told.
    """
    families = [family for family in Tagged.__subclasses__() if family.kinds]
    kinds = {kind for family in families for kind in family.kinds.values() if _has_text(kind)}
    # Whatever order they were imported in, the schema is the same.
    classes = sorted({spec, *families, *kinds}, key=lambda cls: (cls.__module__, cls.__qualname__))
    places, whole = models_json_schema(
        [(cls, "validation") for cls in classes], schema_generator=_Plainly
    )
    names = {cls: places[cls, "validation"]["$ref"].removeprefix(_DEFS) for cls in classes}
    defs: dict[str, Schema] = whole["$defs"]
    for family in families:
        known = sorted((tag, names[kind]) for tag, kind in family.kinds.items() if kind in kinds)
        defs[names[family]] = {
            "description": class_text(family) or family.__name__,
            "oneOf": [{"$ref": _DEFS + name} for _, name in known],
        }
    used = {name: _as_draft_7(defs[name]) for name in sorted(_reached(names[spec], defs))}
    return {
        "$schema": _DRAFT,
        "title": spec.__name__,
        "allOf": [{"$ref": _DEFS + names[spec]}],
        "$defs": used,
    }


def _has_text(kind: type[Spec]) -> bool:
    """Whether such a kind can be written down: one with a field of arrays or of anything cannot."""
    if any(field.annotation is Any for field in kind.model_fields.values()):
        return False
    try:
        kind.model_json_schema(schema_generator=_Plainly)
    except PydanticInvalidForJsonSchema:
        return False
    return True


def _reached(name: str, defs: dict[str, Schema]) -> set[str]:
    """Definitions that one of them needs, itself too."""
    found, todo = {name}, [name]
    while todo:
        for ref in _refs(defs[todo.pop()]):
            if ref not in found:
                found.add(ref)
                todo.append(ref)
    return found


def _refs(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        ref = value.get("$ref")
        if isinstance(ref, str):
            yield ref.removeprefix(_DEFS)
        for item in value.values():
            yield from _refs(item)
    elif isinstance(value, list):
        for item in value:
            yield from _refs(item)


def _as_draft_7(value: Any) -> Any:
    """What draft 7 writes otherwise: tuples, and a reference with keys beside it."""
    if isinstance(value, list):
        return [_as_draft_7(item) for item in value]
    if not isinstance(value, dict):
        return value
    made = {
        key: {name: _as_draft_7(field) for name, field in item.items()}
        if key == "properties"  # a field may have any name
        else _as_draft_7(item)
        for key, item in value.items()
    }
    if "prefixItems" in made:
        made["items"] = made.pop("prefixItems")
        made["additionalItems"] = False
    if isinstance(made.get("default"), dict):
        del made["default"]  # told key by key; an editor would write down all of it
    if "$ref" in made and len(made) > 1:
        made["allOf"] = [{"$ref": made.pop("$ref")}]
    return made
