"""Training in several processes: how they are started, kept silent, and how their errors come back."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from pytorch_lightning.strategies import DDPStrategy
from torch.multiprocessing.spawn import ProcessRaisedException

from geoseg import errors
from geoseg.learner.fitting.silence import hush
from geoseg.learner.training import Training

_RAISED = re.compile(r"^geoseg\.errors\.(\w+): (.*)", re.MULTILINE | re.DOTALL)


class QuietDDP(DDPStrategy):
    """Lightning's DDP in processes of their own, which are as silent as this one."""

    def setup_environment(self) -> None:
        """Is called in each process, before it says anything."""
        hush()
        super().setup_environment()


def strategy_for(options: Training) -> Any:
    """One process needs none; several are spawned, which works from a script, a test and a notebook's kernel.

    Spawned and not forked: OpenMP and CUDA do not survive a fork.
    """
    if options.devices == 1:
        return "auto"
    return QuietDDP(
        start_method="spawn",
        process_group_backend="nccl" if torch.cuda.is_available() else "gloo",
        # A frozen encoder has no gradients that could be exchanged.
        find_unused_parameters=bool(options.freeze_epochs),
    )


@contextmanager
def errors_of_ranks() -> Iterator[None]:
    """An error of ours in another process as if it were raised here.

    Raises:
        GeosegError: That error.
    """
    try:
        yield
    except ProcessRaisedException as error:
        found = _RAISED.search(str(error))
        kind = getattr(errors, found[1], None) if found else None
        if found is None or kind is None:
            raise
        raise kind(found[2].strip()) from error
