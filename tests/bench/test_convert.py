"""Sentinel-2 patches of twelve files each into a store, and out of it into batches."""

from __future__ import annotations

import shutil
from itertools import count
from pathlib import Path

import lmdb
import numpy as np
import pytest
import rasterio
import safetensors.numpy
import torch
from affine import Affine

from geoseg.convert import convert
from geoseg.datasets import LMDBDataset
from tests.bench.race import race, report, wall_seconds

pytestmark = pytest.mark.bench

COUNT, DEFLATED = 2_000, 400
GOALS = {COUNT: 8, DEFLATED: 3}
"""Inflating is work that both have."""
TILE = "S2A_MSIL2A_20170613T101031_N9999_R022_T33UUP"
SIZES = {
    "B01": 20, "B02": 120, "B03": 120, "B04": 120, "B05": 60, "B06": 60,
    "B07": 60, "B08": 120, "B8A": 60, "B09": 20, "B11": 60, "B12": 60,
}  # fmt: skip
RGB = ("B04", "B03", "B02")
PUTS = 512
"""Of a transaction, here as there."""


def _write(path, pixels, **options):
    """One band as BigEarthNet has it; smooth enough to be compressed."""
    resolution = 1200 / len(pixels)
    place = {"crs": "EPSG:32633", "transform": Affine(resolution, 0, 3e5, 0, -resolution, 5e6)}
    profile = {"driver": "GTiff", "count": 1, "dtype": "uint16", "nodata": 0, **place, **options}
    height, width = pixels.shape
    with rasterio.open(path, "w", height=height, width=width, **profile) as file:
        file.write(pixels, 1)


def _patches(folder, number):
    """(folder, {band: pixels}) of so many patches; the folders are made."""
    random = np.random.default_rng(0)
    for i in range(number):
        name = f"{TILE}_{i // 100:02d}_{i % 100:02d}"
        (folder / TILE / name).mkdir(parents=True)
        yield (
            folder / TILE / name,
            {
                band: (random.integers(0, 9_000) + random.integers(0, 700, (side, side))).astype(
                    "uint16"
                )
                for band, side in SIZES.items()
            },
        )


def _uncompressed(folder, number):
    """Patches whose files are copies of one of GDAL's, with other pixels at its end."""
    heads = {}
    for patch, bands in _patches(folder, number):
        for band, pixels in bands.items():
            path = patch / f"{patch.name}_{band}.tif"
            if band not in heads:
                _write(path, pixels)
                heads[band] = path.read_bytes()[: -pixels.nbytes]
            path.write_bytes(heads[band] + pixels.tobytes())
            if len(heads) < len(SIZES) or patch.name.endswith("_00_01"):
                with rasterio.open(path) as file:  # the copy is what it should be
                    np.testing.assert_array_equal(file.read(1), pixels)


def _deflated(folder, number):
    options = {"compress": "deflate", "predictor": 2, "tiled": True}
    for patch, bands in _patches(folder, number):
        for band, pixels in bands.items():
            side = {"blockxsize": 64, "blockysize": 64}
            _write(patch / f"{patch.name}_{band}.tif", pixels, **options, **side)


@pytest.fixture(scope="module", params=[_uncompressed, _deflated])
def data(request, tmp_path_factory):
    """(what it is, folder, number of patches)."""
    folder = tmp_path_factory.mktemp("bench")
    number = COUNT if request.param is _uncompressed else DEFLATED
    request.param(folder / "s2", number)
    yield request.param.__name__[1:], folder, number
    shutil.rmtree(folder)


def _reference(folder, target):
    """What people write: a file at a time through rasterio, a value through safetensors."""
    patches = sorted(path for path in folder.glob("*/*") if path.is_dir())
    with lmdb.open(str(target), map_size=2 << 30) as env:
        for begin in range(0, len(patches), PUTS):
            with env.begin(write=True) as transaction:
                for patch in patches[begin : begin + PUTS]:
                    arrays = {}
                    for band in SIZES:
                        with rasterio.open(patch / f"{patch.name}_{band}.tif") as file:
                            arrays[band] = file.read(1)
                    transaction.put(patch.name.encode(), safetensors.numpy.save(arrays))


