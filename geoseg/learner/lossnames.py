"""The losses that can be named, and how a name is read: "cross_entropy+0.5*dice". Needs no torch."""

from __future__ import annotations

import math
from collections.abc import Iterable
from types import MappingProxyType

from geoseg.errors import ConfigError
from geoseg.learner.choices import chosen, refuse_unknown

OPTIONS = MappingProxyType(
    {
        "cross_entropy": (),
        "dice": ("smooth",),
        "focal": ("gamma",),
        "lovasz": (),
        "tversky": ("alpha", "beta", "smooth"),
    }
)
"""Each loss with its options, beside `ignore_index` and class weights."""
MULTILABEL_OPTIONS = MappingProxyType({"bce": (), "dice": ("smooth",)})
"""The same of losses of classes that may overlap, each a question of its own."""
OF_VOLUMES, OF_MULTILABEL_VOLUMES = "cross_entropy+dice", "bce+dice"
"""What volumes are trained with where nobody says; what is searched is small beside a volume, and cross entropy
alone is slow to find it."""
LOSSES = tuple(OPTIONS)
"""Losses that a training can name, or add up with a plus sign between."""
WEIGHTED = ("cross_entropy", "focal")
"""Losses that take class weights."""


def usual_of_volumes(*, multilabel: bool) -> str:
    """What volumes are trained with where nobody names a loss."""
    return OF_MULTILABEL_VOLUMES if multilabel else OF_VOLUMES


def terms(text: str, *, multilabel: bool = False) -> tuple[tuple[float, str], ...]:
    """The (factor, name) of each loss that a text names.

    Several losses have a plus sign between them. A factor stands before its loss with an asterisk
    between; without one it is 1.

    >>> terms("cross_entropy + 0.5*dice")
    ((1.0, 'cross_entropy'), (0.5, 'dice'))

    Args:
        text: Such as "dice".
        multilabel: Whether the losses are of classes that may overlap.

    Raises:
        ConfigError: There is no such loss, a factor is not a number above 0, or a loss comes twice.
    """
    known = tuple(MULTILABEL_OPTIONS) if multilabel else LOSSES
    found = tuple(_term(part, known, multilabel=multilabel) for part in text.split("+"))
    names = [name for _, name in found]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(
                f"loss {text!r} names {name!r} more than once; name it once, with a factor: '2*{name}'"
            )
    return found


def check_options(text: str, options: Iterable[str], *, multilabel: bool = False) -> None:
    """See that each option belongs to one of the losses that a text names.

    Raises:
        ConfigError: An option does not, or there is no such loss.
    """
    table = MULTILABEL_OPTIONS if multilabel else OPTIONS
    known = {option for _, name in terms(text, multilabel=multilabel) for option in table[name]}
    refuse_unknown(f"loss {text!r}", options, known)


def check_weighted(text: str) -> None:
    """See that a text names a loss that takes class weights.

    Raises:
        ConfigError: None of its losses does, or there is no such loss.
    """
    if not any(name in WEIGHTED for _, name in terms(text)):
        raise ConfigError(
            f"class weights are for {' and '.join(WEIGHTED)}, but the loss is {text!r}; leave them out, "
            f"or add such a loss: '{text}+{WEIGHTED[0]}'"
        )


def _term(part: str, known: tuple[str, ...], *, multilabel: bool) -> tuple[float, str]:
    factor, star, name = part.rpartition("*")
    if name.strip() not in known and name.strip() in {*OPTIONS, *MULTILABEL_OPTIONS}:
        _refuse_kind(name.strip(), multilabel=multilabel)
    name = chosen("loss", name.strip(), dict.fromkeys(known, name.strip()))
    return (_factor(factor.strip(), name) if star else 1.0), name


def _refuse_kind(name: str, *, multilabel: bool) -> None:
    """Tell that a loss is of the other kind of classes."""
    if multilabel:
        raise ConfigError(
            f"loss {name!r} is for exclusive classes, of which each voxel has one; with "
            'overlap="multilabel" use loss="bce+dice"'
        )
    raise ConfigError(
        f"loss {name!r} is for classes that may overlap, in volumes with "
        'overlap="multilabel"; use loss="cross_entropy+dice"'
    )


def _factor(text: str, name: str) -> float:
    try:
        factor = float(text)
    except ValueError:
        factor = math.nan
    if not 0 < factor < math.inf:
        raise ConfigError(
            f"the factor of loss {name!r} is {text!r}, expected a number above 0: '0.5*{name}'"
        )
    return factor
