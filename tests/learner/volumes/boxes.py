"""Noisy boxes: volumes that a small network learns within seconds."""

from __future__ import annotations

import numpy as np

from geoseg.learner import Training
from geoseg.volumes import ArrayVolume

SHAPES = ((7, 25, 31), (9, 22, 27), (6, 33, 21), (8, 28, 30))
SMALL = {"width": 4, "depth": 2}


def solid(shape, rng):
    """A box somewhere in the middle, bool."""
    mask = np.zeros(shape, bool)
    low = [rng.integers(1, n // 3 + 1) for n in shape]
    high = [rng.integers(2 * n // 3, n) for n in shape]
    mask[tuple(slice(a, b) for a, b in zip(low, high, strict=True))] = True
    return mask


def noisy(number, *, classes=("box",), overlap=False):
    """A volume of uint8; a second class has a tone of its own in a part of the box, or beside it."""
    rng = np.random.default_rng(number)
    shape = SHAPES[number % len(SHAPES)]
    box = solid(shape, rng)
    core = box.copy()
    core[:, :, shape[2] // 2 :] = False
    tones = 100 + 60.0 * box + (50.0 * core if len(classes) > 1 else 0)
    image = rng.normal(tones, 15).clip(0, 255).astype(np.uint8)
    masks = [box, core] if overlap else [box & ~core, core]
    return ArrayVolume(
        f"v{number}",
        image,
        dict(zip(classes, masks, strict=True)) if len(classes) > 1 else {classes[0]: box},
    )


def rows(count, **options):
    return [noisy(number, **options) for number in range(count)]


def quick(**changes):
    """Options of a training of a moment."""
    fields = {
        "model": "unet3d",
        "size": (6, 16, 16),
        "model_options": SMALL,
        "epochs": 1,
        "length": 4,
        "batch_size": 2,
    }
    return Training.model_validate({**fields, **changes})