def _ours(folder, target, **options):
    return convert("bigearthnet", {"s2": str(folder)}, str(target), **options)


def test_conversion_by_one_process(benchmark, data):
    what, folder, number = data
    turns = count()

    def fresh(run, **options):
        target = folder / "stores" / f"{next(turns)}"
        target.parent.mkdir(exist_ok=True)
        run(folder / "s2", target, **options)
        return target

    def tidy():
        # Gigabytes that still wait for the disk would slow down whoever comes next.
        shutil.rmtree(folder / "stores", ignore_errors=True)

    assert _values(fresh(_reference)) == _values(fresh(_ours, workers=0))
    times = race(
        {"loop": lambda: fresh(_reference), "geoseg": lambda: fresh(_ours, workers=0)},
        rounds=3,
        between=tidy,
    )
    benchmark.pedantic(lambda: fresh(_ours, workers=0), rounds=1)
    benchmark.extra_info["ratio"] = times["loop"] / times["geoseg"]
    report(
        f"{number} patches of 12 {what} files into a store, against a rasterio + safetensors loop",
        times["loop"] / times["geoseg"],
        GOALS[number],
        f"({times['geoseg'] / number * 1e3:.2f} ms a patch, {times['loop'] / number * 1e3:.2f} there)",
    )
    whole = {
        workers: wall_seconds(lambda workers=workers: fresh(_ours, workers=workers))
        for workers in (0, 2, None)
    }
    report(
        f"end to end, {what}, wall time of one process against that with the workers left out",
        whole[0] / whole[None],
        0.8,
        f"({whole[0]:.2f} s by one process, {whole[2]:.2f} s by two workers, {whole[None]:.2f} s left out)",
    )


def _values(store):
    with lmdb.open(str(store), readonly=True, lock=False) as env, env.begin() as transaction:
        return {bytes(key): bytes(value) for key, value in transaction.cursor()}


def test_batches_of_a_store(benchmark, data):
    what, folder, number = data
    target = folder / "read"
    _ours(folder / "s2", target, workers=0)
    copy = Path(f"{target}.copy")  # LMDB does not open a store twice in a process
    shutil.copytree(target, copy)
    dataset = {
        bands: LMDBDataset(str(target), bands=bands, size=120, normalize=False)
        for bands in (tuple(SIZES), RGB)
    }
    order = np.random.default_rng(1).permutation(number)
    batches = [order[i : i + 16].tolist() for i in range(0, 320, 16)]
    keys = sorted(_values(copy))

    def readme(bands):
        with lmdb.open(str(copy), readonly=True, lock=False) as env:
            for batch in batches:
                items = []
                for i in batch:
                    with env.begin() as transaction:
                        found = safetensors.numpy.load(transaction.get(keys[i]))
                    factors = [(found[name], 120 // SIZES[name]) for name in bands]
                    items.append(
                        np.stack(
                            [
                                np.kron(a, np.ones((f, f), "uint16")) if f > 1 else a
                                for a, f in factors
                            ]
                        )
                    )
                torch.from_numpy(np.stack(items))

    def ours(bands):
        for batch in batches:
            dataset[bands].__getitems__(batch)

    for bands, title in ((tuple(SIZES), "12 bands on one grid"), (RGB, "RGB")):
        times = race(
            {"load": lambda bands=bands: readme(bands), "geoseg": lambda bands=bands: ours(bands)},
            rounds=5,
        )
        report(
            f"batches of 16 from LMDBDataset ({what}), {title}: load + kron + stack",
            times["load"] / times["geoseg"],
            2,
            f"({times['geoseg'] / 320 * 1e6:.0f} us a patch)",
        )
    benchmark.pedantic(lambda: ours(RGB), rounds=1)
