"""VolumeRow: one volume of a frame with its masks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS

from geoseg.errors import SourceError
from geoseg.sources.cache import remember
from geoseg.volumes.metadata import VolumeFacts
from geoseg.volumes.rle import Rle, Shape
from geoseg.volumes.zip.images import Header, ImageFile, Place, image_file
from geoseg.volumes.zip.labels import label_problem, ordered
from geoseg.volumes.zip.region import region_of

if TYPE_CHECKING:
    from geoseg.volumes.zip.table import Table
    from geoseg.volumes.zip.volumezip import Split, VolumeZip


@dataclass(frozen=True, eq=False, repr=False)
class VolumeRow:
    """One row of a frame: it knows its place only, and reads when asked.

    Pickled, it is the zip's name and a number.
    """

    zip: VolumeZip
    """Where it lies."""
    split: Split
    """The frame."""
    number: int
    """The row in the frame, from 0."""

    @property
    def name(self) -> str:
        """The image's file name; empty where the row tells none."""
        return self._table.names[self.number] or ""

    @property
    def fold(self) -> int | str | None:
        """Its fold; None where the frame tells none."""
        folds = self._table.folds
        return None if folds is None else folds[self.number]

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, in the order of `rles` and `masks`: those of the whole zip."""
        return self.zip.classes

    @property
    def where(self) -> str:
        """Zip, frame and image, as errors name them."""
        return f"{self.zip.uri}: {self.zip.files[self.split]}: image {self.name!r}"

    @property
    def shape(self) -> Shape:
        """(depth, height, width), from the image's header."""
        _, depth, height, width = self._header.shape
        return depth, height, width

    @property
    def channels(self) -> int:
        """Channels of the image, from its header."""
        return self._header.shape[0]

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the image, in the byte order of this machine."""
        return self._header.dtype

    def image(self) -> NDArray[Any]:
        """The whole image, (channel, depth, height, width), C-contiguous, in the file's dtype.

        Raises:
            SourceError: It is missing, unsafe, damaged, or of a kind that is not read.
        """
        return self._file().read(None)

    def image_window(self, box: Sequence[slice]) -> NDArray[Any]:
        """A part of the image, (channel, depth, height, width), C-contiguous, in the file's dtype.

        Of a .npy or .nii member that is stored uncompressed, and of TIFF files, only the window is read;
        compressed members of those are read up to the window's end, others whole.

        Args:
            box: Slices of depth, height and width, as for `Rle.window`: negative numbers lie before the
                volume, and outside of it the image is 0.

        Raises:
            GridError: There are not three slices, or one is empty or has a step.
            SourceError: As for `image`.
        """
        inside, around, shape = region_of(box, self.shape)
        if inside is None:
            return np.zeros((self.channels, *shape), self.dtype)
        data = self._file().read(inside)
        if data.shape[1:] == shape:
            return data
        out = np.zeros((len(data), *shape), data.dtype)
        out[(slice(None), *around)] = data
        return out

    def rles(self) -> tuple[Rle, ...] | None:
        """The masks as runs, one a class, parsed strictly; None where the row has no labels.

        Raises:
            SourceError: The lists of classes and texts do not fit each other or the zip's classes.
            LabelError: A text is not a list of runs inside the volume; it is named with zip, frame,
                image, class and token.
        """
        cells = self._table.cells(self.zip.archive, self.number)
        if cells is None:
            return None
        problem = label_problem(cells, self.classes)
        if problem:
            raise SourceError(f"{self.where}: {problem}; `validate()` lists all problems")
        if not self.classes:
            raise SourceError(
                f"{self.where}: no row of the zip lists classes, each once and by name; expected the names of "
                "all classes in class_id, the empty string in rle_mask for one that is not there"
            )
        shape, order = self.shape, self.zip.rle_order
        return tuple(
            Rle.parse(text, shape=shape, order=order, where=f"{self.where}: class {name!r}")
            for name, text in zip(self.classes, ordered(cells, self.classes), strict=True)
        )

    def masks(self) -> NDArray[np.bool_] | None:
        """The masks, bool (class, depth, height, width); None where the row has no labels.

        Raises:
            SourceError: As for `rles`.
            LabelError: As for `rles`.
        """
        rles = self.rles()
        if rles is None:
            return None
        out = np.empty((len(rles), *self.shape), np.bool_)
        for place, rle in enumerate(rles):
            out[place] = rle.decode()
        return out

    @property
    def facts(self) -> VolumeFacts:
        """What our own metadata tell of it; empty where they tell nothing."""
        metadata = self._table.metadata
        found = metadata.volumes.get(self.name) if metadata else None
        return found or VolumeFacts()

    @property
    def channel_names(self) -> tuple[str, ...] | None:
        """Of the image, where our own metadata tell them."""
        return self.facts.channel_names

    @property
    def crs(self) -> CRS | None:
        """Of its slices, where our own metadata tell it, else as `transform`."""
        return self._place.crs

    @property
    def transform(self) -> Affine | None:
        """Of its slices, pixel corner to ground.

        Where our own metadata tell neither it nor a CRS, both are those of the header of a GeoTIFF, all pages
        of which must tell the same.

        Raises:
            SourceError: The header is damaged.
        """
        return self._place.transform

    @property
    def times(self) -> tuple[str, ...] | None:
        """Of its slices, from the first to the last, where our own metadata tell them."""
        return self.facts.times

    def __repr__(self) -> str:
        return f"VolumeRow({self.where})"

    @property
    def _table(self) -> Table:
        return self.zip.table(self.split)

    @property
    def _place(self) -> Place:
        facts = self.facts
        if facts.crs is not None or facts.transform is not None:
            return Place(facts.crs, facts.transform)
        return remember(
            ("volume place", self.zip.uri, self.zip.folder, self.name),
            lambda: self._file().place(),
            files=(self.zip.uri,),
            nbytes=lambda _: 200,
        )

    @property
    def _header(self) -> Header:
        return remember(
            ("volume header", self.zip.uri, self.zip.folder, self.name, self.zip.image_axes),
            lambda: self._file().header(),
            files=(self.zip.uri,),
            nbytes=lambda _: 200,
        )

    def _file(self) -> ImageFile:
        return image_file(
            self.zip.archive,
            folder=self.zip.folder,
            name=self.name,
            image_axes=self.zip.image_axes,
            where=self.where,
        )
