"""Where the numbers of each epoch go, beside `metrics.csv`."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from pytorch_lightning.loggers import Logger, MLFlowLogger, TensorBoardLogger, WandbLogger

from geoseg.errors import ConfigError
from geoseg.learner.choices import chosen

_PACKAGES: dict[str, tuple[str, ...]] = {
    "csv": (),
    "tensorboard": ("tensorboard", "tensorboardX"),
    "mlflow": ("mlflow", "mlflow_skinny"),
    "wandb": ("wandb",),
}
"""Logger to the packages of which it needs one; pip knows the first by its name."""


def check_logger(name: str, folder: str | None) -> None:
    """See that a logger can be used, before anything is read.

    Raises:
        ConfigError: It is unknown, its package is missing, or there is no folder.
    """
    packages = chosen("logger", name, _PACKAGES)
    if packages and not any(find_spec(package) for package in packages):
        raise ConfigError(
            f'logger "{name}" needs the package {packages[0]}, which is not installed; do '
            f'`pip install {packages[0]}`, or use logger "csv"'
        )
    if packages and folder is None:
        raise ConfigError(f'logger "{name}" needs a folder; pass fit(..., folder="runs/one")')


def build_logger(name: str, folder: str | None) -> Logger | None:
    """A Lightning logger by its name; None for "csv", which History writes.

    TensorBoard's files are in the folder itself, those of MLflow in `mlruns` there unless
    MLFLOW_TRACKING_URI says otherwise, those of W&B in `wandb` there.

    Raises:
        ConfigError: As in `check_logger`.
    """
    check_logger(name, folder)
    if name == "csv" or folder is None:
        return None
    options: dict[str, dict[str, Any]] = {
        "tensorboard": {"save_dir": folder, "name": "", "version": ""},
        "mlflow": {"experiment_name": "geoseg", "save_dir": f"{folder}/mlruns"},
        "wandb": {"project": "geoseg", "save_dir": folder},
    }
    kinds = {"tensorboard": TensorBoardLogger, "mlflow": MLFlowLogger, "wandb": WandbLogger}
    logger: Logger = kinds[name](**options[name])
    return logger
