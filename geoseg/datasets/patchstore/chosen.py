"""Which rows make an item: a split, keys, and rows of several groups that belong to one sample."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from geoseg.datasets.patchstore.rows import Rows
from geoseg.errors import ConfigError, SourceError
from geoseg.shortlist import some
from geoseg.warn import warn

if TYPE_CHECKING:
    from pandas import DataFrame

_SHOWN = 3
"""Names that a text gives as examples."""


@dataclass(frozen=True, slots=True, eq=False)
class Chosen:
    """The items of a data set."""

    names: NDArray[Any]
    """Of each item: the key of its patch, or, where groups are joined, its sample."""
    rows: Mapping[str, NDArray[np.intp]]
    """For each group that is joined, the row of each item; "" stands for all without a join."""


def choose(
    rows: Rows, *, join: Sequence[str] | None, split: str | None, keys: Iterable[str] | None
) -> Chosen:
    """Find the rows of each item.

    Args:
        rows: Of all stores.
        join: Names of groups, each of which an item has a row of; None: each row is an item.
        split: Only items of this split.
        keys: Only these items, in this order; with `join` they are samples.

    Raises:
        ConfigError: There is no such group, split or key, or nothing is left.
        SourceError: A key is in two stores, a sample has two rows of one group, or two splits.

    Warns:
        UserWarning: Samples without a row of some group are left out.
    """
    table = rows.table
    if split is not None:
        table = _of_split(rows, table, split)
    chosen = _single(rows, table) if join is None else _joined(rows, table, tuple(join))
    return chosen if keys is None else _picked(chosen, list(keys))


def _of_split(rows: Rows, table: DataFrame, split: str) -> DataFrame:
    """The rows of a split; what one row of a sample tells holds for all of it."""
    told = table.loc[table["split"].notna(), ["sample", "split"]].drop_duplicates()
    if twice := told["sample"][told["sample"].duplicated()].tolist():
        both = told.loc[told["sample"] == twice[0], "split"].tolist()
        raise SourceError(
            f"{_stores(rows)}: the sample {twice[0]!r} is in the splits {both}{_more(twice)}; a sample "
            "has one split: convert again with the right metadata"
        )
    known = sorted(told["split"].unique().tolist())
    if split not in known:
        near = get_close_matches(split, known, n=1)
        cure = f"did you mean {near[0]!r}?" if near else "choose one of them"
        if not known:
            cure = "leave `split` out, or convert with metadata that tells splits"
        raise ConfigError(
            f"{_stores(rows)}: no patch is of the split {split!r}, the splits are {known}; {cure}"
        )
    return table[table["sample"].isin(told.loc[told["split"] == split, "sample"])]


def _single(rows: Rows, table: DataFrame) -> Chosen:
    if (both := _first_twice(table, "key")) is not None:
        uris = " and in ".join(rows.uri(row) for row in both)
        raise SourceError(
            f"the key {table['key'].at[both[0]]!r} is in {uris}; a key is in one store: leave one out, or "
            'join groups that belong together with join=("s1", "s2")'
        )
    return Chosen(table["key"].to_numpy(), {"": table.index.to_numpy()})


def _joined(rows: Rows, table: DataFrame, groups: tuple[str, ...]) -> Chosen:
    _check_groups(rows, groups)
    parts = {group: table[table["group"] == group] for group in groups}
    for group, part in parts.items():
        _check_once(rows, part, group)
    samples = list(dict.fromkeys(name for part in parts.values() for name in part["sample"]))
    found: dict[str, NDArray[np.intp]] = {}
    for group, part in parts.items():
        at = dict(zip(part["sample"], part.index, strict=True))
        found[group] = np.array([at.get(name, -1) for name in samples], np.intp)
    whole = np.logical_and.reduce([numbers >= 0 for numbers in found.values()])
    names = np.array([*samples, None], object)[
        :-1
    ]  # with None no list of texts becomes a text array
    if not whole.all():
        _tell_of_missing(rows, names, found, whole)
    order = np.argsort(names[whole], kind="stable")
    return Chosen(names[whole][order], {g: numbers[whole][order] for g, numbers in found.items()})


def _check_groups(rows: Rows, groups: tuple[str, ...]) -> None:
    known = rows.groups()
    strange = [group for group in groups if group not in known]
    if not groups or strange or len({*groups}) < len(groups):
        what = f"there is no group {strange[0]!r}" if strange else f"join is {groups}"
        raise ConfigError(
            f"{_stores(rows)}: {what}, the groups are {sorted(known)}; join takes each once"
            + ("" if known else ", and manifests tell them: write the stores with one")
        )


def _check_once(rows: Rows, part: DataFrame, group: str) -> None:
    if (both := _first_twice(part, "sample")) is not None:
        one, other = map(rows.where, both)
        raise SourceError(
            f"the sample {part['sample'].at[both[0]]!r} has two patches of the group {group!r}: {one} and "
            f"{other}; leave one out, or convert again with metadata that pairs them"
        )


def _first_twice(table: DataFrame, column: str) -> tuple[int, int] | None:
    """The first two rows with one value; None where each is there once."""
    again = table[column].duplicated().to_numpy()
    if not again.any():
        return None
    values, numbers = table[column].to_numpy(), table.index.to_numpy()
    later = int(np.argmax(again))
    earlier = int(np.argmax(values == values[later]))
    return int(numbers[earlier]), int(numbers[later])


def _tell_of_missing(
    rows: Rows,
    names: NDArray[Any],
    found: Mapping[str, NDArray[np.intp]],
    whole: NDArray[np.bool_],
) -> None:
    lacks = [
        f"{group} ({int((numbers < 0).sum())}, as {names[numbers < 0][0]!r})"
        for group, numbers in found.items()
        if (numbers < 0).any()
    ]
    told = (
        f"{int((~whole).sum())} of {len(whole)} samples lack a patch of a group: {', '.join(lacks)}"
    )
    if not whole.any():
        raise ConfigError(f"{_stores(rows)}: {told}; nothing is left: {_how_to_pair(rows)}")
    warn(f"{_stores(rows)}: {told}; they are left out")


def _how_to_pair(rows: Rows) -> str:
    """What tells which patches belong together."""
    layouts = [store.get("layout") for store in rows.told]
    if any(isinstance(layout, Mapping) and layout.get("metadata") for layout in layouts):
        return "what belongs together is known from the metadata of the data set (`geoseg convert --metadata`)"
    return (
        "patches belong together that have one `sample` in the manifest; join groups that share some, or "
        "one alone"
    )


def _picked(chosen: Chosen, keys: list[str]) -> Chosen:
    at = {name: number for number, name in enumerate(chosen.names)}
    strange = [key for key in keys if key not in at]
    if strange or not keys:
        near = get_close_matches(str(strange[0]), list(at)[:10_000], n=2) if strange else []
        what = f"there is no {strange[0]!r}{_more(strange)}" if strange else "none is named"
        hint = f"near: {', '.join(near)}" if near else f"there are {len(at)}, as {next(iter(at))!r}"
        raise ConfigError(f"keys: {what}; {hint}; name items of the stores and the split")
    if twice := [key for key, times in Counter(keys).items() if times > 1]:
        raise ConfigError(f"keys: {twice[0]!r} is named twice{_more(twice)}; name each once")
    numbers = np.array([at[key] for key in keys], np.intp)
    return Chosen(chosen.names[numbers], {g: rows[numbers] for g, rows in chosen.rows.items()})


def _stores(rows: Rows) -> str:
    return some((reader.uri for reader in rows.readers), _SHOWN)


def _more(names: Sequence[Any]) -> str:
    return f" (and {len(names) - 1} more)" if len(names) > 1 else ""
