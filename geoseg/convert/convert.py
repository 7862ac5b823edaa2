"""`convert`: a data set in its own layout becomes a store of LMDB + safetensors."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

from geoseg.choices import one_of
from geoseg.convert.conversion import Conversion, Progress
from geoseg.convert.finding.complete import not_whole
from geoseg.convert.given import AnyPath, path_of, paths_of, shard_of, sources_of
from geoseg.convert.layout import Layout
from geoseg.convert.layouts import layout_of
from geoseg.convert.layouts.generic import settled
from geoseg.convert.patch import Incomplete, Patch
from geoseg.convert.patches import find_patches, missing_files, of_shard
from geoseg.convert.running.encode import Failed, Recipe
from geoseg.convert.running.gone import gone_keys
from geoseg.convert.running.run import Counts, Run
from geoseg.convert.running.settings import Settings
from geoseg.convert.running.state import Sidecars, state_of
from geoseg.convert.running.target import Target
from geoseg.convert.running.telling import (
    nothing_read,
    report_of,
    warn_of_lost,
    warn_of_retold,
    warn_of_unplaced,
)
from geoseg.convert.running.work import Work
from geoseg.errors import ConfigError

__all__ = ["Conversion", "Progress", "convert"]

_LOOKED_AT = 64
"""Patches whose files tell how large the others are."""


def convert(
    layout: Layout | str,
    sources: Mapping[str, AnyPath],
    target: AnyPath,
    *,
    metadata: AnyPath | Sequence[AnyPath] | None = None,
    workers: int | None = None,
    on_error: Literal["stop", "skip"] = "stop",
    resume: bool = False,
    append: bool = False,
    rico_identical: bool = False,
    embed_geo: bool = False,
    compression: Literal["zstd"] | None = None,
    shard: tuple[int, int] | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> Conversion:
    """Write the patches of a data set into a store: `data.mdb` and `manifest.parquet` in a folder.

    The value of a patch is its bands as safetensors, byte for byte as rico-hdl writes it, whatever the
    number of workers. The store is written in a hidden folder beside the target and takes its name when it
    is whole. What a killed or failed run has committed stays there: the next run goes on with it if it is
    to `resume`, else it removes it and says so.

    All bands of a patch cover the same ground. The manifest has the place that the largest file with a CRS and
    a transform tells; a file that lies elsewhere (another CRS, or a corner more than half a pixel of the
    coarser one away) is an error. Files that tell no place are taken to lie there, too, and counted in a
    warning. Bands that the layout does not name are those of the first image of a group that can be opened.
    A mask has one band of class ids (or of a palette); one of several, such as RGB, is an error.

    With `resume` a patch is kept without being read where its files, and world files and the like beside
    them, have the size and times that were noted and the stored value the hash; else it is read again and
    compared. A finished target is compared whole,
    in a copy that takes its place where anything differs.

    Args:
        layout: How the data set lies, or the name of a known layout.
        sources: {name of a group: its folder}.
        target: The folder of the store, or a link to it; missing folders above it are made. Where it lies in
            a source, nothing is looked for in it.
        metadata: A table that pairs patches and has their splits and labels, or several such, where the layout
            has one. A store that was made with it is gone on with and added to only with it, as it is now.
        workers: Processes that read; 0: this one; None: others where they make it sooner.
        on_error: What to do with a patch that cannot be read: "stop", or "skip" it and tell in
            `<target>.skipped.csv`. What was stored of it before is removed, and that is told.
        resume: Go on with what is there.
        append: Keep the other patches of a store that is there, and add to it.
        rico_identical: Make `data.mdb` byte for byte that of rico-hdl; cannot be resumed, and starts over.
        embed_geo: Note CRS, transform and nodata in the values, too, which are then not rico-hdl's.
        compression: Store values in zstd, which geoseg alone reads.
        shard: (i, n): only the patches of shard i of n, counted from 0, told by the hash of the key.
        progress: Is called once per patch.

    Raises:
        ConfigError: What was asked for does not fit together, or not with what an earlier run was asked for; an
            argument is of a wrong kind.
        SourceError: A source is empty or not there, a key is there twice, a patch cannot be read (with
            `on_error="stop"`), or none could.
        StoreError: The target holds these patches already, or others, or something else; what a killed run has
            written is of other sources; the target cannot be written; another run writes it.

    Warns:
        UserWarning: What a killed run has left was removed or is damaged; patches were removed whose files
            cannot be read any more, or are not in the sources any more; of values that are kept the manifest
            tells something else than before, such as another split; files of patches do not tell where they lie.
    """
    begun = time.monotonic()
    sources, target = sources_of(sources), path_of(target, "target")
    tables = paths_of(metadata, "metadata")
    settings = Settings(
        layout=layout_of(layout) if isinstance(layout, str) else layout,
        compression=compression,
        embed_geo=embed_geo,
        rico_identical=rico_identical,
        shard=shard_of(shard),
        metadata=bool(tables),
    )
    settings.check(append=append)
    _check_call(on_error=on_error, workers=workers)
    place = Target(target)
    place.check_apart(sources)
    patches = find_patches(settings.layout, sources, metadata=tables, without=place.path)
    settings = replace(settings, layout=_with_bands(settings.layout, patches))
    patches = of_shard(patches, settings.shard)
    states = _states(settings.layout, patches)
    doubtful = [patch for patch in patches if not states[patch.key]]
    failed = _incomplete(settings.layout, doubtful, stops=on_error == "stop")
    counts, size = _written(
        settings,
        place,
        patches,
        states,
        failed,
        resume=resume,
        append=append,
        on_error=on_error,
        workers=workers,
        progress=progress,
    )
    return Conversion(
        target=target,
        patches=len(patches),
        written=counts.written,
        kept=counts.kept,
        redone=counts.redone,
        removed=counts.removed,
        skipped=tuple((skipped.patch.key, skipped.error) for skipped in counts.skipped),
        bytes=size,
        seconds=time.monotonic() - begun,
        report=report_of(place, counts, patches, append=append),
    )


def _check_call(*, on_error: str, workers: int | None) -> None:
    one_of(on_error, ("stop", "skip"), name="`on_error`")
    if workers is not None and workers < 0:
        raise ConfigError(f"`workers` is {workers}, expected 0 or more")


def _with_bands(layout: Layout, patches: Sequence[Patch]) -> Layout:
    """The layout with the bands that its files have, where it does not name them."""
    return layout if all(group.bands for group in layout.groups) else settled(layout, patches)


def _states(layout: Layout, patches: Sequence[Patch]) -> dict[str, str]:
    """By key, the state of the files of each patch: of all of them before the first is read."""
    groups = {group.name: group for group in layout.groups}
    beside = Sidecars()
    return {patch.key: state_of(groups[patch.group], patch, beside=beside) for patch in patches}


def _incomplete(layout: Layout, patches: Sequence[Patch], *, stops: bool) -> dict[str, Failed]:
    """By key, the patches of which files are missing or empty: known before anything is written."""
    found = missing_files(layout, patches) if patches else []
    if found and stops:
        raise not_whole(found)
    return {item.patch.key: _failed(item) for item in found}


def _failed(incomplete: Incomplete) -> Failed:
    return Failed(incomplete.patch, incomplete.describe())


def _written(
    settings: Settings,
    place: Target,
    patches: Sequence[Patch],
    states: Mapping[str, str],
    failed: Mapping[str, Failed],
    *,
    resume: bool,
    append: bool,
    on_error: Literal["stop", "skip"],
    workers: int | None,
    progress: Callable[[Progress], None] | None,
) -> tuple[Counts, int]:
    """Bring the target to what the patches hold; (what was done, bytes of its values)."""
    layout = settings.layout
    groups = {group.name: group for group in layout.groups}
    recipe = Recipe(groups, embed_geo=settings.embed_geo, compression=settings.compression)
    with Work(place, settings, resume=resume) as work:
        place.check_keys((patch.key for patch in patches), resume=resume, append=append)
        base = place.is_store and not settings.rico_identical
        if base:
            settings.check_like(place.told(), place.uri, rows=place.rows)
        work.begin(nbytes=_expected(layout, patches), base=base)
        run = Run(
            work,
            recipe,
            target=place.uri,
            on_error=on_error,
            by_bytes=not settings.rico_identical,
            workers=workers,
            progress=progress,
        )
        if not append:
            run.remove(gone_keys(work.journal, patches, uri=place.uri))
        run.go(patches, states=states, failed=failed)
        if patches and not work.journal.noted:
            raise nothing_read(place, run.counts)
        warn_of_unplaced(run.counts)
        warn_of_lost(place, run.counts)
        warn_of_retold(place, run.counts)
        if work.is_copy and not run.counts.changed:
            return run.counts, work.leave()
        return run.counts, work.finish()


def _expected(layout: Layout, patches: Sequence[Patch]) -> int:
    """The bytes of all files, from those of a few patches."""
    few = patches[:: -(-len(patches) // _LOOKED_AT)] if patches else ()
    sizes = [
        Path(path).stat().st_size
        for patch in few
        for path, _ in layout.group(patch.group).files(patch)
        if Path(path).is_file()
    ]
    return sum(sizes) * len(patches) // max(len(few), 1)
