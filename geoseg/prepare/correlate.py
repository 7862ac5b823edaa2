"""By how many pixels one array is displaced against another: phase correlation of their edges."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import ConfigError
from geoseg.grid import Floats
from geoseg.prepare.edges import Mask, image_edges, label_edges, shrunk

Kind = Literal["image", "labels"]
Spectrum = NDArray[np.complex128]

SURE = 0.2
"""Below this confidence nothing is taken for measured."""
_LEAST_SIDE = 16
"""Pixels on a side, below which a peak means nothing."""
_LEAST_SHARE = 0.1
"""Of the pixels, as the window weighs them, that must be valid in both."""
_SIGMA = 1.0
"""Pixels by which the correlation is smoothed: finer detail is aliased, and pulls to whole pixels."""
_NOISE = 0.01
"""Of the mean strength of a frequency: the phase of one that is much weaker is noise."""
_AROUND = 4
"""Pixels around the peak that are the peak itself, not another."""
_CHANCE = 5.0
"""Times the spread of all others that a peak reaches by chance."""
_FINE = 64
"""Steps in a pixel when the peak is looked for between pixels."""
_TAPER = 4
"""Pixels, twice, over which weights fall to nothing beside what is not valid."""
_DOUBT = 0.35
"""Below this confidence coarser pixels are tried as well."""
_CLEAR = 0.5
"""The confidence that they need to be believed."""
_LEAST_REACH = 8
"""Coarser pixels that are searched on each side at least."""
_COARSEST = 3
"""Times that pixels are joined two by two."""


@dataclass(frozen=True)
class Shift:
    """A displacement in pixels, positive down and right, and how far it can be trusted."""

    row: float
    """Rows; NaN where nothing could be measured."""
    col: float
    """Columns; NaN likewise."""
    confidence: float
    """From 0 to 1: how far the best match stands out from the next best, times the share of places that
    agree. Unrelated pictures have 0, few of them up to 0.3."""
    places: int = 1
    """How many places were measured and agree."""
    reason: str | None = None
    """Why nothing could be measured; None where something was."""

    @property
    def measured(self) -> bool:
        """Whether there is a number."""
        return self.reason is None

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; None for NaN."""
        return {
            "row": self.row if self.measured else None,
            "col": self.col if self.measured else None,
            "confidence": self.confidence,
            "places": self.places,
            "reason": self.reason,
        }


def unmeasured(reason: str, confidence: float = 0.0) -> Shift:
    """A shift that could not be measured, and why."""
    return Shift(math.nan, math.nan, confidence, 0, reason)


def shift_between(
    a: NDArray[Any],
    b: NDArray[Any],
    valid: Mask | None = None,
    *,
    a_kind: Kind = "image",
    b_kind: Kind = "image",
    most: int = 64,
) -> Shift:
    """Displacement of `a` relative to `b`, to a fraction of a pixel.

    What correlates is the strength of edges: of an image its gradient, over all bands, of labels where
    their numbers change. So pictures of different sensors can be compared, and labels with pictures.
    The spectra are weighed by a Hann window and by what is valid, divided by their strength (phase
    correlation), and the peak is looked for in 1/64 pixels by a local Fourier transform.

    Source: C. D. Kuglin and D. C. Hines, The phase correlation image alignment method, 1975;
    M. Guizar-Sicairos et al., Efficient subpixel image registration algorithms, 2008.

    Args:
        a: (height, width) or (band, height, width), real numbers.
        b: The same height and width; bands may differ.
        valid: (height, width), where both are measured; None: everywhere. NaN and infinity never are.
        a_kind: What `a` holds: measurements, or numbers of classes.
        b_kind: The same of `b`.
        most: Pixels along an axis that are searched; at most three eighths of the array's side.

    Returns:
        The shift; NaN with a reason where nothing can be measured.

    Raises:
        ConfigError: The arrays have different shapes.
    """
    first, second = _planes(a), _planes(b)
    shape = first.shape[1:]
    if shape != second.shape[1:] or (valid is not None and valid.shape != shape):
        told = "" if valid is None else f", valid {valid.shape}"
        raise ConfigError(
            f"arrays of {a.shape} and {b.shape}{told} cannot be compared; give pixels of one window"
        )
    if min(shape) < _LEAST_SIDE:
        return unmeasured(f"{shape[0]} x {shape[1]} pixels are too few, expected {_LEAST_SIDE}")
    measured = np.ones(shape, bool) if valid is None else valid
    sides = []
    for planes, kind in ((first, a_kind), (second, b_kind)):
        if planes.dtype.kind == "f":
            measured = measured & np.isfinite(planes).all(axis=0)
        sides.append((planes, kind))
    edges = [
        label_edges(planes[0], measured) if kind == "labels" else image_edges(planes, measured)
        for planes, kind in sides
    ]
    weight = _weights(shrunk(measured))
    if weight is None:
        return unmeasured("hardly a pixel is valid in both")
    for edge, which in zip(edges, ("first", "second"), strict=True):
        if not (edge * weight).any():
            return unmeasured(f"the {which} is flat, without any edge")
    return _matched(edges[0], edges[1], weight, most=most)


def _planes(array: NDArray[Any]) -> NDArray[Any]:
    """(band, height, width)."""
    if array.ndim not in (2, 3) or not array.size:
        raise ConfigError(
            f"an array of {array.shape} is no picture, expected (height, width) or (band, height, width)"
        )
    return array if array.ndim == 3 else array[None]  # noqa: PLR2004


