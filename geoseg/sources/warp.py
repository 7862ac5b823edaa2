"""WarpedSource: any source on any grid, window by window."""

from __future__ import annotations

import logging
import math
from typing import Annotated, Any, Literal, Self

import numpy as np
from pydantic import Discriminator, Tag, field_validator, model_validator

from geoseg.errors import GridError, SourceError
from geoseg.grid import Grid
from geoseg.sources.base import Chip, RasterField, RasterSource, fill_around
from geoseg.sources.cache import remember
from geoseg.sources.transformed import TransformedSource
from geoseg.sources.warping.exact import KERNELS, warp_exact
from geoseg.sources.warping.gdal import warp_gdal
from geoseg.sources.warping.pixelmap import PixelMap
from geoseg.sources.warping.plan import (
    CATEGORICAL_KERNELS,
    WarpPlan,
    common_lattice,
    make_plan,
    measure,
    meet,
    place_around,
)
from geoseg.sources.warping.seam import read_round
from geoseg.warn import warn
from geoseg.window import Window

_REACH = 3
"""Source pixels around a window that a kernel may look at; GDAL's, which widen, as many of the target."""
_COARSE = 0.5
"""Source pixels along a target pixel below which `check` warns."""

_log = logging.getLogger("geoseg")


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

    - auto is bilinear where the source's pixels are at most twice as fine as the target's, else
      average; for numbers of classes nearest, and mode where they are finer;
    - nearest, bilinear, cubic look at the pixels around that place, also where the source is finer;
    - average and mode look at all source pixels whose centres lie in the target pixel. Its outline
      in the source is taken as an upright box: as wide as one target pixel's step changes the
      source column, as high as it changes the row. Boxes smaller than a pixel give the nearest.

    A pixel is valid where the source's nearest pixel is; with average and mode, where one in the box
    is. Numbers of classes (`categorical`) take nearest and mode only: the others would make up classes.

    Where the source is more than four times finer than the target, auto, bilinear, cubic and average
    read an overview that is two to four times finer, or the next finer one there is. `plan` tells kernel
    and overview; the log "geoseg" notes them once, at level INFO. Overviews are trusted to be averages,
    as `gdaladdo -r average` makes them: those of a plain `gdaladdo` hold the nearest pixel only, which no
    file tells. `overviews="none"` reads none. Nor are any read that would show or hide pixels, or whose
    source has transforms that do not keep means (`Transform.keeps_means`).

    A source that goes round the Earth (degrees, Mercator) goes on past its first and last column; one of
    0..360 degrees, or across the antimeridian, is found from both sides.

    `method="gdal"` is GDAL's own warper with all its kernels, in the blocks and so with the pixels of a
    WarpedVRT; it widens bilinear and cubic where the source is finer than the target, takes an overview
    for auto only, and at the antimeridian reads all columns of the source.
    """

    type: Literal["warped"] = "warped"
    source: RasterField
    """Where the pixels come from."""
    onto: GridOrSource
    """The grid wanted, or a source whose grid it is."""
    resampling: str = "auto"
    """auto, nearest, bilinear, cubic, average or mode; with method="gdal" any name GDAL warps with."""
    method: Literal["exact", "gdal"] = "exact"
    """Who resamples."""
    overviews: Literal["auto", "none"] = "auto"
    """Whether overviews of a much finer source are read; "none": always the full resolution."""

    @field_validator("resampling")
    @classmethod
    def _known(cls, name: str) -> str:
        from rasterio.warp import SUPPORTED_RESAMPLING

        known = ["auto", *(kernel.name for kernel in SUPPORTED_RESAMPLING)]
        if name.lower() not in known:
            raise ValueError(f"unknown resampling {name!r}, expected one of: {', '.join(known)}")
        return name.lower()

    @model_validator(mode="after")
    def _method_has_it(self) -> Self:
        if self.method == "exact" and self.resampling not in ("auto", *KERNELS):
            raise ValueError(
                f'method="exact" has no resampling {self.resampling!r}, it has auto, '
                f'{", ".join(KERNELS)}; for the others give method="gdal"'
            )
        if self._blends and _surely_categorical(self.source):
            raise ValueError(self._why_no_blend)
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

    @property
    def own_wholly_categorical(self) -> bool:
        """The source's."""
        return self.source.wholly_categorical

    @property
    def own_blended(self) -> bool:
        """Whether the kernel blends, or may do so, or the source's pixels are blends already."""
        kept = _surely_categorical(self.source) if self.resampling == "auto" else not self._blends
        return self.source.blended or not kept

    @property
    def plan(self) -> WarpPlan:
        """Kernel, what is read, and how much finer the source is; the same for every window.

        Raises:
            GridError: One of the two grids has no CRS.
            SourceError: The source cannot be read, or holds numbers of classes that the kernel blends.
        """
        if self._blends and self.source.categorical:
            raise SourceError(self._why_no_blend)
        source, target = self.source.grid, self.grid
        offset = common_lattice(source, target)
        if offset is not None:
            return WarpPlan("none", self.source, 1.0, offset)
        if self.source.lacks_bands:
            raise SourceError(
                f"{_name(self.source)}: a valid pixel may lack bands, as with missing dates, and a warp "
                "would blend what is not there; warp the source of each date, and stack them then"
            )
        # Not remembered with the source: that may hold an array.
        sizes = remember(
            ("pixel sizes", target, source),
            lambda: measure(self._pixel_map(source), source, target),
            nbytes=lambda _: 100,
        )
        plan = make_plan(
            self.source,
            sizes,
            resampling=self.resampling,
            overviews=self.overviews == "auto" and (self.method, self._blends) != ("gdal", True),
            categorical=self.source.categorical or self.categorical,
            wholly=self.wholly_categorical,
        )
        self._note(plan)
        return plan

    @property
    def cache_bytes(self) -> float:
        """The source's."""
        return self.source.cache_bytes

    def surely_empty(self, window: Window) -> bool:
        """Whether what is read of the source is, all around; see RasterSource."""
        part = window.intersection(self.grid.whole)
        if part is None:
            return True
        try:
            plan = self.plan
            pixels = self._pixel_map(plan.grid)
        except (GridError, SourceError):  # reading will tell
            return False
        finer = plan.ratio if self.method == "gdal" else 1.0
        there = place_around(pixels, part, reach=math.ceil(_REACH * max(finer, 1.0)))
        return there is not None and plan.source.surely_empty(there)

    def read_own(self, window: Window) -> Chip:
        """The pixels of a window of the target grid; see RasterSource.

        Raises:
            GridError: One of the two grids has no CRS.
            SourceError: The source cannot be read, or holds numbers of classes that the kernel blends.
        """
        if self.grid.whole.contains(window):
            return self._read_inside(window)
        count = len(self.own_band_names)
        return fill_around(window, self.grid, count, self.own_dtype, self._read_inside)

    def check(self) -> None:
        """Check both sides, their CRSs, and the overview that is read.

        Warns where the source lies nowhere on the target, or is more than twice as coarse.
        """
        self.source.check()
        if isinstance(self.onto, RasterSource):
            self.onto.check()
        plan = self.plan
        if plan.source != self.source:
            plan.source.check()  # an overview may be damaged where the full resolution is not
        super().check()
        source, target = self.source.grid, self.grid
        if not meet(self._pixel_map(source), source, target):
            warn(
                f"{_name(self.source)} ({source.describe()}) does not touch the grid it is warped "
                f"onto ({target.describe()}): no pixel will be valid"
            )
        elif plan.ratio < _COARSE:
            warn(
                f"{_name(self.source)} ({source.describe()}) is {1 / plan.ratio:.3g} times as coarse "
                f"as the grid it is warped onto ({target.describe()}): each of its pixels is spread "
                "over many; use a coarser grid or a finer source"
            )

    @property
    def _blends(self) -> bool:
        """Whether the kernel makes values that are not in the source."""
        return self.resampling not in ("auto", *CATEGORICAL_KERNELS)

    @property
    def _why_no_blend(self) -> str:
        return (
            f"{_name(self.source)} holds numbers of classes, between which resampling="
            f'"{self.resampling}" makes up others; use "nearest", "mode" or "auto"'
        )

    def _note(self, plan: WarpPlan) -> None:
        """Log a plan once."""
        text = (
            f"{_name(self.source)} onto {_name(self.onto)}: {plan.resampling} from {plan.grid.describe()}; "
            f"the source ({self.source.grid.describe()}) is {plan.ratio:.3g} times as fine"
        )
        remember(
            ("noted", text, self.grid), lambda: _log.info("%s", text), nbytes=lambda _: len(text)
        )

    def _read_inside(self, window: Window) -> Chip:
        plan = self.plan
        if plan.offset is not None:
            row, col = plan.offset
            place = Window(window.row + row, window.col + col, *window.shape)
            return read_round(self.source, place)
        pixels = self._pixel_map(plan.grid)
        if self.method == "gdal":
            return warp_gdal(plan.source, pixels, self.grid, window, plan.resampling)
        return warp_exact(plan.source, pixels, window, plan.resampling)

    def _pixel_map(self, source: Grid) -> PixelMap:
        target = self.grid
        try:
            return remember(
                ("pixel map", target, source),
                lambda: PixelMap.between(target, source),
                nbytes=lambda _: 1000,
            )
        except GridError as error:
            raise GridError(f"{_name(self.source)} onto {_name(self.onto)}: {error}") from error


def _surely_categorical(source: RasterSource) -> bool:
    """Whether a source holds numbers of classes, as far as that is known without a file."""
    if not isinstance(source, TransformedSource):
        return False
    found = isinstance(source, WarpedSource) and _surely_categorical(source.source)
    for transform in source.transforms:
        found = transform.categorical_of(found)
    return found


def _name(side: Grid | RasterSource) -> str:
    """A file to point at, else the kind of source, else the grid in words."""
    if isinstance(side, Grid):
        return f"grid ({side.describe()})"
    uri = getattr(side, "uri", None)
    return uri if isinstance(uri, str) else f"{type(side).__name__}"
