"""Prediction of a volume by sliding windows, slab by slab: memory that does not grow with the depth."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import product
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from geoseg.choices import one_of
from geoseg.datasets.volumetric.boxes import Size3D, triple
from geoseg.datasets.windowed.options import whole_of
from geoseg.errors import ConfigError
from geoseg.window import starts

VolumeBlend = Literal["constant", "gaussian"]
Activation = Literal["softmax", "sigmoid"] | Callable[[Tensor], Tensor] | None
Side = Size3D
Slab = tuple[int, NDArray[np.float32]]
"""(first plane, scores (class, planes, height, width))."""
Place = tuple[int, int]
"""(row, column) of a window."""

_AXES = ("depth", "height", "width")
_SIGMA = 1 / 8
"""Of a window's side: the deviation of the gaussian weights."""
_LEAST = 1e-3
"""The least weight of a voxel: corners far from the centre count too where no other window reaches."""


def predict_volume(
    model: nn.Module | Callable[[Tensor], Tensor],
    image: NDArray[Any],
    size: Side,
    stride: Side | None = None,
    *,
    blend: VolumeBlend = "gaussian",
    activation: Activation = "softmax",
    batch_size: int = 4,
    valid: NDArray[np.bool_] | None = None,
    device: torch.device | str | None = None,
) -> Iterator[Slab]:
    """Scores of a volume, in slabs of planes that no later window touches.

    Windows lie `stride` apart, the last of a row flush with the far side. Where the volume is smaller than
    a window it is padded with 0 on both sides alike. The activation comes before the blending, so that
    scores are means of scores. The result is that of MONAI's `sliding_window_inference` with an overlap of
    1 - stride / size, to about 1e-6; peak memory grows with height and width, not with depth.

    Args:
        model: From (batch, channel, depth, height, width) floats to (batch, class, depth, height, width).
            A module is put into `eval` mode meanwhile, and its own device is used.
        image: (channel, depth, height, width), of numbers as the model wants them; it may be mapped from a
            file, windows are read one by one and cast to float32.
        size: Voxels of a window.
        stride: From window to window; None: half a window.
        blend: Weights within a window: all alike, or a gaussian around the centre with a deviation of an
            eighth of each side.
        activation: What makes scores of logits: over the classes, or each by itself; None: nothing.
        batch_size: Windows that the model sees at once.
        valid: (depth, height, width); the model sees 0 where it is False, as in training, so that NaN there
            spoils no neighbour. Windows without a valid voxel are not predicted, and have scores 0 where no
            other window lies. None: all.
        device: Where a model that is no module computes; None: the CPU.

    Returns:
        (first plane, scores (class, planes, height, width) float32), in the order of the planes, each made
        when it is asked for.

    Raises:
        ConfigError: A number or a shape is wrong; when slabs are made, the model's output does not fit its
            input.
    """
    windows = _Windows(image, size, stride, valid=valid)
    weight, score = _weights(windows.size, blend), _scorer(model, activation, device)
    several = whole_of(batch_size, name="batch_size", least=1)

    def slabs() -> Iterator[Slab]:
        with _evaluating(model):
            yield from _slabs(windows, weight, score, batch_size=several)

    return slabs()


@contextmanager
def _evaluating(model: Callable[[Tensor], Tensor]) -> Iterator[None]:
    """A module in `eval` mode, and afterwards in the mode that it had."""
    if not isinstance(model, nn.Module):
        yield
        return
    training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(training)


def _slabs(
    windows: _Windows,
    weight: Tensor,
    score: Callable[[Tensor], Tensor],
    *,
    batch_size: int,
) -> Iterator[Slab]:
    """Add windows up in a ring of planes, and give away those that are done."""
    ring: _Ring | None = None
    ends = [*windows.planes[1:], windows.padded[0]]
    for plane, end in zip(windows.planes, ends, strict=True):
        places = windows.of_slab(plane)
        asked = places
        if not places and ring is None:
            asked = [(0, 0)]  # that tells how many classes there are
        for few in _batches(asked, batch_size):
            scores = score(torch.from_numpy(windows.read(plane, few)))
            _check_scores(scores, len(few), windows.size)
            ring = _Ring(scores.shape[1], windows) if ring is None else ring
            for place, found in zip(few if places else (), scores, strict=False):
                ring.add(found, weight, place)
        slab = None if ring is None else windows.cropped(plane, ring.take(end - plane))
        if slab is not None:
            yield slab


def _batches(places: list[Place], size: int) -> Iterator[list[Place]]:
    return (places[first : first + size] for first in range(0, len(places), size))


