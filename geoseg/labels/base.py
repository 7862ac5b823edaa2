"""Class ids on a grid: where they come from, what they are, where they go."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Annotated, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from geoseg.classes import ClassMap
from geoseg.errors import LabelError
from geoseg.grid import Grid
from geoseg.sources.handles import block_cache
from geoseg.spec import Tagged, text_stands_for, uris_of
from geoseg.window import Size, Window, sliding

if TYPE_CHECKING:
    from geoseg.labels.array import ArrayLabels
    from geoseg.labels.blend import Blend
    from geoseg.labels.manifest import MadeBy
    from geoseg.labels.sources import SourceLabels

Ids = NDArray[np.uint8]
Scores = NDArray[np.float32]

_BLOCK_ROWS = 512
_CACHE_BYTES = 32 << 20
"""GDAL's decoded blocks while labels are copied from file to file, unless the rows are very wide."""
_SCORES = 1 << 23
"""Scores that are held at once."""


class LabelSource(Tagged):
    """Class ids from somewhere, on any grid. A kind of your own needs a tag and `read`."""

    classes: ClassMap | None = None
    """What the ids mean; None: an Experiment fills in its own."""

    @abstractmethod
    def read(self, grid: Grid, window: Window) -> Ids:
        """(height, width) class ids of a window of `grid`, `ignore_id` where nothing is known.

        Raises:
            LabelError: There is no class map, or ids are outside it.
            SourceError: The file cannot be read.
        """

    @property
    def class_map(self) -> ClassMap:
        """The classes, which must be known by now.

        Raises:
            LabelError: `classes` is None.
        """
        if self.classes is None:
            raise LabelError(
                f"these {type(self).__name__} have no class map; pass classes=ClassMap.of(...), or name "
                "`classes` in the experiment file"
            )
        return self.classes

    def on(self, grid: Grid) -> SourceLabels:
        """These labels as seen on a grid."""
        from geoseg.labels.sources import SourceLabels

        return SourceLabels(self, grid)

    def check(self) -> None:
        """Open everything once, so that errors come before the work.

        Raises:
            GeosegError: The source cannot be used; the text says why.
        """
        _ = self.class_map


class Labels(ABC):
    """Class ids, and scores perhaps, on a grid: ground truth and prediction alike."""

    grid: Grid
    """Where the pixels lie."""
    classes: ClassMap
    """What the ids mean."""

    @abstractmethod
    def read(self, window: Window) -> Ids:
        """(height, width) class ids; `ignore_id` where not known and outside the grid."""

    def scores(self, window: Window) -> Scores:
        """(class, height, width) float32 that sum to 1, in the order of `classes`.

        Raises:
            LabelError: These labels hold ids only.
        """
        raise LabelError(
            f"{type(self).__name__} holds no scores of {window}; predict with store=None, or into a "
            "store with scores=True, to keep them"
        )

    @property
    def made_by(self) -> MadeBy | None:
        """How a prediction made them, where they know it: files that geoseg wrote do."""
        return None

    def blocks(self) -> Iterator[Window]:
        """Windows of 512 whole rows (fewer at the end) that cover the grid, top to bottom."""
        for window in sliding(self.grid, (_BLOCK_ROWS, self.grid.width), edge="pad"):
            part = window.intersection(self.grid.whole)
            if part is not None:
                yield part

    def to_array(self) -> Ids:
        """(height, width) class ids of the whole grid, in memory."""
        return self.read(self.grid.whole)

    @staticmethod
    def from_windows(
        windows: Iterable[Window],
        scores: Iterable[ArrayLike],
        grid: Grid,
        classes: ClassMap,
        *,
        valid: Iterable[ArrayLike] | None = None,
        size: Size | None = None,
        stride: Size | None = None,
        blend: Blend = "hann",
    ) -> ArrayLabels:
        """Labels in memory, with scores, from a prediction loop of your own.

        Args:
            windows: Those of `sliding(grid, size, stride)`, in their order.
            scores: For each window (class, height, width) probabilities: arrays, or torch tensors on the
                CPU; taken one by one.
            grid: Where the windows are counted.
            classes: What the channels mean.
            valid: For each window (height, width), False where its scores mean nothing.
            size: Pixels of a window; None: those of the first.
            stride: Pixels from window to window; None: as the windows tell.
            blend: How overlapping windows are joined, see `geoseg.labels.blend`.

        Raises:
            GridError: A window is none of those, or out of order; see `geoseg.labels.blended`.
            LabelError: Scores do not fit the windows, or are no probabilities.
        """
        from geoseg.labels.blended import blended

        return blended(
            windows,
            scores,
            grid,
            classes,
            valid=valid,
            size=size,
            stride=stride,
            blend=blend,
        )


