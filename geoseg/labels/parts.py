"""Parts of a map, one a shard: written apart, and joined to the map that one run would have made."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from pydantic import ValidationError

from geoseg.errors import ConfigError, SourceError, StoreError
from geoseg.grid import Grid
from geoseg.labels.base import Labels, LabelStore
from geoseg.labels.kept import told_machine
from geoseg.labels.manifest import PREDICTION_TAG, MadeBy, Part, tell
from geoseg.labels.rows import LabelRows, row_bands
from geoseg.labels.tiff import RUN_TAG, TILE, create_ids
from geoseg.labels.tifflabels import GeoTIFFLabels
from geoseg.labels.tilerows import TileRows
from geoseg.outputs import check_names, refuse_inputs, written_together
from geoseg.sources.files.wholetiff import check_whole, codec, not_written
from geoseg.sources.handles import GDAL_ERRORS, open_raster
from geoseg.warn import warn
from geoseg.window import Window

PART_TAG = "GEOSEG_PART"
"""The dataset tag with a Part as JSON."""


def grid_of(part: Part) -> Grid:
    """The grid of a part's own rows."""
    grid, (first, stop) = part.manifest.grid, part.rows
    return grid.crop(Window(first, 0, stop - first, grid.width))


def part_outputs(uri: str, *, scores: bool) -> tuple[str, ...]:
    """The files that `write_part` makes, with the scores or without.

    Raises:
        StoreError: They cannot be named so.
    """
    check_names((uri,))
    outputs = (uri, _scores_uri(uri)) if scores else (uri,)
    check_names(outputs)
    return outputs


def write_part(
    uri: str,
    part: Part,
    pieces: Iterable[LabelRows],
    *,
    notes: Callable[[], Sequence[str]] = tuple,
) -> GeoTIFFLabels:
    """Write the rows of a shard: a GeoTIFF of ids like any label map, that knows its place.

    Scores, where the run keeps them, go to `NAME.part.tif` beside it: float32, a band a class.

    Args:
        uri: A local path.
        part: What the rows belong to.
        pieces: All its rows, in order.
        notes: Asked after the last row: what is to be noted of the part.

    Raises:
        StoreError: The file cannot be written.
    """
    classes, grid, first = part.manifest.classes, grid_of(part), part.rows[0]
    outputs = part_outputs(uri, scores=part.manifest.scores)[::-1]  # the map last
    with written_together(outputs) as (*beside, path), ExitStack() as stack:
        scores = stack.enter_context(_scores_file(beside[0], uri, part)) if beside else None
        with create_ids(path, grid, classes, uri) as dataset:
            tiles = TileRows(dataset, uri)
            for piece in pieces:
                window = Window(piece.row - first, 0, *piece.ids.shape)
                tiles.write(window, piece.ids[None])
                if scores is not None:
                    _write_scores(scores, piece, window, uri)
            tiles.flush()
            for note in notes():
                part = part.with_note(note)
            told = MadeBy.of(part.manifest, part.notes).model_dump_json()
            own = {PART_TAG: part.model_dump_json(), RUN_TAG: f"{tiles.checksum:016x}"}
            dataset.update_tags(**own, **{PREDICTION_TAG: told})
            if scores is not None:
                scores.update_tags(**own)
        check_whole(path, uri)
    return GeoTIFFLabels(uri)


def merge(parts: Sequence[str], store: LabelStore) -> Labels:
    """Join the parts that shards have written, to what one run would have written, to the byte.

    The map tells how it was made, and all that is noted of its parts (see MadeBy).

    Args:
        parts: Their files, in any order.
        store: Where the map goes.

    Returns:
        The labels, read back from the store.

    Raises:
        ConfigError: Parts belong to different runs, overlap, or leave rows out.
        StoreError: A file is no part or cannot be read, or the map cannot be written.

    Warns:
        UserWarning: Parts were computed by different kinds of machine, or in smaller batches since
            memory ran out.
    """
    if not parts:
        raise ConfigError("there are no parts to merge; name the files that the shards wrote")
    refuse_inputs(store.outputs, [*parts, *map(_scores_uri, parts)])
    store.check()
    opened = sorted((_open(uri) for uri in parts), key=lambda opened: opened.part.rows)
    _check_one_run(opened)
    _check_rows(opened)
    manifest = opened[0].part.manifest
    if store.wants_scores and not manifest.scores:
        raise ConfigError(
            f"{store.outputs[-1]}: is to hold scores, but the parts hold none; predict the shards with a "
            "store that wants scores (--scores)"
        )
    if store.wants_scores:
        for each in opened:
            each.check_scores()
    with store.writer(manifest.grid, manifest.classes) as writer:
        for each in opened:
            for piece in each.pieces(scores=store.wants_scores):
                writer.write(piece.window, piece.ids, piece.scores)
        tell(writer, MadeBy.of(manifest, (note for each in opened for note in each.part.notes)))
    return store.read()


