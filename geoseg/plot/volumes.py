"""Volumes as pictures: three slices through a voxel, or plane by plane, with masks over them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import ConfigError
from geoseg.plot.drawing import (
    CAPTION,
    SMALL,
    TITLE,
    legend,
    literal,
    new_figure,
    show,
    wrapped,
)
from geoseg.plot.slices import Masks, Row, Shown, cut_across, pictures_of, shown_of, whole_numbers
from geoseg.plot.view import Colors

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Voxel = tuple[int, int, int]
"""(plane, row, column), from 0."""

_PAGE, _PANEL = 9.0, 2.6
"""Inches of the longer side of three slices, and of one picture among many."""
_THINNEST = 0.25
"""Share of the longer side that the depth takes at least; a thinner one is stretched."""
_CROSS = "#ff8c00"
_ROOM = 1.2
"""Inches of height for titles, caption and legend."""


def volume(
    row: Row | NDArray[Any],
    masks: Masks | None = None,
    at: Voxel | None = None,
) -> Figure:
    """Three slices of a volume that meet in a voxel: a plane, a row and a column, with its masks.

    All share one stretch of colours, from the 2nd to the 98th percentile of what is shown. A depth of few
    planes is drawn larger than it is, and the picture says so.

    Args:
        row: A row of a VolumeZip, or an image (channel, depth, height, width) or (depth, height, width).
        masks: What is drawn over it, such as what a Learner has predicted; None: the row's own, if any.
        at: (plane, row, column) of the voxel; None: where the masks have most voxels, else the middle.

    Raises:
        ConfigError: Image, masks and voxel do not fit each other, or are none.
    """
    shown = shown_of(row, masks)
    place = _voxel(shown, at)
    plane, flat, column = pictures_of(shown, [cut_across(axis, i) for axis, i in enumerate(place)])
    column = column.transpose(1, 0, 2)  # rows stay rows beside the plane
    depth, height, width = shown.shape
    deep = max(float(depth), _THINNEST * max(height, width))
    inch = _PAGE / max(height + deep, width + deep)
    figure = new_figure((width + deep) * inch + 1.0, (height + deep) * inch + _ROOM)
    axes = figure.subplots(2, 2, width_ratios=(width, deep), height_ratios=(height, deep))
    i, j, k = place
    _slice(axes[0, 0], plane, (width, height), f"plane {i}{shown.time(i)}", across=(k, j))
    _slice(axes[0, 1], column, (depth, height), f"column {k}", across=(i, j))
    _slice(axes[1, 0], flat, (width, depth), f"row {j}", across=(k, i))
    axes[1, 1].set_axis_off()
    axes[0, 1].set_xlabel("depth", fontsize=CAPTION)
    axes[1, 0].set_ylabel("depth", fontsize=CAPTION)
    if shown.masks:
        legend(figure, shown.entries)
    stretch = "" if deep == depth else f"; depth drawn {deep / depth:.3g} times as large"
    text = f"{shown.name}{depth} x {height} x {width} voxels{stretch}"
    _head(figure, text)
    return figure


def montage(
    row: Row | NDArray[Any],
    masks: Masks | None = None,
    *,
    planes: Sequence[int] | None = None,
    most: int = 16,
) -> Figure:
    """Planes of a volume side by side with its masks, in the order of depth.

    Args:
        row: A row of a VolumeZip, or an image (channel, depth, height, width) or (depth, height, width).
        masks: What is drawn over it, as for `volume`; None: the row's own, if any.
        planes: Numbers of the planes from 0; None: evenly from the first to the last.
        most: Planes shown at most where none are given.

    Raises:
        ConfigError: Image and masks do not fit each other or are none, or there is no such plane.
    """
    shown = shown_of(row, masks)
    depth, height, width = shown.shape
    limit = whole_numbers([most])
    if limit is None or limit[0] < 1:
        raise ConfigError(f"most is {most!r}, expected at least one plane")
    wanted = _evenly(depth, limit[0]) if planes is None else whole_numbers(planes)
    if not wanted or min(wanted) < 0 or max(wanted) >= depth:
        raise ConfigError(f"planes are {planes!r}, expected numbers from 0 to {depth - 1}")
    columns = min(len(wanted), math.ceil((len(wanted) * height / width) ** 0.5))
    rows = -(-len(wanted) // columns)
    inch = _PANEL / max(height, width)
    wide, high = max(width * inch, 1.0), height * inch + 0.35
    figure = new_figure(columns * wide + 0.4, rows * high + _ROOM)
    axes = list(figure.subplots(rows, columns, squeeze=False).flat)
    for ax in axes[len(wanted) :]:
        ax.set_axis_off()
    pictures = pictures_of(shown, [cut_across(0, plane) for plane in wanted])
    for ax, plane, picture in zip(axes, wanted, pictures, strict=False):
        show(ax, picture)
        title = wrapped(f"{plane}{shown.time(plane)}", wide, size=SMALL)
        ax.set_title(literal(title), fontsize=SMALL)
    if shown.masks:
        legend(figure, shown.entries)
    text = f"{shown.name}{len(wanted)} of {depth} planes of {height} x {width} voxels"
    _head(figure, text)
    return figure


def _voxel(shown: Shown, at: Voxel | None) -> Voxel:
    """The voxel that all slices go through."""
    if at is None:
        marked = np.zeros(shown.shape, bool)
        for mask in shown.masks.values():
            marked |= mask
        depth, height, width = shown.shape
        return _fullest(marked) if marked.any() else (depth // 2, height // 2, width // 2)
    place = whole_numbers(at) or []
    inside = len(place) == len(shown.shape) and all(
        0 <= i < side for i, side in zip(place, shown.shape, strict=True)
    )
    if not inside:
        raise ConfigError(
            f"at is {at!r}, expected (plane, row, column) from 0 within {shown.shape}"
        )
    plane, row, column = place
    return plane, row, column


def _fullest(marked: NDArray[np.bool_]) -> Voxel:
    """A marked voxel: of the fullest plane, in that of its fullest row, there the middle one."""
    plane = int(marked.sum(axis=(1, 2)).argmax())
    row = int(marked[plane].sum(axis=1).argmax())
    columns = np.flatnonzero(marked[plane, row])
    return plane, row, int(columns[len(columns) // 2])


def _slice(
    axes: Axes, picture: Colors, sides: tuple[int, int], title: str, *, across: tuple[int, int]
) -> None:
    """A slice of (width, height) voxels, however many pixels it is drawn with, and a cross in it."""
    right, bottom = sides[0] - 0.5, sides[1] - 0.5
    extent = (-0.5, right, bottom, -0.5)
    axes.imshow(picture, interpolation="nearest", aspect="auto", extent=extent)
    axes.axvline(across[0], color=_CROSS, linewidth=0.8)
    axes.axhline(across[1], color=_CROSS, linewidth=0.8)
    axes.set(xticks=[], yticks=[], xlim=(-0.5, right), ylim=(bottom, -0.5))
    axes.set_title(literal(title), fontsize=CAPTION)


def _head(figure: Figure, text: str) -> None:
    """A text above all panels, in as many lines as it needs."""
    lines = wrapped(text, figure.get_figwidth(), size=TITLE)
    figure.suptitle(literal(lines), fontsize=TITLE)


def _evenly(depth: int, most: int) -> list[int]:
    """At most so many planes, the first and the last among them."""
    places = np.linspace(0, depth - 1, min(depth, most))
    return [int(place) for place in np.round(places)]