def _weights(inside: Mask) -> Floats | None:
    """A Hann window that also falls to nothing beside what is not valid; None where little is left."""
    height, width = inside.shape
    hann: Floats = np.hanning(height + 2)[1:-1, None] * np.hanning(width + 2)[None, 1:-1]
    if inside.all():
        return hann
    soft = _blurred(_blurred(inside.astype(np.float64)))
    # A sharp rim of one mask over both would match itself, at no shift.
    weight: Floats = hann * np.clip(2 * soft - 1, 0, 1) * inside
    return weight if weight.sum() > _LEAST_SHARE * hann.sum() else None


def _blurred(values: Floats) -> Floats:
    """Means over a square of 2 x `_TAPER` + 1 pixels; the outermost pixels go on outside."""
    side = 2 * _TAPER + 1
    for axis in (0, 1):
        pad = [(0, 0), (0, 0)]
        pad[axis] = (_TAPER + 1, _TAPER)
        sums = np.cumsum(np.pad(values, pad, mode="edge"), axis=axis)
        low, high = ((0, -side), (side, None))
        begin = sums[slice(*low), :] if axis == 0 else sums[:, slice(*low)]
        end = sums[slice(*high), :] if axis == 0 else sums[:, slice(*high)]
        values = (end - begin) / side
    return values


def _matched(a: Floats, b: Floats, weight: Floats, *, most: int) -> Shift:
    """The best match at full resolution, or at a coarser one where it is in doubt there."""
    best = unmeasured("")
    for step, (one, other, weights) in _pyramid(a, b, weight):
        reach = min(most // step, 3 * min(weights.shape) // 8)
        if step > 1 and reach < _LEAST_REACH:  # the best of a few says little
            break
        found = _peak(_spectrum(one, other, weights), weights.shape, reach)
        if step == 1 or found.confidence >= _CLEAR:
            best = Shift(found.row * step, found.col * step, found.confidence)
        if best.confidence >= _DOUBT:
            break
    if best.confidence < SURE:
        return unmeasured(
            "no displacement matches better than others: the two have nothing in common, or repeat "
            "themselves",
            best.confidence,
        )
    return best


def _pyramid(a: Floats, b: Floats, weight: Floats) -> Iterator[tuple[int, list[Floats]]]:
    """(pixels joined on a side, the three arrays), the whole resolution first."""
    layers = [a, b, weight]
    for level in range(_COARSEST + 1):
        yield 1 << level, layers
        height, width = (side // 2 for side in layers[0].shape)
        if min(height, width) < 2 * _LEAST_SIDE:
            return
        layers = [
            layer[: 2 * height, : 2 * width].reshape(height, 2, width, 2).mean(axis=(1, 3))
            for layer in layers
        ]


def _spectrum(a: Floats, b: Floats, weight: Floats) -> Spectrum:
    """The cross-power spectrum, (height, width // 2 + 1), each frequency as strong as another."""
    total = weight.sum()
    one, other = (np.fft.rfft2((side - (side * weight).sum() / total) * weight) for side in (a, b))
    power = one * np.conj(other)
    strength = np.abs(power)
    rows, cols = np.fft.fftfreq(a.shape[0])[:, None], np.fft.rfftfreq(a.shape[1])[None]
    smooth = np.exp(-2 * (np.pi * _SIGMA) ** 2 * (rows**2 + cols**2))
    found: Spectrum = power / (strength + _NOISE * strength.mean() + np.finfo(float).tiny) * smooth
    return found


def _peak(spectrum: Spectrum, shape: tuple[int, ...], most: int) -> Shift:
    """The highest place within reach, and by how much of its height it stands out."""
    height, width = shape
    surface = np.fft.fftshift(np.fft.irfft2(spectrum, s=(height, width)))
    middle = height // 2, width // 2
    near = surface[middle[0] - most : middle[0] + most + 1, middle[1] - most : middle[1] + most + 1]
    row, col = (int(i) for i in np.unravel_index(near.argmax(), near.shape))
    highest = float(near[row, col])
    if not highest > 0 or {row, col} & {0, 2 * most}:  # it goes on rising past the rim
        return unmeasured("")
    apart = np.ones(near.shape, bool)
    apart[max(row - _AROUND, 0) : row + _AROUND + 1, max(col - _AROUND, 0) : col + _AROUND + 1] = (
        False
    )
    others = near[apart]
    rival = max(float(others.max()), _CHANCE * float(others.std()))
    confidence = max(1 - rival / highest, 0.0)
    fine = _refined(spectrum, width, (row - most, col - most))
    return Shift(*fine, confidence)


def _refined(spectrum: Spectrum, width: int, near: tuple[int, int]) -> tuple[float, float]:
    """The highest place within a pixel of one, from the Fourier series itself."""
    steps = np.arange(-_FINE, _FINE + 1) / _FINE
    rows, cols = near[0] + steps, near[1] + steps
    down = np.exp(2j * np.pi * np.outer(rows, np.fft.fftfreq(len(spectrum))))
    across = np.exp(2j * np.pi * np.outer(np.fft.rfftfreq(width), cols))
    twice = np.full((len(across), 1), 2.0)  # the other half of the frequencies mirrors this one
    twice[0] = 1
    if width % 2 == 0:
        twice[-1] = 1
    surface = (down @ spectrum @ (across * twice)).real
    row, col = np.unravel_index(surface.argmax(), surface.shape)
    return float(rows[row]), float(cols[col])
