"""What is measured on whole sources: block by block, and kept in a file with a mark of what it is of."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from geoseg import yamltext
from geoseg.errors import ConfigError, SourceError
from geoseg.outputs import local_path, refuse_inputs, written_whole
from geoseg.sources.base import RasterSource, has_names, raster_source
from geoseg.sources.handles import block_cache
from geoseg.sources.statistics.filestate import state_of
from geoseg.spec import Spec, files_of
from geoseg.warn import warn
from geoseg.window import Window, sliding

Source = RasterSource | str | os.PathLike[str]
Sources = Source | Sequence[Source]
"""A source or the uri of a raster, or several that are one data set."""
S = TypeVar("S", bound=Spec)

_ROWS = 256
_MOST_COLUMNS = 64 * _ROWS
_MOST_BYTES = 64 << 20
"""Of a block."""
_MOST_CACHE = 512 << 20
"""Of blocks that GDAL keeps decoded."""
_KEYS = {"kind", "fingerprint", "result", "hash"}


def listed_sources(sources: Sources) -> tuple[RasterSource, ...]:
    """One source or several as a tuple, all with the same bands.

    Raises:
        ConfigError: There is none, or their bands differ.
        SourceError: Pixels are no whole or floating numbers.
    """
    given = [sources] if isinstance(sources, RasterSource | str | os.PathLike) else list(sources)
    if not given:
        raise ConfigError("expected at least one source to measure, got an empty list")
    found = tuple(raster_source(source) for source in given)
    first = found[0].band_names
    for number, source in enumerate(found):
        names = source.band_names
        named = has_names(first) and has_names(names)
        if len(names) != len(first) or (named and names != first):
            raise ConfigError(
                f"source {number + 1} has the bands ({', '.join(names)}), but the first one has "
                f"({', '.join(first)}); choose the same bands=... in one order for all"
            )
        if source.dtype.kind not in "uif":
            raise SourceError(
                f"source {number + 1}: pixels are {source.dtype}, expected whole or floating numbers; "
                "convert them"
            )
    return found


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """Pixels that are measured together."""

    window: Window
    """Where, on the source's grid."""
    data: NDArray[Any]
    """(band, height, width)."""
    measured: NDArray[np.bool_]
    """(band, height, width): where each band counts."""


