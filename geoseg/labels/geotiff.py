"""GeoTIFFLabelStore: class ids, and scores perhaps, in tiled GeoTIFFs that explain themselves."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Literal

from geoseg.classes import ClassMap
from geoseg.errors import StoreError
from geoseg.grid import Grid
from geoseg.labels.base import LabelStore
from geoseg.labels.quantities import QUANTITIES, Quantity
from geoseg.labels.tiff import (
    COG_TRAILER,
    copy_to_cog,
    create_ids,
    create_quantity,
    write_names,
)
from geoseg.labels.tifflabels import GeoTIFFLabels, beside
from geoseg.labels.tiffwriter import GeoTIFFLabelWriter
from geoseg.labels.tilerows import TileRows
from geoseg.outputs import check_names, written_together
from geoseg.sources.files.wholetiff import check_whole
from geoseg.spec import Uri
from geoseg.warn import warn

_ABOUT_OLD = (".aux.xml", ".ovr", ".msk")
"""Ends of files that tell about the file that is replaced."""


class GeoTIFFLabelStore(LabelStore):
    """Class ids as a GeoTIFF: one uint8 band, `ignore_id` as nodata, colours and class names.

    Files have tiles of 512 pixels and are compressed without loss (ZSTD, or deflate where this GDAL
    has no ZSTD). What is told from scores goes to files of its own beside the map, since a colour
    table and a nodata value hold for a whole file: of `map.tif` to `map.scores.tif`,
    `map.confidence.tif` and `map.entropy.tif`. Each holds bytes 0..254 with the scale 1/254 in its
    header, and 255 as nodata where the map is ignored.

    Files appear under their names when all are whole, the map last; until then those that were there
    stay as they are. No file system renames several files at once: a process that is killed between two
    renames leaves new files beside the old map, which then says that its scores belong to another.
    """

    type: Literal["geotiff"] = "geotiff"
    uri: Uri
    """A local path; missing folders are made."""
    scores: bool = False
    """Whether to keep the scores: a band a class, named, each score within 1/508 of what it was."""
    confidence: bool = False
    """Whether to keep the highest score of each pixel."""
    entropy: bool = False
    """Whether to keep the entropy of the scores, divided by the logarithm of the number of classes: 0
    where one class is certain, 1 where all are equally likely."""
    cog: bool = True
    """Whether to make cloud-optimised GeoTIFFs, with overviews by the most frequent id, and by the mean
    of scores."""
    sidecar: bool = True
    """Whether to write the class names to `map.tif.aux.xml` too, from where QGIS and GDAL show them; the
    map holds them in any case, in a tag of geoseg's own."""
    mode: Literal["overwrite", "error"] = "overwrite"
    """What happens where one of the files is there already: it is replaced, or that is an error before
    any work is done."""

    @property
    def outputs(self) -> tuple[str, ...]:
        """The files that a writer makes, the map last."""
        names = [beside(self.uri, quantity) for quantity in self._quantities]
        return (*names, *([self.uri + ".aux.xml"] if self.sidecar else []), self.uri)

    @property
    def wants_scores(self) -> bool:
        """Whether any of the files is made from scores."""
        return bool(self._quantities)

    @property
    def _quantities(self) -> tuple[Quantity, ...]:
        wanted = {"scores": self.scores, "confidence": self.confidence, "entropy": self.entropy}
        return tuple(quantity for quantity in QUANTITIES if wanted[quantity])

    def check(self) -> None:
        """See that the files can be named so, and nothing is replaced that may not be; see LabelStore.

        Raises:
            StoreError: A name is none of a file or too long, or a file is there already and `mode` is "error".
        """
        check_names(self.outputs)
        there = [uri for uri in self.outputs if Path(uri).exists()] if self.mode == "error" else []
        if there:
            raise StoreError(
                f"{', '.join(there)}: is there already and this store replaces nothing; choose another "
                'name, remove it, or pass mode="overwrite"'
            )

    @contextmanager
    def writer(self, grid: Grid, classes: ClassMap) -> Iterator[GeoTIFFLabelWriter]:
        """A context in which labels are written; see GeoTIFFLabelWriter and LabelStore.

        What is never written is `ignore_id`. Memory: 512 rows of a byte for the map and for each band
        beside it, whatever the height.

        Raises:
            StoreError: The folder cannot be written, the disk is full, or a file is there already and
                `mode` is "error".
        """
        self.check()
        with written_together(self.outputs) as paths:
            parts = [
                _Part(path, uri, quantity, grid, classes, cog=self.cog)
                for quantity, path, uri in self._places(paths)
            ]
            with ExitStack() as stack:
                files = {part.quantity: TileRows(part.open(stack), part.uri) for part in parts}
                writer = GeoTIFFLabelWriter(files, grid, classes, self.uri)
                yield writer
                writer.finish()
            for part in parts:
                part.complete()
            if self.sidecar:
                write_names(paths[-2], classes, self.outputs[-2])
        self._forget_the_old()

    def read(self) -> GeoTIFFLabels:
        """The labels that were written, with scores where those were.

        Raises:
            StoreError: There is no such file, it names no classes, or a file that this store keeps
                beside it is missing or belongs to another map.
        """
        labels = GeoTIFFLabels(self.uri)
        for quantity in self._quantities:
            labels.check_beside(quantity)
        return labels

    def _places(
        self, paths: tuple[Path, ...]
    ) -> Iterator[tuple[Quantity | Literal["ids"], Path, str]]:
        """What goes where: (quantity, path to write to, final name)."""
        yield "ids", paths[-1], self.uri
        for quantity, path in zip(self._quantities, paths, strict=False):
            yield quantity, path, beside(self.uri, quantity)

    def _forget_the_old(self) -> None:
        """Remove what told about files that were replaced, and name what belonged to the old map."""
        outputs = self.outputs
        for uri in outputs:
            for suffix in _ABOUT_OLD:
                if uri + suffix not in outputs:
                    Path(uri + suffix).unlink(missing_ok=True)
        others = (beside(self.uri, q) for q in QUANTITIES if q not in self._quantities)
        stale = [uri for uri in others if Path(uri).exists()]
        if stale:
            warn(
                f"{self.uri}: was replaced, but {', '.join(stale)} of an earlier map is still beside it; "
                "remove it, or write the map with it again"
            )


class _Part:
    """One of the files while they are written."""

    def __init__(
        self,
        path: Path,
        uri: str,
        quantity: Quantity | Literal["ids"],
        grid: Grid,
        classes: ClassMap,
        *,
        cog: bool,
    ) -> None:
        self.path, self.uri, self.quantity = path, uri, quantity
        self._grid, self._classes, self._cog = grid, classes, cog
        self._tiles = path.with_name(f"tiles-{path.name}") if cog else path

    def open(self, stack: ExitStack) -> Any:
        """The file of tiles, closed at the end of the stack."""
        if self.quantity == "ids":
            made = create_ids(self._tiles, self._grid, self._classes, self.uri)
        else:
            made = create_quantity(
                self._tiles, self._grid, self._classes, self.uri, quantity=self.quantity
            )
        return stack.enter_context(made)

    def complete(self) -> None:
        """See that the tiles are whole, and make the COG of them."""
        check_whole(self._tiles, self.uri)
        if not self._cog:
            return
        copy_to_cog(
            self._tiles,
            self.path,
            self.uri,
            width=self._grid.width,
            overviews="mode" if self.quantity == "ids" else "average",
        )
        check_whole(self.path, self.uri, trailer=COG_TRAILER)
        self._tiles.unlink()  # else the disk holds all files twice
