"""The masks of a volume as runs and as texts, one a class, and where its image tells nothing."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike

from geoseg.errors import ConfigError, LabelError
from geoseg.volumes.rle import Order, Rle, Shape


def checked_masks(
    masks: Mapping[str, ArrayLike | Rle],
    classes: Sequence[str],
    *,
    valid: ArrayLike | None,
    shape: Shape,
    order: Order,
    where: str,
) -> tuple[dict[str, Rle], Rle | None]:
    """The masks as runs, by class, and where the volume has no image; None: nowhere.

    Args:
        masks: Of any of the classes; those that are given as runs keep their order.
        classes: All of them.
        valid: bool (depth, height, width), True where there is an image; None: everywhere.
        shape: (depth, height, width) of the image.
        order: Axes from the fastest to the slowest along the line, for what is no runs yet.
        where: Name of the volume, for errors.

    Raises:
        ConfigError: Masks have no names.
        LabelError: A mask is of no class, of another shape, holds other values than 0 and one more, or
            voxels without an image; or `valid` has another shape or dtype.
    """
    if not isinstance(masks, Mapping):
        raise ConfigError(
            f"{where}: masks are given as {type(masks).__name__}, expected a mask by the name of its class, "
            f"such as {{{classes[0]!r}: mask}}"
        )
    for name in masks:
        if name not in classes:
            near = difflib.get_close_matches(str(name), classes, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise LabelError(
                f"{where}: there is a mask of {name!r}, which is no class; the classes are: "
                f"{', '.join(classes)}{hint}"
            )
    runs = {
        name: _runs(mask, shape=shape, order=order, where=f"{where}, class {name!r}")
        for name, mask in masks.items()
    }
    holes = _holes(valid, shape=shape, order=order, where=where)
    if holes is not None:
        _check_holes(runs, holes, where=where)
    return runs, holes


def texts_of(runs: Mapping[str, Rle], classes: Sequence[str], *, order: Order) -> list[str]:
    """Run-length text of every class in order; the empty string for one that has no mask.

    Args:
        runs: As `checked_masks` gives them.
        classes: All of them.
        order: Axes from the fastest to the slowest along the text.
    """
    return [runs[name].reordered(order).to_string() if name in runs else "" for name in classes]


def _holes(valid: ArrayLike | None, *, shape: Shape, order: Order, where: str) -> Rle | None:
    if valid is None:
        return None
    given = np.asarray(valid)
    if given.shape != shape or given.dtype != bool:
        raise LabelError(
            f"{where}: valid is {given.dtype} {given.shape}, expected bool {shape} (depth, height, width), "
            "True where there is an image"
        )
    holes = Rle.encode(~given, order=order)
    return holes if holes.area else None


def _check_holes(runs: Mapping[str, Rle], holes: Rle, *, where: str) -> None:
    for name, mask in runs.items():
        if (both := mask & holes.reordered(mask.order)).area:
            plane, row, column = both.voxel(0)
            raise LabelError(
                f"{where}, class {name!r}: the mask has {both.area} voxels where the image is not valid, first "
                f"at plane {plane}, row {row}, column {column}; leave these out of it"
            )


def _runs(mask: ArrayLike | Rle, *, shape: Shape, order: Order, where: str) -> Rle:
    try:
        runs = mask if isinstance(mask, Rle) else Rle.encode(mask, order=order)
    except LabelError as error:
        raise LabelError(f"{where}: {error}") from error
    if runs.shape != shape:
        raise LabelError(
            f"{where}: the mask has the shape {runs.shape}, expected {shape} (depth, height, width) "
            "like the image"
        )
    return runs
