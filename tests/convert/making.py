"""Small data sets in the layout of BigEarthNet, many files of which are made from one by its bytes."""

from functools import lru_cache
from pathlib import Path

import numpy as np
import rasterio
from affine import Affine
from rasterio.io import MemoryFile

S1 = "S1A_IW_GRDH_1SDV_20170613T165043_33UUP"
S2 = "S2A_MSIL2A_20170613T101031_N9999_R022_T33UUP"


@lru_cache
def _template(height, width, dtype, **options):
    """(bytes of a plain TIFF, where its pixels begin)."""
    pixels = np.frombuffer(b"\xa5" * (height * width * np.dtype(dtype).itemsize), dtype)
    shape = {"count": 1, "height": height, "width": width, "dtype": dtype}
    place = {"crs": "EPSG:32633", "transform": Affine(10, 0, 3e5, 0, -10, 59e5), "nodata": 0}
    with MemoryFile() as memory:
        with memory.open(driver="GTiff", **shape, **place, **options) as file:
            file.write(pixels.reshape(1, height, width))
        text = bytes(memory.getbuffer())
    return text, text.index(pixels.tobytes())


def write_tiff(path, array):
    """A plain TIFF of an array (height, width)."""
    text, at = _template(*array.shape, array.dtype.name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text[:at] + array.tobytes() + text[at + array.nbytes :])


def radar(folder, numbers, *, height=5, width=7, seed=0):
    """Patches of Sentinel-1: two bands of float32."""
    for number in numbers:
        for key, arrays in radar_arrays([number], height=height, width=width, seed=seed).items():
            for band, array in arrays.items():
                write_tiff(Path(folder) / S1 / key / f"{key}_{band}.tif", array)
    return str(folder)


def radar_arrays(numbers, *, height=5, width=7, seed=0):
    """{key: {band: array}} of what `radar` makes."""
    found = {}
    for number in numbers:
        random = np.random.default_rng((seed, number))
        arrays = {band: random.random((height, width), "f4") for band in ("VH", "VV")}
        found[f"{S1}_{number}_{number * 7 % 90}"] = arrays
    return found


def maps(folder, numbers, *, height=5, width=7):
    """Reference maps: one file each."""
    for key, arrays in maps_arrays(numbers, height=height, width=width).items():
        write_tiff(Path(folder) / S2 / f"{key}.tif", arrays["Data"])
    return str(folder)


def maps_arrays(numbers, *, height=5, width=7):
    """{key: {band: array}} of what `maps` makes."""
    found = {}
    for number in numbers:
        random = np.random.default_rng(number)
        array = random.integers(111, 524, (height, width)).astype("u2")
        found[f"{S2}_{number}_{number * 7 % 90}_reference_map"] = {"Data": array}
    return found


def by_rasterio(folder):
    """{key: {band: array}} of what `radar` and `maps` have made."""
    found = {}
    for path in sorted(Path(folder).rglob("*.tif")):
        with rasterio.open(path) as file:
            key, band = path.stem, "Data"
            if not key.endswith("_reference_map"):
                key, band = key.rsplit("_", 1)
            found.setdefault(key, {})[band] = file.read(1)
    return found


def by_bytes(folder, *, height=5, width=7):
    """As `by_rasterio`, sooner: every file is the same but for its pixels."""
    found = {}
    for path in sorted(Path(folder).rglob("*.tif")):
        key, band, dtype = path.stem, "Data", "uint16"
        if not key.endswith("_reference_map"):
            (key, band), dtype = key.rsplit("_", 1), "float32"
        _, at = _template(height, width, dtype)
        pixels = np.frombuffer(path.read_bytes(), dtype, height * width, at)
        found.setdefault(key, {})[band] = pixels.reshape(height, width)
    return found
