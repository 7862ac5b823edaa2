"""A learning rate from a range test: the rate grows from step to step until the loss rises."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import torch
from pytorch_lightning.utilities import move_data_to_device
from torch.nn.utils import clip_grad_norm_

from geoseg.errors import ConfigError
from geoseg.learner.data import SegmentationData
from geoseg.learner.fitting.fit import own_randomness
from geoseg.learner.fitting.freeze import check_frozen, encoder_of
from geoseg.learner.fitting.optimizers import build_optimizer
from geoseg.learner.fitting.seeds import seed_of
from geoseg.learner.module import SegmentationModule
from geoseg.learner.training import Training
from geoseg.learner.volumes.data import VolumeData
from geoseg.warn import warn

_SMOOTH = 0.9
"""Share of the past in the running mean of the losses."""
_RISEN = 4.0
"""The test ends where the loss is so many times the lowest."""
_LEAST = 10
"""Steps that are taken in any case."""
_FALLEN = 0.9
"""The lowest loss is at most this share of the first ones, or nothing was learnt; and it has risen again
where the last is more than the lowest divided by this."""
_CLEAR = 2.0
"""The loss falls by so many times what the first ones differ, or hardly."""


@dataclass(frozen=True, slots=True)
class LrFinding:
    """What a range test found."""

    lr: float
    """A tenth of the rate at which the loss was lowest: a good highest rate."""
    rates: tuple[float, ...]
    """The learning rate of each step, growing."""
    losses: tuple[float, ...]
    """The loss of each step, a running mean."""


def find_lr(
    module: SegmentationModule,
    data: SegmentationData | VolumeData,
    *,
    least: float = 1e-6,
    most: float = 1.0,
    steps: int = 100,
    training: Training | None = None,
) -> LrFinding:
    """Train a copy of a module with a rate that grows evenly in its logarithm.

    Source: Smith, Cyclical Learning Rates for Training Neural Networks, 2017. Where the loss is lowest the
    rate is already too high to go on with; a tenth of it is a usual choice.

    Of a training `accumulate` and `clip` are kept to, and the encoder stays as it is where `freeze_epochs`
    is "all"; where it is a number, all weights learn, as the rate must do for the epochs after them. Arithmetic is in 32 bits on one device, whatever `precision` and `devices` say; `ema` changes no
    step.

    Args:
        module: Stays as it is.
        data: What is trained on.
        least: The first rate.
        most: The last rate.
        steps: How many steps are taken, at most, each of `accumulate` batches.
        training: How the module will be trained; None: the defaults.

    Raises:
        ConfigError: The numbers do not fit, there is no encoder to freeze, or the loss falls at no rate.

    Warns:
        UserWarning: The rate lies at an edge of what was tried, or the loss hardly falls.
    """
    if not 0 < least < most or steps < 2 * _LEAST:
        raise ConfigError(
            f"least {least}, most {most}, steps {steps}: expected 0 < least < most and at least "
            f"{2 * _LEAST} steps"
        )
    options = training or Training()
    check_frozen(options.freeze_epochs, epochs=options.epochs)
    rates = np.geomspace(least, most, steps)
    losses: list[float] = []
    with own_randomness(module.seed):
        for loss in _losses(module, data, rates, options):
            losses.append(loss)
            if len(losses) > _LEAST and not loss < _RISEN * min(losses):
                break
    found, doubts = judged(rates[: len(losses)], np.array(losses))
    for doubt in doubts:
        warn(doubt)
    return found


def _losses(
    module: SegmentationModule, data: SegmentationData | VolumeData, rates: Any, training: Training
) -> Iterator[float]:
    """The running mean of the loss after each step."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    copy = deepcopy(module).to(device).train()
    if training.freeze_epochs == "all":
        encoder_of(copy).eval().requires_grad_(requires_grad=False)
    parameters = [p for p in copy.parameters() if p.requires_grad]
    optimizer = build_optimizer(
        module.optimizer_name, parameters, lr=rates[0], weight_decay=module.weight_decay
    )
    mean, batches = 0.0, enumerate(batches_of(data), start=1)
    for step, rate in enumerate(rates.tolist(), start=1):
        optimizer.param_groups[0]["lr"] = rate
        optimizer.zero_grad()
        loss = _gradients(copy, islice(batches, training.accumulate), parts=training.accumulate)
        if training.clip is not None:
            clip_grad_norm_(parameters, training.clip)
        optimizer.step()
        mean = _SMOOTH * mean + (1 - _SMOOTH) * loss
        yield mean / (1 - _SMOOTH**step)


def _gradients(
    module: SegmentationModule, batches: Iterable[tuple[int, Any]], *, parts: int
) -> float:
    """Add up the gradients of so many numbered batches; their mean loss."""
    total = 0.0
    for number, batch in batches:
        moved = move_data_to_device(batch, module.device)
        loss = module.loss_of(moved, seed=seed_of(module.seed, number)) / parts
        loss.backward()  # type: ignore[no-untyped-call]
        total += float(loss.detach())
    return total


def batches_of(data: SegmentationData | VolumeData) -> Iterator[Any]:
    """Training batches without end, epoch after epoch."""
    loader = data.train_dataloader()
    epoch = 0
    while True:
        if hasattr(loader.sampler, "set_epoch"):
            loader.sampler.set_epoch(epoch)
        yield from loader
        epoch += 1


def judged(rates: Any, losses: Any) -> tuple[LrFinding, list[str]]:
    """The rate that a curve tells, and what there is to doubt in it, with the cure.

    Args:
        rates: (step,) learning rates, growing.
        losses: (step,) running means of the loss.

    Raises:
        ConfigError: The loss falls at no rate.
    """
    known = np.isfinite(losses)
    rates, losses = rates[known], losses[known]
    lowest, begin = losses.min(), losses[:_LEAST]
    if not lowest < _FALLEN * begin.mean():
        raise ConfigError(
            f"the loss falls at no learning rate from {rates[0]:g} to {rates[-1]:g}; look at the labels, "
            "and see whether the network can learn one batch with `geoseg check --overfit`"
        )
    lr, doubts = float(rates[losses.argmin()]) / 10, []
    if lr < rates[0]:
        doubts.append(
            f"the learning rate {lr:.2g} that was found lies below all that were tried, from {rates[0]:g} on; "
            f"begin lower, as with least={rates[0] / 100:.1g}"
        )
    if known.all() and losses[-1] < lowest / _FALLEN:
        doubts.append(
            f"the loss had not risen again at the highest learning rate that was tried, {rates[-1]:g}, so that "
            f"the one that was found, {lr:.2g}, may be too low; go on higher, as with most={10 * rates[-1]:.1g}"
        )
    if begin.mean() - lowest < _CLEAR * (begin.max() - begin.min()):
        doubts.append(
            f"the loss falls from {begin.mean():.3g} to {lowest:.3g} only, little more than it scatters from "
            f"step to step, so that the learning rate {lr:.2g} says little; take more `steps`, or larger "
            "batches with a larger `batch_size` or `accumulate`"
        )
    return LrFinding(lr, tuple(rates.tolist()), tuple(losses.tolist())), doubts
