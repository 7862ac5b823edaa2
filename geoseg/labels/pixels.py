"""PixelLabels: class ids of a mask that has the same pixels as the image."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import model_validator

from geoseg.errors import LabelError, SceneError
from geoseg.grid import Grid
from geoseg.labels.base import Ids, LabelSource
from geoseg.labels.values import ClassId, counted, known_values, listed, to_ids
from geoseg.sources.base import RasterField
from geoseg.spec import FrozenMap, uris_of
from geoseg.window import Window


class PixelLabels(LabelSource):
    """Class ids of a mask, pixel by pixel of the image, wherever either says that it lies.

    For pictures without a georeference, and for those of which only one has it. A mask with a place of
    its own belongs in RasterLabels.
    """

    type: Literal["pixels"] = "pixels"
    source: RasterField
    """One band of whole numbers, as high and wide as the image; plain text is the uri of a raster file."""
    mapping: FrozenMap[int, ClassId] | None = None
    """{value in the file: class id, or `ignore_id`}, complete; None: the values are class ids. An experiment
    takes names of its classes too."""

    @model_validator(mode="after")
    def _mapping_fits(self) -> Self:
        if self.classes is not None:
            known_values(self.classes, self.mapping)
        return self

    def read(self, grid: Grid, window: Window) -> Ids:
        """The class ids of a window; see LabelSource.

        Raises:
            LabelError: There is no class map, values are outside it, or there are several bands.
            SceneError: The mask has another size than the grid.
            SourceError: The mask cannot be read.
        """
        classes = self.class_map
        self.check_bands()
        if self.source.grid.shape != grid.shape:
            raise SceneError(
                f"{self._name}: the mask is {_px(self.source.grid)}, but its image is {_px(grid)}; a mask "
                "has the pixels of its image"
            )
        chip = self.source.read(window)
        ids, unknown = to_ids(
            chip.data[0],
            chip.valid,
            known=known_values(classes, self.mapping),
            ignore_id=classes.ignore_id,
        )
        if unknown is not None:
            raise LabelError(self._unknown_text(counted(chip.data[0][unknown], "pixels")))
        return ids

    def check(self) -> None:
        """Open the mask and see that it has one band; see LabelSource."""
        super().check()
        self.source.check()
        self.check_bands()

    def check_bands(self) -> None:
        """See that the mask has one band, without reading a pixel.

        Raises:
            LabelError: It has several.
            SourceError: It cannot be opened.
        """
        if (bands := len(self.source.band_names)) != 1:
            raise LabelError(
                f"{self._name}: has {bands} bands, expected one of class ids; choose it with bands=[1] in "
                "the source, or, where colours stand for classes, give the source "
                "transforms=(RGBToClass(colors={id: '#rrggbb', ...}),)"
            )

    @property
    def _name(self) -> str:
        return ", ".join(uris_of(self.source)) or type(self.source).__name__

    def _unknown_text(self, values: str) -> str:
        if self.mapping is not None:
            return (
                f"{self._name}: values that `mapping` does not name: {values}; it names "
                f"{sorted(self.mapping)}; add them with a class id, or with {self.class_map.ignore_id} to "
                "ignore them"
            )
        return (
            f"{self._name}: values that are no class: {values}; the classes are "
            f"{listed(self.class_map)}; pass mapping={{value: class id, ...}}"
        )


def _px(grid: Grid) -> str:
    return f"{grid.height} x {grid.width} px"