def blocks(source: RasterSource, *, thin: int = 1) -> Iterator[Block]:
    """All pixels of a source once, in blocks of 256 rows and bounded memory.

    Args:
        source: Wide rasters come in blocks that end at multiples of 256 columns.
        thin: Give every so many-th block only, from the first.

    Raises:
        ConfigError: `thin` is below 1.
    """
    if thin < 1:
        raise ConfigError(f"thin is {thin}, expected 1 (all blocks) or more")
    column = len(source.band_names) * source.dtype.itemsize * _ROWS
    most = max(min(_MOST_BYTES // column // _ROWS * _ROWS, _MOST_COLUMNS), _ROWS)
    grid = source.grid
    windows = sliding(grid, (min(_ROWS, grid.height), min(most, grid.width)), edge="pad")
    # Two rows of blocks of 512 rows are all that reading from top to bottom needs.
    with block_cache(min(max(4 * column * grid.width, _MOST_BYTES), _MOST_CACHE)):
        for window in islice(windows, 0, None, thin):
            inside = window.intersection(grid.whole)
            if inside is not None:
                chip, measured = source.read_measured(inside)
                yield Block(inside, chip.data, measured)


def kept(
    uri: str | None,
    kind: type[S],
    make: Callable[[], S],
    *,
    sources: Sequence[RasterSource],
    options: Mapping[str, Any],
) -> S:
    """The result of `make`, from its file where that is of the same sources in the same state.

    The file tells so by a hash of the sources' YAML text, of modification time and size of each local
    file they name (of a folder, all files in it; also of those beside it that tell of its pixels, such as
    `.aux.xml`, `.msk`, `.ovr`, `-wal`), and of the options. Remote files count by their uri only, and what
    a file refers to in its turn, as a VRT does, not at all. A second hash is of the result: one that was
    changed is not taken.

    Args:
        uri: A YAML file; one that is not there is written. None: nothing is kept.
        kind: What `make` gives.
        make: Measures.
        sources: What is measured.
        options: How.

    Raises:
        ConfigError: The file holds something else, is damaged or was changed, or is one of the sources';
            or a source has no text, such as an ArraySource.
        StoreError: The file cannot be written.

    Warns:
        UserWarning: The file is of other sources or options; it is made anew.
    """
    if uri is None:
        return make()
    refuse_inputs([uri], [name for source in sources for name in files_of(source)])
    fingerprint = _fingerprint(kind, sources, options)
    path = local_path(uri)
    if path.exists():
        before, result = _load(path, kind)
        if before == fingerprint:
            _check_bands(uri, result, bands=len(sources[0].band_names))
            return result
        warn(
            f"{uri}: was measured on other files, or on these before they changed, or with other "
            "options; it is measured anew and replaced"
        )
    result = make()
    record = {
        "kind": kind.__name__,
        "fingerprint": fingerprint,
        "result": result.model_dump(mode="json", by_alias=True),
        "hash": _hash_of(result, fingerprint),
    }
    with written_whole(uri) as target:
        target.write_text(yamltext.dump(record), encoding="utf-8")
    return result


def _fingerprint(
    kind: type[Spec], sources: Sequence[RasterSource], options: Mapping[str, Any]
) -> str:
    parts: list[Any] = [kind.__name__, sorted(options.items())]
    for source in sources:
        parts += [source.to_yaml(), [state_of(uri) for uri in files_of(source)]]
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def _hash_of(result: Spec, fingerprint: str) -> str:
    """Tells whether what a file holds is what was measured."""
    parts = [type(result).__name__, fingerprint, result.model_dump(mode="json", by_alias=True)]
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def _load(path: Path, kind: type[S]) -> tuple[str, S]:
    """(fingerprint, result) of a file that `kept` wrote."""
    wrong = (
        f"{path}: is there already, but holds no {kind.__name__} of geoseg{{}}; choose another name, or "
        "delete it to measure anew"
    )
    try:
        record = yamltext.load(path.read_text(encoding="utf-8"), name=str(path))
    except (OSError, UnicodeDecodeError, ConfigError) as error:
        raise ConfigError(wrong.format(f" ({error})")) from error
    if not isinstance(record, dict) or set(record) != _KEYS:
        raise ConfigError(wrong.format(""))
    if record["kind"] != kind.__name__:
        raise ConfigError(wrong.format(f" but {record['kind']}"))
    try:
        result = kind.model_validate(record["result"])
    except ValidationError as error:
        first = error.errors()[0]
        at = ".".join(map(str, ("result", *first["loc"])))
        raise ConfigError(wrong.format(f" ({at}: {first['msg']})")) from error
    fingerprint = str(record["fingerprint"])
    if record["hash"] != _hash_of(result, fingerprint):
        raise ConfigError(
            f"{path}: was changed after it was measured, its numbers do not fit its hash; delete it to "
            "measure anew"
        )
    return fingerprint, result


def _check_bands(uri: str, result: Spec, *, bands: int) -> None:
    """See that there is a number for each band; what a VRT refers to may have changed unnoticed."""
    for name in type(result).model_fields:
        value = getattr(result, name)
        if isinstance(value, tuple) and len(value) != bands:
            raise ConfigError(
                f"{uri}: `{name}` has {len(value)} numbers, but the source has {bands} bands: a file that "
                "it refers to has changed; delete it to measure anew"
            )


def nothing_valid(band: str | None = None) -> SourceError:
    """The error where there is nothing to measure, in one band or in all."""
    where = "no valid pixel" if band is None else f"no valid pixel in band {band}"
    return SourceError(
        f"{where} to take statistics of; look at nodata and the AOI. A pixel is valid only where every "
        "band that is read is: leave out bands that are empty, with bands=..."
    )
