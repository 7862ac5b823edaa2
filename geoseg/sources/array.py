"""ArraySource: an array in memory as a source, for tests and notebooks."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict, Field, PrivateAttr, model_serializer, model_validator

from geoseg.errors import ConfigError
from geoseg.grid import Grid
from geoseg.sources.base import Chip, fill_around
from geoseg.sources.digest import array_digest
from geoseg.sources.transformed import TransformedSource
from geoseg.window import Window


class ArraySource(TransformedSource):
    """Pixels of an array. Python only: it has no YAML form.

    Made with `ArraySource(data=..., valid=None, grid=None, band_names=None)`. NaN and infinite
    pixels are not valid. The arrays must not change once the source is used: it is hashed and compared
    by a digest of their pixels that is made once, and what was read may be remembered.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    type: Literal["array"] = "array"
    data: NDArray[Any]
    """(band, height, width), or (height, width) for one band; not copied: leave it as it is."""
    valid: NDArray[np.bool_] | None = None
    """(height, width), True where measured; None: everywhere but at NaN and infinity."""
    given_grid: Grid | None = Field(default=None, alias="grid")
    """Where the pixels lie; None: the identity."""
    given_names: tuple[str, ...] | None = Field(default=None, alias="band_names")
    """Names of the bands; None: "1", "2", ..."""
    _digest: bytes | None = PrivateAttr(default=None)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.data.ndim not in (2, 3) or not self.data.size:
            raise ValueError(
                f"data has shape {self.data.shape}, expected (band, height, width) or (height, width)"
            )
        shape = self.data.shape[-2:]
        if self.valid is not None and (self.valid.shape != shape or self.valid.dtype != bool):
            raise ValueError(
                f"valid is {self.valid.dtype} {self.valid.shape}, expected bool {shape} like the data"
            )
        if self.given_grid is not None and self.given_grid.shape != shape:
            raise ValueError(f"grid is {self.given_grid.shape}, expected {shape} like the data")
        if self.given_names is not None and len(self.given_names) != len(self._bands):
            raise ValueError(f"{len(self.given_names)} band names for {len(self._bands)} bands")
        return self

    @model_serializer(mode="plain")
    def _python_only(self) -> dict[str, Any]:
        raise ConfigError(
            "an ArraySource cannot be written: it holds an array; write the array to a GeoTIFF and "
            "use GeoTIFFSource"
        )

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ArraySource):
            return NotImplemented
        floating = np.issubdtype(self.data.dtype, np.inexact)
        return self is other or (
            self._told() == other._told()
            and self._content() == other._content()
            and _same(self.valid, other.valid)
            and _same(self.data, other.data, equal_nan=floating)
        )

    def __hash__(self) -> int:
        return hash((self._told(), self._content()))

    def _told(self) -> tuple[Any, ...]:
        """All but the pixels."""
        shape, dtype = self.data.shape, self.data.dtype
        return shape, dtype, self.grid, self.own_band_names, self.transforms

    def _content(self) -> bytes:
        """A digest of the pixels, made once."""
        if self._digest is None:
            valid = b"" if self.valid is None else array_digest(self.valid)
            self._digest = array_digest(self.data) + valid
        return self._digest

    @property
    def grid(self) -> Grid:
        """The grid given, or the identity."""
        height, width = self.data.shape[-2:]
        return self.given_grid or _identity(height, width)

    @property
    def own_band_names(self) -> tuple[str, ...]:
        """The names given, or numbers from 1 as text."""
        return self.given_names or tuple(str(i + 1) for i in range(len(self._bands)))

    @property
    def own_dtype(self) -> np.dtype[Any]:
        """The array's dtype."""
        return self.data.dtype

    def read_own(self, window: Window) -> Chip:
        """A copy of the pixels of a window; see RasterSource."""
        return fill_around(window, self.grid, len(self._bands), self.own_dtype, self._read_inside)

    @property
    def _bands(self) -> NDArray[Any]:
        return self.data if self.data.ndim == 3 else self.data[None]  # noqa: PLR2004

    def _read_inside(self, window: Window) -> Chip:
        data = self._bands[(slice(None), *window.slices)].copy()
        valid = (
            np.ones(window.shape, bool) if self.valid is None else self.valid[window.slices].copy()
        )
        if np.issubdtype(data.dtype, np.inexact):
            valid &= np.isfinite(data).all(axis=0)
        return Chip(data, valid)


@lru_cache(maxsize=1024)
def _identity(height: int, width: int) -> Grid:
    """Made once for a size: grids are asked for at every comparison."""
    return Grid(height=height, width=width)


def _same(ours: Any, theirs: Any, *, equal_nan: bool = False) -> bool:
    """Whether two arrays hold the same, or both are None."""
    if ours is theirs or ours is None or theirs is None:
        return ours is theirs
    return np.array_equal(ours, theirs, equal_nan=equal_nan)
