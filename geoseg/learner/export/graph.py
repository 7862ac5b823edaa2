"""From a learner to the graph of its network, with batch and size left open."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch.export import Dim, ExportedProgram

from geoseg.errors import ConfigError
from geoseg.learner.export.facts import ExportFacts, facts_of
from geoseg.learner.export.network import ProbabilityNetwork
from geoseg.learner.export.parity import Probe, probes_for
from geoseg.window import Size

if TYPE_CHECKING:
    from geoseg.learner.learner import Learner

NAMES = {0: "batch", 2: "height", 3: "width"}
"""What the open dimensions of an image are called."""
_WRITERS = {".onnx": "export_onnx", ".pt2": "export_pt2"}
"""Suffix to the function that writes such a file."""
_TORCH = (2, 9)
"""The first version with what is used here."""
_REFUSALS = (RuntimeError, TypeError, ValueError, AssertionError, LookupError, AttributeError)
"""What torch.export raises, and what a network may when it is called with sizes that are not known yet."""


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """A model that is ready to be written."""

    facts: ExportFacts
    """What goes into the file beside the graph."""
    program: ExportedProgram
    """The graph with its weights."""
    probes: list[Probe]
    """What the file is compared with."""


def plan_of(
    learner: Learner,
    uri: str,
    suffix: str,
    *,
    size: Size | None,
    dtype: str | None,
    channels: int | None,
) -> Plan:
    """Make all that an exported file holds.

    Args:
        learner: Has a model.
        uri: The file, which is to end in `suffix`.
        suffix: Of the format.
        size: The only size of images that the file is to take, one number or (height, width); None: any.
        dtype: Of the pixels, where the learner does not know them from scenes.
        channels: Of the images, where the learner was not trained at all.

    Raises:
        BundleError: The learner has no model yet.
        ConfigError: The network cannot be exported, or an argument is wrong.
    """
    if Path(uri).suffix.lower() != suffix:
        raise ConfigError(f"{uri}: the name of this file is to end in {suffix}")
    _check_torch()
    facts = facts_of(learner, size=size, dtype=dtype, channels=channels)
    module = learner.module.cpu().eval()
    probes = probes_for(module, facts)
    network = ProbabilityNetwork(module, facts).eval()
    program = _traced(network, probes[0], suffix, fixed=facts.size is not None)
    return Plan(facts, program, probes)


def dims_of(facts: ExportFacts) -> tuple[int, ...]:
    """The dimensions of an image that the file leaves open."""
    return (0, 2, 3) if facts.size is None else (0,)


@contextmanager
def known_warnings() -> Iterator[None]:
    """Without what torch warns itself of: its own use of its own classes."""
    with warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", r"`isinstance\(treespec, LeafSpec\)` is deprecated", FutureWarning
        )
        yield


def _traced(
    network: ProbabilityNetwork, probe: Probe, suffix: str, *, fixed: bool
) -> ExportedProgram:
    dims = {number: Dim(name, min=1) for number, name in NAMES.items() if not fixed or number == 0}
    config: Any = importlib.import_module("torch.fx.experimental._config")
    try:
        # Sizes are not told apart by being even, or 1, or a multiple of something: one graph for all.
        with known_warnings(), config.patch(backed_size_oblivious=True):
            return torch.export.export(network, (probe.input,), dynamic_shapes=(dims,))
    except _REFUSALS as error:
        one = (
            "export it for one size: geoseg export --size 512, in Python "
            f"geoseg.learner.export.{_WRITERS[suffix]}(learner, uri, size=512); or "
        )
        cure = f"{'' if fixed else one}use the bundle"
        raise ConfigError(
            f"{type(network.network).__name__}: torch.export cannot take this network apart: "
            f"{' '.join(str(error).split())[:300]}; {cure}"
        ) from error


def _check_torch() -> None:
    found = tuple(int(part) for part in torch.__version__.split(".")[:2])
    if found < _TORCH:
        raise ConfigError(
            f"exports need torch {'.'.join(map(str, _TORCH))} or newer, but this is {torch.__version__}; "
            "pip install -U torch, or use the bundle"
        )
