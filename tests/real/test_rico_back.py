"""Real samples of many data sets: converted, verified, and restored as the files that they were."""

from __future__ import annotations

import warnings
from pathlib import Path

import lmdb
import numpy as np
import pytest
import rasterio
from rasterio.errors import NotGeoreferencedWarning

from geoseg.convert.convert import convert
from geoseg.convert.layouts import LAYOUTS
from geoseg.convert.patches import find_patches
from geoseg.convert.restore import to_geotiff
from geoseg.convert.summary import summary
from geoseg.convert.verify import verify
from geoseg.sources.store.environments import close_stores

SETS = {
    "bigearthnet": {
        "s1": "BigEarthNet/BigEarthNet-S1",
        "s2": "BigEarthNet/BigEarthNet-S2",
        "map": "BigEarthNet/Reference_Maps",
    },
    "hyspecnet-11k": {"images": "HySpecNet-11k"},
    "uc-merced": {"images": "UCMerced_LandUse"},
    "eurosat-multi-spectral": {"images": "EuroSAT_MS"},
    "ssl4eo-s12": {"s1": "SSL4EO-S12/s1", "l1c": "SSL4EO-S12/s2c", "l2a": "SSL4EO-S12/s2a"},
    "major-tom-core": {"s2": "Major-TOM-Core/S2L2A"},
    "hydro": {"images": "Hydro"},
}
APART = "bands that do not cover the ground"
"""Of the warning about SSL4EO-S12, whose bands begin at different corners."""


@pytest.fixture
def samples(data_folder):
    """{layout: {group: folder}}; some copies of the data are without."""
    folder = data_folder / "rico"
    if not folder.is_dir():
        pytest.skip(f"{folder} is missing: the samples are not in GEOSEG_DATA")
    return {n: {g: str(folder / p) for g, p in s.items()} for n, s in SETS.items()}


@pytest.fixture
def converted(samples, tmp_path):
    """Converts the samples of a layout; (store, sources)."""

    def make(name):
        store = str(tmp_path / name)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=f".*{APART}")
            convert(name, samples[name], store, workers=0)
        return store, samples[name]

    return make


def opened(path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        return rasterio.open(path)


@pytest.mark.slow
@pytest.mark.parametrize("name", SETS)
def test_every_sample_is_verified(converted, name):
    store, sources = converted(name)
    found = verify(store, [*sources.values()][::-1])

    patches = find_patches(LAYOUTS[name], sources)
    assert found.ok, found.errors
    assert (found.layout, found.sources) == (name, sources)
    assert found.patches == found.hashes == len(patches) == summary(store)["patches"]
    files = [LAYOUTS[name].group(patch.group).files(patch) for patch in patches]
    assert found.files == sum(map(len, files))
    assert found.tensors == sum(len(pairs) for each in files for _, pairs in each)


@pytest.mark.parametrize("name", ["bigearthnet", "ssl4eo-s12", "hydro", "uc-merced"])
def test_without_a_manifest_the_layout_and_the_groups_are_found(converted, name):
    store, sources = converted(name)
    Path(store, "manifest.parquet").unlink()
    found = verify(store, [*sources.values()][::-1])

    assert found.ok, found.errors
    assert (found.layout, found.sources) == (name, sources)
    assert (found.manifest, found.hashes) == (False, 0)


def test_one_bit_that_is_wrong_is_found(converted):
    store, sources = converted("bigearthnet")
    key = "S2A_MSIL2A_20170613T101031_N9999_R022_T33UUP_75_43"
    with lmdb.open(store, map_size=1 << 30, lock=False) as env, env.begin(write=True) as txn:
        value = bytearray(txn.get(key.encode()))
        value[-1] ^= 128  # the high byte of the last pixel of the last band
        txn.put(key.encode(), bytes(value))
    close_stores()
    found = verify(store, [*sources.values()])

    assert not found.ok
    assert (found.faults, found.faulty) == ({"hash": 1, "values": 1}, 1)
    fault = next(fault for fault in found.errors if fault.kind == "values")
    assert (fault.key, fault.tensor, fault.count, fault.row, fault.col) == (key, "B8A", 1, 59, 59)
    assert abs(int(fault.stored) - int(fault.expected)) == 128 << 8
    assert fault.file.endswith(f"{key}_B8A.tif")


@pytest.mark.slow
@pytest.mark.parametrize("name", SETS)
def test_restored_files_are_the_originals(converted, tmp_path, name):
    store, sources = converted(name)
    to_geotiff(store, str(tmp_path / "back"))

    for patch in find_patches(LAYOUTS[name], sources):
        whole = tmp_path / "back" / f"{patch.key}.tif"
        for path, pairs in LAYOUTS[name].group(patch.group).files(patch):
            part = whole if whole.exists() else whole.with_suffix("") / f"{pairs[0][0]}.tif"
            with opened(part) as file, opened(path) as original:
                bands = [file.descriptions.index(tensor) + 1 for tensor, _ in pairs]
                pixels, expected = file.read(bands), original.read([n for _, n in pairs])
                assert pixels.dtype == expected.dtype
                assert pixels.tobytes() == expected.tobytes()
                assert (file.crs, file.nodata) == (original.crs, original.nodata)
                if name != "ssl4eo-s12":
                    assert file.transform == original.transform
                else:  # within a coarse pixel: there each band begins at a corner of its own
                    away = np.subtract(file.transform, original.transform)[:6]
                    assert np.abs(away).max() < abs(original.transform.a)
