"""Losses that look at kept pixels only: those that are valid and labelled.

A loss is called with

- `logits`: (batch, class, height, width), any floating dtype; computed in float32 also under autocast;
- `target`: (batch, height, width) int64, the channel of each pixel's class, or `ignore_index`;
- `valid`: (batch, height, width) bool, True where the image is measured;

and gives a scalar. A batch in which no pixel is kept gives 0 with a gradient of zeros, and logits of pixels
that are not kept never count, even where they are NaN. The probabilities of a pixel are the softmax of its
logits; with a single class that is always 1, and every loss 0: background is a class of its own.
"""

from geoseg.classweights import ClassWeights, class_weights
from geoseg.learner.losses.base import Loss, PixelLoss
from geoseg.learner.losses.lovasz import Lovasz
from geoseg.learner.losses.multilabel import BCE, MultilabelDice, MultilabelLoss
from geoseg.learner.losses.overlap import Dice, Tversky
from geoseg.learner.losses.pixelwise import CrossEntropy, Focal
from geoseg.learner.losses.sums import MultilabelSum, Sum, build, build_multilabel

__all__ = [
    "BCE",
    "ClassWeights",
    "CrossEntropy",
    "Dice",
    "Focal",
    "Loss",
    "Lovasz",
    "MultilabelDice",
    "MultilabelLoss",
    "MultilabelSum",
    "PixelLoss",
    "Sum",
    "Tversky",
    "build",
    "build_multilabel",
    "class_weights",
]
