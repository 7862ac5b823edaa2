"""Reading the patches of one group into the arrays of a batch, straight from the stores' memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.datasets.patchstore.bands import Pick
from geoseg.datasets.patchstore.masks import MaskRule
from geoseg.datasets.patchstore.texts import Texts
from geoseg.errors import SourceError
from geoseg.sources.files.nodata import nodata_in
from geoseg.sources.store import StoreReader
from geoseg.sources.store.bandsize import bilinear_into, nearest_into
from geoseg.window import Window


@dataclass(frozen=True, slots=True, eq=False)
class Target:
    """An item's place in a batch."""

    image: NDArray[Any]
    """(channel, height, width)."""
    valid: NDArray[np.bool_]
    """(height, width); cleared where a band lacks a measurement."""
    mask: NDArray[np.int64] | None
    """(height, width) of class ids."""


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """What the items of a data set take from the patches of one group."""

    readers: tuple[StoreReader, ...]
    pick: Pick
    keys: Texts
    """Of each item's patch."""
    stores: NDArray[np.int16]
    """The number of each item's reader."""
    kinds: NDArray[np.int32]
    """The number of the kind of each item's patch."""
    nodata: tuple[tuple[float | None, ...], ...]
    """Of each kind: the numbers that mean "missing" in the planes, the one of class ids last."""
    sizes: tuple[tuple[int, int], ...] | None
    """(height, width) of the largest plane of each kind, which the patches must have; None: any."""
    blended: bool
    """Whether bands of another size are blended from the four nearest centres, rather than repeated."""
    rule: MaskRule | None

    def fill(self, number: int, target: Target) -> None:
        """Read the patch of an item.

        Raises:
            SourceError: It cannot be read, or is not as its kind.
            LabelError: Its labels hold values that are no class.
        """
        pick, nodata = self.pick, self.nodata[int(self.kinds[number])]
        with self._reader(number).planes(self.keys[number], self._wanted) as planes:
            self._check(planes, number, target.image.dtype)
            images = planes[: len(pick.planes)]
            for channel, band, missing in zip(pick.channels, images, nodata, strict=False):
                self._fill_band(target, channel, band, missing)
            if target.mask is not None and self.rule is not None and pick.label is not None:
                measured = _measured(planes[-1], nodata[-1])
                ids = self.rule.ids_of(planes[-1], measured, where=self._where(number))
                _nearest(target.mask, ids)

    def check(self, number: int, dtype: np.dtype[Any]) -> None:
        """See that the patch of an item can be read into images of a dtype, as `fill` does.

        Raises:
            SourceError: It cannot be read, or is not as its kind.
        """
        with self._reader(number).planes(self.keys[number], self._wanted) as planes:
            self._check(planes, number, dtype)

    def _reader(self, number: int) -> StoreReader:
        return self.readers[int(self.stores[number])]

    @property
    def _wanted(self) -> tuple[str, ...]:
        """What is asked for, the class ids last."""
        pick = self.pick
        return pick.planes if pick.label is None else (*pick.planes, pick.label)

    def _where(self, number: int) -> str:
        """How errors call the patch of an item."""
        return f"{self._reader(number).uri}: {self.keys[number]}"

    def _fill_band(
        self, target: Target, channel: int, band: NDArray[Any], missing: float | None
    ) -> None:
        out, measured = target.image[channel], _measured(band, missing)
        if band.shape == out.shape:
            out[...] = band
        elif not self.blended:
            _nearest(out, band)
        else:
            size = (out.shape[0], out.shape[1])
            plain = band.view(np.uint8) if band.dtype == bool else band
            bilinear_into(out, plain, size=size, window=Window(0, 0, *size), valid=measured)
        if measured is not None:
            known = np.empty(out.shape, bool)
            _nearest(known, measured)
            np.logical_and(target.valid, known, out=target.valid)

    def _check(self, planes: Sequence[NDArray[Any]], number: int, dtype: np.dtype[Any]) -> None:
        """See that planes have the size of their kind, and fit into images of a dtype."""
        if self.sizes is not None:
            size = self.sizes[int(self.kinds[number])]
            found = max(p.shape[0] for p in planes), max(p.shape[1] for p in planes)
            if found != size:
                raise SourceError(
                    f"{self._where(number)}: is {found[0]} x {found[1]} px, expected {size[0]} x {size[1]} "
                    "like the others; pass size=(height, width) to bring all patches to one size"
                )
        for own in {plane.dtype for plane in planes[: len(self.pick.planes)]}:
            if own != dtype and dtype.kind != "f" and not np.can_cast(own, dtype, "safe"):
                raise SourceError(
                    f"{self._where(number)}: has pixels of {own}, which {dtype}, the dtype of the other "
                    "patches, does not hold; leave it out with keys=[...], or write a manifest, which tells "
                    "all dtypes"
                )


def _nearest(out: NDArray[Any], band: NDArray[Any]) -> None:
    size = (out.shape[0], out.shape[1])
    nearest_into(out, band, size=size, window=Window(0, 0, *size))


@lru_cache(maxsize=256)
def _marker(dtype: np.dtype[Any], missing: float) -> Any:
    """The pixel that the number marks; the same for all patches."""
    return nodata_in(dtype, missing)


def _measured(band: NDArray[Any], missing: float | None) -> NDArray[np.bool_] | None:
    """Where a band holds measurements; None: everywhere, as is so nearly always."""
    found: NDArray[np.bool_] | None = None
    if band.dtype.kind == "f":
        found = np.isfinite(band)
    marked = None if missing is None else _marker(band.dtype, missing)
    if marked is not None:
        told = band != marked
        found = told if found is None else found & told
    return None if found is None or found.all() else found
