"""The pixels of a plain TIFF: blocks decoded, differences summed up, put in their places."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.convert.tiff.blocks import FLOATING, NONE, Blocks
from geoseg.convert.tiff.header import DamagedError


def read_pixels(file: bytes, blocks: Blocks, *, bands: Sequence[int]) -> NDArray[Any]:
    """Bands of an image as (band, height, width), in native byte order, writable, in one piece.

    Args:
        file: All bytes of the file.
        blocks: Where the pixels lie in it.
        bands: Numbers from 1.

    Raises:
        DamagedError: A block cannot be inflated, or has not the right length or checksum.
    """
    wanted = [band - 1 for band in bands]
    is_whole = wanted == list(range(blocks.count))
    planes: NDArray[Any]
    if blocks.start is not None and is_whole:
        shape = (blocks.count, blocks.height, blocks.width)
        planes = np.ndarray(shape, blocks.dtype, file, blocks.start)
    elif blocks.planar and not is_whole:
        planes = np.concatenate([_planes(file, blocks, first=i, count=1) for i in wanted])
    else:
        planes = _planes(file, blocks, first=0, count=blocks.count)
        if not is_whole:
            planes = planes[wanted]
    return np.array(planes, blocks.dtype.newbyteorder("="), order="C")


def _planes(file: bytes, blocks: Blocks, *, first: int, count: int) -> NDArray[Any]:
    """Bands as (band, height, width), which may be a view of the file: `count` of them, or all."""
    parts = count if blocks.planar else 1
    stored = _stored(file, blocks, first=first, parts=parts)
    rows = blocks.block_height if blocks.tiled else blocks.height
    grid = (blocks.down, blocks.across) if blocks.tiled else (1, 1)
    shape = (parts, *grid, rows, blocks.block_width, blocks.samples)
    values = _sum_up(stored, blocks, shape)
    # (part, down, across, row, column, sample) -> (part, sample, down, row, across, column)
    planes = values.transpose(0, 5, 1, 3, 2, 4).reshape(
        parts * blocks.samples, grid[0] * rows, grid[1] * blocks.block_width
    )
    return planes[:, : blocks.height, : blocks.width]


def _stored(file: bytes, blocks: Blocks, *, first: int, parts: int) -> bytes | memoryview:
    """The decoded bytes of the blocks of some parts, one after the other."""
    sizes = blocks.plane_sizes()
    start, stop = first * len(sizes), (first + parts) * len(sizes)
    offsets, lengths = blocks.offsets[start:stop], blocks.sizes[start:stop]
    ends = [offset + length for offset, length in zip(offsets, lengths, strict=True)]
    whole = memoryview(file)
    if blocks.compression != NONE:
        pieces = zip(offsets, ends, sizes * parts, strict=True)
        return b"".join(_inflate(whole[at:end], size, sizes[0]) for at, end, size in pieces)
    if list(offsets[1:]) == ends[:-1]:
        return whole[offsets[0] : ends[-1]]
    return b"".join(whole[at:end] for at, end in zip(offsets, ends, strict=True))


def _inflate(block: memoryview, size: int, full: int) -> bytes:
    """The bytes of a deflated block, which must be so many.

    Damage ends here: GDAL with libdeflate gives noise for it, without an error.

    Args:
        block: As stored.
        size: What it must hold.
        full: What a block with all its rows holds; some writers fill the last strip up to that. No more
            than one byte more is ever made.
    """
    decoder = zlib.decompressobj()
    try:
        data = decoder.decompress(block, full + 1)
    except zlib.error as error:
        reason = str(error).rpartition(": ")[2]
        raise DamagedError(f"a deflated block is damaged ({reason})") from error
    if not decoder.eof or len(data) not in (size, full):
        raise DamagedError(f"a deflated block does not end after its {size} bytes")
    return data[:size]


def _sum_up(stored: bytes | memoryview, blocks: Blocks, shape: tuple[int, ...]) -> NDArray[Any]:
    """The values (..., row, column, sample) of stored bytes, the predictor undone."""
    if blocks.predictor == FLOATING:
        return _floats(stored, blocks.dtype.itemsize, shape)
    values = np.frombuffer(stored, blocks.dtype).reshape(shape)
    if blocks.predictor == 1:
        return values
    # Differences wrap; those of floating-point numbers are of their bits.
    words = values.view(f"{blocks.dtype.byteorder}u{blocks.dtype.itemsize}")
    native = words.astype(words.dtype.newbyteorder("="))
    np.cumsum(native, axis=-2, dtype=native.dtype, out=native)
    return native.view(blocks.dtype.newbyteorder("="))


def _floats(stored: bytes | memoryview, itemsize: int, shape: tuple[int, ...]) -> NDArray[Any]:
    """Predictor 3: each row holds the highest bytes of all its values, then the next, as differences.

    Source: Adobe Photoshop TIFF Technical Note 3.
    """
    *outer, columns, samples = shape
    steps = np.frombuffer(stored, np.uint8).reshape(-1, columns * itemsize, samples)
    rows = np.cumsum(steps, axis=1, dtype=np.uint8).reshape(-1, itemsize, columns * samples)
    values = np.ascontiguousarray(rows.swapaxes(1, 2)).view(f">f{itemsize}")
    return values.reshape(*outer, columns, samples)
