"""SlidingWindowGeoDataset: every window of every scene, in order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.datasets.rowreader import RowReader, runs
from geoseg.datasets.windows import Place, WindowDataset, in_worker
from geoseg.errors import ConfigError
from geoseg.sampling import SlidingWindows
from geoseg.scene import Scene
from geoseg.window import Edge, Size


class SlidingWindowGeoDataset(WindowDataset):
    """All windows of the scenes, row by row; what evaluation and prediction look at.

    Read in order and without workers, each row of a scene is decoded once.
    """

    def __init__(
        self,
        scenes: Sequence[Scene],
        size: Size,
        stride: Size | None = None,
        edge: Edge = "flush",
        *,
        normalize: bool = True,
        labels: bool = True,
        num_threads: int = 1,
    ) -> None:
        """Lay the windows; pixels are read when asked for.

        Args:
            scenes: Where to look; one class map, number of bands and dtype for all.
            size: Pixels, one number or (height, width).
            stride: Pixels; None means `size`.
            edge: "flush", "pad" or "drop", see `geoseg.window.starts`.
            normalize: False gives images in the native dtype, to be scaled on the device.
            labels: False leaves `mask` out.
            num_threads: GDAL decodes the blocks of a row in so many threads, where rows are read in
                order and without workers.
        """
        if num_threads < 1:
            raise ConfigError(f"num_threads is {num_threads}, expected at least 1")
        super().__init__(scenes, size=size, normalize=normalize, labels=labels)
        self.windows = SlidingWindows(self.scenes, size, stride, edge)
        self.num_threads = num_threads

    def __len__(self) -> int:
        return len(self.windows)

    def place(self, index: int) -> Place:
        """(scene number, window) of an item; IndexError past the end."""
        return self.windows[index]

    def _fill(
        self, places: Sequence[Place], images: NDArray[Any], valid: NDArray[np.bool_]
    ) -> None:
        for run in runs(places):
            reader = self._reader_at(places[run][0])
            self._local.before = places[run][-1]
            if reader is None:
                super()._fill(places[run], images[run], valid[run])
            else:
                reader.cut([window for _, window in places[run]], images[run], valid[run])

    def _reader_at(self, place: Place) -> RowReader | None:
        """The reader whose ring holds the rows of a window; None where windows come in no order.

        Workers see only some of the batches, and an AOI only some of the windows: there a row of the
        whole scene would be read for few of its windows.
        """
        number, window = place
        scene = self.scenes[number]
        if scene.aoi is not None or in_worker():
            return None
        in_order = self._is_next(place)
        reader: RowReader | None = getattr(self._local, "reader", None)
        if reader is None or reader.scene is not scene:
            if not in_order:
                return None
            width = max(scene.grid.width, self.windows.of_scene[number][-1].col_stop)
            reader = self._local.reader = RowReader(
                scene, size=self.size, width=width, num_threads=self.num_threads
            )
        starts_row = in_order and window.col == 0
        return reader if reader.reach(window.row, may_move=starts_row) else None

    def _is_next(self, place: Place) -> bool:
        """Whether this window comes right after the last one, or is a scene's first."""
        number, window = place
        if window.row == window.col == 0:
            return True
        before: Place | None = getattr(self._local, "before", None)
        if before is None or before[0] != number:
            return False
        if window.col:
            return window.row == before[1].row
        return window.row > before[1].row
