"""What a manifest tells of the patches of a store, as far as it can be checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from geoseg.sources.store.manifest import manifest_path
from geoseg.sources.store.manifesttable import read_manifest
from geoseg.sources.store.patch import Patch, find_patch
from geoseg.sources.store.reader import StoreReader

COLUMNS = (
    "key", "sha256", "bounds", "source", "group", "sample", "split", "labels", "compression",
)  # fmt: skip
"""Those that `Rows.cells` gives; the others are in `Rows.row`."""


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """The rows of a manifest; all is empty where there is none."""

    path: str | None
    """The manifest; None: there is none."""
    at: Mapping[str, int]
    """{key: number of its row}."""
    columns: Mapping[str, Any]
    """{name: cells}, as `read_manifest` gives them."""
    told: Mapping[str, Any]
    """Of the whole store."""

    @property
    def is_whole(self) -> bool:
        """Whether a conversion wrote the manifest, so that nothing that is known is left out of it."""
        return isinstance(self.told.get("layout"), dict)

    def cells(self, key: str) -> dict[str, Any]:
        """The cells of `COLUMNS` of a patch; empty without a row."""
        at = self.at.get(key)
        return {} if at is None else {name: column[at] for name, column in self.columns.items()}

    def row(self, key: str) -> Patch | None:
        """What is told of the arrays of a patch.

        Raises:
            SourceError: The row makes no sense.
        """
        return None if self.path is None else find_patch(self.path, key)


def rows_of(reader: StoreReader) -> Rows:
    """The rows of the manifest of a store.

    Raises:
        SourceError: The manifest cannot be read.
    """
    if (manifest := read_manifest(reader.uri, columns=COLUMNS)) is None:
        return Rows(None, {}, {}, {})
    columns = {name: manifest.table[name].to_numpy() for name in COLUMNS}
    at = {key: number for number, key in enumerate(columns["key"])}
    return Rows(manifest_path(reader.path), at, columns, manifest.told)
