"""Chips resampled at other positions: images bilinear over valid pixels only, masks and valid nearest.

A position is (row, col) in float32, with the centres of pixels at whole numbers. A pixel reaches half a
pixel around its centre; what lies outside all of them is outside the chip.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import torch
from torch import Tensor

from geoseg.learner.augment.batch import Batch, bits, drawn, put, taken

Move = Callable[[Tensor], Tensor]
"""Positions (chip, height, width, 2) in the new chips -> those in the old chips where the pixels come from."""

_STEPS = 1024
"""Positions are rounded to this part of a pixel: whole numbers are hit, whatever a cosine is rounded to,
and devices agree on which pixel is nearest."""


class Moving(Protocol):
    """What `warped` asks of an augmentation."""

    @property
    def p(self) -> float:
        """Probability that a chip is moved."""

    def move(self, count: int, size: tuple[int, int], generator: torch.Generator) -> Move:
        """Draw where the pixels of `count` chips come from."""


def warped(batch: Batch, augments: Sequence[Moving], generator: torch.Generator) -> Batch:
    """Chips moved by one augmentation after the other, and resampled once."""
    image: Tensor = batch["image"]
    count, (height, width) = len(image), image.shape[-2:]
    moves: list[tuple[Tensor, Move]] = []
    for augment in augments:
        rows = drawn(count, generator, p=augment.p)
        moves.append((rows, augment.move(len(rows), (height, width), generator)))
    touched = torch.zeros(count, dtype=torch.bool)
    for rows, _ in moves:
        touched[rows] = True
    if not touched.any():
        return batch
    some = touched.nonzero().flatten()
    # Half precision cannot tell pixels apart.
    with torch.autocast(image.device.type, enabled=False):
        points = _positions(count, height, width, image.device)
        # The last move is the first to be asked where a new pixel comes from.
        for rows, move in reversed(moves):
            if len(rows):
                chips = rows.to(points.device)
                points = points.index_copy(0, chips, move(points[chips]))
        part = resampled(taken(batch, some), points[some.to(points.device)])
    return put(batch, some, part)


def resampled(batch: Batch, points: Tensor) -> Batch:
    """The pixels of chips at other positions.

    Where the nearest pixel is valid, the image is the mean of the up to four valid pixels around,
    weighted bilinearly; integers are rounded. Where it is not, or a position is a pixel's centre, the
    image is that pixel to the byte. Outside the chip the image is 0, `valid` False and the mask that of
    the nearest pixel.

    Args:
        batch: "image" (chip, channel, height, width), "mask" and "valid" (chip, height, width).
        points: (chip, height, width, 2) float32 positions.
    """
    image, mask, valid = batch["image"], batch["mask"], batch["valid"]
    points = (points * _STEPS).round() / _STEPS
    nearest = (points + 0.5).floor()
    index, inside = _index(nearest, valid.shape[-2:])
    found = _take(valid, index) & inside
    between = found & (points != nearest).any(dim=-1)
    blended = _blended(image, valid, points)
    if not image.is_floating_point():
        blended = blended.round()
    blended = bits(blended.to(image.dtype))
    moved = torch.where(between[:, None], blended, bits(_take(image, index)))
    return {
        "image": moved.masked_fill(~inside[:, None], 0).view(image.dtype),
        "mask": _take(mask, index),
        "valid": found,
    }


def _blended(image: Tensor, valid: Tensor, points: Tensor) -> Tensor:
    """Bilinear means over valid pixels, in float; 0 where there are none."""
    wide = image.dtype in (torch.float64, torch.int32, torch.uint32, torch.int64, torch.uint64)
    values = image.to(torch.float64 if wide else torch.float32)
    corner = points.floor()
    part = points - corner
    total, weights = torch.zeros_like(values), torch.zeros_like(values[:, :1])
    for step in ((0, 0), (0, 1), (1, 0), (1, 1)):
        down, right = (
            part[..., axis] if one else 1 - part[..., axis] for axis, one in enumerate(step)
        )
        index, inside = _index(corner + torch.tensor(step).to(corner), valid.shape[-2:])
        weight = (down * right * (inside & _take(valid, index)))[:, None].to(values.dtype)
        # A product with 0 would keep a NaN.
        total += torch.where(weight > 0, weight * _take(values, index), 0)
        weights += weight
    return torch.where(weights > 0, total / weights, 0)


def _positions(count: int, height: int, width: int, device: torch.device) -> Tensor:
    rows, cols = (torch.arange(n, dtype=torch.float32, device=device) for n in (height, width))
    grid = torch.stack(torch.meshgrid(rows, cols, indexing="ij"), dim=-1)
    return grid.expand(count, -1, -1, -1)


def _index(pixels: Tensor, size: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Numbers of pixels counted along rows, the nearest in the chip, and which are in it."""
    height, width = size
    row, col = pixels.unbind(-1)
    inside = (row >= 0) & (row < height) & (col >= 0) & (col < width)
    return row.clamp(0, height - 1).long() * width + col.clamp(0, width - 1).long(), inside


def _take(pixels: Tensor, index: Tensor) -> Tensor:
    """Pixels (chip, ..., height, width) by their numbers (chip, height, width)."""
    flat = bits(pixels).flatten(-2)
    at = index.flatten(1)
    if flat.ndim > at.ndim:
        at = at[:, None].expand(-1, flat.shape[1], -1)
    found = flat.gather(-1, at).view(pixels.dtype)
    return found.reshape(*pixels.shape[:-2], *index.shape[1:])
