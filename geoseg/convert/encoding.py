"""Reading one patch: the arrays of its files by the names of its bands, and where they lie."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

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
        SourceError: A file is missing or damaged, has no such band, or lies on other ground than the
            others (see `placed`); a mask has several bands. The text names it.
    """
    arrays: dict[str, NDArray[Any]] = {}
    nodata: dict[str, float | None] = {}
    pieces: list[Piece] = []
    mask = None if patch.mask is None else within(patch.root, patch.mask)
    files = group.files(patch)
    for at, (file, bands) in enumerate(files, start=1):
        names, numbers = zip(*bands, strict=True)
        is_mask = file == mask and at == len(files)
        image = _mask_of(file) if is_mask else _image_of(file, numbers, like=group.like)
        arrays.update(zip(names, image.data, strict=True))
        nodata.update(zip(names, image.nodata, strict=True))
        pieces.append(Piece(file, names, image, is_mask))
    if not pieces:
        raise SourceError(f"{patch.describe()}: has no files; check the layout {group.name!r}")
    grid, unplaced = placed(pieces)
    return PatchPixels(arrays=arrays, grid=grid, nodata=nodata, unplaced=unplaced)


def _image_of(path: str, numbers: Sequence[int], *, like: str | None) -> Image:
    """Bands of a file; where nobody has named them, it has to have as many as the file that is the model.

    Raises:
        SourceError: It has others.
    """
    image = read_image(path, bands=None if like else numbers)
    if like and len(image.data) != len(numbers):
        raise SourceError(
            f"{path}: number of bands: {len(image.data)}, expected {len(numbers)}: no bands are named, and so they "
            f"are those of the first image, {like}; name the ones that all images have (--bands), or tell images "
            "from masks and others by patterns (--images and --masks)"
        )
    return image


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
