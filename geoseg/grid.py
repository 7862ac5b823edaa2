"""Grid: where the pixels of a scene lie on the ground."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Annotated, Any, Self

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from pydantic import (
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    WithJsonSchema,
    model_validator,
)
from pyproj import Geod, Transformer
from pyproj.enums import TransformDirection
from pyproj.exceptions import ProjError
from rasterio._err import CPLE_BaseError
from rasterio.crs import CRS
from rasterio.errors import CRSError, RasterioError

from geoseg.errors import GridError, SourceError
from geoseg.rasterpath import check_placed, georeference_optional, to_gdal, why_not_opened
from geoseg.spec import Spec
from geoseg.window import Window

Floats = NDArray[np.float64]
Bounds = tuple[float, float, float, float]
"""(left, bottom, right, top) in a named CRS."""

_SNAP = 1e-6
"""Pixels: an edge nearer than this to a pixel edge is meant to lie on it."""
_ALIGNED = 1e-3
"""Pixels: grids whose lattices differ by less than this anywhere hold the same pixels."""
_EDGE_POINTS = 101
"""Points on each side of a box that is reprojected: its edges bend, its corners do not tell."""


def to_crs(value: Any) -> CRS:
    """A rasterio CRS from text, an EPSG number or any CRS object.

    Raises:
        GridError: The value names no CRS.
    """
    try:
        if isinstance(value, CRS) and value:
            return value
        if hasattr(value, "to_wkt"):  # pyproj, geopandas
            return CRS.from_string(CRS.from_wkt(value.to_wkt()).to_string())
        # Through text and back: one CRS read from two files compares and hashes as one value.
        return CRS.from_string(CRS.from_user_input(value).to_string())
    except (CRSError, ValueError) as error:  # the latter for 'EPSG:words'
        raise GridError(f"{value!r} names no CRS; write e.g. 'EPSG:32619' or WKT") from error


def _to_affine(value: Any) -> Any:
    """An Affine from one, or from its first six numbers (a, b, c, d, e, f)."""
    if isinstance(value, list | tuple) and len(value) >= 6:  # noqa: PLR2004
        return Affine(*(float(number) for number in value[:6]))
    return value


CRSField = Annotated[
    CRS,
    BeforeValidator(to_crs),
    PlainSerializer(lambda crs: crs.to_string(), return_type=str),
    WithJsonSchema({"type": ["string", "integer"]}),
]
AffineField = Annotated[
    Affine,
    BeforeValidator(_to_affine),
    PlainSerializer(lambda transform: list(transform[:6]), return_type=list[float]),
    WithJsonSchema({"type": "array", "items": {"type": "number"}, "minItems": 6}),
]


@lru_cache(maxsize=256)
def transformer(from_crs: str, to_crs: str, *, over: bool = False) -> Transformer:
    """A cached pyproj transformer in (x, y) order; CRSs as text.

    Args:
        from_crs: Of what is given.
        to_crs: Of what is wanted.
        over: Whether longitudes may go on past 180 degrees instead of beginning anew at -180.

    Raises:
        GridError: Nothing leads from one to the other, as from a CRS of a building site.
    """
    try:
        return Transformer.from_crs(from_crs, to_crs, always_xy=True, force_over=over)
    except ProjError as error:
        raise GridError(
            f"no transformation leads from {from_crs} to {to_crs}; assign the data a CRS that lies "
            "on the Earth"
        ) from error


def apply(transform: Affine, x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """Points through an affine transform: pixels (column, row) to ground, or back by its inverse.

    Written out because Affine's own operators differ between its releases, and to take arrays.
    """
    t = transform
    return t.a * x + t.b * y + t.c, t.d * x + t.e * y + t.f


def compose(outer: Affine, inner: Affine) -> Affine:
    """The transform that does `inner` first and `outer` then."""
    a, d = outer.a * inner.a + outer.b * inner.d, outer.d * inner.a + outer.e * inner.d
    b, e = outer.a * inner.b + outer.b * inner.e, outer.d * inner.b + outer.e * inner.e
    c = outer.a * inner.c + outer.b * inner.f + outer.c
    f = outer.d * inner.c + outer.e * inner.f + outer.f
    return Affine(a, b, c, d, e, f)


class Grid(Spec):
    """The pixel grid of a raster: CRS, transform (pixel corner to ground) and size.

    Two grids are equal, and hash alike, when all four are. A raster without georeference has no CRS
    and the identity as its transform: its ground coordinates are its pixels.

    >>> grid = Grid(crs="EPSG:32619", transform=[10, 0, 5e5, 0, -10, 4e6], height=300, width=200)
    >>> grid.bounds
    (500000.0, 3997000.0, 502000.0, 4000000.0)
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    crs: CRSField | None = None
    """The coordinate reference system; None without georeference."""
    transform: AffineField = Affine.identity()
    """Affine from (column, row) of a pixel's corner to ground; the centre is at +0.5."""
    height: int = Field(ge=1)
    """Rows."""
    width: int = Field(ge=1)
    """Columns."""

    @model_validator(mode="after")
    def _invertible(self) -> Self:
        numbers = tuple(self.transform[:6])
        if not all(map(math.isfinite, numbers)):
            raise ValueError(
                f"the transform {numbers} holds NaN or infinity, expected finite numbers"
            )
        if self.transform.is_degenerate:
            raise ValueError(f"the transform {numbers} flattens the raster to a line")
        return self

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Grid):
            return NotImplemented
        return self._key == other._key and self.crs == other.crs

    def __hash__(self) -> int:
        return hash(self._key)

    @property
    def _key(self) -> tuple[Affine, int, int]:
        # Not the CRS: two texts of one CRS are equal but would hash apart.
        return self.transform, self.height, self.width

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width)."""
        return self.height, self.width

    @property
    def whole(self) -> Window:
        """The window of all pixels."""
        return Window(0, 0, self.height, self.width)

    @property
    def bounds(self) -> Bounds:
        """(left, bottom, right, top) of all pixels, in the grid's CRS."""
        return self.window_bounds(self.whole)

    @property
    def resolution(self) -> tuple[float, float]:
        """Pixel size (x, y) in units of the CRS, positive, also where the grid is rotated."""
        t = self.transform
        return math.hypot(t.a, t.d), math.hypot(t.b, t.e)

    @property
    def ground_resolution(self) -> tuple[float, float] | None:
        """Pixel size (x, y) in metres on the ellipsoid at the grid's centre.

        None without a CRS, and where the CRS does not tell a place on the Earth.
        """
        if self.crs is None or not (self.crs.is_projected or self.crs.is_geographic):
            return None
        row, col = self.height / 2, self.width / 2
        cols, rows = np.array([col, col + 1, col]), np.array([row, row, row + 1])
        x, y = apply(self.transform, cols, rows)
        lon, lat = transformer(self.crs.to_string(), "EPSG:4326").transform(x, y)
        if not (np.isfinite(lon).all() and np.isfinite(lat).all()):
            return None
        _, _, metres = Geod(ellps="WGS84").inv([lon[0]] * 2, [lat[0]] * 2, lon[1:], lat[1:])
        return float(metres[0]), float(metres[1])

    def window_bounds(self, window: Window) -> Bounds:
        """(left, bottom, right, top) of a window's pixels, in the grid's CRS."""
        col, row, col_stop, row_stop = window.bounds_px
        cols = np.array([col, col_stop, col, col_stop], float)
        rows = np.array([row, row, row_stop, row_stop], float)
        x, y = apply(self.transform, cols, rows)
        return float(x.min()), float(y.min()), float(x.max()), float(y.max())

    def window(self, bounds: Bounds, crs: Any = None) -> Window:
        """The smallest window that covers a ground rectangle; it may reach past the raster.

        Args:
            bounds: (left, bottom, right, top).
            crs: The CRS of the bounds; None means the grid's own.

        Raises:
            GridError: The bounds are in another order, or cannot be brought to this grid's CRS.
        """
        x, y = self._box_edges(bounds, crs)
        col, row = apply(~self.transform, x, y)
        first_col, first_row = math.floor(col.min() + _SNAP), math.floor(row.min() + _SNAP)
        col_stop, row_stop = math.ceil(col.max() - _SNAP), math.ceil(row.max() - _SNAP)
        return Window(
            first_row, first_col, max(row_stop - first_row, 1), max(col_stop - first_col, 1)
        )

    def crop(self, window: Window) -> Grid:
        """The grid of a window's pixels; the window may reach past the raster."""
        return Grid(
            crs=self.crs,
            transform=compose(self.transform, Affine.translation(window.col, window.row)),
            height=window.height,
            width=window.width,
        )

    def offset_of(self, other: Grid) -> tuple[int, int] | None:
        """(row, col) of the other grid's first pixel on this lattice; None where the lattices differ."""
        if self.crs != other.crs:
            return None
        x = np.array([0.0, other.width, 0.0, other.width])
        y = np.array([0.0, 0.0, other.height, other.height])
        cols, rows = apply(compose(~self.transform, other.transform), x, y)
        col, row = round(cols[0]), round(rows[0])
        far = max(np.abs(cols - col - x).max(), np.abs(rows - row - y).max())
        return (row, col) if far < _ALIGNED else None

    def aligned_with(self, other: Grid) -> bool:
        """Whether the pixels of both lie on one lattice (same CRS, whole-pixel offset)."""
        return self.offset_of(other) is not None

    def covering(self, bounds: Bounds, resolution: float | tuple[float, float]) -> Grid:
        """A north-up grid in this CRS that covers a rectangle, starting at its top-left corner.

        Args:
            bounds: (left, bottom, right, top) in this grid's CRS.
            resolution: Pixel size in units of the CRS, one number or (x, y).
        """
        left, bottom, right, top = bounds
        sizes = resolution if isinstance(resolution, tuple | list) else (resolution, resolution)
        x_size, y_size = sizes
        if not (right > left and top > bottom and min(x_size, y_size) > 0):
            raise GridError(
                f"bounds {bounds} at resolution {resolution} hold no pixel; expected (left, bottom, "
                "right, top) with left < right and bottom < top, and a positive resolution"
            )
        return Grid(
            crs=self.crs,
            transform=Affine(x_size, 0, left, 0, -y_size, top),
            height=max(math.ceil((top - bottom) / y_size - _SNAP), 1),
            width=max(math.ceil((right - left) / x_size - _SNAP), 1),
        )

    def reprojected(self, crs: Any, resolution: float | tuple[float, float] | None = None) -> Grid:
        """A north-up grid in another CRS that covers this one.

        Args:
            crs: The CRS wanted, in any form.
            resolution: Pixel size in its units, one number or (x, y); None: as many pixels along the
                diagonal as here, which is GDAL's choice.

        Raises:
            GridError: This grid has no CRS, or no place in the other.
        """
        if self.crs is None:
            raise GridError("a grid without a CRS cannot be reprojected; give its file a CRS")
        there = Grid(crs=to_crs(crs), height=1, width=1)
        x, y = there._box_edges(self.bounds, self.crs)
        if resolution is None:
            from rasterio.warp import calculate_default_transform

            transform, *_ = calculate_default_transform(
                self.crs, there.crs, self.width, self.height, *self.bounds
            )
            resolution = (float(transform.a), float(-transform.e))
        bounds = float(x.min()), float(y.min()), float(x.max()), float(y.max())
        return there.covering(bounds, resolution)

    @classmethod
    def of(cls, uri: str) -> Grid:
        """The grid of a raster file.

        Raises:
            SourceError: It is missing, GDAL cannot open it, or it tells its place without a transform.
        """
        import rasterio

        path = to_gdal(uri)
        try:
            with georeference_optional():
                file = rasterio.open(path)
        except (RasterioError, CPLE_BaseError) as error:
            raise SourceError(why_not_opened(uri, error)) from error
        with file:
            check_placed(uri, file)
            return cls.of_dataset(file)

    @classmethod
    def of_dataset(cls, dataset: Any) -> Grid:
        """The grid of an open rasterio data set."""
        crs = to_crs(dataset.crs.to_string()) if dataset.crs else None
        return cls(crs=crs, transform=dataset.transform, height=dataset.height, width=dataset.width)

    def describe(self) -> str:
        """One line for errors and tables: CRS, size and resolution."""
        x, y = self.resolution
        crs = "no CRS" if self.crs is None else _short(self.crs)
        return f"{crs}, {self.height} x {self.width} px of {x:g} x {y:g}"

    def _box_edges(self, bounds: Bounds, crs: Any) -> tuple[Floats, Floats]:
        """Points along the edges of a rectangle, in this grid's CRS."""
        left, bottom, right, top = bounds
        if not (-math.inf < left <= right < math.inf and -math.inf < bottom <= top < math.inf):
            raise GridError(
                f"bounds {bounds} are not finite numbers in the order (left, bottom, right, top); "
                "a box across the antimeridian is given as two"
            )
        along = np.linspace(0.0, 1.0, _EDGE_POINTS)
        across_x, across_y = left + along * (right - left), bottom + along * (top - bottom)
        x = np.concatenate(
            [across_x, across_x, np.full_like(along, left), np.full_like(along, right)]
        )
        y = np.concatenate(
            [np.full_like(along, bottom), np.full_like(along, top), across_y, across_y]
        )
        if crs is None or (given := to_crs(crs)) == self.crs:
            return x, y
        if self.crs is None:
            raise GridError(f"bounds in {_short(given)} on a grid without a CRS; give pixel bounds")
        to_here = transformer(given.to_string(), self.crs.to_string())
        x, y = to_here.transform(x, y)
        if not (np.isfinite(x).all() and np.isfinite(y).all()):
            raise GridError(
                f"bounds {bounds} in {_short(given)} have no place in {_short(self.crs)}; "
                "clip them to the area where that CRS is defined"
            )
        if self.crs.is_geographic and not given.is_geographic:
            x, y = _with_poles(x, y, bounds, to_here)
        return x, y


def _with_poles(
    x: Floats, y: Floats, bounds: Bounds, to_degrees: Transformer
) -> tuple[Floats, Floats]:
    """Edge points in degrees, and all of a pole's parallel where the box holds the pole."""
    left, bottom, right, top = bounds
    for latitude in (-90.0, 90.0):
        pole_x, pole_y = to_degrees.transform(0.0, latitude, direction=TransformDirection.INVERSE)
        if left <= pole_x <= right and bottom <= pole_y <= top:
            x, y = np.append(x, [-180.0, 180.0]), np.append(y, [latitude, latitude])
    return x, y


def _short(crs: CRS) -> str:
    """An authority code, or the name of a CRS without one."""
    text: str = crs.to_string()
    if text.startswith("EPSG:"):
        return text
    return text.split('"')[1] if '"' in text else text
