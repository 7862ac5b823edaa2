"""Patches named in a table: CSV or Parquet, a row a patch.

Columns: `image` (a path, relative to the source folder); and, where there are such, `mask` (a path), `key`
(else the image's by the group's template), `split`, and `labels`; see `geoseg.convert.finding.cells` for what a
cell says. Further columns are passed over, but for names such as `Mask`, `keys` or `label`, which are an error where
the column that they nearly name is not there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from geoseg.convert.finding.cells import LABELS, labels_of, read_rows, text_of
from geoseg.convert.finding.naming import namer
from geoseg.convert.layout import Group
from geoseg.convert.patch import Patch
from geoseg.convert.templates import compiled
from geoseg.errors import SourceError

COLUMNS = ("image", "mask", "key", "split", LABELS)
"""Those that are read."""
_EXPECTED = "beside it may stand mask, key, split and labels; rename one"


def table_patches(group: Group, root: str) -> list[Patch]:
    """The patches of a table, sorted by path as text.

    Args:
        group: With its table.
        root: The folder to which its paths are relative.

    Raises:
        ConfigError: The table is missing.
        SourceError: It cannot be read, has no column `image`, a row names none, or has labels that are none.
    """
    table = _found(group.table or "", root)
    name = namer(group, root)
    patches = []
    rows = read_rows(table, COLUMNS, needed=("image",), expected=_EXPECTED)
    for number, row in enumerate(rows, 1):
        image = _relative(text_of(row.get("image")), root)
        # The pattern of a table's group takes everything: paths are given, not looked for.
        match = compiled(group.pattern).search(image)
        if not image or match is None:
            raise SourceError(
                f"{table}: row {number} names no image; fill it in, or remove the row"
            )
        patches.append(_with_cells(name(image, match), row, root, table))
    return sorted(patches, key=lambda patch: (patch.path, patch.key))


def _found(table: str, root: str) -> str:
    """A table's place: as it is named, else below the source folder."""
    below = Path(root, table)
    return str(below) if not Path(table).is_file() and below.is_file() else table


def _with_cells(patch: Patch, row: Mapping[str, Any], root: str, table: str) -> Patch:
    cells = {name: text_of(row.get(name)) for name in ("mask", "key", "split")}
    key = cells["key"] or patch.key
    return replace(
        patch,
        key=key,
        sample=key if patch.sample == patch.key else patch.sample,
        mask=_relative(cells["mask"], root) or patch.mask,
        split=cells["split"] or patch.split,
        labels=labels_of(row.get(LABELS), table) or patch.labels,
    )


def _relative(cell: str, root: str) -> str:
    """A path of a table, POSIX; one that is absolute has to lie below the root."""
    if not Path(cell).is_absolute():
        return Path(cell).as_posix() if cell else ""
    path, folder = Path(cell), Path(root).absolute()
    if not path.is_relative_to(folder):  # links and dots may lead there
        path, folder = path.parent.resolve() / path.name, folder.resolve()
    if not path.is_relative_to(folder):
        raise SourceError(
            f"{cell}: the table names this file, which does not lie below the source folder {root}; name a "
            "folder above all files as the source"
        )
    return path.relative_to(folder).as_posix()
