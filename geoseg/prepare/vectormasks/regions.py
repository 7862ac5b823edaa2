"""Where masks lie: the grid they share, and the frames on it."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import shapely

from geoseg.burn import Edges, burn
from geoseg.choices import one_of
from geoseg.errors import ConfigError, GridError, LabelError
from geoseg.grid import Grid, to_crs
from geoseg.sources.base import RasterSource, VectorSource, raster_source
from geoseg.sources.features.columns import as_text, column_of
from geoseg.sources.features.frames import geometries_of, name_of, reprojected
from geoseg.sources.features.ongrid import frame_on
from geoseg.sources.transformedvector import pixel_transforms
from geoseg.window import Window

if TYPE_CHECKING:
    from geopandas import GeoDataFrame

DuplicateFrames = Literal["error", "number"]

_SNAP = 1e-6
"""Pixels: an edge nearer than this to a pixel edge is meant to lie on it."""
_SHOWN = 8
"""How many frames a text lists."""


@dataclass(frozen=True, eq=False)
class Region:
    """The place of one mask."""

    name: str
    """What its file is called, without a suffix; unique."""
    frame_id: str | None
    """As the frames' column has it; None where there are no frames."""
    window: Window
    """Its pixels on the grid."""
    polygon: Any
    """What is labelled, in the grid's pixels; it lies in the window."""
    edges: Edges[np.uint8] | None
    """The same to burn; None where it is the whole window."""

    def outside(self, window: Window) -> Any:
        """(height, width) bool: the pixels of a window whose centres the frame does not hold; None: none."""
        if self.edges is None:
            return None
        rows, columns = (window.row, window.row_stop), (window.col, window.col_stop)
        return burn(self.edges, rows=rows, columns=columns, fill=0) == 0


@dataclass(frozen=True, eq=False)
class Regions:
    """The places of all masks, and the frames that gave none."""

    regions: tuple[Region, ...]
    """In the order of the frames."""
    outside: tuple[str, ...] = ()
    """Ids of the frames that do not meet the grid."""
    tiny: tuple[str, ...] = ()
    """Ids of those that hold no pixel's centre."""
    cut: tuple[str, ...] = ()
    """Ids of those that reach past the grid."""

    @classmethod
    def whole(cls, grid: Grid, name: str) -> Regions:
        """One mask of all pixels."""
        box = shapely.box(0, 0, grid.width, grid.height)
        return cls((Region(name, None, grid.whole, box, None),))

    @classmethod
    def of_frames(
        cls, grid: Grid, source: VectorSource, *, frame_id: str | None, duplicates: DuplicateFrames
    ) -> Regions:
        """One mask a frame: its bounds outward to whole pixels, cut to the grid.

        Args:
            grid: The pixels.
            source: Polygons.
            frame_id: The column of their names; None: they are numbered in file order, from 0.
            duplicates: Whether names that would share a file are an error, or get numbers.

        Raises:
            GridError: No frame lies on the grid.
            LabelError: A frame has no name, or the name of another.
            SourceError: The frames cannot be read.
        """
        called, frame = name_of(source), source.read()
        ids = _frame_ids(frame, frame_id, called)
        names = _file_names(ids, duplicates, column=frame_id, called=called)
        numbered = frame.assign(geoseg_number=np.arange(len(frame)))
        on = frame_on(grid, numbered, pixel_transforms(source), name=called)
        found: list[Region] = []
        outside, tiny, cut = set(range(len(frame))), [], []
        for number, polygon in zip(on["geoseg_number"], geometries_of(on), strict=True):
            window = _window_of(polygon)
            inside = window.intersection(grid.whole)
            if inside is None:
                continue
            outside.discard(number)
            edges = Edges.of(
                np.array([polygon], object),
                np.ones(1, np.uint8),
                mirrored=grid.transform.determinant < 0,
            )
            region = Region(names[number], ids[number], inside, _within(polygon, inside), edges)
            if region.outside(inside).all():
                tiny.append(ids[number])
                continue
            found.append(region)
            if inside != window:
                cut.append(ids[number])
        if not found:
            raise GridError(
                f"{called}: none of {len(frame)} frames lies on the reference ({grid.describe()}, bounds "
                f"{grid.bounds}); check the CRS of both and that they belong together"
            )
        return cls(tuple(found), tuple(ids[i] for i in sorted(outside)), tuple(tiny), tuple(cut))


