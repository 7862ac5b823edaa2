"""GeoTIFFLabels: class ids, and scores perhaps, in files that GeoTIFFLabelStore wrote."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from geoseg.classes import ClassMap
from geoseg.errors import LabelError, SourceError, StoreError
from geoseg.grid import Grid
from geoseg.labels.base import Ids, Labels, Scores
from geoseg.labels.ids import pad_ids
from geoseg.labels.manifest import PREDICTION_TAG, MadeBy, made_by_in
from geoseg.labels.quantities import Quantity, dequantised
from geoseg.labels.tiff import BESIDE_TAG, CLASSES_TAG, QUANTITY_TAG, RUN_TAG
from geoseg.sources.handles import GDAL_ERRORS, open_raster
from geoseg.window import Window


def beside(uri: str, quantity: Quantity) -> str:
    """The file of a quantity beside a class map.

    >>> beside("out/map.tif", "scores")
    'out/map.scores.tif'
    """
    return f"{re.sub('[.]tiff?$', '', uri, flags=re.IGNORECASE)}.{quantity}.tif"


class GeoTIFFLabels(Labels):
    """Class ids in a file that GeoTIFFLabelStore wrote, with the scores that were written beside it."""

    def __init__(self, uri: str) -> None:
        """Read the grid and the class map; pixels are read when they are asked for.

        Raises:
            StoreError: There is no such file, or it names no classes.
        """
        dataset = _opened(uri)
        tags = dataset.tags()
        self.uri = uri
        self.grid = Grid.of_dataset(dataset)
        self.classes = _classes_of(dataset, uri)
        self._beside = tuple(tags.get(BESIDE_TAG, "").split(","))
        self._run = tags.get(RUN_TAG)
        self._told = tags.get(PREDICTION_TAG)

    @property
    def made_by(self) -> MadeBy | None:
        """Model, parameters and notes of the prediction that wrote the map; None where it was written otherwise.

        Raises:
            StoreError: What the file tells cannot be read.
        """
        return made_by_in(self._told, self.uri)

    def read(self, window: Window) -> Ids:
        """The ids of a window; see Labels.

        Raises:
            StoreError: The file is damaged, or was replaced by one of another size.
        """
        return pad_ids(
            window, self.grid, ignore_id=self.classes.ignore_id, inside=self._read_inside
        )

    def scores(self, window: Window) -> Scores:
        """The scores of a window, 0 where the map is ignored and outside the grid; see Labels.

        Each is within 1/508 of the score that was written, so that those of K classes sum to 1 within
        K/508.

        Raises:
            LabelError: The map was written without scores.
            StoreError: The file of scores is missing or damaged, or belongs to another map.
        """
        if "scores" not in self._beside:
            raise LabelError(
                f"{self.uri}: holds no scores of {window}; they are kept by "
                "GeoTIFFLabelStore(uri=..., scores=True), or in memory by predicting with store=None"
            )
        found = np.zeros((len(self.classes), *window.shape), np.float32)
        part = window.intersection(self.grid.whole)
        if part is not None:
            dataset = self.check_beside("scores")
            data = _read(dataset, part, beside(self.uri, "scores"), list(dataset.indexes))
            found[(slice(None), *part.relative_to(window).slices)] = dequantised(data)
        return found

    def check_beside(self, quantity: Quantity) -> Any:
        """See that the file of a quantity is there and was written with this map.

        Returns:
            Its open rasterio data set; do not close it.

        Raises:
            StoreError: It is not.
        """
        uri = beside(self.uri, quantity)
        if quantity not in self._beside:
            raise StoreError(
                f"{self.uri}: was written without {quantity}; write it again with "
                f"GeoTIFFLabelStore(uri=..., {quantity}=True)"
            )
        dataset = _opened(uri)
        tags = dataset.tags()
        expected = len(self.classes) if quantity == "scores" else 1
        fits = (
            tags.get(QUANTITY_TAG) == quantity
            and tags.get(RUN_TAG) == self._run
            and dataset.shape == self.grid.shape
            and dataset.count == expected
            and _classes_in(dataset, uri) == self.classes
            and Grid.of_dataset(dataset) == self.grid
        )
        if not fits:
            raise StoreError(
                f"{uri}: does not belong to {self.uri}: it was not written together with it, or one of "
                "them was replaced since; read the labels from the store again, or write both again"
            )
        return dataset

    def _read_inside(self, window: Window) -> Ids:
        dataset = _opened(self.uri)
        if dataset.shape != self.grid.shape:
            raise StoreError(
                f"{self.uri}: was replaced since it was opened: it has {dataset.height} x "
                f"{dataset.width} px, expected {self.grid.height} x {self.grid.width}; read the "
                "labels from the store again"
            )
        return _read(dataset, window, self.uri, 1)


def _opened(uri: str) -> Any:
    try:
        return open_raster(uri)
    except SourceError as error:
        raise StoreError(str(error)) from error


def _read(dataset: Any, window: Window, uri: str, bands: int | list[int]) -> NDArray[np.uint8]:
    try:
        data: NDArray[np.uint8] = dataset.read(bands, window=window.to_rasterio())
    except GDAL_ERRORS as error:
        raise StoreError(
            f"{uri}: cannot read {window}: {error.__cause__ or error}; the file is truncated "
            "or damaged, write it again"
        ) from error
    return data


def _classes_of(dataset: Any, uri: str) -> ClassMap:
    quantity = dataset.tags().get(QUANTITY_TAG)
    if quantity is not None:
        raise StoreError(
            f"{uri}: holds {quantity}, not class ids; read the map that it lies beside, or the numbers "
            "with GeoTIFFSource(uri=...)"
        )
    return _classes_in(dataset, uri)


def _classes_in(dataset: Any, uri: str) -> ClassMap:
    text = dataset.tags().get(CLASSES_TAG)
    if text is None or set(dataset.dtypes) != {"uint8"}:
        raise StoreError(
            f"{uri}: is no label file of geoseg: it has {dataset.count} band(s) of "
            f"{dataset.dtypes[0]} and {'a' if text else 'no'} tag {CLASSES_TAG}; for any other raster "
            "of ids take RasterLabels(source=..., classes=...)"
        )
    try:
        return ClassMap.model_validate_json(text)
    except ValidationError as error:
        raise StoreError(
            f"{uri}: the tag {CLASSES_TAG} holds no class map: {error}; take RasterLabels(source=..., "
            "classes=...)"
        ) from error
