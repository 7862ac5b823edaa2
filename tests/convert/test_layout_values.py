"""Stores of layouts of which there is no real sample: values as rasterio reads the files."""

from typing import NamedTuple

import lmdb
import numpy as np
import pytest
import rasterio
import safetensors.numpy
from affine import Affine

from geoseg.convert import convert
from geoseg.convert.layouts import layout_of
from geoseg.convert.layouts.major_tom import with_cloud_mask
from tests.convert.test_layout import RTC, S2_NAMES, TOM

pytestmark = pytest.mark.filterwarnings(
    "ignore::rasterio.errors.NotGeoreferencedWarning", "ignore:.*do not tell where:UserWarning"
)
PLACE = {"crs": "EPSG:32633", "transform": Affine(10, 0, 5e5, 0, -10, 4e6)}


class Case(NamedTuple):
    layout: str
    group: str
    folder: str
    key: str
    files: dict[str, tuple[tuple[str, ...], str]]
    """(names of the tensors, dtype) of each file."""


ENMAP = tuple(f"B{number}" for number in range(1, 203))
CASES = (
    Case(
        "eurosat-rgb",
        "images",
        "SeaLake",
        "SeaLake_3",
        {"SeaLake_3.jpg": (("Red", "Green", "Blue"), "uint8")},
    ),
    Case(
        "spectral-earth-enmap",
        "images",
        "00017",
        "00017_20230101.tif",
        {"20230101.tif": (ENMAP, "int16")},
    ),
    Case(
        "major-tom-core",
        "s1",
        f"S1RTC/0U/0U_199R/{RTC}",
        f"0U_199R_{RTC}",
        {f"{name}.tif": ((name,), "float32") for name in ("vv", "vh")},
    ),
    Case(
        "with a cloud mask",
        "s2",
        f"S2L2A/0U/0U_199R/{TOM}",
        f"0U_199R_{TOM}",
        {f"{name}.tif": ((name,), "uint16") for name in S2_NAMES}
        | {"cloud_mask.tif": (("cloud_mask",), "uint8")},
    ),
)


def write(path, pixels):
    count, height, width = pixels.shape
    profile = {"count": count, "height": height, "width": width, "dtype": pixels.dtype}
    kind = {"driver": "JPEG"} if path.suffix == ".jpg" else {"driver": "GTiff", **PLACE}
    with rasterio.open(path, "w", **kind, **profile) as file:
        file.write(pixels)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.layout)
def test_values_are_what_rasterio_reads(tmp_path, case):
    folder = tmp_path / "in" / case.folder
    folder.mkdir(parents=True)
    random = np.random.default_rng(0)
    expected = {}
    for name, (tensors, dtype) in case.files.items():
        write(folder / name, random.integers(0, 255, (len(tensors), 8, 9)).astype(dtype))
        with rasterio.open(folder / name) as file:
            expected |= zip(tensors, file.read(), strict=True)
    root = tmp_path / "in"
    source = str(root if case.group == "images" else root / case.folder.split("/")[0])
    layout = with_cloud_mask() if case.group == "s2" else layout_of(case.layout)

    convert(layout, {case.group: source}, str(tmp_path / "out"), workers=0)

    store = lmdb.open(str(tmp_path / "out"), readonly=True, lock=False)
    with store, store.begin() as values:
        found = values.get(case.key.encode())
        assert found == safetensors.numpy.save(expected)
        assert sum(1 for _ in values.cursor()) == 1
