"""How the ids of a mask are written: as they are, and what stands where there is none."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import ConfigError, LabelError
from geoseg.prepare.aligning.carried import carried_of
from geoseg.prepare.counts import counted
from geoseg.sources.base import RasterSource, raster_source
from geoseg.sources.files.nodata import nodata_in
from geoseg.warn import warn

_IGNORED = 255


@dataclass(frozen=True, slots=True, eq=False)
class IdRule:
    """What becomes of the values of one mask."""

    path: str
    """The mask, for errors."""
    dtype: np.dtype[Any]
    """As it is written."""
    ignore_id: int | None
    """A value that is no class."""
    nodata: float | None
    """The number that the mask declares as none, and so does what is written; NaN may be."""
    fill: Any
    """What stands where the mask says nothing; None where its dtype has no number for that."""
    binary: bool
    """Whether all ids above 0 become 1."""
    colors: dict[int, tuple[int, ...]] | None
    """The mask's colour table."""
    classes: str | None
    """Its class map, as JSON."""

    @classmethod
    def of(cls, mask: RasterSource, path: str, *, ignore_id: int | None, binary: bool) -> IdRule:
        """The rule of a mask.

        Raises:
            LabelError: It has several bands.
            SourceError: It cannot be read.
        """
        if (bands := len(mask.band_names)) != 1:
            raise LabelError(f"{path}: has {bands} bands, expected one of class ids")
        told = carried_of(mask)
        rule = cls(
            path=path,
            dtype=mask.dtype,
            ignore_id=ignore_id,
            nodata=told.nodata,
            fill=_fill(mask.dtype, told.nodata, ignore_id),
            binary=binary,
            colors=told.colors,
            classes=told.classes,
        )
        return rule._as_binary() if binary else rule

    def apply(
        self, values: NDArray[Any], present: NDArray[np.bool_]
    ) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """(ids as they are written, where they name a class), both (height, width).

        Args:
            values: Of the mask.
            present: Where they are valid.
        """
        known = present if self.ignore_id is None else present & (values != self.ignore_id)
        missing = self.dtype.type(0 if self.fill is None else self.fill)
        if self.binary:
            return np.where(known, (values > 0).astype(self.dtype), missing), known
        return (values if present.all() else np.where(present, values, missing)), known

    def counts(self, ids: NDArray[Any], known: NDArray[np.bool_]) -> dict[int, int]:
        """{id: pixels}.

        Raises:
            LabelError: The mask holds values that are no whole numbers from 0.
        """
        return counted(ids[known], self.path, None)

    def needs_fill(self, output: str) -> None:
        """See that the mask has a number for pixels without a class.

        Raises:
            ConfigError: It has none, and the output has no other way to tell.
        """
        if self.fill is None:
            raise ConfigError(
                f"{self.path}: pixels without a label need a number in {output}, and {self.dtype} has none for "
                f"ignore_id {self.ignore_id}; give an ignore_id (--ignore-id) that it can hold, or the output geotiff"
            )

    def _as_binary(self) -> IdRule:
        taken = self.ignore_id is None or not 1 < self.ignore_id <= _IGNORED
        fill = np.uint8(_IGNORED if taken else self.ignore_id or 0)
        kind = np.dtype(np.uint8)
        return replace(self, dtype=kind, nodata=float(fill), fill=fill, colors=None, classes=None)


def all_background(counts: Collection[int], background: Collection[int]) -> bool:
    """Whether no class but the background is there."""
    return set(counts) <= set(background)


def warn_of_ids(masks: Sequence[str], name: str, ids: Iterable[int]) -> None:
    """Tell of ids that no mask can hold; 255 may stand for no class whatever a mask holds.

    Args:
        masks: Files; they are looked at until one can hold the id.
        name: The argument that the ids are given as.
        ids: What no pixel will have where none can hold it.

    Warns:
        UserWarning: No mask can hold an id.
    """
    for number in ids:
        if masks and number != _IGNORED and not any(_holds(mask, number) for mask in masks):
            option = f"--{name.replace('_', '-')}"
            warn(
                f"{name} ({option}) is {number}, which no mask can hold, {masks[0]} has pixels of "
                f"{raster_source(masks[0]).dtype}: it tells of no pixel"
            )


def _holds(mask: str, number: int) -> bool:
    dtype = raster_source(mask).dtype
    return nodata_in(dtype, number) is not None


def _fill(dtype: np.dtype[Any], nodata: float | None, ignore_id: int | None) -> Any:
    if nodata is not None:
        number = nodata_in(dtype, nodata)
        return dtype.type(nodata) if number is None else number
    return None if ignore_id is None else nodata_in(dtype, ignore_id)
