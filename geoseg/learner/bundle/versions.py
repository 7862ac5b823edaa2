"""Versions of what makes a bundle."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

from geoseg.learner.modelnames import BUILT_IN, CUSTOM, MONAI, VOLUMES
from geoseg.spec import FrozenMap
from geoseg.version import __version__

_NEEDED = ("torch", "pytorch-lightning", "numpy", "rasterio", "safetensors")
_OF_NAMED_NETWORKS = ("segmentation-models-pytorch", "timm")


def versions_for(model: str) -> FrozenMap[str, str]:
    """Versions of geoseg, of Python and of the packages that a network by this name needs.

    A package without metadata (one that only lies in a folder) is left out.
    """
    wanted: tuple[str, ...] = _NEEDED
    if model.startswith(MONAI):
        wanted = (*_NEEDED, "monai")
    elif model not in (BUILT_IN, CUSTOM, VOLUMES):
        wanted = (*_NEEDED, *_OF_NAMED_NETWORKS)
    found = {"geoseg": __version__, "python": platform.python_version()}
    for package in wanted:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return FrozenMap(found)
