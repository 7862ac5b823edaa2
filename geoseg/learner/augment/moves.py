"""Where the pixels of a chip come from: rotation, zoom and elastic deformation, with their draws.

A move takes (chip, height, width, 2) float32 positions (row, col) in the new chips and gives those in the
old ones; see `geoseg.learner.augment.resample`.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from geoseg.learner.augment.resample import Move


def uniform(ends: tuple[float, float], count: int, generator: torch.Generator) -> Tensor:
    """(count,) float64 numbers, all between the ends equally likely."""
    draws = torch.rand(count, generator=generator, dtype=torch.float64)
    return ends[0] + (ends[1] - ends[0]) * draws


def log_uniform(ends: tuple[float, float], count: int, generator: torch.Generator) -> Tensor:
    """(count,) float64 numbers, all ratios between the ends equally likely."""
    return uniform((math.log(ends[0]), math.log(ends[1])), count, generator).exp()


def place(count: int, generator: torch.Generator) -> Tensor:
    """(count, 2) float64 numbers from 0 to 1."""
    return torch.rand((count, 2), generator=generator, dtype=torch.float64)


def rotation(degrees: Tensor, *, size: tuple[int, int]) -> Move:
    """A rotation about the centre of the chip.

    Args:
        degrees: (chip,) angles, counter-clockwise as the chip is looked at, rows downwards.
        size: (height, width) in pixels.
    """
    angle = torch.deg2rad(degrees)
    cos, sin = angle.cos(), angle.sin()
    turn = torch.stack([torch.stack([cos, sin], -1), torch.stack([-sin, cos], -1)], -2).float()
    centre = _centre(size)

    def move(points: Tensor) -> Tensor:
        offset = points - centre.to(points)
        row, col = turn.to(points)[:, None, None].unbind(-2)
        turned = [(axis * offset).sum(-1) for axis in (row, col)]
        return torch.stack(turned, -1) + centre.to(points)

    return move


def zoom(scale: Tensor, place: Tensor, *, size: tuple[int, int]) -> Move:
    """A part of the chip enlarged, or the chip made smaller.

    Args:
        scale: (chip,) above 1 to enlarge.
        place: (chip, 2) from 0 to 1: where the part lies in the chip, from the first to the last row and
            column that it can begin at; below a scale of 1, where the chip lies in the new one.
        size: (height, width) in pixels.
    """
    length = torch.tensor(size, dtype=torch.float64)
    step = (1 / scale)[:, None]
    first = (length - length * step) * place
    # From corners, where scales act, to the centres that positions are of.
    offset = (first + step / 2 - 0.5)[:, None, None].float()
    step = step[:, None, None].float()

    def move(points: Tensor) -> Tensor:
        return points * step.to(points) + offset.to(points)

    return move


def elastic(
    count: int, generator: torch.Generator, *, size: tuple[int, int], shift: float, cell: float
) -> Move:
    """A smooth deformation: cubic B-splines over nodes that are shifted at random.

    Args:
        count: Chips.
        generator: The only source of chance.
        size: (height, width) in pixels.
        shift: Nodes are shifted by up to this along rows and along columns, in pixels; so no pixel is
            shifted by more.
        cell: Pixels between nodes.
    """
    rows, cols = (_spline(length, cell) for length in size)
    draws = torch.rand((count, 2, rows.shape[1], cols.shape[1]), generator=generator)
    nodes = (draws * 2 - 1) * shift
    centre = _centre(size)

    def move(points: Tensor) -> Tensor:
        field = rows.to(points) @ nodes.to(points) @ cols.to(points).mT
        # From -1 at the first pixel to 1 at the last; a side of one pixel has only its middle.
        at = (points - centre.to(points)) / centre.to(points).clamp(min=0.5)
        shifts = functional.grid_sample(
            field, at.flip(-1), padding_mode="border", align_corners=True
        )
        return points + shifts.movedim(1, -1)

    return move


def _spline(length: int, cell: float) -> Tensor:
    """(length, node) float32 weights of the nodes at each pixel; those of a pixel add up to 1."""
    at = torch.arange(length, dtype=torch.float64) / cell
    first = at.floor().long()
    t = (at - first)[:, None]
    parts = torch.cat(
        [(1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3], dim=1
    )
    weights = torch.zeros((length, int(first[-1]) + 4), dtype=torch.float64)
    return weights.scatter_(1, first[:, None] + torch.arange(4), parts / 6).float()


def _centre(size: tuple[int, int]) -> Tensor:
    return torch.tensor([(length - 1) / 2 for length in size], dtype=torch.float32)
