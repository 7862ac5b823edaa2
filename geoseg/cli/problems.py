"""What is wrong with keys and values, in one sentence a place: what was got, what is expected, what is near."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

_OF_KEYS = ("unknown_key", "missing")
"""Errors whose path ends in a key that somebody wrote, or left out, whatever it looks like."""
_TYPE = re.compile(r"^[A-Z]|\[|^constrained-|^function-|^(int|float|str|bool|tuple|none)$")
"""What pydantic adds to a path: where a field takes several types, the one that was tried."""

_TYPES = {
    "int": "a whole number",
    "float": "a number",
    "finite": "a finite number",
    "string": "text",
    "bool": "true or false",
    "tuple": "a list",
    "list": "a list",
    "dict": "keys and values",
    "mapping": "keys and values",
}
"""How a kind of error of pydantic begins, where the type is wrong: the type."""
_MODELS = {
    "ClassMap": "a list of names, or keys and values",
    "ClassInfo": "a name, or keys and values",
    "RasterSource": "the name of a file, or keys and values with a `type`",
    "VectorSource": "the name of a file, or keys and values with a `type`",
    "LabelSource": "keys and values with a `type`",
    "LabelStore": "the name of a file, or keys and values with a `type`",
    "Scene": "the keys and values of a scene: id, image, labels",
}
"""How some nouns are written; the others are keys and values."""
_BOUNDS = {
    "greater_than": "more than {gt:g}",
    "greater_than_equal": "at least {ge:g}",
    "less_than": "less than {lt:g}",
    "less_than_equal": "at most {le:g}",
    "too_short": "a list of {min_length} or more",
    "too_long": "a list of at most {max_length}",
    "string_too_short": "text of {min_length} or more characters",
}
"""Kind of error to what is expected, where the type is right."""
_SHOWN = 60
"""Characters of a value that was got."""


def problems_of(error: ValidationError) -> dict[str, str]:
    """`path.to.key` to what is wrong there, a sentence each."""
    problems: dict[tuple[str, ...], list[ErrorDetails]] = {}
    for record in error.errors(include_url=False):
        problems.setdefault(_place(record), []).append(record)
    inner = {place[:depth] for place in problems for depth in range(len(place))}
    return {
        ".".join(place): _told(records)
        for place, records in problems.items()
        if place not in inner  # a list is not "too short" because its only item is wrong
    }


def _place(record: ErrorDetails) -> tuple[str, ...]:
    """The keys and places in lists that lead there, without the types that were tried."""
    *parents, last = record["loc"] or ("",)
    kept = [str(part) for part in parents if not _TYPE.search(str(part))]
    if last != "" and (record["type"] in _OF_KEYS or not _TYPE.search(str(last))):
        kept.append(str(last))
    return tuple(kept)


def _told(records: Sequence[ErrorDetails]) -> str:
    """One sentence of all that was tried at a place."""
    own = [record for record in records if _expected(record) is None]
    if own:  # the text of a check says more than that another type would do as well
        return "; or: ".join(dict.fromkeys(_own_text(record) for record in own))
    near = [record for record in records if not _is_of_another_type(record)] or records
    wanted = list(dict.fromkeys(str(_expected(record)) for record in near))
    if _TYPES["float"] in wanted:  # which a whole number is too
        wanted = [text for text in wanted if text != _TYPES["int"]]
    *others, last = wanted
    expected = f"{', '.join(others)} or {last}" if others else last
    got = near[0]["input"]
    return f"got {_shown(got)}, expected {expected}{_hint(got, near)}"


def _own_text(record: ErrorDetails) -> str:
    if record["type"] == "missing":
        return "is missing"
    return record["msg"].removeprefix("Value error, ")


def _expected(record: ErrorDetails) -> str | None:
    """What would be right; None where the text of the error tells it."""
    kind, told = record["type"], record.get("ctx", {})
    if kind == "literal_error":
        return str(told["expected"])
    if kind in _BOUNDS:
        return _BOUNDS[kind].format_map(told)
    if kind in {"model_type", "model_attributes_type"}:
        return _model(told)
    first, _, rest = kind.partition("_")
    return _TYPES.get(first) if rest in {"type", "parsing", "from_float", "number"} else None


def _model(told: Mapping[str, Any]) -> str:
    return _MODELS.get(str(told.get("class_name")), "keys and values")


def _is_of_another_type(record: ErrorDetails) -> bool:
    """Whether the value is not even of the type that was tried."""
    if record["type"] == "literal_error":
        return not isinstance(record["input"], str)
    return record["type"] not in _BOUNDS


def _hint(got: Any, records: Sequence[ErrorDetails]) -> str:
    """The name that was meant, perhaps."""
    names = [
        name
        for record in records
        if record["type"] == "literal_error"
        for name in re.findall("'([^']*)'", str(record.get("ctx", {})["expected"]))
    ]
    if not isinstance(got, str):
        return f"; put it in quotes: '{got}'" if str(got) in names else ""
    near = get_close_matches(got.lower(), names, n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def _shown(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, list | tuple) and not value:
        return "an empty list"
    text = repr(list(value) if isinstance(value, tuple) else value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
