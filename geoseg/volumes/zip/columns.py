"""The columns that a frame must have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

LABELS = ("class_id", "rle_mask")
"""Columns of lists of strings."""


def column_problems(schema: pa.Schema, *, labelled: bool) -> dict[str, list[str]]:
    """What is wrong with the columns of a frame, by the column's name.

    Args:
        schema: Of the Parquet file.
        labelled: Whether rows must have labels; else there may be none.
    """
    found: dict[str, list[str]] = {}
    needed = ("image", *LABELS) if labelled else ("image",)
    for key in ("image", *LABELS, "fold"):
        count = len(schema.get_all_field_indices(key))
        if count == 1:
            problem = _type_problem(key, schema.field(key).type)
        elif count:
            problem = f"there are {count} columns {key}, expected one"
        else:
            there = ", ".join(schema.names) or "none"
            problem = f"there is no column {key}; columns: {there}" if key in needed else ""
        if problem:
            found[key] = [problem]
    if not labelled and len(set(schema.names) & set(LABELS)) == 1:
        found.setdefault(LABELS[0], []).append(
            "there is one of the columns class_id and rle_mask, expected both or none"
        )
    return found


def _type_problem(key: str, dtype: Any) -> str:
    """Why a column cannot be read; empty where it can."""
    import pyarrow.types as pt

    if key == "image" and not _is_text(dtype):
        return f"the column image is of type {dtype}, expected strings"
    if key == "fold":
        plain = dtype.value_type if pt.is_dictionary(dtype) else dtype
        if not (pt.is_integer(plain) or _is_text(plain)):
            return f"the column fold is of type {dtype}, expected whole numbers or text, one type for all rows"
    if key in LABELS:
        if _is_text(dtype):
            return (
                f'the column {key} is of type {dtype}: lists stored as text, such as \'["a", "b"]\'; '
                "expected lists of strings, write it with pyarrow.list_(pyarrow.string())"
            )
        lists = pt.is_list(dtype) or pt.is_large_list(dtype) or pt.is_fixed_size_list(dtype)
        if not lists or not _is_text(dtype.value_type):
            return f"the column {key} is of type {dtype}, expected lists of strings"
    return ""


def _is_text(dtype: Any) -> bool:
    import pyarrow.types as pt

    if pt.is_dictionary(dtype):
        return _is_text(dtype.value_type)
    return bool(pt.is_string(dtype) or pt.is_large_string(dtype) or pt.is_string_view(dtype))
