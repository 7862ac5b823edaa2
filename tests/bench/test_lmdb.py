"""Reading Sentinel-2 patches of twelve bands from an LMDB + safetensors store."""

from __future__ import annotations

import shutil
from pathlib import Path

import lmdb
import numpy as np
import pytest
import safetensors.numpy

from geoseg.sources.store.reader import StoreReader
from geoseg.sources.store.safetensors_format import encode
from geoseg.sources.store.writer import StoreWriter
from tests.bench.race import race, report

pytestmark = pytest.mark.bench

COUNT = 500
SIZES = {
    "B01": 20, "B02": 120, "B03": 120, "B04": 120, "B05": 60, "B06": 60,
    "B07": 60, "B08": 120, "B8A": 60, "B09": 20, "B11": 60, "B12": 60,
}  # fmt: skip
RGB = ("B04", "B03", "B02")
ROUNDS = 15


@pytest.fixture(scope="module")
def patches():
    """{key: {band: pixels}}."""
    random = np.random.default_rng(0)
    return {
        f"patch_{i:04d}": {
            name: random.integers(0, 10_000, (side, side)).astype("uint16")
            for name, side in SIZES.items()
        }
        for i in range(COUNT)
    }


@pytest.fixture(scope="module")
def store(patches, tmp_path_factory):
    """A store of the patches, and their keys in a random order."""
    uri = str(tmp_path_factory.mktemp("bench") / "store")
    with StoreWriter(uri) as writer:
        for key, arrays in patches.items():
            writer.write(key, arrays)
    return uri, [str(key) for key in np.random.default_rng(1).permutation(list(patches))]


@pytest.fixture(scope="module")
def values(store):
    """The values in that order, each in memory of its own."""
    uri, keys = store
    reader = StoreReader(uri)
    return [reader.value(key) for key in keys]


def test_every_band_copied_out(benchmark, store, values):
    uri, keys = store
    reader = StoreReader(uri)

    def memcpy():
        for value in values:
            bytearray(value)

    def get_and_load():
        with lmdb.open(copy_of_store, readonly=True, lock=False) as env:
            for key in keys:
                with env.begin() as transaction:
                    safetensors.numpy.load(transaction.get(key.encode()))

    def ours():
        for key in keys:
            reader.read(key)

    copy_of_store = _copy(uri)
    times = race({"memcpy": memcpy, "load": get_and_load, "geoseg": ours}, rounds=ROUNDS)
    benchmark.pedantic(ours, rounds=1)
    benchmark.extra_info["ratio"] = times["load"] / times["geoseg"]
    report(
        "12 bands of a patch, all copied out: memcpy, of 3 times its time",
        3 * times["memcpy"] / times["geoseg"],
        1,
        f"({times['geoseg'] / COUNT * 1e6:.1f} us, {times['geoseg'] / times['memcpy']:.2f} x memcpy)",
    )
    report("the same, against get + safetensors load", times["load"] / times["geoseg"], 2)


def test_rgb_into_an_array(benchmark, store):
    uri, keys = store
    reader, out = StoreReader(uri), np.empty((3, 120, 120), "uint16")

    def load_and_stack():
        with lmdb.open(copy_of_store, readonly=True, lock=False) as env:
            for key in keys:
                with env.begin() as transaction:
                    bands = safetensors.numpy.load(transaction.get(key.encode()))
                np.stack([bands[name] for name in RGB])

    def ours():
        for key in keys:
            reader.read_into(key, RGB, out)

    copy_of_store = _copy(uri)
    times = race({"load": load_and_stack, "geoseg": ours}, rounds=ROUNDS)
    benchmark.pedantic(ours, rounds=1)
    report("RGB into an array, against load + stack", times["load"] / times["geoseg"], 3)


def test_twelve_bands_on_one_grid(benchmark, store):
    uri, keys = store
    reader, out = StoreReader(uri), np.empty((12, 120, 120), "uint16")

    def load_and_repeat():
        with lmdb.open(copy_of_store, readonly=True, lock=False) as env:
            for key in keys:
                with env.begin() as transaction:
                    bands = safetensors.numpy.load(transaction.get(key.encode()))
                factors = [(bands[name], 120 // side) for name, side in SIZES.items()]
                np.stack([np.kron(band, np.ones((f, f), "uint16")) for band, f in factors])

    def ours():
        for key in keys:
            reader.read_into(key, tuple(SIZES), out)

    copy_of_store = _copy(uri)
    times = race({"load": load_and_repeat, "geoseg": ours}, rounds=5)
    benchmark.pedantic(ours, rounds=1)
    report("12 bands, nearest on one grid: load + kron + stack", times["load"] / times["geoseg"], 3)


def test_values_are_made(benchmark, patches):
    def library():
        for arrays in patches.values():
            safetensors.numpy.save(arrays)

    def ours():
        for arrays in patches.values():
            encode(arrays)

    times = race({"library": library, "geoseg": ours}, rounds=ROUNDS)
    benchmark.pedantic(ours, rounds=1)
    report("a value of 12 bands, against safetensors.save", times["library"] / times["geoseg"], 1)


def _copy(uri):
    """The same store under another name: LMDB does not open one twice in a process."""
    target = Path(f"{uri}.copy")
    if not target.exists():
        shutil.copytree(uri, target)
    return str(target)
