"""Lightning without its greetings and its advice on what is chosen here on purpose."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

_LOUD = ("pytorch_lightning", "lightning.pytorch", "lightning_fabric", "lightning.fabric")
_ADVICE = (
    ".*does not have many workers.*",
    ".*GPU available but not used.*",
    ".*exists and is not empty.*",
    ".*Be aware that when using `ckpt_path`.*",
    # Parts of a network that are still on purpose: a frozen encoder.
    ".*in eval mode at the start of training.*",
    ".*find_unused_parameters=True was specified.*",
)


def hush() -> None:
    """Silence from now on, in a process that does nothing else."""
    for message in _ADVICE:
        warnings.filterwarnings("ignore", message=message)
    # Lightning's own use of a torch name that is on its way out.
    warnings.filterwarnings("ignore", message=".*LeafSpec.*", category=FutureWarning)
    for name in _LOUD:
        logging.getLogger(name).setLevel(logging.ERROR)


@contextmanager
def silence() -> Iterator[None]:
    """Silence within."""
    loud = [logging.getLogger(name) for name in _LOUD]
    levels = [logger.level for logger in loud]
    with warnings.catch_warnings():
        hush()
        try:
            yield
        finally:
            for logger, level in zip(loud, levels, strict=True):
                logger.setLevel(level)
