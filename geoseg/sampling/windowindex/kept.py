"""An index that is kept in a file: built where it is missing or stale, and never over somebody's own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from geoseg.choices import one_of
from geoseg.errors import ConfigError, StaleIndexError, StoreError
from geoseg.sampling.windowindex.building import build_rows
from geoseg.sampling.windowindex.masks import Grids
from geoseg.sampling.windowindex.note import MaskState, Recipe, differences, side_note, states_of
from geoseg.sampling.windowindex.paths import relative_to, resolved
from geoseg.sampling.windowindex.reading import How, rows_of_loaded
from geoseg.sampling.windowindex.rows import Rows
from geoseg.sampling.windowindex.tables import load
from geoseg.sampling.windowindex.turns import turn
from geoseg.sampling.windowindex.writing import write_rows
from geoseg.warn import warn
from geoseg.window import Edge, Size

OnStale = Literal["rebuild", "raise"]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a kept index should be; see `WindowIndex.cached`."""

    uri: str
    masks: tuple[str, ...] | None
    patch_size: Size
    stride: Size | None
    edge: Edge
    rebuild: bool


@dataclass(frozen=True, slots=True)
class Found:
    """What the file is as it is."""

    rows: Rows | None
    """Of a file that is right; None where it has to be written, or looked at while nobody writes it."""
    masks: Sequence[str] = ()
    """What it has to be built of."""
    stale: tuple[str, ...] = ()
    """What the file differs in from what is wanted."""


def rebuilds(on_stale: OnStale) -> bool:
    """Whether a stale file is built anew.

    Raises:
        ConfigError: It is neither of the two.
    """
    return one_of(on_stale, ("raise", "rebuild"), name="on_stale") == "rebuild"


def kept_rows(wanted: Wanted, how: How) -> Rows:
    """The rows of the file, which is written first where it has to be."""
    grids = Grids()
    found = _look(wanted, how, grids=grids, alone=False)
    if found.rows is not None:
        return found.rows
    try:
        with turn(wanted.uri):
            found = _look(wanted, how, grids=grids, alone=True)
            if found.rows is not None:
                return found.rows
            _tell_stale(wanted.uri, found.stale)
            return _made(wanted, how, masks=found.masks, grids=grids)
    except StoreError:
        # Where nothing can be written nobody is about to: a file that is right can be read.
        found = _look(wanted, how, grids=grids, alone=True)
        if found.rows is None:
            raise
        return found.rows


def _look(wanted: Wanted, how: How, *, grids: Grids, alone: bool) -> Found:
    """What the file is.

    Args:
        wanted: What it should be.
        how: How it is read.
        grids: What is known of masks already.
        alone: Whether nobody else writes the file now.

    Raises:
        StaleIndexError: It was built otherwise, and is not to be built anew.
    """
    if not Path(wanted.uri).exists():
        return Found(None, wanted.masks or ())
    loaded = load(wanted.uri, key=how.key)
    if loaded.note is None and not alone and side_note(wanted.uri).exists():
        return Found(None)  # perhaps another process gives the two files their names right now
    if loaded.note is None or loaded.note.built is None:
        return Found(rows_of_loaded(wanted.uri, loaded, how, grids=grids))
    masks = wanted.masks
    built = _led(loaded.note.built, how.base, uri=wanted.uri)
    if masks is None:
        masks = _masks_of(loaded.note.built.masks, how.base, uri=wanted.uri)
    states = states_of(masks, [grids.of(mask) for mask in masks], folder=_folder(wanted.uri))
    recipe = Recipe.of(wanted.patch_size, wanted.stride, wanted.edge).of_masks(states)
    told = differences(replace(loaded.note, built=built), how.key, recipe)
    if not told:
        return Found(rows_of_loaded(wanted.uri, loaded, how.of_own_file(), grids=grids))
    if not wanted.rebuild:
        raise StaleIndexError(
            f"{wanted.uri}: was built otherwise: {'; '.join(told)}; remove it, or let it be built anew with "
            'on_stale="rebuild"'
        )
    return Found(None, masks, tuple(told))


def _led(built: Recipe, base: str | None, *, uri: str) -> Recipe:
    """What a file was built of, with masks named by where they lie now should that be below the base."""
    if base is None:
        return built
    folder = _folder(uri)
    paths = relative_to(folder, _masks_of(built.masks, base, uri=uri))
    return built.of_masks(
        tuple(replace(m, path=p) for m, p in zip(built.masks, paths, strict=True))
    )


def _masks_of(built: Sequence[MaskState], base: str | None, *, uri: str) -> tuple[str, ...]:
    """The masks that a file was built of."""
    written = [mask.path for mask in built]
    return resolved(written, folder=_folder(uri), base=base, where=uri, own=True)


def _tell_stale(uri: str, told: Sequence[str]) -> None:
    if told:
        warn(
            f"{uri}: was built otherwise and is built anew: {'; '.join(told)}; write to another file to keep "
            'both, or make this an error with on_stale="raise"'
        )


def _made(wanted: Wanted, how: How, *, masks: Sequence[str], grids: Grids) -> Rows:
    """Build the index, write it, and read it as it is in the file."""
    if not masks:
        raise ConfigError(
            f"{wanted.uri}: no such file, and no masks are given to build it from; check the path, or give masks"
        )
    rows = build_rows(
        masks,
        patch_size=wanted.patch_size,
        stride=wanted.stride,
        edge=wanted.edge,
        key=how.key,
        grids=grids,
    )
    write_rows(wanted.uri, rows)
    loaded = load(wanted.uri, key=how.key)
    return rows_of_loaded(wanted.uri, loaded, how.of_own_file(), grids=grids)


def _folder(uri: str) -> Path:
    return Path(uri).absolute().parent