def grid_of(
    reference: Grid | RasterSource | Any | None,
    *,
    resolution: float | tuple[float, float] | None,
    crs: Any,
    extent: GeoDataFrame,
    name: str,
) -> Grid:
    """The grid that all masks lie on.

    Args:
        reference: A grid, a source, or the path of a raster; None: a grid is made.
        resolution: Pixel size of the grid that is made, in units of its CRS; its pixel edges are whole
            multiples of it, so that grids of one resolution share their pixels.
        crs: Its CRS; None: that of the features, unless those are degrees.
        extent: What it covers.
        name: What errors call the features.

    Raises:
        ConfigError: There is neither a reference nor a resolution, or both.
        GridError: The CRS is none, or nothing is there to be covered.
    """
    if (reference is None) == (resolution is None):
        raise ConfigError(
            "the grid of the masks is that of a reference, or made at a resolution: pass one of the two, "
            "got " + ("neither" if reference is None else "both")
        )
    if reference is not None:
        if crs is not None:
            raise ConfigError("crs= belongs to resolution=; a reference has its own; leave it out")
        return reference if isinstance(reference, Grid) else raster_source(reference).grid
    wanted = to_crs(extent.crs if crs is None else crs)
    if crs is None and wanted.is_geographic:
        raise ConfigError(
            f"{name}: is in {wanted.to_string()}, whose units are degrees; name the CRS of the masks, "
            "e.g. crs='EPSG:32619', in which resolution= is meant"
        )
    left, bottom, right, top = reprojected(extent, wanted, name=name).total_bounds.tolist()
    if not left <= right:
        raise GridError(f"{name}: holds nothing that a grid could cover; pass a reference")
    sizes = np.atleast_1d(np.array(resolution, float))
    if sizes.size > 2 or not (np.isfinite(sizes).all() and sizes.min() > 0):  # noqa: PLR2004
        raise ConfigError(f"resolution is {resolution!r}, expected a number above 0, or two (x, y)")
    x, y = float(sizes[0]), float(sizes[-1])
    first_x, last_x = np.floor(left / x + _SNAP), np.ceil(right / x - _SNAP)
    first_y, last_y = np.floor(bottom / y + _SNAP), np.ceil(top / y - _SNAP)
    bounds = (first_x * x, first_y * y, max(last_x, first_x + 1) * x, max(last_y, first_y + 1) * y)
    return Grid(crs=wanted, height=1, width=1).covering(bounds, (x, y))


def _window_of(polygon: Any) -> Window:
    """The bounds outward to whole pixels."""
    left, top, right, bottom = polygon.bounds
    col, row = int(np.floor(left + _SNAP)), int(np.floor(top + _SNAP))
    col_stop, row_stop = int(np.ceil(right - _SNAP)), int(np.ceil(bottom - _SNAP))
    return Window(row, col, max(row_stop - row, 1), max(col_stop - col, 1))


def _within(polygon: Any, window: Window) -> Any:
    left, top, right, bottom = window.bounds_px
    box = shapely.box(left, top, right, bottom)
    valid = polygon if polygon.is_valid else shapely.make_valid(polygon)
    return valid if box.contains(valid) else valid.intersection(box)


def _frame_ids(frame: GeoDataFrame, frame_id: str | None, called: str) -> tuple[str, ...]:
    """(frame,) what each is called."""
    if frame_id is None:
        width = len(str(max(len(frame) - 1, 0)))
        return tuple(f"frame_{number:0{width}}" for number in range(len(frame)))
    column = column_of(frame, frame_id, argument="frame_id", name=called)
    ids = [as_text(value) for value in column]
    nameless = [str(number) for number, one in enumerate(ids) if one is None]
    if nameless:
        raise LabelError(
            f"{called}: frame_id={frame_id!r} has no value in {len(nameless)} of {len(ids)} frames "
            f"({', '.join(nameless[:_SHOWN])}, counted from 0); fill them in"
        )
    return tuple(str(one) for one in ids)


def _file_names(
    ids: tuple[str, ...], duplicates: DuplicateFrames, *, column: str | None, called: str
) -> tuple[str, ...]:
    """(frame,) names that no two files share, on file systems that do not know capitals either."""
    one_of(duplicates, ("error", "number"), name="duplicate_frames")
    plain = [re.sub(r"[^\w.-]+", "_", one).strip(".") or "frame" for one in ids]
    alike: dict[str, list[int]] = defaultdict(list)
    for number, name in enumerate(plain):
        alike[name.casefold()].append(number)
    shared = [numbers for numbers in alike.values() if len(numbers) > 1]
    if shared and duplicates == "error":
        texts = [
            f"{' and '.join(dict.fromkeys(repr(ids[i]) for i in numbers))} (frames "
            f"{', '.join(map(str, numbers[:_SHOWN]))})"
            for numbers in shared[:_SHOWN]
        ]
        raise LabelError(
            f"{called}: frame_id={column!r} gives {len(shared)} names to several frames: "
            f"{', '.join(texts)}; make them unique, or pass duplicate_frames='number'"
        )
    taken = set(alike)
    for numbers in shared:
        for number in numbers[1:]:
            count = 2
            while f"{plain[number]}_{count}".casefold() in taken:
                count += 1
            plain[number] = f"{plain[number]}_{count}"
            taken.add(plain[number].casefold())
    return tuple(plain)
