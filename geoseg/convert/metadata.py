"""BigEarthNet's own table, `metadata.parquet`: which patches belong together, their splits and labels.

A row is a Sentinel-2 patch: `patch_id` (its folder's name), `s1_name` (the folder of the Sentinel-1 patch that
shows the same), `split`, `labels` (a list of names of classes). Its other columns are not read.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from sys import intern
from typing import Any

from geoseg.convert.patch import Patch
from geoseg.errors import ConfigError, SourceError

_ID, _S1, _SPLIT, _LABELS = "patch_id", "s1_name", "split", "labels"


@dataclass(frozen=True, slots=True)
class Row:
    """What the table tells of a Sentinel-2 patch."""

    split: str | None
    labels: tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class Metadata:
    """The table."""

    rows: Mapping[str, Row]
    """By patch_id."""
    of_s1: Mapping[str, str]
    """{s1_name: patch_id}"""

    def patch_id(self, patch: Patch) -> str | None:
        """The row of a patch, also of a Sentinel-1 patch or a reference map; None without one."""
        sample = self.of_s1.get(patch.sample) if patch.group == "s1" else patch.sample
        return sample if sample in self.rows else None


def with_metadata(patches: Sequence[Patch], path: str) -> list[Patch]:
    """Patches with sample, split and labels of the table; those it does not name stay as they are, counted.

    Args:
        patches: Of BigEarthNet.
        path: Its `metadata.parquet`.

    Raises:
        ConfigError: There is no such file.
        SourceError: It is another table, or no patch is in it.
    """
    table = read_metadata(path, pairs=any(patch.group == "s1" for patch in patches))
    found: list[Patch] = []
    unknown: list[str] = []
    used: set[str] = set()
    for patch in patches:
        sample = table.patch_id(patch)
        if sample is None:
            unknown.append(patch.key)
            found.append(patch)
            continue
        row = table.rows[sample]
        used.add(sample)
        found.append(replace(patch, sample=sample, split=row.split, labels=row.labels))
    _tell(path, patches=len(patches), unknown=unknown, unused=table.rows.keys() - used)
    return found


def read_metadata(path: str, *, pairs: bool) -> Metadata:
    """The table of a data set.

    Args:
        path: A Parquet file.
        pairs: Whether the names of Sentinel-1 patches have to be in it.

    Raises:
        ConfigError: There is no such file.
        SourceError: It cannot be read, has not these columns, or names a patch twice.
    """
    columns = _columns(path, pairs=pairs)
    ids = columns[_ID]
    splits = columns.get(_SPLIT, [None] * len(ids))
    labels = columns.get(_LABELS, [None] * len(ids))
    same: dict[tuple[str, ...], tuple[str, ...]] = {}
    rows = {
        name: Row(None if split is None else intern(split), _shared(names, same))
        for name, split, names in zip(ids, splits, labels, strict=True)
    }
    of_s1 = dict(zip(columns.get(_S1, []), ids, strict=False))
    for column, read in ((_ID, rows), (_S1, of_s1 if _S1 in columns else rows)):
        if len(read) < len(ids):
            raise SourceError(
                f"{path}: rows with the {column} of another row, or none: {len(ids) - len(read)}; expected a "
                "row for each patch"
            )
    return Metadata(rows, of_s1)


def _columns(path: str, *, pairs: bool) -> dict[str, list[Any]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not Path(path).is_file():
        raise ConfigError(f"{path}: there is no such file, expected BigEarthNet's metadata.parquet")
    needed = {_ID, _S1} if pairs else {_ID}
    try:
        with pq.ParquetFile(path) as file:
            there = file.schema_arrow.names
            if lacking := sorted(needed - {*there}):
                raise SourceError(
                    f"{path}: has the columns {', '.join(there)}, expected {' and '.join(lacking)} too; give "
                    "the metadata.parquet of BigEarthNet v2"
                )
            wanted = [name for name in (_ID, _S1, _SPLIT, _LABELS) if name in there]
            return file.read(columns=wanted).to_pydict()  # type: ignore[no-any-return]
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, SourceError):
            raise
        raise SourceError(f"{path}: this Parquet file cannot be read: {error}") from error


def _shared(
    names: Iterable[str] | None, same: dict[tuple[str, ...], tuple[str, ...]]
) -> tuple[str, ...] | None:
    """Labels as a tuple that all patches of the same labels share."""
    if names is None:
        return None
    labels = tuple(names)
    return same.setdefault(labels, labels)


def _tell(path: str, *, patches: int, unknown: list[str], unused: set[str]) -> None:
    if patches and len(unknown) == patches:
        raise SourceError(
            f"{path}: none of the {patches} patches is in it, for example {unknown[0]}; give the metadata.parquet "
            "of this data set"
        )
    if unknown:
        warnings.warn(
            f"{path}: patches that are not in it: {len(unknown)} of {patches}, for example {unknown[0]}; they have no "
            "split and no labels",
            stacklevel=4,
        )
    if unused:
        warnings.warn(
            f"{path}: rows without a patch: {len(unused)}, for example {min(unused)}",
            stacklevel=4,
        )
