"""Augmentation as users have it: callables on the sample, or `f(image=..., mask=...)` as albumentations'."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from geoseg.datasets.windowed.bysample import by_sample, told
from geoseg.datasets.windowed.imagery import ImageRule
from geoseg.datasets.windowed.libraries import library_of
from geoseg.datasets.windowed.options import plain
from geoseg.datasets.windowed.sample import Item, Sample, tensor
from geoseg.errors import ConfigError

_FLAT, _CUBE = 2, 3


@dataclass(frozen=True)
class Step:
    """One callable, and how it is called."""

    call: Callable[..., Any]
    style: Literal["sample", "whole sample", "image and mask"]
    """A "whole sample" is moved with its `valid`, for sure."""

    @property
    def name(self) -> str:
        """For an error."""
        return getattr(self.call, "__qualname__", type(self.call).__qualname__)


@dataclass(frozen=True)
class Augmentation:
    """All steps of a data set, one after the other."""

    steps: tuple[Step, ...]
    images: ImageRule
    ignored_id: int
    n_classes: int

    def __call__(self, sample: Sample) -> Item:
        """Tensors `image`, `mask` and `valid`, and what steps add to the sample.

        Raises:
            ConfigError: A step gives something else than an image and a mask that fit.
        """
        item: Item | None = None
        for step in self.steps:
            if step.style == "image and mask":
                sample = sample if item is None else _sample_of(item)
                sample = self._by_arrays(step, sample)
                item = None if item is None else item | self.tensors(sample)
            else:
                item = self._by_sample(step, self.tensors(sample) if item is None else item)
                sample = _sample_of(item)
        return self.tensors(sample) if item is None else item

    def tensors(self, sample: Sample) -> Item:
        """The item of a sample."""
        return {
            "image": torch.from_numpy(self.images.to_unit(sample.image)),
            "mask": tensor(sample.mask),
            "valid": tensor(sample.valid),
        }

    def _by_sample(self, step: Step, item: Item) -> Item:
        """Call with the sample; what is not valid goes along as an id where `valid` may be left behind."""
        return by_sample(
            step.call,
            item,
            hidden=self._code()[1] if step.style == "sample" else None,
            ignored_id=self.ignored_id,
            name=step.name,
        )

    def _by_arrays(self, step: Step, sample: Sample) -> Sample:
        """Call with (height, width, band) and (height, width); what is not valid goes along as an id."""
        ids, hidden = self._coded(sample)
        found = step.call(image=np.ascontiguousarray(np.moveaxis(sample.image, 0, -1)), mask=ids)
        if not isinstance(found, Mapping) or not {"image", "mask"} <= set(found):
            raise ConfigError(
                f"{step.name}: gave {told(found)}, expected a mapping with image and mask"
            )
        image, mask = _bands_first(found["image"]), _flat(found["mask"])
        if image.shape[1:] != mask.shape:
            raise ConfigError(
                f"{step.name}: image is {image.shape[1:]} and mask {mask.shape}, expected the same size"
            )
        valid = mask != hidden
        ids = (np.rint(mask) if mask.dtype.kind == "f" else mask).astype(np.int64)
        return Sample(image, ids, valid).with_missing_hidden(self.ignored_id)

    def _coded(self, sample: Sample) -> tuple[NDArray[Any], int]:
        """The mask in the narrowest dtype that libraries know, and the id there of what is not valid."""
        dtype, hidden = self._code()
        return np.where(sample.valid, sample.mask, hidden).astype(dtype), hidden

    def _code(self) -> tuple[type[np.integer[Any]], int]:
        """The narrowest dtype that libraries know, and an id in it that is neither a class nor ignored."""
        taken = self.ignored_id, self.n_classes - 1
        for dtype in (np.uint8, np.int16, np.int32):
            limits = np.iinfo(dtype)
            hidden = next(i for i in (limits.max, limits.max - 1) if i != self.ignored_id)
            if min(taken) >= limits.min and max(taken) <= limits.max and self.n_classes <= hidden:
                return dtype, int(hidden)
        raise ConfigError(f"ignore_index is {self.ignored_id}, expected at most 32 bits")


def augmentation_of(
    given: Any, *, images: ImageRule, ignored_id: int, n_classes: int
) -> Augmentation | None:
    """The augmentation of what users give: callables, or Hydra's nodes of such; None for nothing.

    Raises:
        ConfigError: Something is not callable.
    """
    if given is None:
        return None
    steps = tuple(_step_of(one) for one in _one_by_one(given))
    return Augmentation(steps, images, ignored_id, n_classes) if steps else None


def _one_by_one(given: Any) -> list[Any]:
    """The callables of a list, of one alone, and of what torch has for several."""
    if isinstance(given, torch.nn.Sequential):
        return [one for part in given for one in _one_by_one(part)]
    if isinstance(given, Sequence) and not isinstance(given, str) and not callable(given):
        return [one for part in given for one in _one_by_one(part)]
    return [given]


def _step_of(given: Any) -> Step:
    if isinstance(given, Mapping) and "_target_" in given:
        given = _instantiated(given)
    if not callable(given):
        raise ConfigError(
            f"augmentation_list holds {given!r}, expected callables on the sample, or "
            "f(image=..., mask=...) as albumentations has them"
        )
    library = library_of(given)
    if library is not None:
        return Step(library, "whole sample")
    return Step(given, "image and mask" if _takes_image_and_mask(given) else "sample")


def _takes_image_and_mask(call: Any) -> bool:
    """Whether a callable names both, or takes any keyword and no argument of its own."""
    try:
        found = inspect.signature(call.forward if isinstance(call, torch.nn.Module) else call)
    except (TypeError, ValueError):  # built-ins have none
        return False
    parameters = found.parameters.values()
    if {"image", "mask"} <= set(found.parameters):
        return True
    needs = any(
        p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
        for p in parameters
    )
    any_keyword = any(p.kind is p.VAR_KEYWORD for p in parameters)
    return any_keyword and not needs and not isinstance(call, torch.nn.Module)


def _instantiated(node: Mapping[str, Any]) -> Any:
    try:
        from hydra.utils import instantiate
    except ImportError as error:
        raise ConfigError(
            f"augmentation_list holds a node with _target_ {node['_target_']!r}, which Hydra makes an object "
            "of; install hydra-core, or give the object"
        ) from error
    return instantiate(plain(node))


def _sample_of(item: Item) -> Sample:
    return Sample(item["image"].numpy(), item["mask"].numpy(), item["valid"].numpy())


def _bands_first(image: Any) -> NDArray[Any]:
    """(band, height, width) of an array with bands last, of a flat one, or of a tensor with bands first."""
    if isinstance(image, torch.Tensor):
        array = image.detach().cpu().numpy()
        return array[None] if array.ndim == _FLAT else array
    array = np.asarray(image)
    return array[None] if array.ndim == _FLAT else np.moveaxis(array, -1, 0)


def _flat(mask: Any) -> NDArray[Any]:
    array = mask.detach().cpu().numpy() if isinstance(mask, torch.Tensor) else np.asarray(mask)
    return array[..., 0] if array.ndim == _CUBE and array.shape[-1] == 1 else array
