"""Whether the folds of all frames make sense together."""

from __future__ import annotations

from collections.abc import Sequence

from geoseg.shortlist import some
from geoseg.volumes.zip.table import Table

_SHOWN = 9


def fold_problems(tables: Sequence[Table]) -> tuple[list[str], list[str]]:
    """(errors, warnings) of the folds.

    Folds are whole numbers that begin with 0 or 1, or names.

    Args:
        tables: Of all frames; those without folds are passed over.
    """
    told = [table for table in tables if table.folds]
    errors = [text for table in told for text in _of_rows(table)]
    kinds = {table.file: _kind(table) for table in told}
    if len(set(kinds.values())) > 1:
        listed = ", ".join(f"{kind} in {file}" for file, kind in kinds.items())
        errors.append(f"column fold: is of different types: {listed}; expected one")
        return errors, []
    values = {value for table in told for value in table.folds or () if value is not None}
    numbers = sorted(value for value in values if isinstance(value, int))
    if not numbers or len(numbers) < len(values):
        return errors, []
    files = ", ".join(kinds)
    if numbers[0] not in (0, 1):
        errors.append(f"{files}: column fold: begins with {numbers[0]}, expected 0 or 1")
        return errors, []
    missing = sorted(set(range(numbers[0], min(numbers[-1], numbers[0] + 1000))) - set(numbers))
    shown = some(missing, _SHOWN, counted=False)
    gaps = [
        f"{files}: column fold: no row has the fold {shown}, between {numbers[0]} and {numbers[-1]}"
    ]
    return errors, gaps if missing else []


def _kind(table: Table) -> str:
    return "text" if any(isinstance(value, str) for value in table.folds or ()) else "whole numbers"


def _of_rows(table: Table) -> list[str]:
    """Missing folds, and folds of text of which some only are numbers."""
    folds = table.folds or ()
    found = [
        f"{table.file}: image {name!r}: its fold is null; expected a fold for every row, or no such column"
        for name, fold in zip(table.names, folds, strict=False)
        if fold is None
    ]
    texts = dict.fromkeys(fold for fold in folds if isinstance(fold, str))
    digits = [text for text in texts if text.strip().isdigit()]
    words = [text for text in texts if not text.strip().isdigit()]
    if digits and words:
        found.append(
            f"{table.file}: column fold: mixes numbers written as text ({digits[0]!r}) and names "
            f"({words[0]!r}); expected one kind"
        )
    return found
