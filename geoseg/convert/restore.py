"""to_geotiff: the patches of a store as GeoTIFFs again."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from geoseg.convert.conversion import Progress
from geoseg.convert.given import AnyPath, path_of
from geoseg.convert.restoring.bands import Band, bands_of, changed, left_out, transform_for
from geoseg.convert.restoring.files import write_file
from geoseg.convert.restoring.names import file_names
from geoseg.drafts import draft_folder, remove_leftovers
from geoseg.errors import SourceError, StoreError
from geoseg.outputs import local_path
from geoseg.sources.store.manifest import manifest_path
from geoseg.sources.store.manifesttable import read_manifest
from geoseg.sources.store.patch import find_patch
from geoseg.sources.store.reader import StoreReader
from geoseg.warn import warn

KEY_TAG, SPLIT_TAG, LABELS_TAG = "GEOSEG_KEY", "GEOSEG_SPLIT", "GEOSEG_LABELS"
"""Tags of each file: its patch's key, its part of the data set, and its labels as a JSON list."""


@dataclass(frozen=True, slots=True)
class Restored:
    """What `to_geotiff` wrote."""

    target: str
    """The folder."""
    patches: int
    files: int
    bytes: int
    """Of all files."""
    placed: int
    """Patches with a georeference; the others had none, or there is no manifest."""
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


