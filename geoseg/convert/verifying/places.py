"""Whether a manifest tells the truth of place and nodata, and the files of a patch lie on the same ground."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from affine import Affine

from geoseg.convert.placement import TOLERANCE, pixels_apart
from geoseg.convert.verifying.originals import Original
from geoseg.grid import compose, to_crs
from geoseg.sources.store.patch import Patch

_EXACT = 1e-6
"""Pixels up to which places are one that are computed in two ways."""


def misplaced(
    row: Patch,
    bounds: Sequence[float] | None,
    originals: Mapping[str, Original],
    *,
    is_whole: bool,
) -> list[str]:
    """What the manifest tells of the place, and the files otherwise.

    Args:
        row: What it tells.
        bounds: What it tells of them.
        originals: By tensor, all of the patch.
        is_whole: Whether the manifest has to tell all.
    """
    anchor = _anchor(originals)
    if anchor is None:
        if (row.crs, row.transform, bounds) == (None, None, None):
            return []
        return [f"the manifest tells of the place {row.crs} {row.transform}, the files tell none"]
    height = max(one.size[0] for one in originals.values())
    width = max(one.size[1] for one in originals.values())
    transform = anchor.transform
    if anchor.size != (height, width):
        transform = compose(
            transform, Affine.scale(anchor.size[1] / width, anchor.size[0] / height)
        )
    wrong = [_wrong_crs(row, anchor), _wrong_transform(row, transform)]
    if bounds is not None or is_whole:
        wrong.append(_wrong_bounds(bounds, transform, height, width))
    return [text for text in wrong if text is not None]


def _wrong_crs(row: Patch, anchor: Original) -> str | None:
    told, there = None if row.crs is None else to_crs(row.crs), _crs(anchor)
    if told == there:
        return None
    return f"the manifest tells of the CRS {told}, the files have {there}"


def _wrong_transform(row: Patch, transform: Affine) -> str | None:
    told = Affine.identity() if row.transform is None else row.transform
    if tuple(told) == tuple(transform):
        return None
    return f"the manifest tells of the transform {told[:6]}, the files have {transform[:6]}"


def _wrong_bounds(
    told: Sequence[float] | None, transform: Affine, height: int, width: int
) -> str | None:
    around = _bounds(transform, height, width)
    step = max(abs(number) for number in (transform.a, transform.b, transform.d, transform.e))
    if told is not None and np.allclose(told, around, rtol=0, atol=_EXACT * step):
        return None
    return f"the manifest tells of the bounds {told}, the files have {around}"


def unlike(row: Patch, originals: Mapping[str, Original], *, is_whole: bool) -> list[str]:
    """What the manifest tells of nodata, and the files otherwise."""
    if row.bands is None or (row.nodata is None and not is_whole):
        return []
    numbers = row.nodata or (None,) * len(row.bands)
    return [
        f"the manifest tells of {told} as nodata of {name}, its file has {originals[name].nodata[0]}"
        for name, told in zip(row.bands, numbers, strict=True)
        if name in originals and not _same(told, originals[name].nodata[0])
    ]


def elsewhere(originals: Mapping[str, Original]) -> list[tuple[str, str]]:
    """(tensor, text) of each file that does not lie on the ground of the largest one."""
    anchor = _anchor(originals)
    found: dict[str, tuple[str, str]] = {}
    for tensor, one in originals.items():
        if anchor is None or not one.is_placed or one.path in found:
            continue
        crs, other = _crs(one), _crs(anchor)
        if None not in (crs, other) and crs != other:
            text = f"{one.path} has the CRS {crs}, {anchor.path} has {other}"
            found[one.path] = tensor, text
            continue
        off = pixels_apart((one.transform, one.size), (anchor.transform, anchor.size))
        if off > TOLERANCE:
            text = (
                f"the corners of {one.path} lie {off:.4g} pixels away from those of {anchor.path}"
            )
            found[one.path] = tensor, text
    return list(found.values())


def _anchor(originals: Mapping[str, Original]) -> Original | None:
    """The largest file that has CRS and transform, else the largest with a transform."""
    there = [one for one in originals.values() if one.is_placed]
    return max(there, key=lambda one: (one.crs is not None, one.planes[0].size), default=None)


def _crs(original: Original) -> Any:
    return to_crs(original.crs.to_string()) if original.crs else None


def _bounds(t: Affine, height: int, width: int) -> tuple[float, float, float, float]:
    """(left, bottom, right, top) of all pixels."""
    corners = [(0, 0), (width, 0), (0, height), (width, height)]
    x = [t.a * col + t.b * row + t.c for col, row in corners]
    y = [t.d * col + t.e * row + t.f for col, row in corners]
    return min(x), min(y), max(x), max(y)


def _same(one: float | None, other: float | None) -> bool:
    if one is None or other is None:
        return one is other
    return one == other or bool(np.isnan(one) and np.isnan(other))
