"""What every source of pixels and every source of features promises."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter

from geoseg.grid import Bounds, Grid
from geoseg.spec import Tagged, text_stands_for
from geoseg.window import Edge, Window

if TYPE_CHECKING:
    from geopandas import GeoDataFrame


@dataclass(frozen=True, slots=True, eq=False)
class Chip:
    """Pixels of one window."""

    data: NDArray[Any]
    """(band, height, width), in the source's own dtype and units; unspecified inside the raster where
    not valid, 0 outside it."""
    valid: NDArray[np.bool_]
    """(height, width); True where every band that was read is measured (the opposite of numpy.ma)."""


class RasterSource(Tagged):
    """Pixels on a grid.

    A kind of your own needs a tag and four members:

    ```python
    from geoseg.sources import Chip, RasterSource, read_clipped


    class Checkerboard(RasterSource):
        type: Literal["checkerboard"] = "checkerboard"
        side: int = 64

        @property
        def grid(self) -> Grid:
            return Grid(height=self.side, width=self.side)

        @property
        def band_names(self) -> tuple[str, ...]:
            return ("1",)

        @property
        def dtype(self) -> np.dtype:
            return np.dtype("uint8")

        def read(self, window: Window) -> Chip:
            return read_clipped(window, self, self._read_inside)

        def _read_inside(self, window: Window) -> Chip:
            rows, cols = np.indices(window.shape)
            odd = (rows + window.row + cols + window.col) % 2
            return Chip(odd.astype("uint8")[None], np.ones(window.shape, bool))
    ```
    """

    @property
    @abstractmethod
    def grid(self) -> Grid:
        """Where the pixels lie."""

    @property
    @abstractmethod
    def band_names(self) -> tuple[str, ...]:
        """Names of the bands that `read` gives, in order."""

    @property
    @abstractmethod
    def dtype(self) -> np.dtype[Any]:
        """The dtype of the pixels."""

    @abstractmethod
    def read(self, window: Window) -> Chip:
        """The pixels of a window of `grid`, which may reach past the raster.

        Outside the raster data is 0 and valid False.

        Raises:
            SourceError: The pixels cannot be read.
        """

    @property
    def categorical(self) -> bool:
        """Whether pixels of any band are numbers of classes, between which nothing may be blended."""
        return False

    @property
    def wholly_categorical(self) -> bool:
        """Whether all bands are numbers of classes, of which the most frequent may be taken."""
        return self.categorical

    @property
    def blended(self) -> bool:
        """Whether a pixel may be a blend of several in the file; told without opening one."""
        return False

    def coarser(self, most: float) -> RasterSource:
        """The same pixels from the coarsest stored overview that is fine enough; else this source.

        Args:
            most: So many times as large its pixels may be, on a side; 1 or less gives this source.

        The overview's grid covers the same ground, up to parts of its pixels at the edges.
        """
        del most
        return self

    def surely_empty(self, window: Window) -> bool:
        """Whether it is known, without reading a pixel, that none of a window is valid."""
        del window
        return False

    @property
    def cache_bytes(self) -> float:
        """Bytes of decoded pixels that are kept for later reads; infinite where reading is no work."""
        return math.inf

    @property
    def lacks_bands(self) -> bool:
        """Whether a valid pixel may lack some of its bands, see `read_measured`."""
        return False

    def read_measured(self, window: Window) -> tuple[Chip, NDArray[np.bool_]]:
        """The chip of a window, and (band, height, width) where each band by itself is measured.

        Statistics go by the latter. It differs where a pixel is valid that lacks some bands, as in a
        TimeStackSource with missing dates.
        """
        chip = self.read(window)
        return chip, np.broadcast_to(chip.valid, chip.data.shape)

    def check(self) -> None:
        """Open everything once and read a pixel, so that errors come before the work.

        Raises:
            GeosegError: The source cannot be used; the text says why.
        """
        _ = self.band_names, self.dtype
        self.read(Window(0, 0, 1, 1))

    def iter_rows(
        self, size: int, stride: int, *, edge: Edge = "flush", num_threads: int = 1
    ) -> Iterator[tuple[int, Chip]]:
        """Full-width bands of `size` rows at every `stride` rows, each row read once.

        The chip is one buffer that the next step overwrites: copy what you keep.

        Args:
            size: Rows of a band.
            stride: Rows from one band to the next.
            edge: What happens at the last row, see `geoseg.window.starts`.
            num_threads: How many threads GDAL may use to decode the blocks of one read.

        Yields:
            (first row, chip of `size` rows and the whole width).
        """
        from geoseg.sources.rows import iter_rows

        yield from iter_rows(self, size, stride, edge, num_threads=num_threads)


class VectorSource(Tagged):
    """Features with geometry and attributes. A kind of your own needs a tag and `read`."""

    @abstractmethod
    def read(self, bounds: Bounds | None = None, crs: Any = None) -> GeoDataFrame:
        """The features, in file order.

        Args:
            bounds: Keep what meets (left, bottom, right, top) only; given in `crs`.
            crs: The CRS wanted; None means the source's own.

        Raises:
            SourceError: The features cannot be read, or have no CRS.
        """

    @property
    def files(self) -> tuple[str, ...]:
        """The files behind the features; what was derived from them is made anew when they change."""
        return ()

    def check(self) -> None:
        """Read everything once, so that errors come before the work.

        Raises:
            GeosegError: The source cannot be used; the text says why.
        """
        self.read()


def has_names(names: tuple[str, ...]) -> bool:
    """Whether bands have names of their own, not numbers only."""
    return not all(name.isdigit() for name in names)


def read_clipped(window: Window, source: RasterSource, inside: Callable[[Window], Chip]) -> Chip:
    """Read what lies in a source's raster and fill the rest with 0, not valid.

    Args:
        window: May reach past the raster, or lie outside it.
        source: Gives grid, dtype and number of bands.
        inside: Reads a window that lies in the raster.
    """
    if source.grid.whole.contains(window):
        return inside(window)
    return fill_around(window, source.grid, len(source.band_names), source.dtype, inside)


def fill_around(
    window: Window, grid: Grid, bands: int, dtype: np.dtype[Any], inside: Callable[[Window], Chip]
) -> Chip:
    """The same for a raster that is described by its parts."""
    data = np.zeros((bands, *window.shape), dtype)
    valid = np.zeros(window.shape, bool)
    part = window.intersection(grid.whole)
    if part is not None:
        chip = inside(part)
        target = part.relative_to(window).slices
        data[(slice(None), *target)] = chip.data
        valid[target] = chip.valid
    return Chip(data, valid)


RasterField = Annotated[
    RasterSource, text_stands_for("geotiff", by_suffix={".mbtiles": "mbtiles", ".npy": "npy"})
]
"""A field that takes any RasterSource; plain text stands for a `geotiff` of that uri, for an `mbtiles`
where it ends so."""
VectorField = Annotated[VectorSource, text_stands_for("file")]
"""A field that takes any VectorSource; plain text stands for a `file` of that uri."""


def raster_source(source: Any) -> RasterSource:
    """A source as it is, or the one that a text or path stands for, as in a RasterField."""
    found: RasterSource = TypeAdapter(RasterField).validate_python(source)
    return found
