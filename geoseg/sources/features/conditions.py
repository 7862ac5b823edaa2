"""Conditions on the attributes of features, as text that cannot do anything but compare."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import ConfigError, SourceError
from geoseg.sources.features.columns import column_of
from geoseg.sources.features.truths import is_truth, truth_of

if TYPE_CHECKING:
    from geopandas import GeoDataFrame

_LONGEST = 1000
"""Characters."""
_DEEPEST = 50
"""Brackets and signs within each other: what reads them goes as deep."""
_QUOTED = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|`([^`\n]+)`|[&|]""")
"""Texts, names of columns in backticks, and signs for words."""
_WORDS = {"&": " and ", "|": " or "}
_ARITHMETIC = (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.FloorDiv, ast.Mod)
_SIGNS = (ast.UAdd, ast.USub)
_ORDER = (ast.Eq, ast.NotEq, ast.Lt, ast.LtE, ast.Gt, ast.GtE)
_CURE = (
    "write comparisons of columns with numbers, texts and lists, such as \"kind == 'roof' and floors > 2\" "
    "or \"`addr:city` in ['Oslo', 'Bergen']\""
)


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition that was looked through: nothing in it calls, reaches into or assigns anything."""

    text: str
    """As it was given."""
    plain: str
    """With a plain word for each column in backticks, and `and` and `or` for their signs."""
    columns: dict[str, str]
    """{word in `plain`: column}."""
    numeric: frozenset[str]
    """The words of columns with which the condition calculates."""
    truths: frozenset[str]
    """The words of columns that stand by themselves, and so have to be true or false."""

    @classmethod
    def of(cls, text: str) -> Condition:
        """Look through a condition in the language of pandas' `DataFrame.query`.

        It may hold names of columns (in backticks where they are no plain words), numbers, texts, True
        and False, comparisons, `in` and `not in` with a list of those, `and`, `or`, `not`, brackets, and
        + - * / // % of numbers. `&`, `|` and `~` are `and`, `or` and `not`, never signs for bits; what
        they and `not` stand next to is a comparison or a column of True and False.

        Raises:
            ConfigError: It holds anything else, or is no condition at all.
        """
        if len(text) > _LONGEST:
            raise ConfigError(
                f"a condition has {len(text)} characters, expected {_LONGEST} at most"
            )
        plain, quoted = _in_plain_words(text)
        try:
            tree = ast.parse(plain.strip(), mode="eval").body
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            reason = getattr(error, "msg", None) or str(error)
            raise ConfigError(f"{text!r} is no condition ({reason}); {_CURE}") from error
        if _depth(tree) > _DEEPEST:
            raise ConfigError(f"{text!r} is nested more than {_DEEPEST} times; {_CURE}")
        look = _Look(text, quoted)
        look.at_truth(tree)
        names = {name: quoted.get(name, name) for name in sorted(look.names)}
        return cls(text, plain.strip(), names, frozenset(look.numeric), frozenset(look.truths))

    def holds(self, frame: GeoDataFrame, *, name: str) -> NDArray[np.bool_]:
        """(feature,) whether the condition holds; a missing value fulfils `!=`, `not in` and `not` only.

        Raises:
            SourceError: There is no such column, its values cannot be compared or calculated with so,
                or it stands by itself and holds other than True and False.
        """
        argument = f"the query {self.text!r}"
        columns = {
            word: column_of(frame, c, argument=argument, name=name).reset_index(drop=True)
            for word, c in self.columns.items()
        }
        if not len(frame):
            return np.zeros(0, bool)
        self._check(columns, f"{name}: {argument}")
        try:
            return truth_of(ast.parse(self.plain, mode="eval").body, columns, len(frame))
        except ArithmeticError as error:
            raise SourceError(
                f"{name}: {argument} cannot be calculated: {error}; calculate with smaller numbers, and "
                "divide by none that is 0"
            ) from error
        except (TypeError, ValueError) as error:
            raise SourceError(
                f"{name}: {argument} does not fit the columns: {error}; compare numbers with numbers and "
                "texts with texts"
            ) from error

    def _check(self, columns: dict[str, Any], place: str) -> None:
        from pandas.api.types import is_numeric_dtype

        for word in sorted(self.numeric):
            if not is_numeric_dtype(columns[word]):
                raise SourceError(
                    f"{place} calculates with the column {self.columns[word]!r} of "
                    f"{columns[word].dtype}, expected numbers; convert it"
                )
        for word in sorted(self.truths):
            if not is_truth(columns[word]):
                column = self.columns[word]
                value = "1" if is_numeric_dtype(columns[word]) else "'yes'"
                raise SourceError(
                    f"{place} does not fit the columns: {column!r} stands by itself, but its "
                    f"{columns[word].dtype} are not True and False; compare it, such as "
                    f'"{column if column == word else f"`{column}`"} == {value}"'
                )


def _in_plain_words(text: str) -> tuple[str, dict[str, str]]:
    """The text with a word in place of each name in backticks and each sign, and {word: name}.

    In Python the signs bind more than comparisons do, in pandas as the words.
    """
    words: dict[str, str] = {}

    def word_for(match: re.Match[str]) -> str:
        if match[1] is None:
            return _WORDS.get(match[0], match[0])
        word = f"column{len(words)}"
        while word in text:
            word += "x"
        words[word] = match[1]
        return word

    return _QUOTED.sub(word_for, text), words


def _depth(tree: ast.expr) -> int:
    level: list[ast.AST] = [tree]
    depth = 0
    while level:
        level = [child for node in level for child in ast.iter_child_nodes(node)]
        depth += 1
    return depth


class _Look:
    """Goes through a parsed condition and refuses what it does not know."""

    def __init__(self, text: str, quoted: dict[str, str]) -> None:
        self.names: set[str] = set()
        self.numeric: set[str] = set()
        self.truths: set[str] = set()
        self._text, self._quoted = text, quoted

    def at_truth(self, node: ast.expr) -> None:
        """Something that is true or false."""
        match node:
            case ast.BoolOp(values=values):
                for value in values:
                    self.at_truth(value)
            case ast.UnaryOp(op=ast.Not() | ast.Invert(), operand=operand):
                self.at_truth(operand)
            case ast.Compare():
                self._at_comparison(node)
            case ast.Name():
                self._at_name(node)
                self.truths.add(node.id)
            case _:
                self._refuse(node)

    def _at_comparison(self, node: ast.Compare) -> None:
        self._at_value(node.left)
        for op, after in zip(node.ops, node.comparators, strict=True):
            if isinstance(op, ast.In | ast.NotIn):
                if after is not node.comparators[-1]:
                    self._refuse(node)  # a list is compared with nothing
                self._at_list(after)
            elif isinstance(op, _ORDER):
                self._at_value(after)
            else:
                self._refuse(node)
        if not any(isinstance(part, ast.Name) for part in ast.walk(node)):
            raise ConfigError(f"{self._text!r} compares without a column; {_CURE}")

    def _at_list(self, node: ast.expr) -> None:
        if not isinstance(node, ast.List | ast.Tuple):
            self._refuse(node)
            return
        for item in node.elts:
            signed = isinstance(item, ast.UnaryOp) and isinstance(item.op, _SIGNS)
            value = item.operand if signed and isinstance(item, ast.UnaryOp) else item
            if not isinstance(value, ast.Constant):
                self._refuse(item)
            self._at_value(value)

    def _at_value(self, node: ast.expr, *, number: bool = False) -> None:
        match node:
            case ast.Name():
                self._at_name(node)
                if number:
                    self.numeric.add(node.id)
            case ast.Constant(value=bool() | int() | float()):
                pass
            case ast.Constant(value=str()) if not number:
                pass
            case ast.UnaryOp(op=op, operand=operand) if isinstance(op, _SIGNS):
                self._at_value(operand, number=True)
            case ast.BinOp(left=left, op=op, right=right) if isinstance(op, _ARITHMETIC):
                self._at_value(left, number=True)
                self._at_value(right, number=True)
            case _:
                self._refuse(node)

    def _at_name(self, node: ast.Name) -> None:
        if node.id not in self._quoted and node.id.startswith("_"):
            self._refuse(node)
        self.names.add(node.id)

    def _refuse(self, node: ast.expr) -> None:
        raise ConfigError(
            f"{self._text!r}: {ast.unparse(node)!r} may not be part of a condition; {_CURE}"
        )
