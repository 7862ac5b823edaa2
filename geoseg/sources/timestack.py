"""TimeStackSource: the same place at several dates, as bands or as a time axis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import model_validator

from geoseg.errors import ConfigError, GridError, SourceError
from geoseg.grid import Grid
from geoseg.sources.base import Chip, RasterField, RasterSource, has_names
from geoseg.sources.stacks.times import Time, moment_of
from geoseg.sources.stacks.together import Kernel, coarser_together, meets, named, onto
from geoseg.sources.transformed import TransformedSource
from geoseg.sources.warping.plan import CATEGORICAL_KERNELS
from geoseg.warn import warn
from geoseg.window import Window


@dataclass(frozen=True, slots=True, eq=False)
class TimeChip:
    """Pixels of one window at several dates."""

    data: NDArray[Any]
    """(time, band, height, width), in the sources' common dtype; 0 where not valid."""
    valid: NDArray[np.bool_]
    """(time, height, width); True where every band of that date is measured."""


class TimeStackSource(TransformedSource):
    """Bands of one place at several dates, oldest first, on the grid of one of them.

    `read` gives the bands time-major ("2020-06-01/red", "2020-06-01/nir", "2020-06-08/red", ...), so
    that every 2D model takes them; `read_stack` gives a time axis and says for each date what is
    measured. Pixels that a date lacks (no image, outside its image, nodata) are 0 in both.

    The stack's own `transforms` are for `read`; give those of each date to its source. CRS, resolution
    and extent may differ from date to date, as in StackSource; the dtype is the smallest that holds all.

    ```yaml
    type: timestack
    sources: [june.tif, null, august.tif]
    times: [2020-06-01, 2020-07-01, 2020-08-01]
    require: any
    ```
    """

    type: Literal["timestack"] = "timestack"
    sources: tuple[RasterField | None, ...]
    """The image of each date, all with the same bands; None for a date without one."""
    times: tuple[Time, ...]
    """When: dates or datetimes, or their ISO text; as many as sources, each later than the one before."""
    like: int = 0
    """The number (from 0) of the date whose grid is the stack's."""
    resampling: Kernel = "auto"
    """How dates off the grid are resampled, as in StackSource."""
    require: Literal["all", "any"] = "all"
    """Where `read` calls a pixel valid: where all dates are, or where at least one is."""
    named_by: Literal["time", "step"] = "time"
    """What stands before a band's name: the time, or its number from 0 ("0/red"), by which scenes of
    different dates have the same bands."""

    @classmethod
    def of_items(
        cls,
        items: Sequence[str],
        *,
        assets: tuple[str, ...] | None = None,
        like: int = 0,
        require: Literal["all", "any"] = "all",
        named_by: Literal["time", "step"] = "time",
    ) -> Self:
        """The same assets of several STAC items, in the order of their datetimes.

        Args:
            items: Paths or URLs of the items, in any order.
            assets: Keys of the assets; None: as STACSource chooses.
            like: The number of the date whose grid counts, in order of time.
            require: See the field.
            named_by: See the field.

        Raises:
            SourceError: An item cannot be read, or is none.
            ConfigError: The extra `stac` is not installed.
        """
        from geoseg.sources.stac import STACSource

        sources = [STACSource(uri=uri, assets=assets) for uri in items]
        dated = sorted(((source.time, source) for source in sources), key=lambda d: moment_of(d[0]))
        return cls(
            sources=tuple(source for _, source in dated),
            times=tuple(time for time, _ in dated),
            like=like,
            require=require,
            named_by=named_by,
        )

    @model_validator(mode="after")
    def _transforms_see_pixels_only(self) -> Self:
        if self.require == "any" and self.transforms:
            raise ValueError(
                'transforms of a time stack with require="any" would take missing dates for pixels; give '
                "them to the source of each date"
            )
        return self

    @model_validator(mode="after")
    def _fits(self) -> Self:
        count = len(self.sources)
        if len(self.times) != count:
            raise ValueError(f"{len(self.times)} times for {count} sources; give one for each")
        for earlier, later in zip(self.times, self.times[1:], strict=False):
            if moment_of(earlier) >= moment_of(later):
                raise ValueError(
                    f"the time {later} follows {earlier}, expected each later than the one before; sort "
                    "times and sources together, and join images of one time in one source"
                )
        if not count:
            raise ValueError("a stack without sources; name at least one")
        if not 0 <= self.like < count or self.sources[self.like] is None:
            raise ValueError(
                f"like is {self.like}, expected the number of one of the {count} sources, from 0, that "
                "is not None"
            )
        if self.require == "all" and None in self.sources:
            raise ValueError(
                f"{self.times[self.sources.index(None)]} has no image, so that no pixel would be valid "
                'at all dates; give require="any", or leave that date out'
            )
        return self

    @property
    def grid(self) -> Grid:
        """That of the date numbered `like`."""
        return self._target.grid

    @property
    def own_band_names(self) -> tuple[str, ...]:
        """Every band of every date, as "time/band".

        Raises:
            SourceError: The dates have different bands.
        """
        steps = self.times if self.named_by == "time" else map(str, range(len(self.times)))
        names = self.date_band_names
        return tuple(f"{step}/{name}" for step in steps for name in names)

    @property
    def date_band_names(self) -> tuple[str, ...]:
        """Names of the bands of one date.

        Raises:
            SourceError: The dates have different bands.
        """
        expected = self._target.band_names
        for time, source in self._dated:
            found = source.band_names
            both_named = has_names(found) and has_names(expected)
            if len(found) != len(expected) or (both_named and found != expected):
                raise SourceError(
                    f"{named(source)}: at {time} it has the bands ({', '.join(found)}), but "
                    f"{named(self._target)} of {self.times[self.like]} has ({', '.join(expected)}); all "
                    "dates need the same, choose them with bands=..."
                )
        return expected

    @property
    def own_dtype(self) -> np.dtype[Any]:
        """The smallest that holds all of the dates'."""
        return np.result_type(*(source.dtype for _, source in self._dated))

    @property
    def own_categorical(self) -> bool:
        """Whether any date holds numbers of classes, so that the stack may not be blended."""
        return any(source.categorical for _, source in self._dated)

    @property
    def own_wholly_categorical(self) -> bool:
        """Whether all dates hold nothing else."""
        return all(source.wholly_categorical for _, source in self._dated)

    @property
    def own_blended(self) -> bool:
        """Whether the pixels of any date are, or may be where they come from another grid."""
        kept = len(self._dated) == 1 or self.resampling in CATEGORICAL_KERNELS
        return not kept or any(source.blended for _, source in self._dated)

    def read_own(self, window: Window) -> Chip:
        """All dates as bands, 0 where a date lacks a pixel; see RasterSource."""
        stack = self._read_dates(window)
        count, bands = stack.data.shape[:2]
        together = np.logical_and if self.require == "all" else np.logical_or
        flat = stack.data.reshape(count * bands, *window.shape)
        return Chip(flat, together.reduce(stack.valid))

    @property
    def cache_bytes(self) -> float:
        """That of the date with the smallest."""
        return min(source.cache_bytes for _, source in self._dated)

    @property
    def lacks_bands(self) -> bool:
        """Whether dates may be missing where others are not."""
        return self.require == "any"

    def read_measured(self, window: Window) -> tuple[Chip, NDArray[np.bool_]]:
        """The bands of all dates, and where each date is measured; see RasterSource."""
        if self.require == "all" or self.transforms:
            return super().read_measured(window)
        stack = self._read_dates(window)
        count, bands = stack.data.shape[:2]
        flat = stack.data.reshape(count * bands, *window.shape)
        chip = Chip(flat, np.logical_or.reduce(stack.valid))
        return chip, np.repeat(stack.valid, bands, axis=0)

    def read_stack(self, window: Window) -> TimeChip:
        """The pixels of a window with a time axis; the window may reach past the raster.

        Raises:
            SourceError: The pixels cannot be read.
            ConfigError: The stack has transforms of its own, which are for `read`.
        """
        if self.transforms:
            raise ConfigError(
                "this timestack has transforms of its own, which are done to the bands of `read`; to "
                "have them in `read_stack`, give them to the source of each date"
            )
        return self._read_dates(window)

    def coarser(self, most: float) -> RasterSource:
        """The stack at the overview of the date whose grid it has; see StackSource."""
        if not self.keeps_means:
            return self
        numbers = [i for i, source in enumerate(self.sources) if source is not None]
        found = coarser_together(
            [source for _, source in self._dated],
            like=numbers.index(self.like),
            kernels=[self.resampling] * len(numbers),
            most=most,
        )
        if found is None:
            return self
        sources = list(self.sources)
        for number, source in zip(numbers, found, strict=True):
            sources[number] = source
        return self.model_copy(update={"sources": tuple(sources)})

    def check(self) -> None:
        """Check the image of every date; see RasterSource.

        Warns of dates that lie outside the grid.

        Raises:
            GridError: One does, and `require` is "all": no pixel would be valid.
        """
        for _, source in self._dated:
            source.check()
        super().check()
        apart = [(time, source) for time, source in self._dated if not meets(source, self._target)]
        if not apart:
            return
        time, source = apart[0]
        text = (
            f"{len(apart)} of {len(self.times)} dates of a timestack lie outside its grid "
            f"({named(self._target)}: {self.grid.describe()}), the first is {time} ({named(source)}: "
            f"{source.grid.describe()})"
        )
        if self.require == "all":
            raise GridError(
                f'{text}, so that no pixel would be valid; leave them out or give require="any"'
            )
        warn(f"{text}: they are read as missing")

    @property
    def _target(self) -> RasterSource:
        source = self.sources[self.like]
        if source is None:
            raise ConfigError(f"the date numbered {self.like} has no image")
        return source

    @property
    def _dated(self) -> list[tuple[str, RasterSource]]:
        """The dates that have an image."""
        pairs = zip(self.times, self.sources, strict=True)
        return [(time, source) for time, source in pairs if source is not None]

    def _read_dates(self, window: Window) -> TimeChip:
        count, bands = len(self.times), len(self.date_band_names)
        data = np.zeros((count, bands, *window.shape), self.own_dtype)
        valid = np.zeros((count, *window.shape), bool)
        for number, source in enumerate(self.sources):
            if source is None:
                continue
            chip = onto(source, self._target, self.resampling).read(window)
            valid[number] = chip.valid
            if chip.valid.all():
                data[number] = chip.data
            else:
                np.copyto(data[number], chip.data, where=chip.valid)
        return TimeChip(data, valid)
