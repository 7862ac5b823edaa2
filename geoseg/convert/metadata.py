"""BigEarthNet's own tables, `metadata.parquet` and the like: which patches belong together, their splits and labels.

A row is a Sentinel-2 patch: `patch_id` (its folder's name), `s1_name` (the folder of the Sentinel-1 patch that
shows the same), `split`, `labels` (names of classes). Other columns are not read. Patches with snow, clouds or
shadows are in a table of their own, `metadata_for_patches_with_snow_cloud_or_shadow.parquet`. For what a cell
says, and CSV, see `geoseg.convert.finding.cells`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from sys import intern
from typing import Any

from geoseg.convert.finding.cells import LABELS, labels_of, read_rows, text_of
from geoseg.convert.patch import Patch
from geoseg.errors import SourceError
from geoseg.warn import warn

_ID, _S1, _SPLIT = "patch_id", "s1_name", "split"
_EXPECTED = "give the metadata.parquet of BigEarthNet v2"


@dataclass(frozen=True, slots=True)
class Row:
    """What a table tells of a Sentinel-2 patch."""

    s1: str | None
    split: str | None
    labels: tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class Metadata:
    """The tables."""

    rows: Mapping[str, Row]
    """By patch_id."""
    of_s1: Mapping[str, str]
    """{s1_name: patch_id}"""

    def patch_id(self, patch: Patch) -> str | None:
        """The row of a patch, also of a Sentinel-1 patch or a reference map; None without one."""
        sample = self.of_s1.get(patch.sample) if patch.group == "s1" else patch.sample
        return sample if sample in self.rows else None


def with_metadata(patches: Sequence[Patch], tables: Sequence[str]) -> list[Patch]:
    """Patches with sample, split and labels of the tables; those that none names stay as they are, counted.

    Args:
        patches: Of BigEarthNet.
        tables: Its `metadata.parquet`, or several such.

    Raises:
        ConfigError: There is no such file.
        SourceError: It is another table, two differ, or no patch is in any.
    """
    metadata = read_metadata(tables, pairs=any(patch.group == "s1" for patch in patches))
    found: list[Patch] = []
    unknown: list[str] = []
    used: set[str] = set()
    for patch in patches:
        sample = metadata.patch_id(patch)
        if sample is None:
            unknown.append(patch.key)
            found.append(patch)
            continue
        row = metadata.rows[sample]
        used.add(sample)
        found.append(replace(patch, sample=sample, split=row.split, labels=row.labels))
    unused = metadata.rows.keys() - used
    _tell(", ".join(tables), patches=len(patches), unknown=unknown, unused=unused)
    return found


def read_metadata(tables: Sequence[str], *, pairs: bool) -> Metadata:
    """The tables of a data set as one.

    Args:
        tables: CSV or Parquet files.
        pairs: Whether the names of Sentinel-1 patches have to be in them.

    Raises:
        ConfigError: There is no such file.
        SourceError: One cannot be read, has not these columns, or names a patch twice; two differ in what
            they tell of a patch.
    """
    rows: dict[str, Row] = {}
    for table in tables:
        found = _rows(table, pairs=pairs)
        otherwise = [name for name, row in found.items() if rows.get(name, row) != row]
        if otherwise:
            raise SourceError(
                f"{table}: tells of {len(otherwise)} patches something else than the tables before it, for example of "
                f"{otherwise[0]}; leave one table out"
            )
        rows |= found
    of_s1 = {row.s1: name for name, row in rows.items() if row.s1 is not None}
    if pairs:
        _check_once(tables, _S1, len(of_s1), len(rows))
    return Metadata(rows, of_s1)


def _rows(table: str, *, pairs: bool) -> dict[str, Row]:
    needed = (_ID, _S1) if pairs else (_ID,)
    rows: dict[str, Row] = {}
    same: dict[Any, tuple[str, ...] | None] = {}
    count = 0
    for cells in read_rows(table, (*needed, _SPLIT, LABELS), needed=needed, expected=_EXPECTED):
        count += 1
        if name := text_of(cells.get(_ID)):
            rows[name] = Row(
                (text_of(cells.get(_S1)) or None) if pairs else None,
                intern(text_of(cells.get(_SPLIT))) or None,
                _shared_labels(cells.get(LABELS), same, table),
            )
    _check_once([table], _ID, len(rows), count)
    return rows


def _check_once(tables: Sequence[str], column: str, names: int, rows: int) -> None:
    if names < rows:
        raise SourceError(
            f"{', '.join(tables)}: rows with the {column} of another row, or none: {rows - names}; expected a row for "
            "each patch"
        )


def _shared_labels(
    cell: Any, same: dict[Any, tuple[str, ...] | None], table: str
) -> tuple[str, ...] | None:
    """Labels as a tuple that all patches of the same labels share."""
    told = tuple(cell) if isinstance(cell, list) else cell
    if told not in same:
        same[told] = labels_of(cell, table)
    return same[told]


def _tell(path: str, *, patches: int, unknown: list[str], unused: set[str]) -> None:
    if patches and len(unknown) == patches:
        raise SourceError(
            f"{path}: none of the {patches} patches is in it, for example {unknown[0]}; give the metadata.parquet "
            "of this data set"
        )
    if unknown:
        warn(
            f"{path}: patches that are not in it: {len(unknown)} of {patches}, for example {unknown[0]}; they have no "
            "split and no labels"
        )
    if unused:
        warn(f"{path}: rows without a patch: {len(unused)}, for example {min(unused)}")
