"""Versions of what a result hangs on."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

import pyproj
import rasterio
import shapely

from geoseg.version import __version__

_PACKAGES = (
    "numpy", "torch", "pytorch-lightning", "rasterio", "pyproj", "shapely", "pyogrio", "geopandas", "pydantic",
    "segmentation-models-pytorch", "timm",
)  # fmt: skip


def versions() -> dict[str, str]:
    """Versions of Python, geoseg, the packages below it and the libraries in C below these.

    A package that is not installed is left out.
    """
    found = {"python": platform.python_version(), "geoseg": __version__}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    libraries = {
        "GDAL": rasterio.__gdal_version__,
        "PROJ": pyproj.proj_version_str,
        "GEOS": shapely.geos_version_string,
    }
    return found | libraries
