"""Reading one patch: the arrays of its files by the names of its bands, and where they lie."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from geoseg.convert.formats import ALONE, DRIVERS
from geoseg.convert.images import Image, read_image
from geoseg.convert.layout import Group
from geoseg.convert.patch import Patch, within
from geoseg.convert.placement import Piece, placed
from geoseg.errors import SourceError
from geoseg.grid import Grid


@dataclass(frozen=True, slots=True, eq=False)
class PatchPixels:
    """A patch in memory."""

    arrays: dict[str, NDArray[Any]]
    """(height, width) by tensor, as the files have them; in the order of the group's bands, a mask last."""
    grid: Grid | None
    """In pixels of the largest band; None without georeference."""
    nodata: dict[str, float | None]
    """The number that means "missing", by tensor."""
    unplaced: tuple[str, ...]
    """Tensors whose files do not tell where they lie, though others do, or tell a CRS alone."""


def read_patch(group: Group, patch: Patch) -> PatchPixels:
    """Read all files of a patch, each of them once.

    Raises:
        SourceError: A file is missing or damaged, has another number of bands than the group says or another
            format than its ending, or lies on other ground than the others (see `placed`); a mask has
            several bands. The text names it.
        ConfigError: See `Group.files`.
    """
    arrays: dict[str, NDArray[Any]] = {}
    nodata: dict[str, float | None] = {}
    pieces: list[Piece] = []
    mask = None if patch.mask is None else within(patch.root, patch.mask)
    files = group.files(patch)
    for at, (file, bands) in enumerate(files, start=1):
        names, numbers = zip(*bands, strict=True)
        is_mask = file == mask and at == len(files)
        image = _mask_of(file) if is_mask else _image_of(group, file, numbers)
        _check_format(group, file, image, is_mask=is_mask)
        arrays.update(zip(names, image.data, strict=True))
        nodata.update(zip(names, image.nodata, strict=True))
        pieces.append(Piece(file, names, image, is_mask))
    if not pieces:
        raise SourceError(f"{patch.describe()}: has no files; check the layout {group.name!r}")
    grid, unplaced = placed(pieces)
    return PatchPixels(arrays=arrays, grid=grid, nodata=nodata, unplaced=unplaced)


def _image_of(group: Group, path: str, numbers: Sequence[int]) -> Image:
    """The bands of a file, which has to have as many as the group says, unless there may be more.

    Raises:
        SourceError: It has more or fewer.
    """
    if group.more_bands:
        return read_image(path, bands=numbers)
    image = read_image(path)
    if len(image.data) == len(numbers):
        return image
    found = f"{path}: number of bands: {len(image.data)}, expected {len(numbers)}"
    if group.like:
        raise SourceError(
            f"{found}: no bands are named, and so they are those of the first image, {group.like}; name the ones "
            "that all images have (--bands), or tell images from masks and others by patterns (--images and "
            "--masks)"
        )
    if group.has_file_of_band:
        raise SourceError(
            f"{found}, as each band has its own file; write one band into it, or take files of several bands by "
            "their names without {band}"
        )
    raise SourceError(
        f"{found}, as the layout says; it is another file than its name tells, get the right one"
    )


def _check_format(group: Group, path: str, image: Image, *, is_mask: bool) -> None:
    """See that a file is what its ending says, where the group asks for files of that ending.

    Elsewhere a picture may have the ending of another format of pictures, as many have.

    Raises:
        SourceError: It is not.
    """
    ending = os.path.splitext(path)[1].lower()  # noqa: PTH122 - a Path costs more than the rest
    drivers = DRIVERS.get(ending)
    if drivers is None or image.driver in drivers:
        return
    is_picture = image.driver in ALONE
    if is_picture and DRIVERS.get(group.mask_ending if is_mask else group.ending) != drivers:
        return
    # A template of files within a folder takes no star.
    by_pattern = is_picture and (is_mask or group.file is None)
    as_it_is = "; a pattern of your own that ends in .* takes it as it is" if by_pattern else ""
    raise SourceError(
        f"{path}: holds {image.driver}, and not what its ending {ending} says; get the right file, or name it "
        f"as what it is and look for that{as_it_is}"
    )


def _mask_of(path: str) -> Image:
    """A mask, which has one band: of several nobody knows what they mean.

    Raises:
        SourceError: It has several, such as colours, or ids and an alpha band.
    """
    image = read_image(path)
    check_mask(path, len(image.data))
    return image


def check_mask(path: str, count: int) -> None:
    """See that a mask has one band.

    Raises:
        SourceError: It has more.
    """
    if count > 1:
        raise SourceError(
            f"{path}: this mask has {count} bands, expected one of class ids; write the class of each colour as "
            "a number into one band (a PNG with a palette is such a file), and what an alpha band hides as "
            "nodata"
        )
