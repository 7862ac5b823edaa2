"""summary: what is in a store, for people who have just been given it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from geoseg.convert.given import AnyPath, paths_of
from geoseg.convert.summing.bands import Kinds, bands_and_sizes
from geoseg.convert.summing.ground import Ground
from geoseg.errors import ConfigError
from geoseg.sources.store.bands import natural_order
from geoseg.sources.store.compression import compression_of
from geoseg.sources.store.environments import close_stores, data_path
from geoseg.sources.store.manifesttable import Manifest, read_manifest
from geoseg.sources.store.reader import StoreReader

_LOOKED_AT = 1_000
"""Patches that are looked at where no manifest tells of all."""
_SHOWN = 100
"""Labels and sizes that are listed; of more, the most frequent ones."""


def summary(store: AnyPath | Sequence[AnyPath]) -> dict[str, Any]:
    """What a store holds, or several stores together; plain values for JSON.

    With a manifest nothing else is read, so that half a million patches take seconds. Without one, all
    patches are looked at, of more than 1,000 a sample that is spread over all keys: `looked_at` says how
    many then, and counts of bands are of these. The stores are closed afterwards.

    Returns:
        `kind` ("store"), `stores`, `patches`, `first` (key), `bytes` (of the files of values), `manifest`
        (whether each has one), `looked_at` (None: all), `layout` (names), `groups`, `splits` and `compression`
        (each {name: patches}), `labels` ({name: patches} of the 100 most frequent), `label_count` (how many
        there are in all), `bands` ({name: [{dtype, shape, patches}, ...]}, the most
        frequent shapes first and at most 100), `bands_in_order` (of the first patch), `nodata` ({name: numbers}),
        `classes` (names of what `mask` holds), `georeferenced` (patches), `crs` ({text: patches}) and
        `bounds_4326` ([left, bottom, right, top] in degrees of the patches' corners).

    Raises:
        ConfigError: There is no store, or what is given is no path.
        SourceError: A store or its manifest cannot be read.
    """
    uris = paths_of(store, "store")
    if not uris:
        raise ConfigError("there is no store to look at; name at least one")
    looked = _Looked()
    for uri in uris:
        path = data_path(uri)
        try:
            looked.add(uri)
        finally:
            close_stores(path)
    return looked.to_dict(uris)


class _Looked:
    """Counts over stores."""

    def __init__(self) -> None:
        self._patches = self._bytes = self._seen = 0
        self._first: str | None = None
        self._order: tuple[str, ...] = ()
        self._manifests: list[bool] = []
        self._layouts: list[str] = []
        self._classes: list[str] | None = None
        self._kinds = Kinds()
        self._ground = Ground()
        self._counts: dict[str, Counter[str]] = {
            name: Counter() for name in ("group", "split", "labels", "compression")
        }

    def add(self, uri: str) -> None:
        """One more store."""
        reader = StoreReader(uri)
        self._patches += len(reader)
        self._bytes += Path(reader.path).stat().st_size
        manifest = read_manifest(uri)
        self._manifests.append(manifest is not None)
        first = next(iter(reader), None)
        if self._first is None and first is not None:
            self._first, self._order = first, natural_order(reader.layout(first).tensors)
        if manifest is None:
            self._sample(reader)
        else:
            self._rows(manifest, first)

    def _sample(self, reader: StoreReader) -> None:
        """Look at values."""
        for key in reader if len(reader) <= _LOOKED_AT else _spread(reader):
            layout = reader.layout(key)
            tensors = layout.tensors.values()
            names = tuple(tensor.name for tensor in tensors)
            shapes = tuple(tensor.shape for tensor in tensors)
            self._kinds.add(names, shapes, tuple(tensor.dtype.name for tensor in tensors))
            self._counts["compression"][compression_of(reader.stored(key)) or "none"] += 1
            self._seen += 1

    def _rows(self, manifest: Manifest, first: str | None) -> None:
        """Look at the manifest."""
        table = manifest.table
        self._seen += len(table)
        bands_and_sizes(self._kinds, table)
        self._ground.add(table)
        for name in ("group", "split"):
            self._counts[name].update(_told(table[name]))
        for labels, count in Counter(_told(table["labels"])).items():
            for label in labels:
                self._counts["labels"][label] += count
        self._counts["compression"].update(name or "none" for name in table["compression"])
        self._note(manifest.told)
        if first == self._first and len(table) and table["key"].iloc[0] == first:
            self._order = table["bands"].iloc[0] or self._order

    def _note(self, told: Mapping[str, Any]) -> None:
        layout = told.get("layout")
        name = layout.get("name") if isinstance(layout, dict) else told.get("kind")
        if isinstance(name, str) and name not in self._layouts:
            self._layouts.append(name)
        classes = told.get("classes")
        if isinstance(classes, dict):
            self._classes = [one["name"] for one in classes.get("classes", ())]

    def to_dict(self, uris: Sequence[str]) -> dict[str, Any]:
        """As `summary` returns it."""
        counts = self._counts
        return {
            "kind": "store",
            "stores": len(uris),
            "patches": self._patches,
            "first": self._first,
            "bytes": self._bytes,
            "manifest": all(self._manifests),
            "looked_at": None if self._seen == self._patches else self._seen,
            "layout": ", ".join(self._layouts) or None,
            "groups": dict(counts["group"]),
            "splits": dict(counts["split"]),
            "labels": dict(counts["labels"].most_common(_SHOWN)),
            "label_count": len(counts["labels"]),
            "compression": dict(counts["compression"]),
            "bands": self._kinds.to_dict(_SHOWN),
            "bands_in_order": list(self._order),
            "nodata": self._kinds.nodata,
            "classes": self._classes,
            **self._ground.to_dict(),
        }


def _told(column: Iterable[Any]) -> Iterable[Any]:
    return (value for value in column if value is not None)


def _spread(reader: StoreReader) -> Iterable[str]:
    """Some keys from the first on, at equal steps."""
    step = -(-len(reader) // _LOOKED_AT)
    return (key for at, key in enumerate(reader) if at % step == 0)
