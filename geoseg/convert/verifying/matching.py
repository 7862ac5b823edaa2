"""Which data set a store was made of, and which of the folders is which of its sources."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from geoseg.convert.layout import MASK, Group, Layout
from geoseg.convert.layouts import LAYOUTS, layout_of
from geoseg.convert.layouts.generic import generic, settled
from geoseg.convert.patch import Patch
from geoseg.convert.patches import find_patches
from geoseg.errors import ConfigError, SourceError
from geoseg.sources.store.reader import StoreReader

_LOOKED_AT = 32
"""Patches of a folder whose values tell whether it is the right one."""
_KEY, _BANDS, _FILES = 1, 2, 4
"""What a patch counts whose key is in the store, whose bands are those there, and whose files are."""


@dataclass(frozen=True, slots=True)
class Matched:
    """What a store is to be compared with."""

    layout: Layout
    sources: Mapping[str, str]
    """{group: folder}."""
    patches: Sequence[Patch]


def matched(
    reader: StoreReader,
    sources: Sequence[str] | Mapping[str, str],
    *,
    layout: str | Layout | None,
    told: Mapping[str, Any],
    metadata: str | None = None,
    table: str | None = None,
) -> Matched:
    """The patches that a store should hold.

    Args:
        reader: Of the store.
        sources: The folders of the data set in any order, or by group.
        layout: Of the data set; None: as the manifest tells; else each is tried.
        told: By the manifest.
        metadata: As in `find_patches`.
        table: Of a layout whose patches are named in one; None: a file among the sources, else the one of
            its name in a folder of them.

    Raises:
        ConfigError: No layout fits, a folder fits no group of it, or its table is not found.
        SourceError: A folder is missing or holds no patch.
    """
    sources, table = _without_table(sources, table, told)
    if isinstance(sources, str) or not sources:
        raise ConfigError(
            f"sources is {sources!r}, expected the folders that the store was made of; name them"
        )
    folders = [*sources.values()] if isinstance(sources, Mapping) else [*sources]
    for folder in folders:
        if not Path(folder).exists():
            raise SourceError(f"{folder}: no such folder; check the path")
    known = _known(reader.uri, layout, told)
    if known is None and table is not None:
        known = generic(csv=table)
    if known is None:
        layout, sources = _tried(reader, sources)
        return _found(reader, layout, sources, metadata)
    known = _with_tables(known, folders, table, given=layout is not None)
    if not isinstance(sources, Mapping):
        sources, _ = _by_group(reader, known, sources)
    return _found(reader, known, sources, metadata)


def _without_table(
    sources: Sequence[str] | Mapping[str, str], table: str | None, told: Mapping[str, Any]
) -> tuple[Sequence[str] | Mapping[str, str], str | None]:
    """(the folders alone, the table where it is named); of a table alone, its own folder."""
    if table is not None and not Path(table).is_file():
        raise ConfigError(f"{table}: there is no such file, expected the table of the patches")
    if isinstance(sources, str | Mapping):
        return sources, table
    files = [source for source in sources if Path(source).is_file()]
    if table is None and len(files) == 1 and _has_table(told):
        table, sources = files[0], [source for source in sources if source not in files]
    return sources or ([str(Path(table).parent)] if table is not None else []), table


def _has_table(told: Mapping[str, Any]) -> bool:
    layout = told.get("layout")
    groups = layout.get("groups") if isinstance(layout, dict) else None
    return any(group.get("table") for group in groups or ())


def _found(
    reader: StoreReader, layout: Layout, sources: Mapping[str, str], metadata: str | None
) -> Matched:
    patches = find_patches(layout, sources, metadata=metadata, without=reader.uri)
    if not all(group.bands for group in layout.groups):
        layout = settled(layout, patches)
    return Matched(layout, sources, patches)


def _known(uri: str, layout: str | Layout | None, told: Mapping[str, Any]) -> Layout | None:
    if isinstance(layout, str):
        return layout_of(layout)
    if layout is not None:
        return layout
    if told.get("kind") == "scenes":
        raise ConfigError(
            f"{uri}: was made of scenes, which may be warped and rasterised; only stores of data sets are "
            "verified. Convert the scenes again and compare the sha256 of both manifests"
        )
    found = told.get("layout")
    return Layout.model_validate(found) if isinstance(found, dict) else None


def _with_tables(
    layout: Layout, folders: Sequence[str], table: str | None, *, given: bool
) -> Layout:
    """The layout with its table where it is now: the manifest has its name alone.

    Args:
        layout: Of the store.
        folders: The sources.
        table: The one that was named.
        given: Whether the caller has named the layout, and its table with it.

    Raises:
        ConfigError: It is not in the sources; one of its name that lies elsewhere is never taken.
    """
    if table is not None and all(group.table is None for group in layout.groups):
        raise ConfigError(f"layout {layout.name!r} takes no table, got {table}; leave it out")
    groups = []
    for group in layout.groups:
        place = group.table
        if place is not None and table is not None:
            place = table
        elif place is not None and not given:
            place = _table_in(folders, place)
        groups.append(group.model_copy(update={"table": place}))
    return layout.model_copy(update={"groups": tuple(groups)})


def _table_in(folders: Sequence[str], name: str) -> str:
    for folder in folders:
        if (path := Path(folder, name)).is_file():
            return str(path)
    raise ConfigError(
        f"the store was made by the table {name}, which is not in {', '.join(folders)}; name it with --csv "
        "(table=)"
    )


def _tried(
    reader: StoreReader, sources: Sequence[str] | Mapping[str, str]
) -> tuple[Layout, Mapping[str, str]]:
    """By the layout under which the folders give most of the keys and bands of the store."""
    best: tuple[int, Layout, Mapping[str, str]] | None = None
    for layout in LAYOUTS.values():
        try:
            named, score = _by_group(reader, layout, sources)
        except (ConfigError, SourceError):
            continue  # another one may fit
        if best is None or score > best[0]:
            best = score, layout, named
    if best is None:
        raise ConfigError(
            f"{reader.uri}: has no manifest to tell its layout, and the sources fit none of: "
            f"{', '.join(LAYOUTS)}; check the folders, or give layout="
        )
    return best[1], best[2]


def _by_group(
    reader: StoreReader, layout: Layout, sources: Sequence[str] | Mapping[str, str]
) -> tuple[dict[str, str], int]:
    """({group: folder}, how well they fit)."""
    groups = [group.name for group in layout.groups]
    if isinstance(sources, Mapping):
        scores = [_score(reader, layout, name, folder) for name, folder in sources.items()]
        if not all(scores):
            raise ConfigError(f"{reader.uri}: sources do not fit the layout {layout.name}")
        return dict(sources), sum(scores)
    named: dict[str, str] = {}
    total = 0
    for folder in sources:
        score, group = max(
            ((_score(reader, layout, name, folder), name) for name in groups),
            key=lambda found: found[0],
        )
        _check_fit(reader, layout, folder, score)
        if group in named:
            raise ConfigError(
                f"{folder} and {named[group]}: are both the source {group!r} of the layout "
                f"{layout.name}; name one folder of each, or give sources={{group: folder}}"
            )
        named[group], total = folder, total + score
    return named, total


def _check_fit(reader: StoreReader, layout: Layout, folder: str, score: int) -> None:
    if score:
        return
    if len(layout.groups) == 1:
        # Tells what is wrong with it.
        find_patches(layout, {layout.groups[0].name: folder}, without=reader.uri)
    first = next(iter(reader.keys()), None)
    store = "is empty" if first is None else f"has keys such as {first}"
    raise ConfigError(
        f"{folder}: gives no key of {reader.uri}, which {store}, as any source of the layout "
        f"{layout.name} ({', '.join(group.name for group in layout.groups)}); name the folders that the "
        "store was made of, or the right layout"
    )


def _score(reader: StoreReader, layout: Layout, group: str, folder: str) -> int:
    """How well some patches of a folder fit the store, were it this group; 0: not at all."""
    try:
        patches = find_patches(layout, {group: folder}, without=reader.uri)
    except (SourceError, ConfigError):
        return 0
    some = patches[:: max(len(patches) // _LOOKED_AT, 1)]
    return sum(_fit(reader, layout.group(group), patch) for patch in some)


def _fit(reader: StoreReader, group: Group, patch: Patch) -> int:
    """How well a patch fits the store: folders of other groups may have the same names."""
    if patch.key not in reader:
        return 0
    if not group.bands:
        return _KEY
    try:
        alike = {*group.bands} == reader.layout(patch.key).tensors.keys() - {MASK}
    except SourceError:  # told when it is compared
        alike = False
    there = all(Path(path).is_file() for path, _ in group.files(patch))
    return _KEY + _BANDS * alike + _FILES * there
