"""StackSource: the bands of several sources as those of one."""

from __future__ import annotations

from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from geoseg.errors import GridError, SourceError
from geoseg.grid import Grid
from geoseg.sources.base import Chip, RasterField, RasterSource
from geoseg.sources.stacks.together import (
    Kernels,
    coarser_together,
    meets,
    named,
    onto,
    told_apart,
)
from geoseg.sources.transformed import TransformedSource
from geoseg.sources.warping.plan import CATEGORICAL_KERNELS
from geoseg.window import Window


class StackSource(TransformedSource):
    """Bands of several sources, in their order, on the grid of one of them.

    Sources in another CRS, resolution or extent are brought there by WarpedSource, window by window;
    those that align are read as they are. A pixel is valid where it is in every source. The dtype is
    the smallest that holds all of the sources' (`numpy.result_type`: uint8 with int16 gives int16,
    int16 with uint16 int32, uint16 with float32 float32).

    ```yaml
    type: stack
    sources: [image.tif, {type: geotiff, uri: dem.tif, nodata: -9999}]
    resampling: [auto, cubic]
    ```
    """

    type: Literal["stack"] = "stack"
    sources: tuple[RasterField, ...]
    """Where the bands come from; plain text is the uri of a raster file."""
    like: int = 0
    """The number (from 0) of the source whose grid is the stack's."""
    resampling: Kernels = "auto"
    """How sources off the grid are resampled (auto, nearest, bilinear, cubic, average, mode; see
    WarpedSource), one name for all or one for each. Sources that hold numbers of classes take auto in
    place of a kernel that blends. For more, give a WarpedSource as the source."""
    given_names: tuple[str, ...] | None = Field(default=None, alias="band_names")
    """Names of the bands; None: the sources' own. A name that repeats gets its source's number (from
    0) in front ("0/red", "1/red"); bands without names of their own are numbered through."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        count = len(self.sources)
        if not count:
            raise ValueError("a stack without sources; name at least one")
        if not 0 <= self.like < count:
            raise ValueError(
                f"like is {self.like}, expected the number of one of the {count} sources, from 0"
            )
        if isinstance(self.resampling, tuple) and len(self.resampling) != count:
            raise ValueError(
                f"{len(self.resampling)} resamplings for {count} sources; give one for each, or one "
                "name for all"
            )
        if self.given_names is not None and len({*self.given_names}) != len(self.given_names):
            raise ValueError(f"band names ({', '.join(self.given_names)}) repeat; give each once")
        return self

    @property
    def grid(self) -> Grid:
        """That of the source numbered `like`."""
        return self.sources[self.like].grid

    @property
    def own_band_names(self) -> tuple[str, ...]:
        """The names given, or those of the sources told apart.

        Raises:
            SourceError: There are more or fewer bands than names given.
        """
        names = [source.band_names for source in self.sources]
        if self.given_names is None:
            return told_apart(names)
        count = sum(len(part) for part in names)
        if count != len(self.given_names):
            raise SourceError(
                f"a stack of {named(self)} and others: {len(self.given_names)} band names "
                f"({', '.join(self.given_names)}) are given, but its sources have {count} bands; give "
                "one for each"
            )
        return self.given_names

    @property
    def own_dtype(self) -> np.dtype[Any]:
        """The smallest that holds all of the sources'."""
        return np.result_type(*(source.dtype for source in self.sources))

    @property
    def own_categorical(self) -> bool:
        """Whether any source holds numbers of classes, so that the stack may not be blended."""
        return any(source.categorical for source in self.sources)

    @property
    def own_wholly_categorical(self) -> bool:
        """Whether all sources hold nothing else."""
        return all(source.wholly_categorical for source in self.sources)

    @property
    def own_blended(self) -> bool:
        """Whether the bands of any source are, or may be where they come from another grid."""
        kept = len(self.sources) == 1 or all(k in CATEGORICAL_KERNELS for k in self._kernels)
        return not kept or any(source.blended for source in self.sources)

    def read_own(self, window: Window) -> Chip:
        """The bands of all sources; see RasterSource."""
        chips = [source.read(window) for source in self._members]
        data = np.concatenate([chip.data for chip in chips], dtype=self.own_dtype)
        return Chip(data, np.logical_and.reduce([chip.valid for chip in chips]))

    @property
    def cache_bytes(self) -> float:
        """That of the source with the smallest."""
        return min(source.cache_bytes for source in self.sources)

    def surely_empty(self, window: Window) -> bool:
        """Whether any source is; see RasterSource."""
        return any(member.surely_empty(window) for member in self._members)

    @property
    def lacks_bands(self) -> bool:
        """Whether any source does."""
        return any(source.lacks_bands for source in self.sources)

    def read_measured(self, window: Window) -> tuple[Chip, NDArray[np.bool_]]:
        """The bands of all sources, and where each is measured; see RasterSource."""
        if self.transforms:
            return super().read_measured(window)
        parts = [source.read_measured(window) for source in self._members]
        data = np.concatenate([chip.data for chip, _ in parts], dtype=self.own_dtype)
        valid = np.logical_and.reduce([chip.valid for chip, _ in parts])
        return Chip(data, valid), np.concatenate([measured for _, measured in parts]) & valid

    def coarser(self, most: float) -> RasterSource:
        """The stack at the overview of the source whose grid it has; see RasterSource.

        Sources with an overview on the same lattice are read there, the others warped onto it.
        """
        if not self.keeps_means:
            return self
        found = coarser_together(self.sources, like=self.like, kernels=self._kernels, most=most)
        if found is None:
            return self
        return self.model_copy(update={"sources": found, "given_names": self.own_band_names})

    def check(self) -> None:
        """Check every source, and that each shares ground with the grid; see RasterSource.

        Raises:
            GridError: A source lies elsewhere, so that no pixel would be valid.
        """
        for source in self.sources:
            source.check()
        super().check()
        target = self.sources[self.like]
        for number, source in enumerate(self.sources):
            if not meets(source, target):
                raise GridError(
                    f"sources.{number} of a stack ({named(source)}: {source.grid.describe()}, bounds "
                    f"{source.grid.bounds}) lies outside the stack's grid ({named(target)}: "
                    f"{target.grid.describe()}, bounds {target.grid.bounds}), so that no pixel would be "
                    "valid; leave it out or choose another `like`"
                )

    @property
    def _kernels(self) -> tuple[str, ...]:
        if isinstance(self.resampling, tuple):
            return self.resampling
        return (self.resampling,) * len(self.sources)

    @property
    def _members(self) -> tuple[RasterSource, ...]:
        """Every source on the stack's grid."""
        target = self.sources[self.like]
        pairs = zip(self.sources, self._kernels, strict=True)
        return tuple(onto(source, target, kernel) for source, kernel in pairs)
