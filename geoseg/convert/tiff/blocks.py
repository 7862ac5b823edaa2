"""Where the pixels of a plain TIFF lie in it, and how they are stored."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from geoseg.convert.tiff.header import Header, NotPlainError

NONE, DEFLATE, OLD_DEFLATE = 1, 8, 32946
"""Values of the tag Compression."""
CHUNKY, PLANAR = 1, 2
"""Values of the tag PlanarConfiguration: the samples of a pixel, or of a band, lie together."""

FLOATING = 3
"""Value of the tag Predictor: differences of the bytes of floating-point numbers."""

_HEAD = 8
"""Bytes before the first block, at least."""
_STRIP_TAGS, _TILE_TAGS = (273, 279), (324, 325)
"""Of the blocks' offsets and sizes."""
_GREY_OR_RGB = (1, 2)
_KINDS = {(1, 8): "u1", (1, 16): "u2", (1, 32): "u4", (1, 64): "u8"}
_KINDS |= {(2, 8): "i1", (2, 16): "i2", (2, 32): "i4", (2, 64): "i8", (3, 32): "f4", (3, 64): "f8"}
"""{(SampleFormat, BitsPerSample): dtype}; float16 is not here, rasterio gives it as float32."""
_TILE_STEP = 16
"""Tiles are whole multiples of so many pixels wide and high."""
_PADDING = 1 << 20
"""Bytes that a tile may reach past its image; beyond that GDAL may hold less in memory."""
_LARGEST = 1 << 28
"""Decoded bytes; more are left to GDAL, which does not hold them twice."""


@dataclass(frozen=True, slots=True)
class Blocks:
    """The strips or tiles of an image, all of them within the file."""

    dtype: np.dtype[Any]
    """As stored, byte order included."""
    count: int
    """Bands."""
    height: int
    width: int
    tiled: bool
    """Whether blocks at the edge are padded to their full size, as tiles are and strips are not."""
    block_height: int
    block_width: int
    compression: int
    predictor: int
    planar: bool
    """Whether each band has blocks of its own, those of the first band first."""
    offsets: tuple[int, ...]
    """Of each block, from the start of the file."""
    sizes: tuple[int, ...]
    """Of each block as stored, in bytes."""
    start: int | None = None
    """Of the pixels, where they lie in the file just as the array (band, row, column) in memory."""

    @property
    def across(self) -> int:
        """Blocks side by side."""
        return -(-self.width // self.block_width)

    @property
    def down(self) -> int:
        """Blocks one below the other."""
        return -(-self.height // self.block_height)

    @property
    def samples(self) -> int:
        """Samples of a pixel within a block."""
        return 1 if self.planar else self.count

    def plane_sizes(self) -> tuple[int, ...]:
        """Decoded bytes of each block: of all bands together, or of one band where planar."""
        row = self.block_width * self.samples * self.dtype.itemsize
        whole = (self.block_height * row,) * (self.across * self.down)
        if self.tiled:
            return whole
        return (*whole[1:], (self.height - (self.down - 1) * self.block_height) * row)


def find_blocks(header: Header, *, file_size: int) -> Blocks:
    """The blocks of an image, from the tags of its page.

    Raises:
        NotPlainError: Something in them is not plain.
    """
    tiled = _TILE_TAGS[0] in header.values
    offset_tag, size_tag = _TILE_TAGS if tiled else _STRIP_TAGS
    height, width = header.number(257), header.number(256)
    blocks = Blocks(
        dtype=_dtype_of(header),
        count=header.number(277, 1),
        height=height,
        width=width,
        tiled=tiled,
        block_height=header.number(323) if tiled else min(header.number(278, height), height),
        block_width=header.number(322) if tiled else width,
        compression=header.number(259, NONE),
        predictor=header.number(317, 1),
        planar=header.number(284, CHUNKY) == PLANAR,
        offsets=header.numbers(offset_tag),
        sizes=header.numbers(size_tag),
    )
    if header.number(262) not in _GREY_OR_RGB or header.number(284, CHUNKY) not in (CHUNKY, PLANAR):
        raise NotPlainError("unusual photometry or interleave")
    _check_shape(blocks)
    _check_blocks(blocks, file_size)
    return replace(blocks, start=blocks.offsets[0]) if _is_array(blocks) else blocks


def _is_array(blocks: Blocks) -> bool:
    """Whether the pixels are strips, nothing coded, one after the other, and one band after the other."""
    ends = map(sum, zip(blocks.offsets, blocks.sizes, strict=True))
    return (
        blocks.compression == NONE
        and not blocks.tiled
        and (blocks.planar or blocks.count == 1)
        and all(at == end for at, end in zip(blocks.offsets[1:], ends, strict=False))
    )


def _dtype_of(header: Header) -> np.dtype[Any]:
    """The one dtype of all samples."""
    samples = header.number(277, 1)
    bits = header.numbers(258)
    formats = header.numbers(339) or (1,) * samples
    if (
        len(bits) != samples
        or len(formats) != samples
        or len({*zip(formats, bits, strict=True)}) > 1
    ):
        raise NotPlainError("samples of several kinds")
    kind = _KINDS.get((formats[0], bits[0]))
    if kind is None:
        raise NotPlainError(f"samples of format {formats[0]} with {bits[0]} bits")
    return np.dtype(header.order + kind)


def _check_shape(blocks: Blocks) -> None:
    """Refuse what has no pixels, odd tiles, and tiles that would take far more memory than the image."""
    if min(blocks.height, blocks.width, blocks.count, blocks.block_height, blocks.block_width) < 1:
        raise NotPlainError("no pixels")
    pixel = blocks.count * blocks.dtype.itemsize
    if blocks.height * blocks.width * pixel > _LARGEST:
        raise NotPlainError("many pixels")
    if not blocks.tiled:
        return
    if blocks.block_height % _TILE_STEP or blocks.block_width % _TILE_STEP:
        raise NotPlainError("tiles of odd size")
    stored = blocks.across * blocks.block_width * blocks.down * blocks.block_height * pixel
    if stored > 2 * blocks.height * blocks.width * pixel + _PADDING:
        raise NotPlainError("tiles are mostly padding")


def _check_blocks(blocks: Blocks, file_size: int) -> None:
    """Refuse blocks that are missing or not whole, and codecs that are not plain."""
    expected = blocks.across * blocks.down * (blocks.count if blocks.planar else 1)
    if not len(blocks.offsets) == len(blocks.sizes) == expected:
        raise NotPlainError("blocks are missing")
    ends = map(sum, zip(blocks.offsets, blocks.sizes, strict=True))
    if not all(blocks.sizes) or min(blocks.offsets) < _HEAD or max(ends) > file_size:
        raise NotPlainError("sparse blocks, or blocks outside the file")
    if blocks.compression == NONE:
        planes = blocks.count if blocks.planar else 1
        if blocks.predictor != 1 or blocks.sizes != blocks.plane_sizes() * planes:
            raise NotPlainError("blocks are not whole")
        return
    if blocks.compression not in (DEFLATE, OLD_DEFLATE):
        raise NotPlainError(f"compression {blocks.compression}")
    if blocks.predictor not in (1, 2, 3) or (
        blocks.predictor == FLOATING and blocks.dtype.kind != "f"
    ):
        raise NotPlainError(f"predictor {blocks.predictor}")
