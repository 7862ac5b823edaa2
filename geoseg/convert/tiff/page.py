"""The page of a plain TIFF without its pixels and its place: understood once for all files that have it.

The files of a data set are written by one program: of most, nothing differs but the pixels and the numbers
that place them. What is understood of a file depends on its length and some of its bytes alone, see
`parse`, so files in which all of these are equal have the same page.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

from affine import Affine

from geoseg.convert.tiff.blocks import NONE, Blocks, find_blocks
from geoseg.convert.tiff.header import (
    MATRIX,
    PLACE,
    SCALE,
    TIEPOINT,
    Header,
    NotPlainError,
    directory_of,
    parse,
)
from geoseg.convert.tiff.place import transform_of

_KEYS = 34735
_TOLD = (262, 338, 42113, _KEYS, 34736, 34737)
"""Tags of which GDAL makes the CRS, nodata, and what its bands are."""
_NOWHERE = slice(0)

_PAGES = 256
"""Pages that are remembered; with more (every file has another) they are forgotten together."""
_KEPT_BLOCKS = 512
"""Of a page that is remembered, at most."""


@dataclass(frozen=True, slots=True, eq=False)
class Page:
    """What files can have in common."""

    blocks: Blocks
    kind: Hashable
    """Equal for files that differ in nothing but size, place, pixels and harmless texts: of these, GDAL
    tells the same CRS and nodata, and they are stored in the same manner."""
    order: str
    """`<` or `>`."""
    scales: slice
    """Where in the file the values of the tag ModelPixelScale are; empty without."""
    tiepoints: slice
    matrices: slice
    keys: bytes
    """The values of the tag GeoKeyDirectory."""

    def transform_in(self, file: bytes) -> Affine | None:
        """The transform of a file with this page, from pixel corner to ground; None without one.

        Raises:
            NotPlainError: Its georeference is not plain.
        """
        return transform_of(
            self.order,
            scales=file[self.scales],
            tiepoints=file[self.tiepoints],
            matrices=file[self.matrices],
            keys=self.keys,
        )


_Looks = tuple[int, bytes, bytes]
"""The length of a file, its head and its directory."""
_common: dict[_Looks, tuple[slice, ...]] = {}
"""Where else in such files the bytes are of which pages are made."""
_pages: dict[tuple[_Looks, tuple[bytes, ...]], Page] = {}
"""By all bytes of which they were made."""


def page_of(file: bytes) -> Page:
    """The page of a TIFF, given all its bytes.

    Raises:
        NotPlainError: It is no plain TIFF.
        struct.error: It is too short.
    """
    looks = (len(file), *directory_of(file))
    common = _common.get(looks)
    if common is not None:
        page = _pages.get((looks, tuple([file[part] for part in common])))
        if page is not None:
            return page
    header = parse(file)
    page = _understood(header, file)
    # Blocks that are compressed hardly ever have the same sizes in another file.
    if page.blocks.compression == NONE and len(page.blocks.sizes) <= _KEPT_BLOCKS:
        _remember(looks, header.common, page, file)
    return page


def _understood(header: Header, file: bytes) -> Page:
    blocks = find_blocks(header, file_size=len(file))
    if any(tag in header.values and tag not in header.outside for tag in PLACE):
        raise NotPlainError("a single number is no place")
    storage = (blocks.dtype.str, blocks.count, blocks.compression, blocks.predictor, blocks.planar)
    return Page(
        blocks=blocks,
        kind=(header.order, header.kinds, storage, tuple(map(header.raw, _TOLD))),
        order=header.order,
        scales=header.outside.get(SCALE, _NOWHERE),
        tiepoints=header.outside.get(TIEPOINT, _NOWHERE),
        matrices=header.outside.get(MATRIX, _NOWHERE),
        keys=header.raw(_KEYS),
    )


def _remember(looks: _Looks, common: tuple[slice, ...], page: Page, file: bytes) -> None:
    if len(_pages) >= _PAGES:
        _common.clear()
        _pages.clear()
    _common[looks] = common
    _pages[looks, tuple([file[part] for part in common])] = page
