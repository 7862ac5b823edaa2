"""Bundles: a model and what it knows of its data, in one file that runs no code when opened.

A bundle is a zip of `model.safetensors` (weights and normalisation) and `geoseg.yaml` (a BundleInfo).
"""

from __future__ import annotations

import zipfile
from typing import Literal

from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from geoseg.classes import ClassMap
from geoseg.errors import BundleError, ConfigError
from geoseg.learner.facts import DataFacts
from geoseg.learner.training import Training
from geoseg.outputs import written_whole
from geoseg.spec import Spec

_WEIGHTS, _INFO = "model.safetensors", "geoseg.yaml"
_DATE = (1980, 1, 1, 0, 0, 0)
"""Of every member, so that equal models give equal bytes; the earliest that a zip can hold."""


class BundleInfo(Spec):
    """Everything about a model but its weights."""

    format: Literal["geoseg-bundle/1"] = "geoseg-bundle/1"
    """What this file is."""
    classes: ClassMap
    """The classes, in the order of the model's channels."""
    training: Training
    """How it was trained; tells how its network is built."""
    in_channels: int
    """Channels of the image."""
    data: DataFacts | None
    """The data it was trained on; None for a model that was never fitted to scenes."""


def save_bundle(uri: str, info: BundleInfo, weights: dict[str, Tensor]) -> None:
    """Write a bundle under a temporary name and rename it when whole.

    Args:
        uri: A local path; missing folders are made.
        info: Goes in as YAML.
        weights: Goes in as safetensors.

    Raises:
        StoreError: The place cannot be written.
    """
    tensors = {key: value.contiguous().cpu() for key, value in sorted(weights.items())}
    with written_whole(uri) as path, zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as file:
        file.writestr(zipfile.ZipInfo(_WEIGHTS, _DATE), save(tensors))
        file.writestr(zipfile.ZipInfo(_INFO, _DATE), info.to_yaml())


def load_bundle(uri: str) -> tuple[BundleInfo, dict[str, Tensor]]:
    """What a bundle holds: (info, weights).

    Raises:
        BundleError: The file is missing, is no bundle, or is damaged.
    """
    try:
        with zipfile.ZipFile(uri) as file:
            text = file.read(_INFO).decode()
            weights = load(file.read(_WEIGHTS))
    except FileNotFoundError as error:
        raise BundleError(f"{uri}: no such bundle; `geoseg train` writes one") from error
    except (OSError, zipfile.BadZipFile, KeyError, SafetensorError, UnicodeDecodeError) as error:
        raise BundleError(
            f"{uri}: is no geoseg bundle, or is damaged ({error}); expected a zip with {_WEIGHTS} and "
            f"{_INFO}"
        ) from error
    try:
        return BundleInfo.from_yaml(text), weights
    except (ValidationError, ConfigError) as error:
        first = error.errors()[0] if isinstance(error, ValidationError) else None
        place = ".".join(str(part) for part in first["loc"]) if first else ""
        raise BundleError(
            f"{uri}: its {_INFO} is not understood ({place}: {first['msg'] if first else error}); it "
            "may be of a newer geoseg"
        ) from error
