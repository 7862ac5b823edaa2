"""Rows of stores: one for each patch, from the manifests or, without these, from the keys."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from geoseg.datasets.patchstore.lists import Objects, alike
from geoseg.errors import ConfigError, SourceError
from geoseg.sources.store import StoreReader
from geoseg.sources.store.bands import array_names
from geoseg.sources.store.manifesttable import Manifest, read_manifest
from geoseg.sources.store.safetensors_format import Layout, Tensor
from geoseg.warn import warn

if TYPE_CHECKING:
    from pandas import DataFrame

_TOLD = ("bands", "shapes", "dtypes", "nodata")
"""Columns by which patches are alike or not."""


@dataclass(frozen=True, slots=True, eq=False)
class Kind:
    """What patches have in common that are alike."""

    layout: Layout
    arrays: tuple[str, ...]
    """Names of the arrays in the order in which they were given."""
    nodata: Mapping[str, float]
    """The number that means "missing" in an array, where there is one."""


@dataclass(frozen=True, slots=True, eq=False)
class Partly:
    """What a manifest tells of patches where it tells no shapes or dtypes."""

    arrays: tuple[str, ...] | None = None
    nodata: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Rows:
    """The patches of several stores."""

    readers: tuple[StoreReader, ...]
    table: DataFrame
    """A row for each patch: `store` (number of the reader), `key`, `group`, `sample` (the key where none
    is known), `split` (None where none is known) and `kind`."""
    kinds: tuple[Kind | Partly, ...]
    """Where no manifest tells all, the patches of a kind are taken to be like the first that is chosen."""
    labels: Objects
    """Of each patch: a tuple of the names of its classes, None where nothing is known."""
    told: tuple[Mapping[str, Any], ...]
    """Of each store: what its manifest tells of it as a whole."""

    def kind(self, row: int) -> Kind:
        """What is known of a patch: from the manifest, else from itself."""
        known = self.kinds[int(self.table["kind"].to_numpy()[row])]
        if isinstance(known, Kind):
            return known
        layout = StoreReader(self.uri(row)).layout(self.table["key"].to_numpy()[row])
        return Kind(layout, known.arrays or array_names(layout), known.nodata)

    def groups(self) -> list[str]:
        """The groups that patches are of, as the manifests tell them."""
        found: list[str] = self.table["group"].dropna().unique().tolist()
        return found

    def where(self, row: int) -> str:
        """How errors call a patch."""
        return f"{self.uri(row)}: {self.table['key'].to_numpy()[row]}"

    def uri(self, row: int) -> str:
        """The store of a patch."""
        return self.readers[int(self.table["store"].to_numpy()[row])].uri


@dataclass(frozen=True, eq=False)
class _Store:
    table: DataFrame
    kinds: list[Kind | Partly]
    labels: Objects
    told: Mapping[str, Any]


def rows_of(uris: Sequence[str]) -> Rows:
    """The patches of stores, in the order of these and of their keys.

    Of a store without a manifest nothing is known but the keys; reading tells where a patch is not like
    the others.

    Raises:
        ConfigError: No store is named, or all are empty.
        SourceError: A store or its manifest cannot be read.

    Warns:
        UserWarning: A manifest has more or fewer rows than its store has patches.
    """
    import pandas as pd

    if not uris:
        raise ConfigError("no store is named; give the folder of one, or several")
    readers = tuple(StoreReader(uri) for uri in uris)
    stores = [*map(_read, readers)]
    if not any(len(store.table) for store in stores):
        raise ConfigError(f"{', '.join(uris)}: the store is empty; expected at least one patch")
    tables, first = [], 0
    for number, store in enumerate(stores):
        if len(store.table):  # a shard may be empty
            tables.append(store.table.assign(store=number, kind=store.table["kind"] + first))
        first += len(store.kinds)
    return Rows(
        readers=readers,
        table=pd.concat(tables, ignore_index=True),
        kinds=tuple(kind for store in stores for kind in store.kinds),
        labels=np.concatenate([store.labels for store in stores]),
        told=tuple(store.told for store in stores),
    )


def _read(reader: StoreReader) -> _Store:
    manifest = read_manifest(reader.uri)
    return _without_manifest(reader) if manifest is None else _told(reader, manifest)


def _without_manifest(reader: StoreReader) -> _Store:
    import pandas as pd

    keys = np.array(list(reader.keys()), object)
    table = pd.DataFrame({"key": keys, "group": None, "sample": keys, "split": None, "kind": 0})
    return _Store(table, [Partly()], table["split"].to_numpy(object), {})


def _told(reader: StoreReader, manifest: Manifest) -> _Store:
    given, held = manifest.table, len(reader)
    if len(given) != held:
        warn(
            f"{reader.uri}: the manifest has {len(given)} rows, the store {held} patches; those of the "
            "manifest are served: write the store again, or remove the manifest to take all"
        )
    table = given[["key", "group", "sample", "split"]].copy()
    table["sample"] = table["sample"].where(table["sample"].notna(), table["key"])
    keys, columns = table["key"].to_numpy(), [given[name].to_numpy() for name in _TOLD]
    table["kind"] = alike(columns)
    kinds = [
        _kind_told(f"{reader.uri}: {keys[row]}", *(column[row] for column in columns))
        for row in np.unique(table["kind"], return_index=True)[1].tolist()
    ]
    return _Store(table, kinds, given["labels"].to_numpy(), manifest.told)


def _kind_told(
    where: str,
    bands: tuple[str, ...] | None,
    shapes: tuple[tuple[int, ...], ...] | None,
    dtypes: tuple[str, ...] | None,
    nodata: tuple[float | None, ...] | None,
) -> Kind | Partly:
    """What the manifest tells of a patch."""
    if bands is None:
        return Partly()
    try:
        numbers = zip(bands, nodata or (None,) * len(bands), strict=True)
        marked = {name: number for name, number in numbers if number is not None}
        if shapes is None or dtypes is None:
            return Partly(bands, marked)
        return Kind(_layout(bands, shapes, dtypes), bands, marked)
    except (TypeError, ValueError) as error:
        raise SourceError(
            f"{where}: the manifest makes no sense: {error}; write the store again, or remove the manifest"
        ) from error


def _layout(
    bands: tuple[str, ...], shapes: tuple[tuple[int, ...], ...], dtypes: tuple[str, ...]
) -> Layout:
    """Arrays as if they lay one after the other; where they really lie only the value tells."""
    tensors, end = {}, 0
    for name, shape, text in zip(bands, shapes, dtypes, strict=True):
        dtype = np.dtype(text)
        nbytes = math.prod(shape) * dtype.itemsize
        tensors[name] = Tensor(name, dtype, shape, end, nbytes)
        end += nbytes
    return Layout(tensors, end, aligned=True, metadata={})
