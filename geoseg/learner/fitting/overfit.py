"""Whether a model can learn a single batch by heart: if not, data, labels or network are wrong."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from itertools import islice
from typing import Any

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
from geoseg.learner.fitting.prepare import prepare
from geoseg.learner.module import SegmentationModule
from geoseg.learner.samples import Samples
from geoseg.learner.training import Training

LEAST_IOU = 0.9
"""A mean IoU on the batch itself that counts as learnt."""
_EVERY = 10
"""Steps after which it is looked at."""
_BATCHES = 8
"""Of which the one with most classes is taken."""


@dataclass(frozen=True, slots=True)
class Overfit:
    """What came of learning one batch."""

    passed: bool
    """Whether the mean IoU reached the bound."""
    mean_iou: float
    """On the batch at the end, over the classes that occur in it."""
    first_loss: float
    """Before the first step."""
    last_loss: float
    """At the end."""
    steps: int
    """Taken, at most as many as allowed."""
    classes: tuple[str, ...]
    """That occur in the batch."""

    def describe(self) -> str:
        """One sentence with the numbers."""
        what = "learns" if self.passed else "does not learn"
        return (
            f"the model {what} one batch ({', '.join(self.classes)}): mean IoU {self.mean_iou:.3f} after "
            f"{self.steps} steps, loss {self.first_loss:.3g} -> {self.last_loss:.3g}"
        )


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
    first = loss = module.loss_of(batch, seed=0)
    for step in range(1, steps + 1):
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        loss = module.loss_of(batch, seed=step)
        if step % _EVERY == 0 or step == steps:
            iou = _mean_iou(module, batch)
            if iou >= least_iou:
                break
    return Overfit(
        passed=iou >= least_iou,
        mean_iou=iou,
        first_loss=float(first.detach()),
        last_loss=float(loss.detach()),
        steps=step,
        classes=tuple(module.classes.names[i] for i in _occurring(module, batch)),
    )


def _richest(module: SegmentationModule, data: SegmentationData) -> Any:
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
