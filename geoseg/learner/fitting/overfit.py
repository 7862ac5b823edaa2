"""Whether a model can learn a single batch by heart: if not, data, labels or network are wrong."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from itertools import islice
from statistics import fmean
from typing import Any, Literal

import torch
from pytorch_lightning.utilities import move_data_to_device
from torch import nn

from geoseg.classes import ClassMap
from geoseg.errors import ConfigError, LabelError
from geoseg.labels import metrics
from geoseg.learner.data import SegmentationData
from geoseg.learner.fitting.fit import own_randomness
from geoseg.learner.fitting.lrfinder import batches_of
from geoseg.learner.fitting.optimizers import build_optimizer
from geoseg.learner.fitting.pooled import taken
from geoseg.learner.fitting.prepare import prepare
from geoseg.learner.module import SegmentationModule
from geoseg.learner.samples import Samples
from geoseg.learner.training import Training
from geoseg.learner.volumes.data import VolumeData

LEAST_IOU = 0.9
"""A mean IoU on the batch itself that counts as learnt."""
_FALLEN = 0.9
"""The loss falls where the mean of the last ones is below this share of the first; and what differs by no
more from the loss of a guess is no better."""
_EVERY = 10
"""Steps after which it is looked at."""
_LEAST_SHARE = 1e-6
"""Of a class that does not occur, in a guess."""
_BATCHES = 8
"""Of which the one with most classes is taken."""

Outcome = Literal["learnt", "falling", "stuck"]
"""What came of it: the batch was learnt; its loss falls, but it was not learnt; or its loss does not fall,
or just to that of a guess."""


@dataclass(frozen=True, slots=True)
class Overfit:
    """What came of learning one batch."""

    outcome: Outcome
    """Whether the mean IoU reached the bound; if not, whether the loss falls at least."""
    mean_iou: float
    """On the batch at the end, over the classes that occur in it."""
    first_loss: float
    """Before the first step."""
    last_loss: float
    """The mean of the last 10 steps, or of all."""
    guess_loss: float
    """Of one who knows only how often each class occurs in the batch, or not even that."""
    least_iou: float
    """The mean IoU from which the batch counts as learnt."""
    steps: int
    """Taken, at most as many as allowed."""
    classes: tuple[str, ...]
    """That occur in the batch."""

    @property
    def passed(self) -> bool:
        """Whether the batch was learnt."""
        return self.outcome == "learnt"

    def describe(self) -> str:
        """One sentence with the numbers."""
        what = _WORDS[self.outcome]
        text = (
            f"the model {what} one batch ({', '.join(self.classes)}): mean IoU {self.mean_iou:.3f} after "
            f"{self.steps} steps, loss {self.first_loss:.3g} -> {self.last_loss:.3g}"
        )
        bounds = f"learnt is a mean IoU of {self.least_iou:g}, a guess has the loss {self.guess_loss:.3g}"
        return text if self.passed else f"{text}; {bounds}"


_WORDS = {
    "learnt": "learns",
    "falling": "begins to learn, but has not learnt",
    "stuck": "does not learn",
}


def overfit_check(
    classes: ClassMap,
    training: Training,
    train: Samples,
    *,
    model: nn.Module | None = None,
    steps: int = 200,
    least_iou: float = LEAST_IOU,
) -> Overfit:
    """Train on one batch again and again, until it is learnt or the steps are over.

    Without augmentation, at the training's learning rate. Of the first batches that with most classes is
    taken. A network of one's own stays as it is.

    Args:
        classes: What the model tells apart.
        training: Names network, loss, size and the rest.
        train: Scenes with labels, or a map-style data set.
        model: A network of one's own; None: that of the training.
        steps: Allowed at most.
        least_iou: The mean IoU from which the batch counts as learnt.

    Returns:
        One of three outcomes with its numbers. Where the loss falls but the batch was not learnt, more steps
        or a higher rate may do; where it does not fall, or just to that of a guess, labels, normalisation
        or the rate are wrong.

    Raises:
        GeosegError: As in `Learner.fit`, before the first step.
    """
    if steps < 1:
        raise ConfigError(f"steps is {steps}, expected at least 1")
    ready = prepare(classes, training, train, model=deepcopy(model), augmentation=_as_it_is)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    with own_randomness(training.seed):
        module = ready.module.to(device).train()
        batch = move_data_to_device(_richest(module, ready.data), device)
        return _learn(module, batch, steps=steps, least_iou=least_iou)


def _learn(module: SegmentationModule, batch: Any, *, steps: int, least_iou: float) -> Overfit:
    optimizer = build_optimizer(
        module.optimizer_name, module.parameters(), lr=module.lr, weight_decay=0.0
    )
    loss = module.loss_of(batch, seed=0)
    losses = [float(loss.detach())]
    for step in range(1, steps + 1):
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        loss = module.loss_of(batch, seed=step)
        losses.append(float(loss.detach()))
        if step % _EVERY == 0 or step == steps:
            iou = _mean_iou(module, batch)
            if iou >= least_iou:
                break
    first, last, guess = losses[0], fmean(losses[1:][-_EVERY:]), _guess(module, batch)
    return Overfit(
        outcome="learnt" if iou >= least_iou else _unlearnt(first, last=last, guess=guess),
        mean_iou=iou,
        first_loss=first,
        last_loss=last,
        guess_loss=guess,
        least_iou=least_iou,
        steps=step,
        classes=tuple(module.classes.names[i] for i in _occurring(module, batch)),
    )


def _unlearnt(first: float, *, last: float, guess: float) -> Outcome:
    """What the losses tell. Any network soon learns how often each class occurs: that is no sign."""
    guessed = _FALLEN * guess <= last <= guess / _FALLEN
    return "falling" if last < _FALLEN * first and not guessed else "stuck"


def _guess(module: SegmentationModule, batch: Any) -> float:
    """The lower loss of two that do not look at the image: all classes alike, and each by its share."""
    batch = taken(batch)
    kept, target = module.kept(batch)
    shares = torch.bincount(target[kept], minlength=len(module.classes)) / kept.sum()
    guesses = (torch.ones_like(shares), shares.clamp(min=_LEAST_SHARE))
    whole = (len(target), len(shares), *target.shape[1:])
    found = [
        module.loss(guess.log()[:, None, None].expand(whole), target, batch["valid"])
        for guess in guesses
    ]
    return min(float(loss) for loss in found)


def _richest(module: SegmentationModule, data: SegmentationData | VolumeData) -> Any:
    """Of the first batches the one with most classes."""
    batches = list(islice(batches_of(data), _BATCHES))
    best = max(batches, key=lambda batch: len(_occurring(module.cpu(), batch)))
    if not len(_occurring(module, best)):
        raise LabelError(
            f"the first {len(batches)} batches of the training hold no labelled pixel; see that "
            "labels and AOIs cover enough, or ask for labelled windows with sampling.min_labelled"
        )
    return best


def _occurring(module: SegmentationModule, batch: Any) -> list[int]:
    """Channels of the classes that a batch holds."""
    kept, target = module.kept(batch)
    channels: list[int] = torch.unique(target[kept]).tolist()
    return channels


def _mean_iou(module: SegmentationModule, batch: Any) -> float:
    """On a batch, over the classes that occur in it, with the batch's own statistics as in training."""
    with torch.no_grad():
        counts = module.confusion_of(module(batch["image"], batch["valid"]), batch)
    of_classes = metrics.iou(counts.cpu().numpy())
    return metrics.mean([of_classes[i] for i in _occurring(module, batch)]) or 0.0


def _as_it_is(batch: Any) -> Any:
    return batch
