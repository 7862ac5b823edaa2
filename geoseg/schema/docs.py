"""The texts that stand under the fields of a class, from its source."""

from __future__ import annotations

import ast
import inspect
import sys
from functools import cache

from pydantic import BaseModel


def class_text(cls: type[BaseModel]) -> str | None:
    """The first paragraph of the docstring, in one line."""
    return _first(inspect.cleandoc(cls.__doc__)) if cls.__doc__ else None


def field_texts(cls: type[BaseModel]) -> dict[str, str]:
    """Field to the text under it, in one line; a field of a base has the base's text.

    Only fields with a text are in it, and none where the source is not at hand.
    """
    texts: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        if issubclass(base, BaseModel):
            texts |= _of_module(base.__module__).get(base.__qualname__, {})
    return {name: text for name, text in texts.items() if name in cls.model_fields}


@cache
def _of_module(name: str) -> dict[str, dict[str, str]]:
    """{class: {field: text}} of all classes at the top of a module."""
    module = sys.modules.get(name)
    try:
        tree = ast.parse(inspect.getsource(module)) if module is not None else ast.Module([], [])
    except (OSError, TypeError):  # a notebook, or a module without a file
        return {}
    return {node.name: _of_class(node) for node in tree.body if isinstance(node, ast.ClassDef)}


def _of_class(node: ast.ClassDef) -> dict[str, str]:
    texts = {}
    for field, below in zip(node.body, node.body[1:], strict=False):
        match field, below:
            case (
                ast.AnnAssign(target=ast.Name(id=name)),
                ast.Expr(value=ast.Constant(value=str(text))),
            ):
                texts[name] = _in_a_line(inspect.cleandoc(text))
    return texts


def _first(text: str) -> str:
    return _in_a_line(text.partition("\n\n")[0])


def _in_a_line(text: str) -> str:
    return " ".join(text.split())
