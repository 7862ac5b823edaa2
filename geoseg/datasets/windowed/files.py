"""Masks and images of folders, and pairs of them that have the same pixels."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from geoseg.datasets.pairs import count
from geoseg.datasets.windowed.imagery import Image
from geoseg.errors import ConfigError, SceneError
from geoseg.grid import Grid
from geoseg.warn import warn


def files_in(folder: str, extension: str, *, name: str) -> list[str]:
    """All files below a folder whose names end so, sorted; hidden ones are left alone.

    Args:
        folder: Looked through with all folders in it.
        extension: The end of the names, in this case.
        name: The parameter of the extension, for an error.

    Raises:
        ConfigError: The folder is not there, or holds no such file.

    Warns:
        UserWarning: Files differ in the case of the extension only, and how many.
    """
    root = Path(folder)
    if not root.is_dir():
        what = "is no folder" if root.exists() else "no such folder"
        raise ConfigError(f"{folder}: {what}; check the path")
    named = [
        os.path.join(place, file)  # noqa: PTH118 - paths as the folder is written
        for place, _, files in os.walk(folder, followlinks=True)
        for file in files
        if not file.startswith(".")
    ]
    found = sorted(path for path in named if path.endswith(extension))
    others = sorted(
        path
        for path in named
        if path.lower().endswith(extension.lower()) and not path.endswith(extension)
    )
    if not found:
        near = "" if not others else f", but {count(_names(others), 'file')}"
        raise ConfigError(
            f"{folder}: holds no file that ends in {extension!r}{near}; upper and lower case differ; give "
            f"{name}"
        )
    if others:
        warn(
            f"{folder}: {count(_names(others), 'file')} left alone: {name} is {extension!r}, and upper and "
            "lower case differ; rename them"
        )
    return found


def same_names(
    images: str, masks: str, *, extension: str, mask_extension: str | None
) -> list[tuple[str, str]]:
    """(image, mask) of two folders with equal relative paths but for the extension, sorted.

    Raises:
        ConfigError: A folder is missing or holds no such file.
        SceneError: An image lacks its mask, or a mask its image.
    """
    ends = extension, extension if mask_extension is None else mask_extension
    found = files_in(images, ends[0], name="extension")
    known = files_in(masks, ends[1], name="mask_extension")
    of_image = {_stem(path, images, ends[0]): path for path in found}
    of_mask = {_stem(path, masks, ends[1]): path for path in known}
    for what, lonely, where in (
        ("image", sorted(of_image.keys() - of_mask.keys()), f"mask in {masks}"),
        ("mask", sorted(of_mask.keys() - of_image.keys()), f"image in {images}"),
    ):
        if lonely:
            raise SceneError(
                f"{count(lonely, what)} without {where}: pairs have equal paths in their folders but for "
                f"{ends[0]!r} and {ends[1]!r}; add what is missing, or take these out"
            )
    return [(path, of_mask[stem]) for stem, path in of_image.items()]


def check_pair(image: Image, mask: str, grid: Grid) -> None:
    """See that an image and its mask have the same pixels, as far as both have a place.

    Raises:
        SceneError: Size, CRS or transform differ.
    """
    own = image.source.grid
    what = None
    if own.shape != grid.shape:
        what = "sizes"
    elif _placed(own) and _placed(grid) and own.offset_of(grid) != (0, 0):
        what = "places"
    if what is not None:
        raise SceneError(
            f"{image.name} and its mask {mask} have other {what}: {_told(own)}, and {_told(grid)}; bring one "
            "onto the grid of the other, or use MBTilesMaskWindowedDataset, which does so when it reads"
        )


def check_bands(images: Iterable[Image]) -> None:
    """See that all images have as many bands.

    Raises:
        SceneError: One has not.
    """
    first: Image | None = None
    for image in images:
        first = first or image
        if image.bands != first.bands:
            raise SceneError(
                f"{image.name} has {image.bands} bands, but {first.name} has {first.bands}; choose the same "
                "with selected_bands"
            )


def _told(grid: Grid) -> str:
    left, _, _, top = grid.bounds
    place = f" from {left:.10g}, {top:.10g}" if _placed(grid) else ""
    return f"{grid.describe()}{place}"


def _placed(grid: Grid) -> bool:
    return grid.crs is not None or not grid.transform.is_identity


def _stem(path: str, folder: str, extension: str) -> str:
    return Path(os.path.relpath(path, folder)).as_posix()[: -len(extension) or None]


def _names(paths: list[str]) -> list[str]:
    return [Path(path).name for path in paths]
