"""Warnings, told at the line of those who called geoseg."""

from __future__ import annotations

import inspect
import warnings
from typing import Any

_BETWEEN = frozenset(
    (
        "geoseg",
        "pydantic",
        "contextlib",
        "functools",
        "torch",
        "lightning",
        "pytorch_lightning",
        "multiprocessing",
        "concurrent",
        "threading",
        "typer",
        "click",
    )
)
"""Packages whose lines say nothing to a reader: geoseg, and those through which it calls itself."""


def warn(text: str) -> None:
    """Give a UserWarning of the nearest line outside geoseg, that of the caller's script, test or notebook.

    Nobody needs to count by how many functions the caller is away. Filters of warnings, such as "once a
    line", go by that line. Where there is none, as in a thread, it is the outermost line of all.

    Args:
        text: What is wrong, where, and what to do.
    """
    filename, line, names = _place()
    warnings.warn_explicit(
        text,
        UserWarning,
        filename,
        line,
        module=str(names.get("__name__") or "<string>"),
        registry=names.setdefault("__warningregistry__", {}),
    )


def _place() -> tuple[str, int, dict[str, Any]]:
    """The file, line and global names of who is told."""
    filename, line, names = "<sys>", 1, dict[str, Any]()
    frame = inspect.currentframe()
    while frame is not None:
        filename, line, names = frame.f_code.co_filename, frame.f_lineno, frame.f_globals
        if str(names.get("__name__")).partition(".")[0] not in _BETWEEN:
            break
        frame = frame.f_back
    return filename, line, names
