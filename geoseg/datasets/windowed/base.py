"""WindowedDataset: windows of masks with the pixels of their images, row by row of an index."""

from __future__ import annotations

import logging
import operator
from abc import abstractmethod
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from torch.utils.data import Dataset

from geoseg.datasets.pixels import Pixels
from geoseg.datasets.windowed.augmenting import Augmentation, augmentation_of
from geoseg.datasets.windowed.classids import LabelRule
from geoseg.datasets.windowed.imagery import Image, ImageRule
from geoseg.datasets.windowed.options import flag_of
from geoseg.datasets.windowed.sample import Item, Sample
from geoseg.errors import GeosegError, LabelError
from geoseg.sampling import WindowIndex
from geoseg.sources.geotiff import GeoTIFFSource
from geoseg.sources.handles import open_raster
from geoseg.warn import warn
from geoseg.window import Window

if TYPE_CHECKING:
    from pandas import DataFrame

_log = logging.getLogger("geoseg")


class WindowedDataset(Dataset[Item]):
    """Map-style data set of windows of masks, each with the pixels of an image.

    Item: `image` float32 (band, height, width), bytes and words scaled to [0, 1], 0 where not valid;
    `mask` int64 (height, width) of class ids, the ignored id where the mask has no data, outside the mask,
    and where the image is not valid; `valid` bool (height, width) of the image within the mask; and
    `mask_path`, `row_off`, `col_off`.
    """

    def __init__(
        self,
        index: WindowIndex,
        *,
        images: ImageRule,
        labels: LabelRule,
        augmentation_list: Any,
        data_loader: Any,
        return_metadata: bool,
        excluded: int,
    ) -> None:
        """See the kinds for the arguments."""
        self.index = index
        self.images, self.labels = images, labels
        self.data_loader = data_loader
        self.augmentation_list = augmentation_list
        self.return_metadata = flag_of(return_metadata, name="return_metadata")
        self.excluded = excluded
        self.transform: Augmentation | None = augmentation_of(
            augmentation_list,
            images=images,
            ignored_id=labels.ignored_id,
            n_classes=labels.n_classes,
        )
        self._as_read = Augmentation((), images, labels.ignored_id, labels.n_classes)
        self._told = False
        self._check_masks()

    @property
    def df(self) -> DataFrame:
        """The table of the index, a row for each item in their order; extra columns are for samplers."""
        return self.index.table

    @cached_property
    def windows(self) -> list[dict[str, Any]]:
        """mask_path, row_off, col_off, width and height of each item."""
        keys = ("mask_path", "row_off", "col_off", "width", "height")
        row, col, height, width = self.index.boxes.T.tolist()
        columns = (self.index.mask_paths, row, col, width, height)
        return [dict(zip(keys, values, strict=True)) for values in zip(*columns, strict=True)]

    @property
    def mask_paths(self) -> list[str]:
        """Each mask once, sorted."""
        return sorted(self.index.masks)

    @property
    def ignore_id(self) -> int:
        """The id of pixels that are not labelled."""
        return self.labels.ignored_id

    def __len__(self) -> int:
        return len(self.index)

    def __getitem__(self, index: int) -> Item:
        """One item; IndexError past the end.

        Raises:
            GeosegError: Image or mask cannot be read, or hold what they should not; the text has the
                number of the item, its window and its mask.
        """
        row = self.index[operator.index(index)]
        place = row.window
        try:
            sample = self._read(self._image_of(row.number, row.mask), row.mask, place)
            item = (self.transform or self._as_read)(sample)
        except GeosegError as error:
            raise type(error)(
                f"item {row.number}, the window of {place.height} x {place.width} px at row {place.row}, "
                f"column {place.col} of {row.mask}: {error}"
            ) from error
        if self.return_metadata:
            item |= {"mask_path": row.mask, "row_off": place.row, "col_off": place.col}
        return item

    def __getstate__(self) -> dict[str, Any]:
        """Without what is made again when asked for."""
        return {key: value for key, value in self.__dict__.items() if key != "windows"}

    def pixels(self) -> Pixels | None:
        """What the images are before they are scaled; None where the items hold something else.

        That is so with an augmentation, which may do anything, with a dtype other than the file's, and with
        "native" and "float32", which are not scaled.
        """
        wanted = self.images.dtype
        if self.transform is not None or wanted is None or wanted.kind != "u" or not len(self):
            return None
        mask = self.index[0].mask
        image = self._image_of(0, mask)
        if np.dtype(image.source.dtype) != wanted:
            return None
        names = image.source.band_names
        picked = names if image.picked is None else tuple(names[i] for i in image.picked)
        return Pixels(picked, wanted, self.index.grid_of(mask).ground_resolution)

    @abstractmethod
    def _image_of(self, number: int, mask: str) -> Image:
        """The image of a row, on the grid of its mask."""

    def _read(self, image: Image, mask: str, window: Window) -> Sample:
        chip = image.read(window)
        truth = GeoTIFFSource(uri=mask).read(window)
        found = self.labels.ids_of(truth.data[0], truth.valid, name=mask)
        if found.undeclared and not self._told:
            self._told = True
            warn(
                f"{mask}: {found.undeclared} of {window.height * window.width} pixels of the window at row "
                f"{window.row}, column {window.col} are 255, which becomes class 1 like all above 0; give "
                "ignore_index=255 where it means not labelled; this is told once"
            )
        ids = found.ids
        if not chip.valid.all():
            ids = np.where(chip.valid, ids, np.int64(self.labels.ignored_id))
        return Sample(chip.data, ids, chip.valid)

    def _check_masks(self) -> None:
        """See that masks hold one band of real numbers, and tell whose nodata is the id of a class."""
        odd: list[str] = []
        for mask in self.index.masks:
            source = GeoTIFFSource(uri=mask)
            bands, dtype = len(source.band_names), source.dtype
            if bands != 1 or dtype.kind not in "uif":
                raise LabelError(
                    f"{mask}: has {bands} bands of {dtype}, expected one of class ids; write that band into a "
                    "file of its own"
                )
            nodata = open_raster(mask).nodata
            if nodata is not None and nodata in range(self.labels.n_classes):
                odd.append(mask)
        if odd:
            _log.warning(
                "%d of %d masks declare the id of a class as their nodata, so that its pixels are ignored; the "
                "first is %s; take the nodata out where the class is meant",
                len(odd), len(self.index.masks), odd[0],
            )  # fmt: skip
