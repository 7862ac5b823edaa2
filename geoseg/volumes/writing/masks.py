"""The masks of a volume as texts, one a class."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence

from numpy.typing import ArrayLike

from geoseg.errors import LabelError
from geoseg.volumes.rle import Order, Rle, Shape


def texts_of(
    masks: Mapping[str, ArrayLike | Rle],
    classes: Sequence[str],
    *,
    shape: Shape,
    order: Order,
    where: str,
) -> list[str]:
    """Run-length text of every class in order; the empty string for one that has no mask.

    Args:
        masks: Of any of the classes.
        classes: All of them.
        shape: (depth, height, width) of the image.
        order: Axes from the fastest to the slowest along the text.
        where: Name of the volume, for errors.

    Raises:
        LabelError: A mask is of no class, of another shape, or holds other values than 0 and one more.
    """
    for name in masks:
        if name not in classes:
            near = difflib.get_close_matches(str(name), classes, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise LabelError(
                f"{where}: there is a mask of {name!r}, which is no class; the classes are: "
                f"{', '.join(classes)}{hint}"
            )
    return [
        _text(masks[name], shape=shape, order=order, where=f"{where}, class {name!r}")
        if name in masks
        else ""
        for name in classes
    ]


def _text(mask: ArrayLike | Rle, *, shape: Shape, order: Order, where: str) -> str:
    try:
        runs = mask if isinstance(mask, Rle) else Rle.encode(mask, order=order)
    except LabelError as error:
        raise LabelError(f"{where}: {error}") from error
    if runs.shape != shape:
        raise LabelError(
            f"{where}: the mask has the shape {runs.shape}, expected {shape} (depth, height, width) "
            "like the image"
        )
    return runs.reordered(order).to_string()
