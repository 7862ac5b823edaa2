"""Which data set a store was made of, and which of the folders is which of its sources."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from geoseg.convert.layout import MASK, Group, Layout
from geoseg.convert.layouts import LAYOUTS, layout_of
from geoseg.convert.layouts.generic import generic, settled
from geoseg.convert.metadata import with_metadata
from geoseg.convert.patch import Patch
from geoseg.convert.patches import check_tables, find_patches
from geoseg.errors import ConfigError, SourceError
from geoseg.sources.store.reader import StoreReader

_LOOKED_AT = 32
"""Patches of a folder whose values tell whether it is the right one."""
_KEY, _BANDS, _FILES = 1, 2, 4
"""What a patch counts whose key is in the store, whose bands are those there, and whose files are."""


_Call = tuple[Layout, Mapping[str, str]]
"""What a call of `convert` was given: a layout with its table, and {group: folder}."""


@dataclass(frozen=True, slots=True)
class Matched:
    """What a store is to be compared with."""

    layout: Layout
    sources: Mapping[str, str | tuple[str, ...]]
    """{group: folder, or several}."""
    patches: Sequence[Patch]


def matched(
    reader: StoreReader,
    sources: Sequence[str] | Mapping[str, str],
    *,
    layout: str | Layout | None,
    told: Mapping[str, Any],
    metadata: Sequence[str] = (),
    table: str | None = None,
) -> Matched:
    """The patches that a store should hold.

    Args:
        reader: Of the store.
        sources: The folders of the data set in any order, or by group.
        layout: Of the data set; None: as the manifest tells; else each is tried.
        told: By the manifest.
        metadata: As in `find_patches`.
        table: Of a layout whose patches are named in one; None: the files among the sources, else those of
            its name in their folders.

    Raises:
        ConfigError: No layout fits, a folder fits no group of it or is named twice, two of one group have the
            same key, or the table is not found.
        SourceError: A folder is missing or holds no patch.
    """
    sources, tables = _without_tables(sources, table, told)
    if not sources:
        raise ConfigError(
            f"sources is {sources!r}, expected the folders that the store was made of; name them"
        )
    folders = [*sources.values()] if isinstance(sources, Mapping) else [*sources]
    for folder in folders:
        if not Path(folder).exists():
            raise SourceError(f"{folder}: no such folder; check the path")
        if folders.count(folder) > 1:
            raise ConfigError(f"{folder}: is named twice; name each folder once")
    known = _known(reader.uri, layout, told)
    if known is None and tables:
        known = generic(csv=tables[0])
    if known is None:
        known, named = _tried(reader, sources)
        return _found(reader, _rounds(known, named), metadata)
    layouts = _with_tables(known, folders, tables, given=layout is not None)
    if isinstance(sources, Mapping):
        return _found(reader, [(one, sources) for one in layouts], metadata)
    if any(group.table for group in known.groups):
        calls = [_by_table(reader, one, folders) for one in layouts]
        _check_all_used(folders, calls)
        return _found(reader, calls, metadata)
    named, _ = _by_group(reader, known, folders)
    return _found(reader, _rounds(known, named), metadata)


def _without_tables(
    sources: Sequence[str] | Mapping[str, str], table: str | None, told: Mapping[str, Any]
) -> tuple[Sequence[str] | Mapping[str, str], Sequence[str]]:
    """(the folders alone, the tables that are named); of tables alone, their own folders."""
    if table is not None and not Path(table).is_file():
        raise ConfigError(f"{table}: there is no such file, expected the table of the patches")
    tables = [] if table is None else [table]
    if isinstance(sources, Mapping):
        return sources, tables
    if not tables and _has_table(told):
        tables = [source for source in sources if Path(source).is_file()]
        sources = [source for source in sources if source not in tables]
    return sources or [*dict.fromkeys(str(Path(one).parent) for one in tables)], tables


def _has_table(told: Mapping[str, Any]) -> bool:
    layout = told.get("layout")
    groups = layout.get("groups") if isinstance(layout, dict) else None
    return any(group.get("table") for group in groups or ())


def _found(reader: StoreReader, calls: Sequence[_Call], metadata: Sequence[str]) -> Matched:
    """What the calls of `convert` gave that have made the store, one after the other.

    Some of them may have been given metadata, or all of them a table of all: it is looked up for all patches at once.
    """
    check_tables(calls[0][0], metadata)
    layout, folders, patches = calls[0][0], dict[str, list[str]](), dict[str, Patch]()
    for called, sources in calls:
        for group, folder in sources.items():
            if folder not in folders.setdefault(group, []):
                folders[group].append(folder)
        for patch in find_patches(called, sources, without=reader.uri):
            other = patches.setdefault(patch.key, patch)
            if other is not patch:
                raise ConfigError(
                    f"{other.describe()} and {patch.describe()}: have the same key, and are both of the source "
                    f"{patch.group!r} of the layout {layout.name}; name one folder of each, or give "
                    "sources={group: folder}"
                )
    if not all(group.bands for group in layout.groups):
        layout = settled(layout, [*patches.values()])
    named = {group: given[0] if len(given) == 1 else (*given,) for group, given in folders.items()}
    found = [*patches.values()]
    return Matched(layout, named, with_metadata(found, metadata) if metadata else found)


def _rounds(layout: Layout, named: Mapping[str, Sequence[str]]) -> list[_Call]:
    """The calls that take the folders of each group: in the first one the first of all."""
    count = max(map(len, named.values()))
    return [
        (layout, {group: given[at] for group, given in named.items() if at < len(given)})
        for at in range(count)
    ]


def _by_table(reader: StoreReader, layout: Layout, folders: Sequence[str]) -> _Call:
    """The call of a table, with the folder to which its paths are relative."""

    def score(folder: str) -> int:
        return max(_score(reader, layout, group.name, folder) for group in layout.groups)

    named, _ = _by_group(reader, layout, [max(folders, key=score)])
    return layout, {group: given[0] for group, given in named.items()}


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


def _check_all_used(folders: Sequence[str], calls: Sequence[_Call]) -> None:
    used = {folder for _, sources in calls for folder in sources.values()}
    if unused := [folder for folder in folders if folder not in used]:
        raise ConfigError(
            f"{unused[0]}: no table names patches in this folder, or another one fits better; leave it out, or name "
            "the table of its patches too"
        )


def _with_tables(
    layout: Layout, folders: Sequence[str], tables: Sequence[str], *, given: bool
) -> list[Layout]:
    """The layout with each of its tables where it is now: the manifest has the name of the last one alone.

    Args:
        layout: Of the store.
        folders: The sources.
        tables: Those that were named.
        given: Whether the caller has named the layout, and its table with it.

    Raises:
        ConfigError: It is not in the sources; one of its name that lies elsewhere is never taken.
    """
    names = [group.table for group in layout.groups if group.table is not None]
    if not names:
        if tables:
            raise ConfigError(
                f"layout {layout.name!r} takes no table, got {', '.join(tables)}; leave it out"
            )
        return [layout]
    if not tables and given:
        return [layout]
    return [_with_table(layout, table) for table in tables or _tables_in(folders, names[0])]


def _with_table(layout: Layout, table: str) -> Layout:
    groups = (
        group if group.table is None else group.model_copy(update={"table": table})
        for group in layout.groups
    )
    return layout.model_copy(update={"groups": tuple(groups)})


def _tables_in(folders: Sequence[str], name: str) -> list[str]:
    found = [str(path) for folder in folders if (path := Path(folder, name)).is_file()]
    if not found:
        raise ConfigError(
            f"the store was made by the table {name}, which is not in {', '.join(folders)}; name it with --csv "
            "(table=)"
        )
    return found


def _tried(
    reader: StoreReader, sources: Sequence[str] | Mapping[str, str]
) -> tuple[Layout, Mapping[str, Sequence[str]]]:
    """By the layout under which the folders give most of the keys and bands of the store."""
    best: tuple[int, Layout, Mapping[str, Sequence[str]]] | None = None
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
) -> tuple[dict[str, list[str]], int]:
    """({group: its folders}, how well they fit)."""
    groups = [group.name for group in layout.groups]
    if isinstance(sources, Mapping):
        scores = [_score(reader, layout, name, folder) for name, folder in sources.items()]
        if not all(scores):
            raise ConfigError(f"{reader.uri}: sources do not fit the layout {layout.name}")
        return {name: [folder] for name, folder in sources.items()}, sum(scores)
    named: dict[str, list[str]] = {}
    total = 0
    for folder in sources:
        score, group = max(
            ((_score(reader, layout, name, folder), name) for name in groups),
            key=lambda found: found[0],
        )
        _check_fit(reader, layout, folder, score)
        named.setdefault(group, []).append(folder)
        total += score
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
