"""Which kinds of windows a Sampling asks for, and how many of each an epoch has."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from geoseg.classes import ClassMap
from geoseg.errors import ConfigError
from geoseg.sampling.boxes import Ints
from geoseg.sampling.rules import Sampling

Quantity = tuple[int, ...]
"""Pixels of some kinds, as a ClassHistogram numbers the kinds."""

_ROUNDING = 1e-6
"""Pixels by which a share may miss a whole number."""
_FOR_TURNS = 2
"""Sets these random numbers apart from the others."""


@dataclass(frozen=True, slots=True)
class Need:
    """What a window has to hold at least."""

    name: str
    """Of the pixels, in errors."""
    quantity: Quantity
    """Which pixels."""
    share: float = 0.0
    """Of the window's pixels."""
    pixels: int = 1
    """Whatever its size."""

    def of(self, area: Ints) -> Ints:
        """The pixels that windows of some areas have to hold."""
        found: Ints = np.ceil(self.share * area - _ROUNDING).astype(np.int64)
        return found.clip(self.pixels)


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of windows."""

    name: str
    """In errors, after "window"."""
    share: float
    """Of the windows of an epoch."""
    around: Quantity | None
    """Around whose pixels they are laid; None: anywhere."""
    needs: tuple[Need, ...]
    """What each of them holds."""
    without: Quantity | None = None
    """Of which they hold no pixel."""

    @property
    def quantities(self) -> tuple[Quantity, ...]:
        """All that is asked of such windows."""
        asked = (*(need.quantity for need in self.needs), self.around, self.without)
        return tuple(quantity for quantity in asked if quantity is not None)


def kinds_of(sampling: Sampling, classes: ClassMap | None, totals: Ints) -> list[Kind]:
    """The kinds of windows; their shares are 1 together.

    Args:
        sampling: The rules.
        classes: Of the scenes; None: they have no labels.
        totals: (kind of pixel,) in all scenes.

    Raises:
        ConfigError: The rules name an unknown class, or one that has no pixel.
    """
    names = () if classes is None else classes.names
    labelled = tuple(range(len(names)))
    inside = (*labelled, len(names))
    common = [Need("valid inside the AOI", inside)]
    if sampling.min_valid:
        common.append(Need("valid", (*inside, len(names) + 1), sampling.min_valid))
    if sampling.min_labelled:
        common.append(Need("labelled", labelled, sampling.min_labelled))
    kinds, negative = [], sampling.negative_share
    others: Quantity = ()
    if classes is not None and negative is not None:
        others = tuple(i for i in labelled if i != _background(sampling, classes))
        if negative:
            needs = (*common, Need("labelled", labelled))
            kinds.append(Kind("of the background alone", negative, None, needs, others))
        common.append(Need("of another class than the background", others))
    for name, share in _balance(sampling, names, totals, others or labelled):
        one = (names.index(name),)
        needs = (*common, Need(f"of {name!r}", one))
        kinds.append(Kind(f"around the class {name!r}", share, one, needs))
    rest = 1 - sum(kind.share for kind in kinds)
    if rest > _ROUNDING or not kinds:
        name = "with a class other than the background" if others else "anywhere"
        kinds.append(Kind(name, rest, others or None, tuple(common)))
    return kinds


def _balance(
    sampling: Sampling, names: Sequence[str], totals: Ints, balanced: Quantity
) -> Iterator[tuple[str, float]]:
    """(class, share of windows around it)."""
    balance = sampling.class_balance
    if balance is None:
        return
    pixels = dict(zip(names, totals.tolist(), strict=False))
    if isinstance(balance, str):
        found = [names[i] for i in balanced if pixels[names[i]]]
        if not found:
            raise ConfigError(
                "class_balance: the scenes hold no pixel of a class to balance; look at their labels, "
                f"AOIs and nodata; the classes have the pixels {pixels}"
            )
        yield from ((name, (1 - (sampling.negative_share or 0.0)) / len(found)) for name in found)
        return
    for name, share in balance.items():
        if name not in pixels:
            raise ConfigError(
                f"class_balance: no class is called {name!r}; there are: {', '.join(names)}"
            )
        if share and not pixels[name]:
            raise ConfigError(
                f"class_balance: {share:.3g} of the windows are to hold {name!r}, but none can: the scenes "
                f"have no pixel of it; the classes have the pixels {pixels}"
            )
        if share:
            yield name, share


def _background(sampling: Sampling, classes: ClassMap) -> int:
    """The place of the background among the classes."""
    if sampling.background is None:
        if 0 in classes.ids:
            return classes.ids.index(0)
        raise ConfigError(
            "negative_share: no class has the id 0 to be the background; name one of "
            f"{', '.join(classes.names)} as `background`"
        )
    if sampling.background not in classes.names:
        raise ConfigError(
            f"background: no class is called {sampling.background!r}; there are: "
            f"{', '.join(classes.names)}"
        )
    return classes.names.index(sampling.background)


class Turns:
    """Which kind each window of an epoch is: as many of each as its share says, well mixed."""

    def __init__(self, shares: Sequence[float], length: int, seed: int) -> None:
        """Count the windows of each kind.

        Args:
            shares: Of the kinds, 1 together.
            length: Windows in an epoch.
            seed: Where the turns begin follows from it and the epoch.
        """
        sums = np.cumsum(shares)
        self._stops = np.rint(sums / sums[-1] * length).astype(np.int64)
        self._length, self._seed = length, seed
        # Steps of the golden section, made prime to the length, meet every number once, evenly.
        step = max(round(length * (math.sqrt(5) - 1) / 2), 1)
        while math.gcd(step, length) > 1:
            step += 1
        self._step = step

    def of(self, indices: range, epoch: int) -> Ints:
        """(window,) the place of each one's kind in the list."""
        first = int(np.random.default_rng((self._seed, epoch, _FOR_TURNS)).integers(self._length))
        turns = (np.array(indices, np.int64) * self._step + first) % self._length
        return np.searchsorted(self._stops, turns, side="right").astype(np.int64)
