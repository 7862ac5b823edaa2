"""verify: every tensor of a store against its original, bit by bit."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from os import PathLike
from typing import TYPE_CHECKING, Any

from geoseg.convert.conversion import Progress
from geoseg.convert.given import AnyPath, path_of, paths_of, sources_of
from geoseg.convert.patches import of_shard
from geoseg.convert.verifying.faults import Fault, Faults
from geoseg.convert.verifying.fields import Fields
from geoseg.convert.verifying.matching import Matched, matched
from geoseg.convert.verifying.patches import Judge
from geoseg.convert.verifying.rows import Rows, rows_of
from geoseg.errors import ConfigError
from geoseg.sources.store.reader import StoreReader

if TYPE_CHECKING:
    from geoseg.convert.layout import Layout

__all__ = ["Fault", "Verification", "verify"]


@dataclass(frozen=True, slots=True)
class Verification:
    """What was compared, and what was found."""

    store: str
    layout: str
    """The layout by which originals were found."""
    sources: Mapping[str, str | tuple[str, ...]]
    """{group: folder}; of several folders, all."""
    manifest: bool
    """Whether there is one; without it no hash and no georeference is checked."""
    patches: int
    """Patches of the store that were compared."""
    files: int
    """Original files that were read, each once."""
    tensors: int
    """Tensors that were compared with their original."""
    bytes: int
    """Of these."""
    hashes: int
    """Values whose sha256 was compared with the manifest's."""
    unchecked: Mapping[str, int]
    """{group: patches of the store} for groups whose folder was not named."""
    without_metadata: int
    """Patches whose sample, split or labels come from a table of metadata that was not named: these cells of
    the manifest were not compared."""
    faults: Mapping[str, int]
    """{kind: how many}."""
    faulty: int
    """Patches with a fault."""
    errors: tuple[Fault, ...]
    """The first 1,000 faults."""
    seconds: float

    @property
    def ok(self) -> bool:
        """Whether there is no fault."""
        return not self.faults

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        errors = [fault.to_dict() for fault in self.errors]
        return {"ok": self.ok, **asdict(self), "errors": errors}


def verify(
    store: AnyPath,
    sources: Sequence[AnyPath] | Mapping[str, AnyPath],
    *,
    layout: str | Layout | None = None,
    metadata: AnyPath | Sequence[AnyPath] | None = None,
    table: AnyPath | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> Verification:
    """Compare a store with the data set that it was made of.

    The judges are others than those that wrote: original files are read by rasterio alone, each opened
    once, and values are taken apart by the safetensors library. Compared are the keys, the names, dtypes,
    shapes and bits of all tensors (one NaN is not like another), the sha256 of the stored values, and every
    column of the manifest with what files, folders and tables tell. That all files of a patch lie on the
    ground of the largest, up to half a pixel of the coarser, is looked at too, where there is a manifest.
    All faults are counted; nothing ends the run but a store or a folder that cannot be used.

    Args:
        store: The store; one shard is compared with its part of the data set.
        sources: The folders that it was made of, in any order and several of a group where it was added to, or
            {group of the layout: folder}. Patches of groups that are not named are counted as `unchecked`.
        layout: Of the data set; None: as the manifest tells, and without one each layout is tried.
        metadata: The table that was given to the conversion, or several; without it sample, split and labels
            that it tells are not compared, and counted as `without_metadata`.
        table: Of a layout whose patches are named in one (CSV or Parquet); None: the files among the
            sources, else those of its name in their folders.
        progress: Called after each patch.

    Raises:
        ConfigError: No layout fits, a folder is no source of it, its table is not found, the store was made of
            scenes, or an argument is no path.
        SourceError: The store or its manifest cannot be read, or a folder is missing or empty.
    """
    began = time.monotonic()
    store = path_of(store, "store")
    tables = paths_of(metadata, "metadata")
    reader = StoreReader(store)
    rows = rows_of(reader)
    found = matched(
        reader,
        _folders(sources),
        layout=layout,
        told=rows.told,
        metadata=tables,
        table=None if table is None else path_of(table, "table"),
    )
    unknown = found.layout.metadata is not None and not tables
    fields = Fields({g.name: g for g in found.layout.groups}, without_metadata=unknown)
    judge = Judge(reader, rows, fields, Faults())
    patches = _compared(judge, found, progress=progress, began=began)
    unchecked = _without_source(judge, found)
    return Verification(
        store=store,
        layout=found.layout.name,
        sources=dict(found.sources),
        manifest=rows.path is not None,
        patches=patches,
        files=judge.files,
        tensors=judge.tensors,
        bytes=judge.nbytes,
        hashes=judge.hashes,
        unchecked=unchecked,
        without_metadata=fields.unchecked,
        faults=dict(sorted(judge.faults.counts.items())),
        faulty=len(judge.faults.keys),
        errors=tuple(judge.faults.kept),
        seconds=time.monotonic() - began,
    )


def _folders(sources: Any) -> Sequence[str] | Mapping[str, str]:
    if isinstance(sources, Mapping):
        return sources_of(sources)
    if isinstance(sources, str | PathLike) or not isinstance(sources, Iterable):
        raise ConfigError(
            f"sources is {sources!r}, expected the folders that the store was made of; name them in a list"
        )
    return paths_of(sources, "sources")


def _compared(
    judge: Judge,
    found: Matched,
    *,
    progress: Callable[[Progress], None] | None,
    began: float,
) -> int:
    """Compare what the sources give; how many patches of the store that were."""
    groups = {group.name: group for group in found.layout.groups}
    shard = judge.rows.told.get("shard")
    patches = of_shard(found.patches, shard)
    compared = 0
    for done, patch in enumerate(patches, start=1):
        if patch.key in judge.reader:
            judge.compare(patch, groups[patch.group])
            compared += 1
        else:
            text = f"{patch.key}: is not in the store, its source is {patch.full_path}"
            judge.faults.add(Fault("missing", patch.key, text, file=patch.full_path))
        if progress is not None:
            progress(Progress(done, len(patches), judge.nbytes, time.monotonic() - began))
    return compared


def _without_source(judge: Judge, found: Matched) -> dict[str, int]:
    """Tell of keys that no source gives; {group: keys} of those whose folder was not named."""
    known = {patch.key for patch in found.patches}
    groups = {group.name for group in found.layout.groups}
    unchecked: Counter[str] = Counter()
    stored = set()
    for key in judge.reader:
        stored.add(key)
        if key in known:
            continue
        group = judge.rows.cells(key).get("group")
        if group in groups and group not in found.sources:
            unchecked[group] += 1
        else:
            text = f"{key}: no source gives this key of the store"
            judge.faults.add(Fault("extra", key, text))
    _rows_without_value(judge, judge.rows, stored)
    return dict(unchecked)


def _rows_without_value(judge: Judge, rows: Rows, stored: set[str]) -> None:
    for key in rows.at:
        if key not in stored:
            text = f"{key}: the manifest has a row of it, the store no value"
            judge.faults.add(Fault("manifest", key, text))
