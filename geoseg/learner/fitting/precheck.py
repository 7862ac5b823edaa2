"""What is looked at before the first epoch, so that errors come at once and not after hours."""

from __future__ import annotations

from pathlib import Path

import torch

from geoseg.errors import ConfigError, GeosegError
from geoseg.learner.fitting.freeze import check_frozen, encoder_of
from geoseg.learner.fitting.loggers import check_logger
from geoseg.learner.fitting.resume import read_checkpoint
from geoseg.learner.modelnames import CUSTOM
from geoseg.learner.module import SegmentationModule
from geoseg.learner.training import Training
from geoseg.warn import warn


def check_options(
    options: Training, *, folder: str | None, resume: str | None, measure: bool
) -> None:
    """See that the options can be met, before anything is read.

    Args:
        options: How the model is to be trained.
        folder: Where results are kept.
        resume: A checkpoint to go on from.
        measure: Whether there is something to validate on.

    Raises:
        ConfigError: An option needs validation, a package, a folder or devices that are not there, the
            encoder would be frozen in all epochs, or there is no such checkpoint, or it is none.

    Warns:
        UserWarning: An encoder of random weights is to be frozen.
    """
    wanted = {
        'select "best"': options.select == "best",
        "patience": options.patience is not None,
        'schedule "plateau"': options.schedule == "plateau",
    }
    missing = [name for name, asked in wanted.items() if asked and not measure]
    if missing:
        raise ConfigError(
            f"{', '.join(missing)}: goes by the mean IoU of the validation, but there is none; pass "
            "`valid` scenes, or leave it out"
        )
    check_frozen(options.freeze_epochs, epochs=options.epochs)
    if resume is None:
        _warn_of_random(options)
    check_logger(options.logger, folder)
    if resume is not None and not Path(resume).is_file():
        raise ConfigError(
            f"{resume}: there is no such checkpoint to go on from; name the last.ckpt of a fit"
        )
    if resume is not None:
        read_checkpoint(resume)  # raises where it is none
    if torch.cuda.is_available() and torch.cuda.device_count() < options.devices:
        raise ConfigError(
            f"devices is {options.devices}, but this machine has {torch.cuda.device_count()} GPUs; use "
            "at most as many"
        )


def _warn_of_random(options: Training) -> None:
    """A network of one's own may have been trained before."""
    if options.freeze_epochs and options.weights is None and options.model != CUSTOM:
        warn(
            f"freeze_epochs is {options.freeze_epochs!r}, but the encoder of {options.model!r} begins with "
            'random numbers, of which it then gives its features; name `weights` ("imagenet", or a file), '
            "or leave freeze_epochs at 0"
        )


def check_module(module: SegmentationModule, options: Training) -> None:
    """Let the network look at an empty image, as large as a training window.

    Raises:
        ConfigError: The network fails, or gives a tensor of another shape; or there is no encoder that
            could be frozen.
    """
    if options.freeze_epochs:
        encoder_of(module)
    channels = len(module.mean)
    shape = (1, channels, *options.window)
    image = torch.zeros(shape, device=module.mean.device)
    modes = {part: part.training for part in module.modules()}
    try:
        with torch.no_grad():
            module.eval()(image)
    except GeosegError:
        raise
    except Exception as error:  # a network of one's own may raise anything
        text = " ".join(str(error).split())
        raise ConfigError(
            f"the network {type(module.network).__name__} fails on an image {shape}, (batch, channel, "
            f"{'depth, ' if options.of_volumes else ''}height, width), of {channels} bands: {text[:200]}; see "
            "that it takes as many bands as the data have, and windows of this size"
        ) from error
    finally:
        for part, training in modes.items():
            part.training = training
