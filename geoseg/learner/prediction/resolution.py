"""A scene on a grid with the pixels that a model was trained on."""

from __future__ import annotations

import math

from affine import Affine

from geoseg.errors import BundleError
from geoseg.grid import Grid
from geoseg.scene import Scene

_ALIKE = 0.01
"""Pixels that differ by less than this part are the same: it changes by more from place to place."""
_EDGE = 1e-6
"""Part of a pixel at the last row or column that needs no pixel of its own."""


def at_resolution(scene: Scene, resolution_m: tuple[float, float] | None) -> Scene:
    """The scene with its image, labels and AOI on a grid of pixels of another size on the ground.

    The grid has the scene's CRS and first corner, turns as the scene's does, and covers it: its last row
    and column may reach past it by less than a pixel. Where pixels are alike already (within 1 %), it is
    the scene as it is. The image is brought there as by `WarpedSource`: averaged onto coarser pixels.

    Args:
        scene: With a CRS.
        resolution_m: Ground size (x, y) of the pixels wanted, in metres.

    Raises:
        BundleError: The size of pixels on the ground is not known, of the scene or as wanted.
    """
    found = scene.grid.ground_resolution
    if found is None or resolution_m is None:
        who = f"scene {scene.id!r} has" if found is None else "the training scenes had"
        raise BundleError(
            f"scene {scene.id!r} cannot be brought to the resolution of the training: {who} no "
            'georeference that tells the size of a pixel; predict with resolution="image"'
        )
    across, down = (wanted / own for wanted, own in zip(resolution_m, found, strict=True))
    if max(abs(across - 1), abs(down - 1)) < _ALIKE:
        return scene
    return scene.model_copy(update={"reference": scaled(scene.grid, across, down)})


def scaled(grid: Grid, across: float, down: float) -> Grid:
    """The grid with pixels so many times as wide and as high, that covers the same ground."""
    height, width = (
        max(math.ceil(length / factor - _EDGE), 1)
        for length, factor in ((grid.height, down), (grid.width, across))
    )
    transform = grid.transform @ Affine.scale(across, down)
    return Grid(crs=grid.crs, transform=transform, height=height, width=width)
