"""Memory of align does not grow with the rows of its output."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine

from tests.support.peak import steady

PROGRAM = """
import sys
from importlib import import_module
from affine import Affine
from geoseg.grid import Grid

aligning = import_module("geoseg.prepare.align")
aligning._CACHE_BYTES = 16 << 20  # full after few rows

def megabytes(line):
    with open("/proc/self/status") as status:
        return next(int(x.split()[1]) for x in status if x.startswith(line)) / 1024

image, out, *heights = sys.argv[1:]
for rows in map(int, heights):
    onto = Grid(crs="EPSG:32619", transform=Affine(7, 1, 5e5, 1, -7, 4e6), height=rows, width=1500)
    with open("/proc/self/clear_refs", "w") as refs:
        refs.write("5")  # the peak so far is forgotten
    aligning.align(image, onto, out)
    print(megabytes("VmHWM"))
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="needs Linux")
def test_twenty_thousand_rows_need_no_more_memory_than_two_thousand(tmp_path):
    image = str(tmp_path / "image.tif")
    profile = {
        "driver": "GTiff", "height": 14_500, "width": 4_000, "count": 3, "dtype": "uint8",
        "crs": "EPSG:32619", "transform": Affine(10, 0, 5e5, 0, -10, 4e6), "tiled": True,
        "compress": "deflate", "zlevel": 1,
    }  # fmt: skip
    strip = np.random.default_rng(0).integers(1, 255, (3, 500, 500), np.uint8)
    with rasterio.open(image, "w", **profile) as file:
        for row in range(0, 14_500, 500):
            file.write(np.tile(strip, (1, 1, 8)), window=((row, row + 500), (0, 4_000)))
    arguments = [image, str(tmp_path / "out.tif"), "2000", "2000", "20000"]
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments],
        check=True,
        capture_output=True,
        text=True,
        env=steady(),
    )
    _, short, long = (float(line) for line in ran.stdout.split())
    assert long < short + 30
    with rasterio.open(tmp_path / "out.tif") as file:
        assert file.shape == (20_000, 1_500)
        assert file.read(1, window=((13_000, 13_100), (500, 600))).any()
