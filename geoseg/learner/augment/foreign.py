"""Callables that a user brings: how they are called, and whether the batch keeps its form."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from geoseg.datasets.windowed.bysample import valid_after
from geoseg.errors import ConfigError
from geoseg.learner.augment.batch import MOVING, Augmentation, Batch
from geoseg.learner.augment.libraries import of_library

_HIGHEST = 254
"""The first id to stand for not valid in masks; 255 is what callables write where nothing is to be learnt."""

_NARROW = {torch.bool: 1, torch.int8: 127}
"""The highest ids of dtypes that do not reach so far."""

_OWN = "geoseg.learner.augment."
"""Where functions are that move `valid` with the mask, such as `d4`."""

_HOW = (
    "an augmentation takes (batch, generator), or the batch alone; wrap it in a function that does"
)


def adapted(what: Callable[..., Batch]) -> Augmentation:
    """A callable as an augmentation; what it gives is checked.

    - One that takes a batch and a second argument without a default, or one called `generator`, gets the
      `torch.Generator`.
    - One that takes the batch alone draws from torch's global generators, which are seeded from the
      `torch.Generator` while it runs; what it draws elsewhere does not repeat.
    - It need not know of `valid`: the mask that it gets has an id of its own where a pixel is not valid,
      and a `valid` that comes back as it came follows the mask.
    - Transforms of torchvision v2 and kornia: see `geoseg.learner.augment.libraries`.

    Raises:
        ConfigError: It takes something else, or is one of torchvision's transforms that know no masks.
    """
    whole = of_library(what)
    if whole is not None:
        return _Seeded(whole, _name_of(what), moves_valid=True)
    own = str(getattr(what, "__module__", "")).startswith(_OWN)
    kind = _Checked if _takes_generator(what) else _Seeded
    return kind(what, _name_of(what), moves_valid=own)


@dataclass(frozen=True)
class _Checked:
    """A user's (batch, generator) -> batch."""

    change: Callable[[Batch, torch.Generator], Batch]
    name: str
    moves_valid: bool
    """Whether `valid` goes with the mask for sure, as in the functions of this package."""

    def __call__(self, batch: Batch, generator: torch.Generator) -> Batch:
        return _called(
            batch,
            lambda given: self.change(given, generator),
            name=self.name,
            moves_valid=self.moves_valid,
        )


@dataclass(frozen=True)
class _Seeded:
    """A user's batch -> batch that draws from torch's global generators."""

    change: Callable[[Batch], Batch]
    name: str
    moves_valid: bool

    def __call__(self, batch: Batch, generator: torch.Generator) -> Batch:
        if isinstance(self.change, nn.Module):
            self.change.to(batch["image"].device)
        with _seeded(generator, batch["image"].device):
            return _called(batch, self.change, name=self.name, moves_valid=self.moves_valid)


@contextmanager
def _seeded(generator: torch.Generator, device: torch.device) -> Iterator[None]:
    """Torch's global generators follow from this one within, and are as before after."""
    seed = int(torch.randint(1 << 62, (), generator=generator))
    cuda = device.type == "cuda"
    with torch.random.fork_rng(devices=[device] if cuda else []):
        torch.default_generator.manual_seed(seed)
        if cuda:
            with torch.cuda.device(device):
                torch.cuda.manual_seed(seed)
        yield


def _takes_generator(what: Callable[..., Batch]) -> bool:
    """Whether a callable takes a generator beside the batch, by its signature."""
    called = what.forward if isinstance(what, nn.Module) else what
    try:
        parameters = inspect.signature(called).parameters.values()
    except ValueError as error:  # some written in C have none
        raise ConfigError(f"{_name_of(what)} does not tell what it takes; {_HOW}") from error
    places = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    needed = [p for p in parameters if p.default is p.empty and p.kind is p.KEYWORD_ONLY]
    needed += [p for p in places if p.default is p.empty]
    takes_two = len(places) > 1 and (places[1] in needed or places[1].name == "generator")
    if not places or len(needed) > 1 + takes_two:
        raise ConfigError(f"{_name_of(what)} takes {inspect.signature(called)}; {_HOW}")
    return takes_two


def _called(batch: Batch, change: Callable[[Batch], Any], *, name: str, moves_valid: bool) -> Batch:
    """What a callable makes of a batch; where it leaves `valid` as it came, `valid` follows the mask.

    Where the mask tells that a pixel is not valid, it is left as it came.

    Raises:
        ConfigError: It gives a batch of another form, or one whose `valid` contradicts its mask.
    """
    before, mask = batch["valid"], batch["mask"]
    if moves_valid or bool(before.all()):
        return _same_form(batch, change(_copied(batch)), name=name)
    hidden = _unused(mask, name=name)
    coded = mask.masked_fill(~before, hidden)
    after = _same_form(batch, change(_copied({**batch, "mask": coded})), name=name)
    moved = after["mask"]
    valid = valid_after(
        after["image"], coded, moved, after["valid"], before, hidden=hidden, name=name
    )
    return {**after, "mask": torch.where(moved == hidden, mask, moved), "valid": valid}


def _unused(mask: Tensor, *, name: str) -> int:
    """The highest id up to 254 that no pixel has and the dtype can hold.

    Raises:
        ConfigError: All are in use.
    """
    highest = _NARROW.get(mask.dtype, _HIGHEST)
    unused = (number for number in range(highest, -1, -1) if not bool((mask == number).any()))
    if (found := next(unused, None)) is None:
        raise ConfigError(
            f"augmentation {name} gets a batch with all ids from 0 to {highest} in its mask, expected one "
            "left for what is not valid; take an augmentation of geoseg, torchvision v2 or kornia"
        )
    return found


def _same_form(before: Batch, after: Any, *, name: str) -> Batch:
    """What a callable gave, seen to be a batch of the same form.

    Raises:
        ConfigError: It is no dictionary, or a key, a shape or a dtype is not as before.
    """
    if not isinstance(after, dict):
        raise ConfigError(
            f"augmentation {name} gives {type(after).__name__}, expected a dictionary with the keys of the "
            "batch"
        )
    if missing := [key for key in before if key not in after]:
        raise ConfigError(f"augmentation {name} loses {missing}; give back all keys of the batch")
    for key in MOVING:
        expected, got = _form(before[key]), _form(after[key])
        if got != expected:
            raise ConfigError(
                f"augmentation {name} makes {got} of {key!r}, expected {expected} as it came; leave size "
                "and dtype as they are"
            )
    return after


def _form(value: Any) -> str:
    if not isinstance(value, Tensor):
        return type(value).__name__
    return f"{value.dtype} {tuple(value.shape)}"


def _copied(batch: Batch) -> Batch:
    """A batch that may be written into."""
    return {**batch, **{key: batch[key].clone() for key in MOVING}}


def _name_of(what: Any) -> str:
    return str(getattr(what, "__qualname__", type(what).__qualname__))
