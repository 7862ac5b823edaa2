"""WarpedSource: any source on any grid, window by window."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Annotated, Any, Literal, Self

import numpy as np
from pydantic import Discriminator, Tag, field_validator, model_validator

from geoseg.errors import GridError
from geoseg.grid import Grid
from geoseg.sources.base import Chip, RasterField, RasterSource, fill_around
from geoseg.sources.cache import remember
from geoseg.sources.exactwarp import KERNELS, warp_exact
from geoseg.sources.gdalwarp import warp_gdal
from geoseg.sources.pixelmap import PixelMap
from geoseg.sources.transformed import TransformedSource
from geoseg.window import Window


def _grid_or_source(value: Any) -> str | None:
    """Which of the two `onto` is: a mapping with a `type` and plain text are sources."""
    if isinstance(value, str | RasterSource) or (isinstance(value, dict) and "type" in value):
        return "source"
    return "grid" if isinstance(value, Grid | dict) else None


GridOrSource = Annotated[
    Annotated[Grid, Tag("grid")] | Annotated[RasterField, Tag("source")],
    Discriminator(
        _grid_or_source,
        custom_error_type="grid_or_source",
        custom_error_message="expected a grid (crs, transform, height, width), a source (a mapping "
        "with a `type`) or the uri of a raster",
    ),
]


class WarpedSource(TransformedSource):
    """A source brought onto another grid when a window is read; nothing is warped beforehand.

    Where the two grids share CRS, pixel size and lattice it is a plain read, pixel-identical.
    Otherwise `method="exact"` maps every pixel centre to the source (see PixelMap) and resamples
    there, so that a window equals the crop of the whole:

    - nearest, bilinear, cubic look at the pixels around that place, also where the source is finer;
    - average and mode look at all source pixels whose centres lie in the target pixel. Its outline
      in the source is taken as an upright box: as wide as one target pixel's step changes the
      source column, as high as it changes the row. Boxes smaller than a pixel give the nearest.

    A pixel is valid where the source's nearest pixel is; with average and mode, where one in the box
    is. `method="gdal"` is GDAL's own warper with all its kernels, in the blocks and so with the pixels
    of a WarpedVRT; it widens bilinear and cubic where the source is finer than the target.
    """

    type: Literal["warped"] = "warped"
    source: RasterField
    """Where the pixels come from."""
    onto: GridOrSource
    """The grid wanted, or a source whose grid it is."""
    resampling: str = "bilinear"
    """nearest, bilinear, cubic, average or mode; with method="gdal" any name GDAL warps with."""
    method: Literal["exact", "gdal"] = "exact"
    """Who resamples."""

    @field_validator("resampling")
    @classmethod
    def _known(cls, name: str) -> str:
        from rasterio.warp import SUPPORTED_RESAMPLING

        known = [kernel.name for kernel in SUPPORTED_RESAMPLING]
        if name.lower() not in known:
            raise ValueError(f"unknown resampling {name!r}, expected one of: {', '.join(known)}")
        return name.lower()

    @model_validator(mode="after")
    def _method_has_it(self) -> Self:
        if self.method == "exact" and self.resampling not in KERNELS:
            raise ValueError(
                f'method="exact" has no resampling {self.resampling!r}, it has {", ".join(KERNELS)}; '
                'for the others give method="gdal"'
            )
        return self

    @property
    def grid(self) -> Grid:
        """The target grid."""
        return self.onto if isinstance(self.onto, Grid) else self.onto.grid

    @property
    def own_band_names(self) -> tuple[str, ...]:
        """The source's."""
        return self.source.band_names

    @property
    def own_dtype(self) -> np.dtype[Any]:
        """The source's; resampled integers are rounded and held to its range."""
        return self.source.dtype

    @property
    def own_categorical(self) -> bool:
        """The source's."""
        return self.source.categorical

    def read_own(self, window: Window) -> Chip:
        """The pixels of a window of the target grid; see RasterSource.

        Raises:
            GridError: One of the two grids has no CRS.
            SourceError: The source cannot be read.
        """
        offset = self.source.grid.offset_of(self.grid)
        if offset is None:
            return self._filled(window, self._warp)
        row, col = offset
        return self._filled(
            window,
            lambda part: self.source.read(
                Window(part.row + row, part.col + col, part.height, part.width)
            ),
        )

    def check(self) -> None:
        """Check both sides and their CRSs; warns where the source lies nowhere on the target."""
        self.source.check()
        if isinstance(self.onto, RasterSource):
            self.onto.check()
        super().check()
        source, target = self.source.grid, self.grid
        try:
            place = target.window(source.bounds, source.crs)
        except GridError:  # reaches past what the target's CRS can express
            return
        if place.intersection(target.whole) is None:
            warnings.warn(
                f"{_name(self.source)} ({source.describe()}) does not touch the grid it is warped "
                f"onto ({target.describe()}): no pixel will be valid",
                stacklevel=2,
            )

    def _filled(self, window: Window, inside: Callable[[Window], Chip]) -> Chip:
        if self.grid.whole.contains(window):
            return inside(window)
        return fill_around(window, self.grid, len(self.own_band_names), self.own_dtype, inside)

    @property
    def _pixel_map(self) -> PixelMap:
        target, source = self.grid, self.source.grid
        try:
            return remember(
                ("pixel map", target, source),
                lambda: PixelMap.between(target, source),
                nbytes=lambda _: 1000,
            )
        except GridError as error:
            raise GridError(f"{_name(self.source)} onto {_name(self.onto)}: {error}") from error

    def _warp(self, window: Window) -> Chip:
        if self.method == "gdal":
            return warp_gdal(self.source, self._pixel_map, self.grid, window, self.resampling)
        return warp_exact(self.source, self._pixel_map, window, self.resampling)


def _name(side: Grid | RasterSource) -> str:
    """A file to point at, else the kind of source, else the grid in words."""
    if isinstance(side, Grid):
        return f"grid ({side.describe()})"
    uri = getattr(side, "uri", None)
    return uri if isinstance(uri, str) else f"{type(side).__name__}"
