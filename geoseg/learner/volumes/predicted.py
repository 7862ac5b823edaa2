"""PredictedVolume: what a model says of the voxels of a volume."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geoseg.classes import ClassMap
from geoseg.errors import ConfigError
from geoseg.volumes.rle import Order, Rle


@dataclass(frozen=True, eq=False)
class PredictedVolume:
    """The classes of the voxels of one volume."""

    name: str
    """Of the volume."""
    classes: ClassMap
    """What is told apart, in the order of the scores; background first, unless classes may overlap."""
    voxels: NDArray[np.uint8] | NDArray[np.bool_]
    """(depth, height, width) class ids; of classes that may overlap bool (class, depth, height, width). What
    is not valid has no class: `ignore_id`, or False."""
    scores: NDArray[np.float32] | None = None
    """(class, depth, height, width), 0 to 1, where they were asked for; 0 where not valid."""
    valid: NDArray[np.bool_] | None = None
    """(depth, height, width), False where a channel of the image is NaN or infinite; None: valid everywhere."""

    @property
    def exclusive(self) -> bool:
        """Whether each voxel has one class."""
        return self.voxels.dtype != bool

    @property
    def ids(self) -> NDArray[np.uint8]:
        """(depth, height, width) class ids, and `classes.ignore_id` where the image is not valid.

        Raises:
            ConfigError: Classes may overlap.
        """
        if not self.exclusive:
            raise ConfigError(
                f"volume {self.name!r}: its classes may overlap, so that a voxel has no one id; use masks()"
            )
        return self.voxels.astype(np.uint8, copy=False)

    def mask(self, name: str) -> NDArray[np.bool_]:
        """(depth, height, width) where a class is.

        Raises:
            ConfigError: There is no such class.
        """
        if name not in self.classes.names:
            raise ConfigError(f"there is no class {name!r}; known: {', '.join(self.classes.names)}")
        channel = self.classes.names.index(name)
        if self.exclusive:
            found: NDArray[np.bool_] = self.voxels == self.classes.ids[channel]
            return found
        layer: NDArray[np.bool_] = self.voxels[channel].astype(bool, copy=False)
        return layer

    @property
    def foreground(self) -> tuple[str, ...]:
        """Names of the classes but the background."""
        return self.classes.names[1:] if self.exclusive else self.classes.names

    def masks(self) -> dict[str, NDArray[np.bool_]]:
        """(depth, height, width) of each class but the background, by name."""
        return {name: self.mask(name) for name in self.foreground}

    def rles(self, order: Order = "dhw") -> dict[str, Rle]:
        """The same as runs; one mask is decoded at a time.

        Args:
            order: Axes from the fastest to the slowest along the line.
        """
        return {name: Rle.encode(self.mask(name), order=order) for name in self.foreground}
