"""Changes to training batches that leave their meaning: where pixels are, their light, their neighbours.

An augmentation is called with a batch and a `torch.Generator` on the CPU and gives a new batch; equal
states of the generator give equal batches, on any device. The batch is a dictionary with

- "image": (batch, channel, height, width);
- "mask": (batch, height, width) class ids;
- "valid": (batch, height, width) bool, True where the image is measured;

and whatever else, which is passed on untouched. Image, mask and valid always move together. Pixels that
come from outside a chip are not valid; their mask holds some id of the chip, which losses do not look at.
"""

from __future__ import annotations

from geoseg.learner.augment.batch import Augmentation, Batch
from geoseg.learner.augment.chain import build, none
from geoseg.learner.augment.libraries import from_kornia, from_torchvision
from geoseg.learner.augment.tones import light
from geoseg.learner.augment.turns import d4

__all__ = [
    "Augmentation",
    "Batch",
    "build",
    "d4",
    "from_kornia",
    "from_torchvision",
    "light",
    "none",
]
