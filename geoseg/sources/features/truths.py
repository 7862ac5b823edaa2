"""What a condition that was looked through says of each feature."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

_Bools = NDArray[np.bool_]

_COMPARE: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
_CALCULATE: dict[type[ast.AST], Callable[..., Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.UAdd: operator.pos,
    ast.USub: operator.neg,
}
_WIDE = 8
"""Bytes of the numbers that are calculated with."""


def truth_of(node: ast.AST, columns: Mapping[str, Any], count: int) -> _Bools:
    """(feature,) whether it holds; pandas' own signs work on bits where a column is no bool one.

    Args:
        node: Of a condition that was looked through.
        columns: {word: series of `count` values}.
        count: Of features.

    Raises:
        TypeError, ValueError, ArithmeticError: The values cannot be compared or calculated with so.
    """
    match node:
        case ast.BoolOp(op=op, values=values):
            parts = np.array([truth_of(value, columns, count) for value in values])
            joined: _Bools = (np.all if isinstance(op, ast.And) else np.any)(parts, axis=0)
            return joined
        case ast.UnaryOp(operand=operand):
            return ~truth_of(operand, columns, count)
        case ast.Name(id=word):
            return _bools(columns[word])
        case ast.Compare(left=before, ops=signs, comparators=comparators):
            true = np.ones(count, bool)
            for sign, after in zip(signs, comparators, strict=True):
                true &= _compared(sign, before, after, columns, count)
                before = after
            return true
    raise TypeError(f"{ast.unparse(node)!r} is neither true nor false")


def is_truth(column: Any) -> bool:
    """Whether a column holds True, False and missing values only."""
    from pandas.api.types import is_bool_dtype, is_object_dtype

    if is_object_dtype(column):
        return all(isinstance(value, bool | np.bool_) for value in column[column.notna()])
    return bool(is_bool_dtype(column))


def _bools(column: Any) -> _Bools:
    """A column of True and False; False where the value is missing."""
    known = _known(column, len(column))
    true = np.zeros(len(column), bool)
    true[known] = np.asarray(column[known], bool)
    return true


def _compared(
    op: ast.cmpop, before: ast.expr, after: ast.expr, columns: Mapping[str, Any], count: int
) -> _Bools:
    """(feature,) whether a comparison holds; a missing value is unlike all others."""
    left = _value(before, columns)
    if isinstance(op, ast.In | ast.NotIn):
        values = ast.literal_eval(after)
        among = np.zeros(count, bool)
        among[:] = left.isin(values) if _is_column(left) else left in values
        among &= _known(left, count)
        return ~among if isinstance(op, ast.NotIn) else among
    right = _value(after, columns)
    known = _known(left, count) & _known(right, count)
    left, right = (value[known] if _is_column(value) else value for value in (left, right))
    holds = np.full(count, isinstance(op, ast.NotEq))
    holds[known] = np.asarray(_COMPARE[type(op)](left, right), bool)
    return holds


def _value(node: ast.AST, columns: Mapping[str, Any]) -> Any:
    """A column or a single value."""
    match node:
        case ast.Name(id=word):
            return columns[word]
        case ast.Constant(value=value):
            return value
        case ast.UnaryOp(op=sign, operand=operand):
            return _CALCULATE[type(sign)](_number(operand, columns))
        case ast.BinOp(left=left, op=op, right=right):
            return _CALCULATE[type(op)](_number(left, columns), _number(right, columns))
    raise TypeError(f"{ast.unparse(node)!r} is no value")


def _number(node: ast.AST, columns: Mapping[str, Any]) -> Any:
    """A value to calculate with; small whole numbers, which would begin anew, and bools become large."""
    from pandas.api.types import is_bool_dtype, is_integer_dtype

    value = _value(node, columns)
    if not _is_column(value):
        return value
    small = is_integer_dtype(value) and value.dtype.itemsize < _WIDE
    if small or is_bool_dtype(value):
        return value.astype(np.int64 if isinstance(value.dtype, np.dtype) else "Int64")
    return value


def _known(value: Any, count: int) -> _Bools:
    """(feature,) where there is a value."""
    if not _is_column(value):
        return np.ones(count, bool)
    known: _Bools = value.notna().to_numpy(bool)
    return known


def _is_column(value: Any) -> bool:
    return hasattr(value, "notna")