@dataclass(frozen=True, slots=True)
class _Opened:
    """A part's file, and what it says."""

    uri: str
    part: Part
    labels: GeoTIFFLabels

    def pieces(self, *, scores: bool) -> Iterator[LabelRows]:
        """All its rows, band by band, with their scores or without."""
        first, stop = self.part.rows
        for rows in row_bands(range(first, stop)):
            window = Window(rows.start - first, 0, len(rows), self.labels.grid.width)
            found = self._scores(window) if scores else None
            yield LabelRows(rows.start, self.labels.read(window), found)

    def check_scores(self) -> None:
        """See that the scores beside the part are its own.

        Raises:
            StoreError: They are missing, or those of another part or run.
        """
        uri = _scores_uri(self.uri)
        try:
            own, found = (open_raster(name).tags() for name in (self.uri, uri))
        except SourceError as error:
            raise StoreError(f"{error}; it holds the scores of {self.uri}") from error
        if any(own.get(tag) != found.get(tag) for tag in (PART_TAG, RUN_TAG)):
            raise StoreError(
                f"{uri}: holds the scores of another part or run than {self.uri}; name both files as they "
                "were written, or predict the shard again"
            )

    def _scores(self, window: Window) -> Any:
        uri = _scores_uri(self.uri)
        try:
            return open_raster(uri).read(window=window.to_rasterio())
        except SourceError as error:
            raise StoreError(f"{error}; it holds the scores of {self.uri}") from error
        except GDAL_ERRORS as error:
            raise StoreError(f"{uri}: cannot read {window}: {error}; write it again") from error


def _open(uri: str) -> _Opened:
    try:
        text = open_raster(uri).tags().get(PART_TAG)
    except SourceError as error:
        raise StoreError(str(error)) from error
    if text is None:
        raise StoreError(f"{uri}: is no part of a map; `geoseg predict --shard i/n` writes parts")
    try:
        part = Part.model_validate_json(text)
    except ValidationError as error:
        raise StoreError(
            f"{uri}: the tag {PART_TAG} cannot be read ({error.error_count()} errors); another version of "
            "geoseg wrote it: predict the shard again"
        ) from error
    labels = GeoTIFFLabels(uri)
    if labels.grid.shape != (expected := grid_of(part).shape):
        raise StoreError(f"{uri}: has {labels.grid.shape} px, expected {expected}; write it again")
    return _Opened(uri, part, labels)


def _check_one_run(opened: Sequence[_Opened]) -> None:
    first = opened[0]
    for other in opened[1:]:
        found = other.part.manifest.differences(first.part.manifest, moved=True)
        if found is not None:
            raise ConfigError(
                f"{other.uri}: belongs to another run than {first.uri}: {found}; predict all shards with "
                "the same image, model and parameters"
            )
    if notes := [f"{each.uri}: {note}" for each in opened for note in each.part.notes]:
        warn(
            f"of {len(notes)} parts scores may differ in the last digits from those of one run, first "
            f"{notes[0]}"
        )
    machines = {told_machine(each.part.manifest.machine) for each in opened}
    if len(machines) > 1:
        warn(
            f"the {len(opened)} parts were computed with {' and with '.join(sorted(machines))}; scores "
            "may differ in the last digits from those of one machine"
        )


def _check_rows(opened: Sequence[_Opened]) -> None:
    height, row = opened[0].part.manifest.grid.height, 0
    for i, each in enumerate(opened):
        first, stop = each.part.rows
        if first < row:
            raise ConfigError(
                f"{each.uri}: overlaps with {opened[i - 1].uri}: it holds rows {first} to {stop - 1}, "
                f"expected rows from {row} on; name each part once"
            )
        if first > row:
            raise _gap(row, first, height)
        row = stop
    if row < height:
        raise _gap(row, height, height)


def _gap(first: int, stop: int, height: int) -> ConfigError:
    return ConfigError(
        f"no part holds rows {first} to {stop - 1} of {height}; name the parts of all shards"
    )


def _scores_uri(uri: str) -> str:
    stem, suffix = os.path.splitext(uri)  # noqa: PTH122 - uris are text, and may be no path
    return f"{stem}.part{suffix}"


@contextmanager
def _scores_file(path: Path, uri: str, part: Part) -> Iterator[Any]:
    """An open GeoTIFF at a path for the scores of a part."""
    grid = grid_of(part)
    compression, level = codec()
    profile = {
        "driver": "GTiff", "dtype": "float32", "count": len(part.manifest.classes),
        "height": grid.height, "width": grid.width, "crs": grid.crs, "transform": grid.transform,
        "tiled": True, "blockxsize": TILE, "blockysize": TILE, "compress": compression, level: 1,
        "interleave": "band", "bigtiff": "IF_SAFER",
    }  # fmt: skip
    target = _scores_uri(uri)
    try:
        dataset = rasterio.open(path, "w", **profile)
    except GDAL_ERRORS as error:
        raise not_written(target, error) from error
    with dataset:
        yield dataset
    check_whole(path, target)


def _write_scores(dataset: Any, piece: LabelRows, window: Window, uri: str) -> None:
    if piece.scores is None:
        raise StoreError(f"{uri}: rows from {piece.row} came without scores")
    try:
        dataset.write(np.ascontiguousarray(piece.scores), window=window.to_rasterio())
    except GDAL_ERRORS as error:
        raise not_written(_scores_uri(uri), error.__cause__ or error) from error
