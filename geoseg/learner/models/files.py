"""Weights in local files, read without running code from them."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from geoseg.errors import BundleError, ConfigError

SUFFIXES = (".safetensors", ".pth", ".pt", ".ckpt", ".bin")
"""Endings of files that hold weights; all but the first are read as pickles of tensors."""
_NESTED = ("state_dict", "model_state_dict", "model", "network", "encoder", "teacher", "student")
"""Keys under which training programs keep weights beside other things."""


def read_weights(uri: str) -> dict[str, Tensor]:
    """The tensors of a file by name, on the CPU.

    Raises:
        ConfigError: The name has another ending.
        BundleError: The file is missing or damaged, holds no named tensors, or holds other things that
            could run code when opened.
    """
    path = Path(uri)
    if path.suffix.lower() not in SUFFIXES:
        raise ConfigError(
            f'weights is {uri!r}, expected None, "imagenet", or a local file that ends with one of: '
            f"{', '.join(SUFFIXES)}"
        )
    if not path.is_file():
        raise BundleError(f"{uri}: there is no such file of weights; give the path of a local file")
    if path.suffix.lower() == ".safetensors":
        return _safetensors(uri)
    return _named_tensors(_unpickled(uri), uri=uri)


def _safetensors(uri: str) -> dict[str, Tensor]:
    try:
        return load_file(uri)
    except (SafetensorError, OSError) as error:
        raise BundleError(
            f"{uri}: is no safetensors file, or is damaged ({error}); fetch or write it again"
        ) from error


def _unpickled(uri: str) -> object:
    """What torch wrote, as far as it is made of tensors and plain values."""
    try:
        content: object = torch.load(uri, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise BundleError(
            f"{uri}: is damaged, or holds more than tensors and could run code when opened, which is "
            "refused; where you trust it, load it yourself, and save the weights alone with "
            "safetensors.torch.save_file(network.state_dict(), path)"
        ) from error
    except (RuntimeError, EOFError, OSError) as error:
        raise BundleError(
            f"{uri}: cannot be read as weights ({str(error).splitlines()[0] if str(error) else 'empty'}); "
            "expected a state dict written by torch.save"
        ) from error
    return content


def _named_tensors(content: Any, *, uri: str) -> dict[str, Tensor]:
    """The state dict in a file, which may be kept under a key beside other things."""
    while isinstance(content, Mapping):
        tensors = {str(key): value for key, value in content.items() if isinstance(value, Tensor)}
        nested = [key for key in _NESTED if isinstance(content.get(key), Mapping)]
        if tensors and not nested:
            return tensors
        if not nested:
            break
        content = content[nested[0]]
    raise BundleError(
        f"{uri}: holds no state dict; expected names with tensors, alone or under one of: "
        f"{', '.join(_NESTED)}"
    )
