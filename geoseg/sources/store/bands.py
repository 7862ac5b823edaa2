"""Bands of a safetensors value: which planes of pixels its arrays hold, and by which names."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache

from geoseg.errors import SourceError
from geoseg.shortlist import some
from geoseg.sources.store.safetensors_format import Layout, Tensor

_PLANE, _PLANES = 2, 3
"""Axes of one band, and of several."""
_SHOWN = 20
"""Names that an error lists."""
_NUMBER = re.compile(r"(\d+)")


def choose_bands(layout: Layout, wanted: tuple[str, ...], where: str) -> tuple[Tensor, ...]:
    """The planes (height, width) of the bands that are asked for, in that order.

    An array (height, width) or (1, height, width) is the band of its name. The channels of an array
    `x` of (channel, height, width) are the bands x_1, x_2, ...; `x` itself means all of them.

    Args:
        layout: Of the value.
        wanted: Names of bands or arrays.
        where: Begins the error text.

    Raises:
        SourceError: There is no such band, or it is no plane of pixels.
    """
    try:
        return _choose(layout, wanted)
    except SourceError as error:
        raise SourceError(f"{where}: {error}") from None


def natural_order(names: Iterable[str]) -> tuple[str, ...]:
    """Names sorted with their numbers as numbers.

    >>> natural_order(["B10", "B8A", "B1", "B9", "B08"])
    ('B1', 'B08', 'B8A', 'B9', 'B10')
    """

    def parts(name: str) -> tuple[list[tuple[int, str]], str]:
        pieces = _NUMBER.split(name)
        numbered = [(int(p), "") if i % 2 else (-1, p) for i, p in enumerate(pieces)]
        return numbered, name

    return tuple(sorted(names, key=parts))


@lru_cache(maxsize=1024)
def array_names(layout: Layout) -> tuple[str, ...]:
    """The names of a value's arrays in natural order."""
    return natural_order(layout.tensors)


@lru_cache(maxsize=1024)
def shapes_and_dtypes(
    layout: Layout, names: tuple[str, ...]
) -> tuple[tuple[tuple[int, ...], ...], tuple[str, ...]]:
    """(shapes, names of the dtypes) of arrays, the same for all patches of one layout."""
    tensors = [layout.tensors[name] for name in names]
    return tuple(t.shape for t in tensors), tuple(t.dtype.name for t in tensors)


def largest_size(planes: Iterable[Tensor]) -> tuple[int, int]:
    """(height, width) of the largest bands, each side taken for itself."""
    shapes = [plane.shape for plane in planes]
    return max(shape[0] for shape in shapes), max(shape[1] for shape in shapes)


def patch_size(layout: Layout) -> tuple[int, int] | None:
    """(height, width) of the largest bands of the value; None where no array holds pixels."""
    planes = [plane for found in _planes(layout).values() for plane in found]
    return largest_size(planes) if planes else None


def array_of(layout: Layout, plane: Tensor) -> str:
    """The name of the array that a plane is part of."""
    arrays = layout.tensors.values()
    return next(a.name for a in arrays if a.offset <= plane.offset < a.offset + a.nbytes)


@lru_cache(maxsize=1024)
def _choose(layout: Layout, wanted: tuple[str, ...]) -> tuple[Tensor, ...]:
    """The same for all patches of one layout."""
    planes = _planes(layout)
    chosen: list[Tensor] = []
    for name in wanted:
        if name in planes:
            chosen.extend(planes[name])
        elif name in layout.tensors:
            raise SourceError(
                f"{name!r} has shape {layout.tensors[name].shape}, expected (height, width) or (channel, "
                "height, width) with pixels; leave it out of `bands`"
            )
        else:
            raise SourceError(f"has no band {name!r}, expected {_listed(layout)}")
    if not chosen:
        raise SourceError(f"`bands` is empty; choose {_listed(layout)}")
    return tuple(chosen)


@lru_cache(maxsize=1024)
def _planes(layout: Layout) -> Mapping[str, tuple[Tensor, ...]]:
    """The planes by the names of arrays, and one by one by the names of channels."""
    found: dict[str, tuple[Tensor, ...]] = {}
    for name, tensor in layout.tensors.items():
        if tensor.nbytes and len(tensor.shape) in (_PLANE, _PLANES):
            found[name] = _split(tensor)
    for planes in list(found.values()):
        for plane in planes:
            found.setdefault(plane.name, (plane,))  # an array that is called so comes first
    return found


def _split(tensor: Tensor) -> tuple[Tensor, ...]:
    shape = tensor.shape[-2:]
    count = math.prod(tensor.shape[:-2])
    nbytes = tensor.nbytes // count
    names = [tensor.name] if count == 1 else [f"{tensor.name}_{i + 1}" for i in range(count)]
    return tuple(
        Tensor(name, tensor.dtype, shape, tensor.offset + i * nbytes, nbytes)
        for i, name in enumerate(names)
    )


def _listed(layout: Layout) -> str:
    names = natural_order(_planes(layout))
    return f"one of: {some(names, _SHOWN)}" if names else "none, as it holds no pixels"
