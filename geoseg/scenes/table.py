"""Scenes as the rows of a table."""

from __future__ import annotations

import re
from difflib import get_close_matches
from pathlib import Path, PurePosixPath

from geoseg.errors import SceneError
from geoseg.placed import placed
from geoseg.scene import Scene
from geoseg.scenes.many import Entry, ManyScenes, shown
from geoseg.scenes.rows import Row, read_rows
from geoseg.spec import Uri
from geoseg.warn import warn

COLUMNS = ("id", "image", "labels", "aoi", "class_by", "mapping", "split")
"""Columns that mean something; only `image` must be there."""


class SceneTable(ManyScenes):
    """A scene of each row of a CSV or Parquet file with the columns of `COLUMNS`.

    Relative paths in it are meant from the table's folder. An empty cell is as if the column were not
    there: an id is then the image's name without its suffix, `class_by` and `mapping` are those given
    here. A mapping is written `1:0 2:1`.

    ```yaml
    train: {table: scenes.csv, split: train}
    ```
    """

    table: Uri
    """The file."""

    def scenes(self) -> tuple[Scene, ...]:
        """The scenes, in the order of the table.

        Raises:
            SourceError: The table cannot be read.
            SceneError: It has no row of this part or no `image`, files are missing, or two scenes have
                one id.

        Warns:
            UserWarning: It has columns of other names, or rows that belong to no part.
        """
        columns, rows = read_rows(self.table)
        self._check_columns(columns)
        numbered = [(number, row) for number, row in enumerate(rows, start=1) if row]
        entries = [self._entry(number, row) for number, row in self._of_part(numbered)]
        if not entries:
            raise SceneError(f"{self.table}: holds no row; add scenes")
        return self.made(entries, self.table)

    def _check_columns(self, columns: tuple[str, ...]) -> None:
        if "image" not in columns:
            raise SceneError(
                f"{self.table}: has no column 'image', but {shown(map(repr, columns)) or 'none at all'}; "
                "name the column with the image files so"
            )
        if "split" in columns and self.split is None:
            raise SceneError(
                f"{self.table}: has a column 'split'; say which of its rows are meant, such as split: train"
            )
        if "split" in columns and self.shares is not None:
            raise SceneError(
                f"{self.table}: has a column 'split', and `shares` are given too; leave one of them out"
            )
        if "split" not in columns and self.split is not None and self.shares is None:
            raise SceneError(
                f"{self.table}: has no column 'split' that could tell the rows of {self.split!r}; add it, or "
                "give `shares`"
            )
        if others := [name for name in columns if name not in COLUMNS]:
            near = get_close_matches(others[0], COLUMNS, n=1)
            hint = f"; is {others[0]!r} meant as {near[0]!r}?" if near else ""
            warn(f"{self.table}: {len(others)} columns mean nothing here: {shown(others)}{hint}")

    def _of_part(self, rows: list[tuple[int, Row]]) -> list[tuple[int, Row]]:
        """The rows whose `split` is the one that is meant; all where that column is not used."""
        if self.split is None or self.shares is not None:
            return rows
        if nowhere := sum("split" not in row for _, row in rows):
            warn(f"{self.table}: {nowhere} of {len(rows)} rows have no `split` and are left out")
        chosen = [(number, row) for number, row in rows if row.get("split") == self.split]
        if not chosen:
            known = sorted({row["split"] for _, row in rows if "split" in row})
            raise SceneError(
                f"{self.table}: no row has the split {self.split!r}; there are: {shown(known) or 'none'}"
            )
        return chosen

    def _entry(self, number: int, row: Row) -> Entry:
        where = f"{self.table}, row {number}"
        if "image" not in row:
            raise SceneError(f"{where}: names no image; fill in its cell, or take the row out")
        folder = str(Path(self.table).parent)
        uris = {key: placed(row[key], folder) for key in ("image", "labels", "aoi") if key in row}
        return Entry(
            where=where,
            id=row.get("id") or PurePosixPath(uris["image"].replace("\\", "/")).stem,
            image=uris["image"],
            labels=uris.get("labels"),
            aoi=uris.get("aoi"),
            class_by=row.get("class_by"),
            mapping=_mapping(row.get("mapping"), where),
        )


def _mapping(text: str | None, where: str) -> dict[int, int] | None:
    if text is None:
        return None
    pairs = re.findall(r"(-?\d+)\s*:\s*(\d+)", text)
    left = re.sub(r"-?\d+\s*:\s*\d+|[\s,;{}]", "", text)
    found = {int(value): int(class_id) for value, class_id in pairs}
    if left or not pairs or len(found) < len(pairs):
        raise SceneError(
            f"{where}: mapping {text!r}: expected pairs of value in the file and class id, each value once, "
            "such as 1:0 2:1"
        )
    return found
