"""Facts on the terminal: aligned lines for people, JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import typer

from geoseg.cli.told import printable

_INDENT = "  "


def show_facts(found: dict[str, Any], *, as_json: bool) -> None:
    """Print them.

    Args:
        found: Plain values, as for JSON.
        as_json: As JSON, else as lines of `key  value`.
    """
    text = json.dumps(found, indent=2, ensure_ascii=False)
    typer.echo(text if as_json else "\n".join(_lines(found)))


def _lines(found: dict[str, Any], indent: str = "") -> Iterator[str]:
    """`key  value` in aligned columns, one line each; what is inside comes below, indented."""
    shown = {printable(key): value for key, value in found.items()}
    width = max(map(len, shown), default=0)
    for key, value in shown.items():
        if isinstance(value, dict) and value:
            yield f"{indent}{key}"
            yield from _lines(value, indent + _INDENT)
        else:
            yield f"{indent}{key.ljust(width)}  {_text(value)}"


def _text(value: Any) -> str:
    if isinstance(value, list | tuple):
        # A tile within a list is z/x/y.
        items = (
            "/".join(map(_text, v)) if isinstance(v, list | tuple) else _text(v) for v in value
        )
        return ", ".join(items) or "none"
    if isinstance(value, float):
        return f"{value:.10g}"
    return "none" if value is None or value == {} else printable(str(value))
