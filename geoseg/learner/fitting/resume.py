"""A checkpoint to go on from, looked at before the training: that it is one, and of this training."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from typing import Any

import torch

from geoseg.classes import ClassMap
from geoseg.errors import ConfigError
from geoseg.learner.fitting.optimizers import goes_over, planned_steps
from geoseg.learner.module import SegmentationModule
from geoseg.learner.training import Training

_NEEDED = ("state_dict", "optimizer_states", "lr_schedulers", "hyper_parameters", "epoch")
_NETWORK = ("in_channels", "model", "encoder", "model_options", "planes", "overlap")
_KEPT = ("optimizer", "schedule", "lr", "weight_decay")
"""What the checkpoint brings back in place of what the training says."""
_NAMED = "name the last.ckpt of a fit"


def read_checkpoint(path: str) -> dict[str, Any]:
    """The state that a fit has kept; no code in it is run.

    Raises:
        ConfigError: It is no checkpoint of a training, or holds more than plain values.
    """
    try:
        found: Any = torch.load(path, weights_only=True, map_location="cpu")
    except pickle.UnpicklingError as error:
        raise ConfigError(
            f"{path}: cannot be read as tensors and plain values: it is no checkpoint, or holds code, "
            f"which is not run; {_NAMED}"
        ) from error
    except (RuntimeError, EOFError, OSError, ValueError, LookupError) as error:
        raise ConfigError(f"{path}: is no checkpoint, or is damaged; {_NAMED}") from error
    if not isinstance(found, dict) or not all(key in found for key in _NEEDED):
        lacking = [key for key in _NEEDED if not isinstance(found, dict) or key not in found]
        raise ConfigError(
            f"{path}: is no checkpoint of a training that could go on, it lacks {', '.join(lacking)}; "
            f"{_NAMED}, or take bare weights by Learner(model=...)"
        )
    return found


def check_resume(path: str, module: SegmentationModule, options: Training) -> None:
    """See that a checkpoint is of this module and this training.

    Args:
        path: The checkpoint.
        module: What is to be trained.
        options: How.

    Raises:
        ConfigError: It is no checkpoint, or of other classes, another network, another optimizer or
            schedule, or of a schedule that ends at another epoch.
    """
    found = read_checkpoint(path)
    given: Mapping[str, Any] = found["hyper_parameters"]
    _same_classes(path, given, module.classes)
    _same_options(path, given, module.hparams, _NETWORK, "network")
    _same_weights(path, found["state_dict"], module)
    _same_options(path, given, module.hparams, _KEPT, "training")
    _same_end(path, found, options)


def _same_classes(path: str, given: Mapping[str, Any], classes: ClassMap) -> None:
    kept = ClassMap.model_validate(given["classes"])
    if (kept.names, kept.ids) != (classes.names, classes.ids):
        raise ConfigError(
            f"{path}: was trained on the classes {list(kept.names)} with ids {list(kept.ids)}, but this "
            f"training has {list(classes.names)} with ids {list(classes.ids)}; give the same in the same "
            "order"
        )


def _same_options(
    path: str, given: Mapping[str, Any], own: Mapping[str, Any], names: tuple[str, ...], what: str
) -> None:
    """Only what both know: a network of one's own has no name."""
    for name in names:
        if name in given and name in own and given[name] != own[name]:
            raise ConfigError(
                f"{path}: is of another {what}: its {name} is {given[name]!r}, but here it is "
                f"{own[name]!r}; give the same to go on with it, or begin anew"
            )


def _same_weights(path: str, kept: Mapping[str, Any], module: SegmentationModule) -> None:
    own = module.state_dict()
    strange = sorted(
        name
        for name in {*kept, *own}
        if name not in kept or name not in own or kept[name].shape != own[name].shape
    )
    if strange:
        raise ConfigError(
            f"{path}: is of another network: {len(strange)} of its weights, first {strange[0]!r}, are not "
            "those of this one; give the network that it was trained with, or begin anew"
        )


def _same_end(path: str, found: Mapping[str, Any], options: Training) -> None:
    """A schedule over all steps has the epochs within; how many steps each had tells how many they were."""
    done, steps = int(found["epoch"]) + 1, int(found.get("global_step", 0))
    for schedule in found["lr_schedulers"]:
        planned = planned_steps(schedule)
        if planned is None or steps % done or not steps:
            continue
        each = steps // done
        if not goes_over(planned, each * options.epochs):
            raise ConfigError(
                f"{path}: its schedule {options.schedule!r} goes over {planned // each} epochs, but epochs is "
                f"{options.epochs}; keep `epochs` as it was: resume continues an interrupted training; for "
                "more of them begin anew from the weights, Learner(model=learner.module.network)"
            )
