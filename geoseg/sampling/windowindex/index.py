"""WindowIndex: which windows of which masks, as a table that is kept in a file."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from geoseg.errors import ConfigError
from geoseg.grid import Grid
from geoseg.outputs import refuse_inputs
from geoseg.sampling.windowindex import kept, reading
from geoseg.sampling.windowindex.boxes import Outside
from geoseg.sampling.windowindex.building import build_rows
from geoseg.sampling.windowindex.columns import MASK, PLACES, Coordinates
from geoseg.sampling.windowindex.coverage import Coverage, coverage_of
from geoseg.sampling.windowindex.item import IndexedWindow
from geoseg.sampling.windowindex.paths import absolute, as_paths
from geoseg.sampling.windowindex.rows import Rows
from geoseg.sampling.windowindex.tables import load
from geoseg.sampling.windowindex.turns import turn
from geoseg.sampling.windowindex.writing import check_replaceable, write_rows
from geoseg.window import Edge, Size, Window

if TYPE_CHECKING:
    from pandas import DataFrame


class WindowIndex(Sequence[IndexedWindow]):
    """Windows of masks, one a row of a table, on the grid of their mask each.

    `build` makes regular windows, `read` takes a CSV or Parquet file of anybody, `cached` builds once and
    reads then. An index does not change; `select` and `with_columns` make another. It holds no open files.

    ```python
    index = WindowIndex.build(["a.tif", "b.tif"], patch_size=512, stride=256)
    index.with_columns({"split": parts}).write("windows.parquet")
    ```
    """

    def __init__(self, rows: Rows, *, uri: str | None = None) -> None:
        """Use `build`, `read` or `from_table`.

        Args:
            rows: The table, and what is known of its rows.
            uri: The file that the rows are of.
        """
        self._rows = rows
        self._windows: list[Window] | None = None
        self._paths: tuple[str, ...] | None = None
        self.uri = None if uri is None else absolute(uri)
        """Its file; None: it is in memory."""

    @classmethod
    def build(
        cls,
        masks: Sequence[str],
        *,
        patch_size: Size,
        stride: Size | None = None,
        edge: Edge = "flush",
        key: str = MASK,
    ) -> Self:
        """Regular windows over masks, row by row, mask after mask in the order given.

        Args:
            masks: Raster files; each is opened once, for its grid.
            patch_size: Pixels, one number or (height, width).
            stride: Pixels from one window to the next, the same way; None means `patch_size`.
            edge: What happens at the last row and column, see `geoseg.window.starts`.
            key: The name of the column of mask files.

        Raises:
            ConfigError: A size or stride below 1, "flush" with a stride larger than the size, or a mask is
                named twice.
            SourceError: A mask is missing or no raster.

        Warns:
            UserWarning: Pixels of masks are in no window, and how many.
        """
        return cls(
            build_rows(as_paths(masks), patch_size=patch_size, stride=stride, edge=edge, key=key)
        )

    @classmethod
    def read(
        cls,
        uri: str,
        *,
        key: str = MASK,
        coordinates: Coordinates = "auto",
        mask_base_path: str | None = None,
        patch_size: Size | None = None,
        outside: Outside = "error",
        snap: bool = False,
        reproject_bounds: bool = False,
    ) -> Self:
        """The windows of a CSV or Parquet file; all its rows and columns are kept as they are.

        Pixels are `row_off`, `col_off` and `width` with `height`, or `patch_size`; bounds are `minx`,
        `miny`, `maxx` and `maxy`, or the same with `tile_`, and `crs` where they are not in the mask's.
        Each mask is opened once. Bounds with the larger longitude first, more than 180 degrees apart, cross
        the antimeridian.

        In CSV only an empty cell is empty ("NA" is text), and a column is text where numbers would not keep
        what a cell says: leading zeros or a plus (001, +5), more digits than a number holds, or an exponent
        without its sign (12e4). Columns of pixels and bounds are numbers all the same.

        Args:
            uri: The file.
            key: The column of mask files. Relative paths are meant against `mask_base_path`, else against
                the index's folder, else, with a warning, against the working directory.
            coordinates: Which columns tell the windows; "auto" takes pixels where they are complete.
            mask_base_path: A folder for relative paths.
            patch_size: Pixels, one number or (height, width), of windows that are placed by the centre of
                bounds in another CRS; a size in the table goes before it.
            outside: What windows past their mask's edges are. "pad": allowed. An index that geoseg built with
                such windows needs nothing here.
            snap: Take the nearest pixels where bounds are more than 0.01 px off the grid.
            reproject_bounds: Allow bounds in another CRS than the mask's.

        Raises:
            SourceError: The file or a mask is missing or cannot be read.
            ConfigError: Columns are missing, or hold what they should not.
            GridError: A window lies outside its mask or past its edge, or bounds are empty, off the grid, of
                another CRS, or of a rotated mask.
            StaleIndexError: geoseg wrote the file, and its masks have other grids now.

        Warns:
            UserWarning: There are no windows; pixels and bounds of one row tell two places (somebody's own
                file); masks have other sizes in bytes than when geoseg wrote the file.
        """
        how = reading.How(
            key=key,
            coordinates=coordinates,
            base=mask_base_path,
            patch_size=patch_size,
            outside=outside,
            snap=snap,
            reproject=reproject_bounds,
        )
        path = os.fspath(uri)
        return cls(reading.rows_of_loaded(path, load(path, key=key), how), uri=path)

    @classmethod
    def from_table(
        cls,
        table: DataFrame,
        *,
        key: str = MASK,
        coordinates: Coordinates = "auto",
        mask_base_path: str | None = None,
        patch_size: Size | None = None,
        outside: Outside = "error",
        snap: bool = False,
        reproject_bounds: bool = False,
        grids: Mapping[str, Grid] | None = None,
        where: str = "the table",
        folder: str | os.PathLike[str] | None = None,
    ) -> Self:
        """The windows of a table in memory.

        Args:
            table: With the columns that `read` knows.
            key: As of `read`, like all that follows but the last three.
            coordinates: Which columns tell the windows.
            mask_base_path: A folder for relative paths; None means `folder`.
            patch_size: Pixels of windows that are placed by the centre of their bounds.
            outside: What windows past their mask's edges are.
            snap: Take the nearest pixels where bounds are off the grid.
            reproject_bounds: Allow bounds in another CRS than the mask's.
            grids: Grids that are known already, by mask: those masks are not opened.
            where: What errors and warnings call the table.
            folder: Where the table comes from: its relative paths are meant against it; None: the working
                directory.

        Raises:
            GeosegError: As of `read`.
        """
        how = reading.How(
            key=key,
            coordinates=coordinates,
            base=mask_base_path,
            patch_size=patch_size,
            outside=outside,
            snap=snap,
            reproject=reproject_bounds,
        )
        place = None if folder is None else Path(folder).absolute()
        return cls(reading.rows_of_table(table, how, where=where, folder=place, grids=grids))

    @classmethod
    def cached(
        cls,
        uri: str,
        masks: Sequence[str] | None,
        *,
        patch_size: Size,
        stride: Size | None = None,
        edge: Edge = "flush",
        key: str = MASK,
        on_stale: kept.OnStale = "rebuild",
        coordinates: Coordinates = "auto",
        mask_base_path: str | None = None,
        outside: Outside = "error",
        snap: bool = False,
        reproject_bounds: bool = False,
    ) -> Self:
        """The windows of a file, which is built where it is not there.

        A file that geoseg built, and nobody changed since, is built anew where masks or settings differ
        from those that it was built of. Any other file is somebody's own: it is read and checked, and never
        overwritten. So is an index of geoseg with more columns than it builds, as one that is split: where
        its masks lie elsewhere now that is an error. Several processes may start at once: one builds, the
        others wait for the whole file.

        Args:
            uri: The file, `.csv` or `.parquet`.
            masks: Mask files in the order wanted; None: those of the file.
            patch_size: As of `build`, and of `read`.
            stride: As of `build`.
            edge: As of `build`.
            key: As of both.
            on_stale: "raise": an error that tells the differences, in place of building anew.
            coordinates: As of `read`, like all that follows; for somebody's own file, but for the next one.
            mask_base_path: A folder for relative paths; what geoseg wrote and is not there is looked for
                beside the index.
            outside: What windows past their mask's edges are.
            snap: Take the nearest pixels where bounds are off the grid.
            reproject_bounds: Allow bounds in another CRS than the mask's.

        Raises:
            StaleIndexError: The file was built of other masks or with other settings, with on_stale="raise";
                or it cannot be built anew, and its masks have other grids now.
            ConfigError: The file is not there, and no masks are given.
            StoreError: It cannot be written.
            GeosegError: As of `build` and `read`.

        Warns:
            UserWarning: The file is built anew, and why; else as of `build` and `read`.
        """
        how = reading.How(
            key=key,
            coordinates=coordinates,
            base=mask_base_path,
            patch_size=patch_size,
            outside=outside,
            snap=snap,
            reproject=reproject_bounds,
        )
        wanted = kept.Wanted(
            uri=os.fspath(uri),
            masks=None if masks is None else as_paths(masks),
            patch_size=patch_size,
            stride=stride,
            edge=edge,
            rebuild=kept.rebuilds(on_stale),
        )
        return cls(kept.kept_rows(wanted, how), uri=os.fspath(uri))

    def write(self, uri: str) -> str:
        """Write the index, with paths relative to its folder; it appears whole or not at all.

        The columns are `image_path` where it is there, the masks, the places of the windows in pixels and
        bounds, what was measured, and all others. Parquet has footprints in EPSG:4326 too (GeoParquet); CSV
        has a small file `NAME.geoseg.json` beside it, by which geoseg knows it again.

        Args:
            uri: The file, `.csv` or `.parquet`.

        Returns:
            The same.

        Raises:
            ConfigError: It is a file that this index was read from or names.
            StoreError: There is a file already that geoseg did not write or that was changed since, or it
                cannot be written.

        Warns:
            UserWarning: Windows have no footprint, and how many.
        """
        target = os.fspath(uri)
        rows = self._rows
        images = [] if rows.images is None else [cell for cell in rows.images if cell is not None]
        own = [] if self.uri is None else [self.uri]
        refuse_inputs([target], dict.fromkeys([*own, *rows.masks.paths, *images]))
        with turn(target):
            check_replaceable(target)
            write_rows(target, rows)
        return target

    @property
    def table(self) -> DataFrame:
        """All rows and columns in the order of the file, extra ones too; paths as they are written."""
        return self._rows.table

    @property
    def key(self) -> str:
        """The column of mask files."""
        return self._rows.key

    @property
    def windows(self) -> list[Window]:
        """One a row, on the grid of its mask."""
        if self._windows is None:
            self._windows = [Window(*box) for box in self._rows.boxes.tolist()]
        return self._windows

    @property
    def boxes(self) -> NDArray[np.int64]:
        """(row, 4): row, col, height, width of each window, in pixels of its mask."""
        return self._rows.boxes

    @property
    def mask_paths(self) -> tuple[str, ...]:
        """One a row: openable."""
        if self._paths is None:
            paths = self._rows.masks.paths
            self._paths = tuple(paths[number] for number in self._rows.masks.rows.tolist())
        return self._paths

    @property
    def masks(self) -> tuple[str, ...]:
        """Each mask once, in the order in which they come first, those without any window too."""
        return self._rows.masks.paths

    @property
    def image_paths(self) -> tuple[str | None, ...] | None:
        """One a row: openable, None for an empty cell; None where there is no column `image_path`."""
        return None if self._rows.images is None else tuple(self._rows.images)

    @property
    def outside(self) -> Outside:
        """Whether windows may reach past their masks ("pad")."""
        return self._rows.outside

    def grid_of(self, mask: str) -> Grid:
        """The grid of a mask, which is known.

        Raises:
            ConfigError: The index names no such mask.
        """
        known = self._rows.masks.by_path
        grid = known.get(mask) or known.get(absolute(mask))
        if grid is None:
            raise ConfigError(
                f"{mask}: is no mask of the index {self.uri or 'in memory'}; expected one of its mask_paths"
            )
        return grid

    def coverage(self) -> Coverage:
        """How many pixels of its masks lie in some window."""
        return coverage_of(self._rows.boxes, self._rows.masks)

    def select(self, rows: ArrayLike) -> WindowIndex:
        """Some rows, in the order given.

        Args:
            rows: (row,) bool, True for those wanted, or row numbers from 0.

        Raises:
            ConfigError: It is something else, or there are no such rows.
        """
        return WindowIndex(self._rows.taken(rows))

    def with_columns(self, columns: Mapping[str, Any]) -> WindowIndex:
        """The same windows with more columns, or with others of the same names.

        Args:
            columns: {name: a value for each row, or one for all}. `image_path` is what can be opened now.

        Raises:
            ConfigError: A column tells where the windows are, or has not one value for each row.
        """
        fixed = [name for name in columns if name in (self.key, *PLACES)]
        if fixed:
            raise ConfigError(
                f"the column {fixed[0]!r} tells where the windows are and cannot be replaced; make an index "
                "of a new table with WindowIndex.from_table"
            )
        return WindowIndex(self._rows.widened(columns))

    def without_columns(self, names: Sequence[str]) -> WindowIndex:
        """The same windows without some columns.

        Args:
            names: Columns, none of which tells where the windows are.

        Raises:
            ConfigError: A column does, or there is none of that name.
        """
        there = [name for name in self.table.columns if name not in (self.key, *PLACES)]
        wrong = [name for name in names if name not in there]
        if wrong:
            raise ConfigError(
                f"the column {wrong[0]!r} cannot be taken away, expected some of: {', '.join(there) or 'none'}"
            )
        return WindowIndex(self._rows.narrowed(names))

    def __len__(self) -> int:
        return len(self._rows.boxes)

    @overload
    def __getitem__(self, index: int) -> IndexedWindow: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[IndexedWindow]: ...
    def __getitem__(self, index: int | slice) -> IndexedWindow | Sequence[IndexedWindow]:
        """A row, or a tuple of them for a slice."""
        if isinstance(index, slice):
            return tuple(self[i] for i in range(*index.indices(len(self))))
        number = index + len(self) if index < 0 else index
        if not 0 <= number < len(self):
            raise IndexError(f"window {index} of {len(self)}")
        window = Window(*self._rows.boxes[number].tolist())
        return IndexedWindow(self._rows.masks.path_of(number), window, number)

    def __repr__(self) -> str:
        where = f" of {self.uri}" if self.uri else ""
        return f"WindowIndex({len(self)} windows on {len(self.masks)} masks{where})"

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_windows": None, "_paths": None}
