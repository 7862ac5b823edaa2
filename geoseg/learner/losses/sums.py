"""Losses by name, and sums of several."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor

from geoseg.errors import ConfigError
from geoseg.learner.losses.base import PixelLoss
from geoseg.learner.losses.lovasz import Lovasz
from geoseg.learner.losses.multilabel import BCE, MultilabelDice, MultilabelLoss
from geoseg.learner.losses.overlap import Dice, Tversky
from geoseg.learner.losses.pixelwise import CrossEntropy, Focal
from geoseg.learner.lossnames import check_options, check_weighted, terms

KINDS: dict[str, type[PixelLoss]] = {
    "cross_entropy": CrossEntropy,
    "dice": Dice,
    "focal": Focal,
    "lovasz": Lovasz,
    "tversky": Tversky,
}
"""Losses by name."""
MULTILABEL_KINDS: dict[str, type[MultilabelLoss]] = {"bce": BCE, "dice": MultilabelDice}
"""Losses of classes that may overlap by name."""


@dataclass(frozen=True, kw_only=True)
class Sum(PixelLoss):
    """The sum of several losses, each times its factor."""

    terms: tuple[tuple[float, PixelLoss], ...]
    """(factor, loss), at least one; their own `ignore_index` is not looked at."""

    def __post_init__(self) -> None:
        if not self.terms:
            raise ConfigError("a sum of losses has no term; give at least one")

    def of(self, scores: Tensor, truth: Tensor) -> Tensor:
        """The loss of (class, pixel) logits."""
        return torch.stack([factor * loss.of(scores, truth) for factor, loss in self.terms]).sum()


def build(
    name: str,
    *,
    ignore_index: int = 255,
    class_weights: Sequence[float] | None = None,
    **options: Any,
) -> PixelLoss:
    """A loss by its name.

    Args:
        name: "cross_entropy", "dice", "focal", "lovasz" or "tversky"; several with a plus sign between
            are their sum, and each may have a factor: "cross_entropy+0.5*dice".
        ignore_index: The target of pixels that are not labelled.
        class_weights: One number a class, for "cross_entropy" and "focal"; see `class_weights`.
        **options: `smooth` (1.0, in pixels) for "dice" and "tversky", `gamma` (2.0) for "focal",
            `alpha` (0.3) and `beta` (0.7) for "tversky". In a sum each loss takes those it knows.

    Raises:
        ConfigError: The name or an option is unknown, belongs to none of the losses or is not a number
            that it can be.
    """
    check_options(name, options)
    if class_weights is not None:
        check_weighted(name)
    given = {"ignore_index": ignore_index, "class_weights": class_weights, **options}
    built = tuple((factor, _one(kind, given)) for factor, kind in terms(name))
    if len(built) == 1 and built[0][0] == 1:
        return built[0][1]
    return Sum(terms=built, ignore_index=ignore_index)


def _one(name: str, given: dict[str, Any]) -> PixelLoss:
    """A loss with those of the options that it knows."""
    own = {field.name for field in fields(KINDS[name])}
    return KINDS[name](**{option: value for option, value in given.items() if option in own})


@dataclass(frozen=True, kw_only=True)
class MultilabelSum(MultilabelLoss):
    """The sum of several losses of classes that may overlap, each times its factor."""

    terms: tuple[tuple[float, MultilabelLoss], ...]
    """(factor, loss), at least one."""

    def of(self, scores: Tensor, truth: Tensor) -> Tensor:
        """The loss of (class, voxel) logits."""
        return torch.stack([factor * loss.of(scores, truth) for factor, loss in self.terms]).sum()


def build_multilabel(name: str, **options: Any) -> MultilabelLoss:
    """A loss of classes that may overlap, by its name.

    Args:
        name: "bce", "dice", or both as in "bce+0.5*dice".
        **options: `smooth` (1.0, in voxels) for "dice".

    Raises:
        ConfigError: The name or an option is unknown, or is not a number that it can be.
    """
    check_options(name, options, multilabel=True)
    built = tuple(
        (factor, MULTILABEL_KINDS[kind](**(options if kind == "dice" else {})))
        for factor, kind in terms(name, multilabel=True)
    )
    return built[0][1] if len(built) == 1 and built[0][0] == 1 else MultilabelSum(terms=built)
