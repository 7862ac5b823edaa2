"""From what a user writes to one augmentation."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import torch
from pydantic import TypeAdapter

from geoseg.errors import ConfigError
from geoseg.learner.augment.batch import Augmentation, Batch
from geoseg.learner.augment.foreign import adapted
from geoseg.learner.augment.resample import warped
from geoseg.learner.augments import Augment, AugmentField, Geometric, named

Step = Augment | str | Mapping[str, Any] | Callable[..., Batch]
_FIELD: TypeAdapter[Augment] = TypeAdapter(AugmentField)


def build(what: Step | Sequence[Step]) -> Augmentation:
    """An augmentation from a text, from kinds with their options, or from a callable.

    Args:
        what: "none"; names of `geoseg.learner.augments` with a plus sign between, such as "d4+light"; an
            Augment, or its fields with `type`; a callable; or a sequence of these, applied in order. A
            callable takes (batch, generator), or the batch alone; see `adapted`. Transforms of
            torchvision v2 and kornia are taken as they are.

    Raises:
        ConfigError: There is no such augmentation, or a callable takes something else.
        pydantic.ValidationError: An option is wrong.
    """
    steps = tuple(_joined(_steps_of(what)))
    if not steps:
        return none
    return steps[0] if len(steps) == 1 else _Chain(steps)


def none(batch: Batch, generator: torch.Generator) -> Batch:
    """The batch as it is."""
    del generator
    return batch


@dataclass(frozen=True)
class _Chain:
    """One augmentation after the other."""

    steps: tuple[Augmentation, ...]

    def __call__(self, batch: Batch, generator: torch.Generator) -> Batch:
        for step in self.steps:
            batch = step(batch, generator)
        return batch


@dataclass(frozen=True)
class _Warp:
    """Several moves with one resampling."""

    augments: tuple[Geometric, ...]

    def __call__(self, batch: Batch, generator: torch.Generator) -> Batch:
        return warped(batch, self.augments, generator)


def _steps_of(what: Any) -> list[Augmentation]:
    if isinstance(what, Augment):
        return [what]
    if isinstance(what, str):
        return list(named(what))
    if isinstance(what, Mapping):
        return [_FIELD.validate_python(dict(what))]
    if isinstance(what, Sequence):
        return [step for part in what for step in _steps_of(part)]
    if callable(what):
        return [adapted(what)]
    raise ConfigError(
        f"an augmentation is a name such as 'd4', an Augment, a list of them, or a callable; got "
        f"{type(what).__name__}"
    )


def _joined(steps: Iterable[Augmentation]) -> Iterable[Augmentation]:
    """The steps, with geometric neighbours as one."""
    for geometric, group in groupby(steps, lambda step: isinstance(step, Geometric)):
        if geometric:
            yield _Warp(tuple(step for step in group if isinstance(step, Geometric)))
        else:
            yield from group
