"""PyTorch's .pt2 files: graph and weights of `torch.export`, which need no code of the network."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.export import ExportedProgram
from torch.export.passes import move_to_device_pass

from geoseg.errors import BundleError
from geoseg.learner.export.archive import checked_text
from geoseg.learner.export.facts import ExportFacts, facts_from
from geoseg.learner.export.graph import Plan, known_warnings, plan_of
from geoseg.learner.export.parity import Run, check_parity
from geoseg.outputs import written_whole
from geoseg.window import Size

if TYPE_CHECKING:
    from geoseg.learner.learner import Learner

_EXTRA = "geoseg.json"
"""The member with what geoseg knows of the model."""
_FAULTS = (
    RuntimeError,
    ValueError,
    TypeError,
    AssertionError,
    LookupError,
    AttributeError,
    OSError,
)
"""What torch raises of graphs that it does not understand."""


def export_pt2(
    learner: Learner,
    uri: str,
    *,
    size: Size | None = None,
    dtype: str | None = None,
    channels: int | None = None,
) -> None:
    """Write a model as a .pt2 file of `torch.export`, with normalisation and softmax inside.

    It takes and gives what `export_onnx` says, and what a bundle knows is its member
    `extra/geoseg.json`. The file takes its name only when it has been read back and computes what the
    model does, to 1e-4.

    Args:
        learner: Has a model.
        uri: A local path that ends in .pt2; missing folders are made.
        size: The only size of images that the file takes, one number or (height, width); None: any.
        dtype: Of the pixels ("uint8"), where the learner does not know them from scenes.
        channels: Of the images, where the learner was not trained at all.

    Raises:
        BundleError: The learner has no model yet, or the file does not compute the same.
        ConfigError: The network cannot be exported, or an argument is wrong.
        StoreError: The place cannot be written.
    """
    plan = plan_of(learner, uri, ".pt2", size=size, dtype=dtype, channels=channels)
    with written_whole(uri) as path:
        _write(plan, path)
        check_parity(uri, open_pt2(str(path))[1], plan.probes)


def open_pt2(uri: str, device: torch.device | str = "cpu") -> tuple[ExportFacts, Run]:
    """What a .pt2 file of geoseg says of itself, and what computes it.

    A .pt2 is to be trusted like code. geoseg refuses what is known to run some (pickles, compiled
    libraries, formulas of anything but sizes), but PyTorch's own reader makes no promise: of strangers
    take a bundle or an ONNX file.

    Args:
        uri: The file.
        device: Where it is computed.

    Raises:
        BundleError: The file is missing, damaged, not of geoseg, or holds what could run code.
    """
    facts = facts_from(uri, checked_text(uri, _EXTRA))
    try:
        with known_warnings():
            program = _on(torch.export.load(uri), torch.device(device))
            module = program.module()
    except _FAULTS as error:
        raise BundleError(
            f"{uri}: torch cannot read this model: {' '.join(str(error).split())[:300]}; it may be of "
            "another version of torch: export it again"
        ) from error

    def run(image: Tensor) -> Tensor:
        with torch.inference_mode():
            # Convolutions follow the layout of what they are given; on a CPU this one is 2-3x faster.
            found: Tensor = module(image.to(device, memory_format=torch.channels_last))
        return found

    return facts, run


def _write(plan: Plan, path: Path) -> None:
    with known_warnings():
        torch.export.save(plan.program, path, extra_files={_EXTRA: plan.facts.to_json()})


def _on(program: ExportedProgram, device: torch.device) -> ExportedProgram:
    return program if device.type == "cpu" else move_to_device_pass(program, device)
