"""Exported models as predictors, with the checks that a bundle makes."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from geoseg.errors import BundleError, ConfigError
from geoseg.learner.bundle import BundleInfo
from geoseg.learner.export.facts import ExportFacts
from geoseg.learner.export.network import as_input
from geoseg.learner.export.onnx import open_onnx
from geoseg.learner.export.parity import Run
from geoseg.learner.export.pt2 import open_pt2
from geoseg.learner.facts import as_trained, check_bands
from geoseg.learner.prediction.checked import Model
from geoseg.learner.prediction.predictor import Predictor
from geoseg.learner.standardized import without_standardize
from geoseg.learner.training import Precision
from geoseg.scene import Scene
from geoseg.window import Size

SUFFIXES = (".onnx", ".pt2")
"""Of the files that `open_model` reads."""


class ExportedModel(Predictor):
    """What `geoseg export` wrote, ready to predict and to be judged; `open_model` opens it."""

    def __init__(self, uri: str, facts: ExportFacts, run: Run, device: torch.device) -> None:
        """See `open_model`.

        Args:
            uri: The file.
            facts: What it says of itself.
            run: Computes it.
            device: Where its images and probabilities are.
        """
        self.uri, self.facts, self.device = uri, facts, device
        self.classes, self.training = facts.info.classes, facts.info.training
        self.data = facts.info.data
        self._run = run

    @property
    def info(self) -> BundleInfo:
        """What a bundle of the same model holds."""
        return self.facts.info

    @property
    def size(self) -> tuple[int, int] | None:
        """(height, width) of the only windows that it takes; None: any."""
        return self.facts.size

    @property
    def digest(self) -> str:
        """SHA-256 of the file, which tells this model from others."""
        with Path(self.uri).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def as_read(self, scene: Scene) -> Scene:
        """A scene in the units that the model takes, once it is known to be like those of training.

        A Standardize at its end is left out: it is in the model.

        Raises:
            BundleError: The scene's bands, dtype or Standardize are not those of training.

        Warns:
            UserWarning: Bands cannot be compared by name, or the resolution is another.
        """
        data = self.info.data
        if data is not None and data.origin == "scenes":
            return without_standardize(as_trained(data, scene))
        found = np.dtype(scene.image.dtype).name, len(scene.image.band_names)
        expected = self.facts.dtype, self.facts.channels
        if found != expected:
            raise BundleError(
                f"scene {scene.id!r}: the image has {found[1]} bands of {found[0]}, but {self.uri} takes "
                f"{expected[1]} of {expected[0]}; choose bands with bands=..., convert the image, or export "
                "for its dtype (`geoseg export --dtype`)"
            )
        if data is not None:
            check_bands(data, scene.id, scene.image.band_names)
        return scene

    def probabilities(self, image: Tensor, valid: Tensor) -> Tensor:
        """What the model gives for a batch.

        Args:
            image: (batch, channel, height, width) in the native dtype.
            valid: (batch, height, width) bool.

        Returns:
            (batch, class, height, width) float32.

        Raises:
            BundleError: It cannot be computed.
            ConfigError: The model takes images of another size only.
        """
        if self.size not in (None, tuple(image.shape[2:])):
            raise ConfigError(
                f"{self.uri}: takes images of {_times(self.size)} pixels only, got "
                f"{_times(image.shape[2:])}; predict with that size"
            )
        return self._run(as_input(image, valid)).to(image.device)

    def _as_read(self, scene: Scene) -> Scene:
        return self.as_read(scene)

    def _model_on(self, device: torch.device, precision: Precision) -> Model:  # noqa: ARG002
        if precision != "32":
            raise ConfigError(
                f"{self.uri}: computes in the numbers it was exported with, but precision is "
                f"{precision!r}; leave it out"
            )
        return self.probabilities

    def _digest(self) -> str:
        return self.digest

    def _device(self, name: str | None) -> torch.device:
        if name is not None and torch.device(name).type != self.device.type:
            raise ConfigError(
                f"{self.uri}: was opened for {self.device.type!r}, but device is {name!r}; "
                "open_model(uri, device=...) opens a .pt2 for another"
            )
        return self.device

    def _precision(self, device: torch.device) -> Precision:  # noqa: ARG002
        return "32"

    @property
    def _size(self) -> Size:
        return self.size or self.training.image_size


def is_exported(uri: str) -> bool:
    """Whether a file is named as an exported model."""
    return Path(uri).suffix.lower() in SUFFIXES


def open_model(uri: str, *, device: torch.device | str | None = None) -> ExportedModel:
    """A model from an ONNX or .pt2 file.

    Opening an ONNX file runs no code. A .pt2 is to be trusted like code, see
    `geoseg.learner.export.pt2`.

    Args:
        uri: The file, named .onnx or .pt2.
        device: Where a .pt2 is computed; None: on a GPU where there is one. ONNX Runtime takes what it
            was installed for.

    Raises:
        BundleError: The file is missing, damaged, or geoseg has not written it.
        ConfigError: It is named as something else, or ONNX Runtime is missing.
    """
    suffix = Path(uri).suffix.lower()
    if suffix == ".onnx":
        return ExportedModel(uri, *open_onnx(uri), torch.device("cpu"))
    if suffix == ".pt2":
        chosen = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        return ExportedModel(uri, *open_pt2(uri, chosen), chosen)
    raise ConfigError(f"{uri}: expected the name of an exported model, {' or '.join(SUFFIXES)}")


def _times(size: tuple[int, ...] | None) -> str:
    return " x ".join(map(str, size or ()))