def to_geotiff(
    store: AnyPath,
    target: AnyPath,
    *,
    keys: Iterable[str] | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> Restored:
    """Write the patches of a store as GeoTIFFs; their values are the store's bit by bit.

    A patch whose bands have one size, dtype and nodata is one file KEY.tif, else a folder KEY with a file
    BAND.tif for each. What file systems do not take in names becomes `_`. CRS, transform, nodata, names
    and order of bands, split and labels are those of the manifest; coarser bands have the pixels that
    cover the ground of the largest, whose place the manifest has (a conversion refuses bands that lie more
    than half a pixel elsewhere). GeoTIFF has no pixels of bool and float16: they become uint8 and float32, and
    arrays that are no planes of pixels are left out; both are counted in a warning. The folder appears
    when it is whole.

    Args:
        store: The store.
        target: The folder to make; it must not exist yet, or be empty.
        keys: The patches; None: all.
        progress: Called after each patch.

    Raises:
        SourceError: The store or a patch cannot be read, or there is no such key.
        ConfigError: Two keys, or two bands of a patch, would have one name of a file; store or target is no
            path.
        StoreError: The folder is there already with something in it, or cannot be written.
    """
    began = time.monotonic()
    store, target = path_of(store, "store"), path_of(target, "target")
    reader = StoreReader(store)
    wanted = _wanted(reader, keys)
    names = file_names(wanted, "keys", cure="restore them in two runs, each with keys= of one")
    tags = _tags(store)
    work = _Work(reader, manifest_path(reader.path), target)
    with _new_folder(target) as folder:
        for done, key in enumerate(wanted, start=1):
            work.restore(key, folder, names[key], tags=tags.get(key, {}))
            if progress is not None:
                progress(Progress(done, len(wanted), work.bytes, time.monotonic() - began))
    _warn(store, work.counts)
    return Restored(
        target=target,
        patches=len(wanted),
        files=work.files,
        bytes=work.bytes,
        placed=work.counts["placed"],
        seconds=time.monotonic() - began,
    )


@dataclass(slots=True)
class _Work:
    """What is read from, and what was written."""

    reader: StoreReader
    manifest: str
    target: str
    files: int = 0
    bytes: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    """Patches that are placed, and arrays that are left out or have another dtype."""

    def restore(self, key: str, folder: Path, stem: str, *, tags: Mapping[str, str]) -> None:
        """Write one patch into the folder."""
        where = f"{self.reader.uri}: {key}"
        arrays = self.reader.read(key)
        row = find_patch(self.manifest, key)
        if row is not None and row.bands is not None and {*row.bands} != arrays.keys():
            raise SourceError(
                f"{where}: the manifest tells of the bands {', '.join(row.bands)}, the store holds "
                f"{', '.join(arrays)}; the manifest is of another store"
            )
        bands = bands_of(arrays, row)
        if not bands:
            raise SourceError(f"{where}: holds no plane of pixels; leave it out with keys=")
        self.counts["left out"] += len(left_out(arrays))
        self.counts["changed"] += changed(bands, arrays)
        self.counts["placed"] += row is not None and row.transform is not None
        for file, part in _files(folder / stem, bands):
            self.bytes += write_file(
                file,
                part,
                name=str(Path(self.target, file.relative_to(folder))),
                crs=None if row is None else row.crs,
                transform=transform_for(part, bands, row),
                tags={KEY_TAG: _printable(key), **tags},
            )
            self.files += 1


def _printable(key: str) -> str:
    """Keys that others wrote need be no UTF-8."""
    return key.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _files(path: Path, bands: Sequence[Band]) -> Iterator[tuple[Path, Sequence[Band]]]:
    """The files of a patch; folders are made."""
    if all(band.fits(bands[0]) for band in bands):
        yield path.with_name(f"{path.name}.tif"), bands
        return
    stems = file_names([band.name for band in bands], "bands", cure="rename one in the store")
    path.mkdir()
    for band in bands:
        yield path / f"{stems[band.name]}.tif", (band,)


def _wanted(reader: StoreReader, keys: Iterable[str] | None) -> list[str]:
    """Keys in the store's order, each once."""
    if keys is None:
        return list(reader.keys())
    if isinstance(keys, str):
        keys = [keys]
    wanted = sorted({*keys}, key=lambda key: key.encode("utf-8", "surrogateescape"))
    for key in wanted:
        if key not in reader:
            reader.layout(key)  # tells of near keys
    return wanted


def _tags(store: str) -> dict[str, dict[str, str]]:
    """{key: tags} of the patches that have a split or labels."""
    tags: dict[str, dict[str, str]] = {}
    if (manifest := read_manifest(store)) is None:
        return tags
    columns = [manifest.table[name] for name in ("key", "split", "labels")]
    for key, split, labels in zip(*columns, strict=True):
        told = {} if split is None else {SPLIT_TAG: str(split)}
        if labels is not None:
            told[LABELS_TAG] = json.dumps(labels, ensure_ascii=False)
        if told:
            tags[key] = told
    return tags


@contextmanager
def _new_folder(target: str) -> Iterator[Path]:
    """A hidden folder that takes its name when the block ends without any exception."""
    path = local_path(target)
    _refuse_what_is_there(path)
    remove_leftovers([path])
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with draft_folder([path]) as draft:
            folder = draft / path.name
            folder.mkdir()
            yield folder
            _refuse_what_is_there(path)
            if path.is_dir():
                path.rmdir()  # Windows renames to no folder that is there
            folder.rename(path)
    except (StoreError, SourceError):  # are OSErrors too
        raise
    except OSError as error:
        raise StoreError(
            f"{target}: cannot be written: {error.strerror or error}; make room, choose another place or "
            "change its permissions"
        ) from error


def _refuse_what_is_there(path: Path) -> None:
    if path.is_dir():
        if any(path.iterdir()):
            raise StoreError(
                f"{path}: is a folder with something in it, and nothing is overwritten; remove it or choose "
                "another name"
            )
    elif path.exists():
        raise StoreError(f"{path}: is a file, expected a folder to be made; remove it")


def _warn(store: str, counts: Mapping[str, int]) -> None:
    if counts["left out"]:
        warn(f"{store}: {counts['left out']} arrays that are no planes of pixels were left out")
    if counts["changed"]:
        warn(
            f"{store}: {counts['changed']} patches have bands of bool or float16, which GeoTIFF lacks; they "
            "were written as uint8 and float32 with the same values"
        )
