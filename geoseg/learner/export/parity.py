"""Whether a written file computes what the model does that it was made from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from geoseg.datasets.windows import scale_of
from geoseg.errors import BundleError
from geoseg.learner.export.facts import ExportFacts
from geoseg.learner.export.network import as_input
from geoseg.sources.base import Chip

if TYPE_CHECKING:
    from geoseg.learner.module import SegmentationModule

Run = Callable[[Tensor], Tensor]
"""Image (batch, channel, height, width) float32 to probabilities (batch, class, height, width)."""

TOLERANCE = 1e-4
"""By which a probability may differ."""
_SHAPES = ((2, 65, 98), (1, 96, 64), (3, 33, 47))
"""(batch, height, width) of images for models that take any: odd and even ones."""
_BATCHES = (2, 1, 3)
_VALID = 0.9


@dataclass(frozen=True, slots=True, eq=False)
class Probe:
    """A batch, and what the model makes of it."""

    image: Tensor
    """(batch, channel, height, width) in the native dtype, with values like those of training."""
    valid: Tensor
    """(batch, height, width) bool."""
    expected: Tensor
    """(batch, class, height, width), the probabilities."""

    @property
    def input(self) -> Tensor:
        """The batch as an exported network takes it."""
        return as_input(self.image, self.valid)


def probes_for(module: SegmentationModule, facts: ExportFacts) -> list[Probe]:
    """Random batches with what the module gives for them.

    Raises:
        ConfigError: The module's network does not give logits of the right shape.
    """
    rng = np.random.default_rng(0)
    shapes = _SHAPES if facts.size is None else [(batch, *facts.size) for batch in _BATCHES]
    found = []
    for shape in shapes:
        image, valid = _random(rng, module, facts, shape)
        with torch.inference_mode():
            logits = module(_as_trained(image, facts), valid)
        found.append(Probe(image, valid, torch.softmax(logits.float(), dim=1)))
    return found


def check_parity(uri: str, run: Run, probes: Sequence[Probe]) -> None:
    """Compare a file with the model that it was made from.

    Args:
        uri: The name that the file is to have, for the error.
        run: Computes what is in the file.
        probes: See `probes_for`.

    Raises:
        BundleError: Somewhere a probability differs by more than 1e-4.
    """
    for probe in probes:
        found = run(probe.input)
        same = found.shape == probe.expected.shape
        difference = float((found - probe.expected).abs().max()) if same else np.nan
        if not difference <= TOLERANCE:
            differs = f"its probabilities differ by up to {difference:.3g}"
            raise BundleError(
                f"{uri}: not written: for images {tuple(probe.image.shape)} "
                + (differs if same else f"it gives {tuple(found.shape)}")
                + f", expected those of the model (to {TOLERANCE:g}); the network does something that "
                "the format cannot hold: export it for one size, or use the bundle"
            )


def _random(
    rng: np.random.Generator,
    module: SegmentationModule,
    facts: ExportFacts,
    shape: tuple[int, int, int],
) -> tuple[Tensor, Tensor]:
    """Pixels with the statistics of training, some of them not valid."""
    batch, height, width = shape
    dtype = np.dtype(facts.dtype)
    mean, std = _spread(module, facts)
    values = rng.normal(size=(batch, facts.channels, height, width))
    values = values * std[:, None, None] + mean[:, None, None]
    if dtype.kind in "ui":
        values = np.clip(values.round(), np.iinfo(dtype).min, np.iinfo(dtype).max)
    valid = rng.random((batch, height, width)) < _VALID
    return torch.from_numpy(values.astype(dtype)), torch.from_numpy(valid)


def _spread(
    module: SegmentationModule, facts: ExportFacts
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(mean, deviation) of each channel, or of all, in the units of the source."""
    if facts.info.data is not None:
        data = facts.info.data
        # Images that a data set of one's own scales may be others in the files.
        scale = scale_of(np.dtype(data.dtype)) / scale_of(np.dtype(facts.dtype))
        return np.array(data.statistics.mean) * scale, np.array(data.statistics.std) * scale
    dtype = np.dtype(facts.dtype)
    full = np.iinfo(dtype).max if dtype.kind == "u" else 1
    mean, std = (
        value.detach().numpy().ravel().astype(np.float64) for value in (module.mean, module.std)
    )
    return mean * full, std * full


def _as_trained(image: Tensor, facts: ExportFacts) -> Tensor:
    """The images as scenes give them that end with the Standardize of training."""
    standardize = None if facts.info.data is None else facts.info.data.standardize
    if standardize is None:
        return image
    everywhere = np.ones(image.shape[2:], bool)
    done = [standardize(Chip(pixels, everywhere)).data for pixels in image.numpy()]
    return torch.from_numpy(np.stack(done))
