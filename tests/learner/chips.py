"""Batches for the tests of augmentation."""

from __future__ import annotations

import torch

KEYS = ("image", "mask", "valid")


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def random_batch(count=4, bands=4, height=9, width=7, *, dtype=torch.float32, valid=0.7, seed=3):
    """Random pixels, a random mask of the ids 3, 5 and 8, and this share of valid pixels."""
    state = generator(seed)
    numbers = torch.rand((count, bands, height, width), generator=state, dtype=torch.float64)
    ids = torch.tensor([3, 5, 8], dtype=torch.uint8)
    return {
        "image": (numbers * 200).to(dtype) if not dtype.is_floating_point else numbers.to(dtype),
        "mask": ids[torch.randint(3, (count, height, width), generator=state)],
        "valid": torch.rand((count, height, width), generator=state) < valid,
        "row": torch.arange(count),
    }


def assert_same(batch, other):
    """Equal to the byte, NaN and the sign of 0 included."""
    for key in KEYS:
        one, two = (pixels[key].contiguous() for pixels in (batch, other))
        assert one.dtype == two.dtype
        assert one.shape == two.shape
        assert one.numpy().tobytes() == two.numpy().tobytes(), key


def changed(before, after):
    """(chip,) whether anything of a chip is another."""
    differs = [(before[key] != after[key]).flatten(1).any(dim=1) for key in KEYS]
    return torch.stack(differs).any(dim=0)
