"""Stores for tests, and what is in them by lmdb and safetensors alone."""

from __future__ import annotations

import lmdb
import numpy as np
import safetensors.numpy

from geoseg.grid import Grid
from geoseg.sources.store import StoreWriter
from geoseg.sources.store.environments import close_stores

GRID = Grid(crs="EPSG:32633", transform=[10, 0, 5e5, 0, -10, 4e6], height=12, width=20)
SIZES = {"B04": (12, 20), "B8A": (6, 10), "B02": (12, 20), "B03": (12, 20), "B01": (3, 5)}
CODES = (111, 112, 211, 243, 311, 333, 512, 523, 999, 142)


def sentinel(seed, sizes=SIZES):
    """Bands of mixed size as Sentinel-2 has them."""
    rng = np.random.default_rng(seed)
    return {name: rng.integers(1, 9999, size).astype(np.uint16) for name, size in sizes.items()}


def write(path, patches):
    """A store of {key: (arrays, what else the writer takes)}."""
    with StoreWriter(str(path)) as store:
        for key, (arrays, options) in patches.items():
            store.write(key, arrays, **options)
    return str(path)


def plain(path, patches):
    """A store without a manifest, which lmdb and safetensors wrote."""
    with lmdb.open(str(path), map_size=1 << 24) as env, env.begin(write=True) as transaction:
        for key, arrays in patches.items():
            transaction.put(key.encode(), safetensors.numpy.save(arrays))
    return str(path)


def held(uri):
    """{key: arrays} of a store."""
    close_stores()
    with lmdb.open(uri, readonly=True, lock=False) as env, env.begin() as transaction:
        return {
            bytes(key).decode(): safetensors.numpy.load(bytes(value))
            for key, value in transaction.cursor()
        }


def repeated(array, size=(12, 20)):
    """Pixels repeated to a multiple of their size."""
    times = size[0] // array.shape[0], size[1] // array.shape[1]
    return np.kron(array, np.ones(times, array.dtype))


def bigearthnet(path, *, pairs=6, lacking=(), groups=("s1", "s2", "map"), split=None):
    """S1, S2 and reference maps whose keys differ, paired by the manifest; {(group, number)} are left out."""
    patches = {}
    for number in range(pairs):
        sample = f"S2A_MSIL2A_T33UUP_{number}"
        told = {
            "sample": sample,
            "split": split or ("train", "validation", "test")[number % 3],
            "labels": [("Pastures", "Arable land"), ("Marine waters",)][number % 2],
        }
        rng = np.random.default_rng(100 + number)
        radar = {name: rng.normal(-12, 3, (12, 20)).astype(np.float32) for name in ("VH", "VV")}
        codes = {"Data": rng.choice(CODES, (12, 20)).astype(np.uint16)}
        for group, key, arrays, nodata in (
            ("s1", f"S1A_IW_GRDH_{number}", radar, None),
            ("s2", sample, sentinel(number), 0),
            ("map", f"{sample}_reference_map", codes, None),
        ):
            if group in groups and (group, number) not in lacking:
                options = {"grid": GRID, "group": group, "nodata": nodata, **told}
                patches[key] = (arrays, options)
    return write(path, patches)
