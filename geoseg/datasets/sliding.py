"""SlidingWindowGeoDataset: every window of every scene, in order."""

from __future__ import annotations

from collections.abc import Sequence

from geoseg.datasets.windows import RowReader, WindowDataset, in_worker
from geoseg.sampling import SlidingWindows
from geoseg.scene import Scene
from geoseg.sources.base import Chip
from geoseg.window import Edge, Size, Window


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
    ) -> None:
        """Lay the windows; pixels are read when asked for.

        Args:
            scenes: Where to look; one class map, number of bands and dtype for all.
            size: Pixels, one number or (height, width).
            stride: Pixels; None means `size`.
            edge: "flush", "pad" or "drop", see `geoseg.window.starts`.
            normalize: False gives images in the native dtype, to be scaled on the device.
            labels: False leaves `mask` out.
        """
        super().__init__(scenes, size=size, normalize=normalize, labels=labels)
        self.windows = SlidingWindows(self.scenes, size, stride, edge)

    def __len__(self) -> int:
        return len(self.windows)

    def place(self, index: int) -> tuple[int, Window]:
        """(scene number, window) of an item; IndexError past the end."""
        return self.windows[index]

    def _read(self, number: int, window: Window) -> Chip:
        chip = self._read_in_order(number, window)
        return super()._read(number, window) if chip is None else chip

    def _read_in_order(self, number: int, window: Window) -> Chip | None:
        """The chip from the ring of rows; None where windows are not asked for in order.

        Workers see only some of the batches, and an AOI only some of the windows: there a row of the
        whole scene would be read for few of its windows.
        """
        scene = self.scenes[number]
        if scene.aoi is not None or in_worker():
            return None
        in_order = self._is_next(number, window)
        self._local.before = number, window
        reader: RowReader | None = getattr(self._local, "reader", None)
        if reader is None or reader.scene is not scene:
            if not in_order:
                return None
            width = max(scene.grid.width, self.windows.of_scene[number][-1].col_stop)
            reader = self._local.reader = RowReader(scene, height=self.size[0], width=width)
        return reader.chip(window, starts_row=in_order and window.col == 0)

    def _is_next(self, number: int, window: Window) -> bool:
        """Whether this window comes right after the last one, or is a scene's first."""
        if window.row == window.col == 0:
            return True
        before: tuple[int, Window] | None = getattr(self._local, "before", None)
        if before is None or before[0] != number:
            return False
        if window.col:
            return window.row == before[1].row
        return window.row > before[1].row