class LabelWriter(Protocol):
    """An open label store."""

    def write(self, window: Window, ids: Ids, scores: Scores | None = None) -> None:
        """Write the ids (height, width) of a window that lies in the grid.

        A store that `wants_scores` needs those too: (class, height, width), in the order of the classes.
        """


class LabelStore(Tagged):
    """A place where labels are written. A kind of your own needs a tag, `writer` and `read`."""

    @abstractmethod
    def writer(self, grid: Grid, classes: ClassMap) -> AbstractContextManager[LabelWriter]:
        """A context in which labels are written; the output appears whole at its end or not at all.

        Raises:
            StoreError: The place cannot be written.
        """

    @abstractmethod
    def read(self) -> Labels:
        """What was written.

        Raises:
            StoreError: There is nothing, or it cannot be read.
        """

    def check(self) -> None:
        """See that the place may be written, before the work whose results go there.

        Raises:
            StoreError: It may not.
        """

    @property
    def outputs(self) -> tuple[str, ...]:
        """The files that a writer makes or replaces."""
        return uris_of(self)

    @property
    def wants_scores(self) -> bool:
        """Whether writers of this store need scores beside the ids."""
        return False

    def write(self, labels: Labels) -> Labels:
        """Write finished labels, some rows after the other, and read them back.

        What labels tell of how they were made is told on. Memory grows with the width of the grid only. The labels may lie in the very files that are
        replaced, where those are renamed when they are whole.

        Args:
            labels: Of any kind; their scores are read only where this store wants them.

        Raises:
            LabelError: The store wants scores and the labels hold none.
            StoreError: The place cannot be written, or the labels cannot be read.

        Warns:
            UserWarning: What the labels tell of how they were made cannot be read.
        """
        from geoseg.labels.manifest import tell_on

        width = labels.grid.width
        layers = 1 + len(labels.classes) if self.wants_scores else 1
        with (
            block_cache(max(_CACHE_BYTES, 2 * _BLOCK_ROWS * width * layers)),
            self.writer(labels.grid, labels.classes) as writer,
        ):
            for block in labels.blocks():
                for window in self._pieces(block, labels):
                    scores = labels.scores(window) if self.wants_scores else None
                    writer.write(window, labels.read(window), scores)
            tell_on(writer, labels)
        return self.read()

    def _pieces(self, block: Window, labels: Labels) -> Iterator[Window]:
        """Whole rows of a block, few enough that their scores fit in memory."""
        rows = block.height
        if self.wants_scores:
            rows = max(_SCORES // (block.width * len(labels.classes)), 1)
        for row in range(block.row, block.row_stop, rows):
            yield Window(row, block.col, min(rows, block.row_stop - row), block.width)


_VECTOR_SUFFIXES = (".gpkg", ".fgb", ".parquet", ".geoparquet", ".geojson")
StoreField = Annotated[
    LabelStore,
    text_stands_for("geotiff", by_suffix=dict.fromkeys(_VECTOR_SUFFIXES, "vector")),
]
"""A field that takes any LabelStore; plain text stands for a `geotiff` of that uri, or for a `vector` by
the end of its name."""