class _Windows:
    """Where windows lie in a padded volume, and their pixels."""

    def __init__(
        self,
        image: NDArray[Any],
        size: Side,
        stride: Side | None,
        *,
        valid: NDArray[np.bool_] | None,
    ) -> None:
        if image.ndim != 1 + len(_AXES) or 0 in image.shape:
            raise ConfigError(
                f"the image has shape {image.shape}, expected (channel, depth, height, width), each at "
                "least 1"
            )
        self.image, self.valid = image, valid
        self.shape = image.shape[1:]
        if valid is not None and (valid.shape != self.shape or valid.dtype.kind != "b"):
            raise ConfigError(
                f"valid has shape {valid.shape} of {valid.dtype}, the image {self.shape}; give both alike, "
                "valid as bool"
            )
        self.size = triple(size)
        self.stride = (
            tuple(max(n // 2, 1) for n in self.size)
            if stride is None
            else triple(stride, name="stride")
        )
        for name, step, side in zip(_AXES, self.stride, self.size, strict=True):
            if step > side:
                raise ConfigError(
                    f"stride {step} along the {name} is longer than the window ({side}): voxels between "
                    "would have no score; choose a stride of at most the size"
                )
        # Half of what is missing comes before: the volume lies in the middle of the window.
        self.before = tuple(
            max(side - n, 0) // 2 for side, n in zip(self.size, self.shape, strict=True)
        )
        self.padded = tuple(max(side, n) for side, n in zip(self.size, self.shape, strict=True))
        self.planes, self.rows, self.cols = (
            list(starts(n, side, step, "flush"))
            for n, side, step in zip(self.padded, self.size, self.stride, strict=True)
        )

    def of_slab(self, plane: int) -> list[Place]:
        """(row, column) of the windows that begin at a plane and have a valid voxel."""
        return [
            place
            for place in product(self.rows, self.cols)
            if self.valid is None or self.valid[self._inside((plane, *place))[0]].any()
        ]

    def read(self, plane: int, places: Sequence[Place]) -> NDArray[np.float32]:
        """(window, channel, depth, height, width), 0 around the volume and where it is not valid."""
        pixels = np.zeros((len(places), len(self.image), *self.size), np.float32)
        for window, place in zip(pixels, places, strict=True):
            inside, target = self._inside((plane, *place))
            shown = window[(slice(None), *target)]
            with np.errstate(over="ignore"):  # past float32 is infinite, as in training
                shown[...] = self.image[(slice(None), *inside)]
            if self.valid is not None:
                shown[:, ~self.valid[inside]] = 0
        return pixels

    def _inside(self, place: Sequence[int]) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
        """(what of the volume a window shows, where in the window that is)."""
        inside, target = [], []
        for at, side, before, n in zip(place, self.size, self.before, self.shape, strict=True):
            first, end = max(at - before, 0), min(at - before + side, n)
            inside.append(slice(first, end))
            target.append(slice(first + before - at, end + before - at))
        return tuple(inside), tuple(target)

    def cropped(self, plane: int, scores: NDArray[np.float32]) -> Slab | None:
        """Planes of the padded volume as planes of the volume; None where there is none among them."""
        depth, rows, cols = (
            slice(before, before + n) for before, n in zip(self.before, self.shape, strict=True)
        )
        first, end = max(plane, depth.start), min(plane + scores.shape[1], depth.stop)
        if end <= first:
            return None
        inner = scores[:, first - plane : end - plane, rows, cols]
        return first - depth.start, np.ascontiguousarray(inner)


class _Ring:
    """Weighted sums of scores over as many planes as a window has."""

    def __init__(self, classes: int, windows: _Windows) -> None:
        self._hits = torch.zeros(windows.size[0], *windows.padded[1:])
        self._sums = torch.zeros(classes, *self._hits.shape)

    def add(self, scores: Tensor, weight: Tensor, place: Place) -> None:
        """Add the scores (class, depth, height, width) of a window."""
        rows, cols = (
            slice(at, at + side) for at, side in zip(place, scores.shape[-2:], strict=True)
        )
        self._sums[..., rows, cols] += scores * weight
        self._hits[..., rows, cols] += weight

    def take(self, planes: int) -> NDArray[np.float32]:
        """The mean scores (class, planes, height, width) of the first planes, which leave the ring."""
        hits = self._hits[:planes].clamp(min=torch.finfo(torch.float32).tiny)
        found: NDArray[np.float32] = (self._sums[:, :planes] / hits).numpy()
        for buffer in (self._sums, self._hits[None]):
            kept = buffer.shape[1] - planes
            buffer[:, :kept] = buffer[:, planes:].clone()
            buffer[:, kept:] = 0
        return found


def _weights(size: Sequence[int], blend: str) -> Tensor:
    """(depth, height, width) of the weights within a window, the largest near 1."""
    if one_of(blend, VolumeBlend, name="blend") == "constant":
        return torch.ones(*size)
    weight = torch.ones((), dtype=torch.float64)
    for side in size:
        place = torch.arange(side, dtype=torch.float64) - (side - 1) / 2
        weight = weight[..., None] * torch.exp(-(place**2) / (2 * (side * _SIGMA) ** 2))
    return weight.to(torch.float32).clamp(min=max(float(weight.min()), _LEAST))


def _scorer(
    model: Callable[[Tensor], Tensor], activation: Activation, device: torch.device | str | None
) -> Callable[[Tensor], Tensor]:
    """From windows on the CPU to scores on the CPU."""
    active = _activation(activation)
    if device is None and isinstance(model, nn.Module):
        device = next((weights.device for weights in model.parameters()), None)

    def score(windows: Tensor) -> Tensor:
        with torch.inference_mode():
            return active(model(windows.to(device or "cpu"))).to("cpu", torch.float32)

    return score


def _activation(given: Activation) -> Callable[[Tensor], Tensor]:
    if callable(given):
        return given
    one_of(given, ("softmax", "sigmoid", None), name="activation", also=", or a callable")
    if given is None:
        return lambda logits: logits
    if given == "softmax":
        return lambda logits: torch.softmax(logits.float(), dim=1)
    return lambda logits: torch.sigmoid(logits.float())


def _check_scores(scores: Tensor, count: int, size: tuple[int, int, int]) -> None:
    shape = tuple(scores.shape)
    if len(shape) != 2 + len(_AXES) or (shape[0], *shape[2:]) != (count, *size):
        raise ConfigError(
            f"the model gives {shape} for {count} windows of {size}, expected (batch, class, depth, height, "
            "width) of the same size"
        )
