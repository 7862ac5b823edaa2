"""Files of many patches, converted and served: every item against rasterio and numpy alone."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import rasterio
from affine import Affine

from geoseg import LMDBDataset
from geoseg.convert import convert
from geoseg.labels.corine import BIGEARTHNET_19_CODES
from geoseg.sources.store.environments import close_stores

TILE = "S2A_MSIL2A_20170613T101031_N9999_R022_T33UUP"
PASS = "S1A_IW_GRDH_1SDV_20170613T165043"
METRES = {"B01": 60, "B02": 10, "B03": 10, "B04": 10, "B05": 20, "B06": 20, "B07": 20, "B08": 10,
          "B8A": 20, "B09": 60, "B11": 20, "B12": 20}  # fmt: skip
HEIGHT, WIDTH = 12, 18
NUMBERS = (0, 1, 2)
BANDS = ("B04", "VV", "B01", "B8A", "VH")


def write(path, array, metres, nodata=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    height, width = array.shape
    with rasterio.open(
        path, "w", driver="GTiff", height=height, width=width, count=1, dtype=array.dtype, nodata=nodata,
        crs="EPSG:32633", transform=Affine(metres, 0, 3e5, 0, -metres, 59e5),
    ) as file:  # fmt: skip
        file.write(array, 1)


def names(number):
    """Of the patches of Sentinel-2 and -1, whose keys sort the other way round."""
    return f"{TILE}_{number:02d}_4{number}", f"{PASS}_33UUP_{9 - number:02d}_4{number}"


@pytest.fixture
def files(tmp_path):
    """The folders of three samples in BigEarthNet's layout, of which one band lacks a pixel."""
    rng, rows = np.random.default_rng(0), []
    for number in NUMBERS:
        optical, radar = names(number)
        for band, metres in METRES.items():
            shape = HEIGHT * 10 // metres, WIDTH * 10 // metres
            pixels = rng.integers(1, 5000, shape).astype(np.uint16)
            if (number, band) == (1, "B01"):
                pixels[1, 2] = 0
            write(
                tmp_path / "s2" / TILE / optical / f"{optical}_{band}.tif", pixels, metres, nodata=0
            )
        for band in ("VV", "VH"):
            pixels = rng.normal(-12, 3, (HEIGHT, WIDTH)).astype(np.float32)
            write(tmp_path / "s1" / PASS / radar / f"{radar}_{band}.tif", pixels, 10)
        codes = rng.choice([*BIGEARTHNET_19_CODES], (HEIGHT, WIDTH)).astype(np.uint16)
        write(tmp_path / "map" / TILE / f"{optical}_reference_map.tif", codes, 10)
        rows.append({
            "patch_id": optical, "s1_name": radar, "s2v1_name": optical, "labels": ["Pastures"],
            "split": "train", "country": "Austria", "contains_seasonal_snow": False,
            "contains_cloud_or_shadow": False,
        })  # fmt: skip
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "metadata.parquet")
    yield tmp_path
    close_stores()


@pytest.fixture
def store(files):
    sources = {name: str(files / name) for name in ("s1", "s2", "map")}
    target, metadata = str(files / "store"), str(files / "metadata.parquet")
    convert("bigearthnet", sources, target, metadata=metadata, workers=0)
    return target


def read(path):
    with rasterio.open(path) as file:
        return file.read(1)


def bands_of(files, number):
    """{band: pixels} of a sample, by rasterio."""
    optical, radar = names(number)
    paths = {b: files / "s2" / TILE / optical / f"{optical}_{b}.tif" for b in METRES}
    paths |= {b: files / "s1" / PASS / radar / f"{radar}_{b}.tif" for b in ("VV", "VH")}
    return {band: read(path) for band, path in paths.items()}


def repeated(band):
    return np.kron(band, np.ones((HEIGHT // band.shape[0], WIDTH // band.shape[1]), band.dtype))


def blended(band):
    """Between the four nearest centres, pixel by pixel."""
    height, width = band.shape
    found = np.empty((HEIGHT, WIDTH))
    for row, col in np.ndindex(HEIGHT, WIDTH):
        y = min(max((row + 0.5) * height / HEIGHT - 0.5, 0), height - 1)
        x = min(max((col + 0.5) * width / WIDTH - 0.5, 0), width - 1)
        top, left = min(int(y), height - 2), min(int(x), width - 2)
        down, right = y - top, x - left
        (a, b), (c, d) = band[top : top + 2, left : left + 2].astype(float)
        found[row, col] = (a * (1 - right) + b * right) * (1 - down) + (c * (1 - right) + d * right) * down  # fmt: skip
    return found


@pytest.mark.parametrize(("resampling", "brought"), [("nearest", repeated), ("bilinear", blended)])
def test_items_hold_what_the_files_hold(files, store, resampling, brought):
    data = LMDBDataset(
        store,
        join=("s1", "s2", "map"),
        bands=BANDS,
        labels="map/Data",
        mapping="bigearthnet-19",
        split="train",
        resampling=resampling,
    )
    assert data.keys == [names(number)[0] for number in NUMBERS]
    exact = resampling == "nearest"
    for number, item in zip(NUMBERS, data, strict=True):
        pixels = bands_of(files, number)
        valid = np.logical_and.reduce([repeated(pixels[b]) != 0 for b in BANDS])
        assert valid.all() == (number != 1)
        np.testing.assert_array_equal(item["valid"], valid)
        # Where a pixel is lacking, its neighbours blend without it.
        near = np.zeros_like(valid) if exact else repeated(_beside(pixels["B01"] == 0))
        for band, image in zip(BANDS, item["image"].numpy(), strict=True):
            expected = np.where(valid, brought(pixels[band]), 0)
            plain = ~near if band == "B01" else np.ones_like(valid)
            np.testing.assert_allclose(image[plain], expected[plain], rtol=0 if exact else 1e-5)
        codes = read(files / "map" / TILE / f"{names(number)[0]}_reference_map.tif")
        ids = np.vectorize(BIGEARTHNET_19_CODES.get)(codes)
        np.testing.assert_array_equal(item["mask"], np.where(valid, ids, 255))


def _beside(lacking):
    """The pixels that are lacking, and those around them."""
    wide = np.pad(lacking, 1)
    return np.logical_or.reduce([
        wide[r : r + lacking.shape[0], c : c + lacking.shape[1]] for r in range(3) for c in range(3)
    ])  # fmt: skip
