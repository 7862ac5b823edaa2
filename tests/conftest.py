"""What tests in several rooms share: writing small rasters, and repeatable examples."""

from __future__ import annotations

import gc
import os
import random
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import HealthCheck, settings
from rasterio.errors import NotGeoreferencedWarning

from tests.support import sitecustomize

_SUPPORT = str(Path(sitecustomize.__file__).parent)
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [_SUPPORT, os.environ.get("PYTHONPATH")]))
# Tests run side by side: with a thread a core in each, most of the time goes to threads that wait for cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# Neither a deadline nor the check for slow examples: both tell of how busy the machine is.
settings.register_profile(
    "geoseg",
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("geoseg")

# What is made while tests are collected (modules, mostly) lives to the end: nobody need look for it again.
gc.disable()


def pytest_collection_finish():
    """From here on garbage is collected, at the cost of what tests make alone."""
    gc.collect()
    gc.freeze()
    gc.enable()


def pytest_configure(config):
    """PyTorch warns of more workers than cores, of which a machine may have one."""
    config.addinivalue_line("filterwarnings", "ignore:This DataLoader will create:UserWarning")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup():
    """What a test draws does not hang on the tests before it."""
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(0)


UTM = Affine(10, 0, 500_000, 0, -10, 4_000_000)


@pytest.fixture
def write_raster(tmp_path):
    """Writes an array (band, height, width) or (height, width) and returns the file's path as text.

    `path` may be a bare name in the test's own folder; `mask` (height, width) bool is written as an
    internal mask; further options go to GDAL.
    """

    def write(
        path,
        array,
        *,
        crs="EPSG:32619",
        transform=UTM,
        nodata=None,
        descriptions=None,
        colors=None,
        mask=None,
        driver="GTiff",
        **options,
    ):
        bands = array if array.ndim == 3 else array[None]
        count, height, width = bands.shape
        uri = str(tmp_path / path)
        shape = {"count": count, "height": height, "width": width, "dtype": bands.dtype}
        place = {"crs": crs, "transform": transform, "nodata": nodata}
        with warnings.catch_warnings(), rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True):
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            with rasterio.open(uri, "w", driver=driver, **shape, **place, **options) as file:
                if colors is not None:
                    file.colorinterp = colors
                file.write(bands)
                if descriptions is not None:
                    file.descriptions = descriptions
                if mask is not None:
                    file.write_mask(mask)
        return uri

    return write
