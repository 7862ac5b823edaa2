"""How overlapping windows share a pixel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from geoseg.choices import one_of

Blend = Literal["center", "mean", "linear", "hann", "gaussian"]
"""The name of a way, see `blend_weights` and `owned_spans`."""


def check_blend(blend: str) -> None:
    """See that there is such a way.

    Raises:
        ConfigError: There is none.
    """
    one_of(blend, sorted(get_args(Blend)), name="blend")


def blend_weights(blend: Blend, length: int) -> NDArray[np.float64]:
    """The weight of every pixel along one side of a window; a pixel weighs the product of both sides.

    For pixel i of n, with t = (i + 0.5) / n:

    - "mean": 1
    - "linear": 1 - abs(2 t - 1)
    - "hann": sin(pi t) ** 2
    - "gaussian": exp(-((t - 0.5) * 8) ** 2 / 2), that is a sigma of n / 8 pixels
    - "center": 1, since nothing is added up: `owned_spans` tells whose a pixel is

    All are above 0, so that no pixel is lost that a single window covers.
    """
    check_blend(blend)
    t = (np.arange(length) + 0.5) / length
    if blend == "linear":
        return 1 - np.abs(2 * t - 1)
    if blend == "hann":
        return np.sin(np.pi * t) ** 2
    if blend == "gaussian":
        return np.exp(-(((t - 0.5) * 8) ** 2) / 2)
    return np.ones(length)


def owned_spans(starts: Sequence[int], size: int, length: int) -> dict[int, tuple[int, int]]:
    """The start of each window on a side, and the (first, stop) pixels that it owns by "center".

    Two neighbours part in the middle of their overlap; the first and the last own up to the edge.

    >>> owned_spans([0, 3, 6, 7], size=4, length=11)
    {0: (0, 3), 3: (3, 6), 6: (6, 8), 7: (8, 11)}
    """
    cuts = [(starts[i] + size + starts[i + 1]) // 2 for i in range(len(starts) - 1)]
    spans = zip([0, *cuts], [*cuts, length], strict=True)
    return dict(zip(starts, spans, strict=True))
