"""Small data sets as others have them, made for the tests of `geoseg convert`."""

from __future__ import annotations

import numpy as np
import rasterio
from affine import Affine

S1 = "S1A_IW_GRDH_1SDV_20170613T165043"
S2 = "S2A_MSIL2A_20170613T101031_N9999_R022_T33UUP"
SIDES = {
    "B01": 2, "B02": 12, "B03": 12, "B04": 12, "B05": 6, "B06": 6,
    "B07": 6, "B08": 12, "B8A": 6, "B09": 2, "B11": 6, "B12": 6,
}  # fmt: skip
"""Pixels of a side: a tenth of those of BigEarthNet."""
CITIES = """
name: cities
title: roofs of cities
groups:
  - name: images
    flag: --dataset-dir
    kind: file
    pattern: roof_\\d+\\.tif$|a+_\\d+\\.tif$
    key: "{stem}"
    bands: [Red, Green, Blue]
"""


def write(path, data, *, resolution=10.0, place=(500_000, 5_000_000), **options):
    """A GeoTIFF of (band, height, width)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    count, height, width = data.shape
    profile = {
        "driver": "GTiff",
        "count": count,
        "height": height,
        "width": width,
        "dtype": data.dtype,
    }
    transform = Affine(resolution, 0, place[0], 0, -resolution, place[1])
    with rasterio.open(
        path, "w", crs="EPSG:32633", transform=transform, **profile, **options
    ) as file:
        file.write(data)


def bigearthnet(folder, *, patches=2):
    """`s1`, `s2` and `maps` with so many patches side by side; a map of the first alone."""
    rng = np.random.default_rng(0)
    for i in range(patches):
        name, place = f"{S2}_0_{i}", (500_000 + 120 * i, 5_000_000)
        for band, side in SIDES.items():
            data = rng.integers(1, 9000, (1, side, side), np.uint16)
            path = folder / "s2" / S2 / name / f"{name}_{band}.tif"
            write(path, data, resolution=120 / side, place=place, nodata=0)
        name = f"{S1}_33UUP_0_{i}"
        for band in ("VH", "VV"):
            data = rng.normal(-12, 3, (1, 12, 12)).astype("float32")
            write(folder / "s1" / S1 / name / f"{name}_{band}.tif", data, place=place)
    codes = rng.choice([211, 311, 523], (1, 12, 12)).astype("uint16")
    name = f"{S2}_0_0"
    write(folder / "maps" / S2 / name / f"{name}_reference_map.tif", codes, compress="deflate")


def cities(folder, *, names=("roof_01", "roof_02"), height=9, width=13):
    """Images of three bands in one folder."""
    for i, name in enumerate(names):
        data = np.random.default_rng(i).integers(0, 255, (3, height, width), np.uint8)
        write(folder / "town" / f"{name}.tif", data)
