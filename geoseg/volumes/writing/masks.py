"""The masks of a volume as runs and as texts, one a class, and where its image tells nothing."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import starmap

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
) -> tuple[Iterator[tuple[str, Rle]], Rle | None]:
    """The masks as runs, each by its class, and where the volume has no image; None: nowhere.

    Names are checked at once. Masks are looked at, and their runs made, one after the other as they are asked
    for: runs of all classes take much memory where masks are spread fine, and so do masks that a mapping
    loads when it is asked.

    Args:
        masks: Of any of the classes; those that are given as runs keep their order.
        classes: All of them.
        valid: bool (depth, height, width), True where there is an image; None: everywhere.
        shape: (depth, height, width) of the image.
        order: Axes from the fastest to the slowest along the line, for what is no runs yet.
        where: Name of the volume, for errors.

    Raises:
        ConfigError: Masks have no names.
        LabelError: A mask is of no class, or `valid` has another shape or dtype; once it is asked for, a mask
            has another shape, or holds other values than 0 and one more, or voxels without an image.
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
    holes = _holes(valid, shape=shape, order=order, where=where)

    def checked(name: str, mask: ArrayLike | Rle) -> tuple[str, Rle]:
        told = f"{where}, class {name!r}"
        _check_shape(mask, shape=shape, where=told)
        return name, _runs(mask, holes, order=order, where=told)

    return starmap(checked, masks.items()), holes


def texts_of(runs: Iterable[tuple[str, Rle]], classes: Sequence[str], *, order: Order) -> list[str]:
    """Run-length text of every class in order; the empty string for one that has no mask.

    Args:
        runs: As `checked_masks` gives them; they are taken one by one, and none is kept.
        classes: All of them.
        order: Axes from the fastest to the slowest along the text.

    Raises:
        LabelError: As `checked_masks` tells of a mask.
    """

    def text(name: str, mask: Rle) -> tuple[str, str]:
        return name, mask.reordered(order).to_string()

    texts = dict(starmap(text, runs))
    return [texts.get(name, "") for name in classes]


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


def _check_shape(mask: ArrayLike | Rle, *, shape: Shape, where: str) -> None:
    got = mask.shape if isinstance(mask, Rle) else np.shape(mask)
    if len(got) == len(shape) - 1:
        got = 1, *got
    if len(got) == len(shape) and got != shape:  # else it is no mask at all, as `Rle.encode` tells
        raise LabelError(
            f"{where}: the mask has the shape {got}, expected {shape} (depth, height, width) "
            "like the image"
        )


def _runs(mask: ArrayLike | Rle, holes: Rle | None, *, order: Order, where: str) -> Rle:
    try:
        runs = mask if isinstance(mask, Rle) else Rle.encode(mask, order=order)
    except LabelError as error:
        raise LabelError(f"{where}: {error}") from error
    if holes is not None and (both := runs & holes.reordered(runs.order)).area:
        plane, row, column = both.voxel(0)
        raise LabelError(
            f"{where}: the mask has {both.area} voxels where the image is not valid, first "
            f"at plane {plane}, row {row}, column {column}; leave these out of it"
        )
    return runs
