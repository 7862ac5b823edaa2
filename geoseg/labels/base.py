"""Class ids on a grid: where they come from, what they are, where they go."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Annotated, Protocol

import numpy as np
from numpy.typing import NDArray

from geoseg.classes import ClassMap
from geoseg.errors import LabelError
from geoseg.grid import Grid
from geoseg.spec import Tagged, text_stands_for
from geoseg.window import Window, sliding

if TYPE_CHECKING:
    from geoseg.labels.sources import SourceLabels

Ids = NDArray[np.uint8]
Scores = NDArray[np.float32]

_BLOCK_ROWS = 512


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
                f"these labels have no class map: {self!r}; pass classes=ClassMap.of(...), or name "
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
            f"{type(self).__name__} holds no scores of {window}; predict with store=None to keep them"
        )

    def blocks(self) -> Iterator[Window]:
        """Windows of 512 whole rows (fewer at the end) that cover the grid, top to bottom."""
        for window in sliding(self.grid, (_BLOCK_ROWS, self.grid.width), edge="pad"):
            part = window.intersection(self.grid.whole)
            if part is not None:
                yield part

    def to_array(self) -> Ids:
        """(height, width) class ids of the whole grid, in memory."""
        return self.read(self.grid.whole)


class LabelWriter(Protocol):
    """An open label store."""

    def write(self, window: Window, ids: Ids, scores: Scores | None = None) -> None:
        """Write the ids (height, width) of a window that lies in the grid."""


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


StoreField = Annotated[LabelStore, text_stands_for("geotiff")]
"""A field that takes any LabelStore; plain text stands for a `geotiff` of that uri."""
