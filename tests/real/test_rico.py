"""The published samples of all data sets that rico-hdl knows, converted and compared with rasterio."""

import hashlib
import warnings
from pathlib import Path

import lmdb
import numpy as np
import pyarrow.parquet as pq
import pytest
import rasterio
import safetensors.numpy
from rasterio.errors import NotGeoreferencedWarning

from geoseg.convert.convert import convert
from geoseg.convert.verify import verify
from geoseg.sources.store.environments import close_stores

S2_BANDS = ["B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B09", "B11", "B12", "B8A"]
SHORT = [f"B{i}" for i in range(1, 13)] + ["B8A"]


@pytest.fixture(autouse=True)
def nothing_open():
    yield
    close_stores()


@pytest.fixture
def samples(data_folder):
    folder = data_folder / "rico"
    if not folder.is_dir():
        pytest.skip(f"{folder} is not there: it holds a sample of each data set")
    return folder


def read(path, bands):
    """{name: band} of a file, by rasterio alone."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(path) as file:
            return {name: file.read(i) for i, name in enumerate(bands, 1)}


def by_band(folder, bands, *, name="{band}.tif"):
    """A folder with a file for each band."""
    found = {}
    for band in bands:
        found |= read(folder / name.format(band=band, folder=folder.name), [band])
    return found


def bigearthnet(root):
    s1, s2, maps = (
        root / "BigEarthNet" / name
        for name in ("BigEarthNet-S1", "BigEarthNet-S2", "Reference_Maps")
    )
    name = "{folder}_{band}.tif"
    values = {path.name: by_band(path, ["VH", "VV"], name=name) for path in s1.glob("*/*")}
    values |= {path.name: by_band(path, S2_BANDS, name=name) for path in s2.glob("*/*")}
    values |= {path.stem: read(path, ["Data"]) for path in maps.rglob("*.tif")}
    return {"s1": s1, "s2": s2, "map": maps}, values


def hyspecnet(root):
    source = root / "HySpecNet-11k"
    bands = [f"B{i}" for i in range(1, 225)]
    files = source.glob("*/*-SPECTRAL_IMAGE.TIF")
    return {"images": source}, {path.parent.name: read(path, bands) for path in files}


def files(root, folder, pattern, bands):
    source = root / folder
    return {"images": source}, {p.stem: read(p, bands) for p in source.rglob(pattern)}


def uc_merced(root):
    return files(root, "UCMerced_LandUse", "*.tif", ["Red", "Green", "Blue"])


def eurosat(root):
    return files(root, "EuroSAT_MS", "*.tif", [f"B{i:02d}" for i in range(1, 13)] + ["B08A"])


def hydro(root):
    first = [f"B{i:02d}" for i in range(1, 9)]
    return files(root, "Hydro", "*.tif", [*first, "B8A", "B09", "B11", "B12"])


def ssl4eo(root):
    root = root / "SSL4EO-S12"
    groups = {
        "s1": ("s1", ["VH", "VV"]),
        "l1c": ("s2c", SHORT),
        "l2a": ("s2a", [band for band in SHORT if band != "B10"]),
    }
    values = {}
    for folder, bands in groups.values():
        for path in (root / folder).glob("*/*"):
            values["_".join([folder, *path.parts[-2:]])] = by_band(path, bands)
    return {group: root / folder for group, (folder, _) in groups.items()}, values


def major_tom(root):
    source = root / "Major-TOM-Core/S2L2A"
    folders = [path for path in source.glob("*/*/*") if path.is_dir()]
    return {"s2": source}, {f"{p.parent.name}_{p.name}": by_band(p, S2_BANDS) for p in folders}


SETS = {
    "bigearthnet": bigearthnet,
    "hyspecnet-11k": hyspecnet,
    "uc-merced": uc_merced,
    "eurosat-multi-spectral": eurosat,
    "hydro": hydro,
    "ssl4eo-s12": ssl4eo,
    "major-tom-core": major_tom,
}


@pytest.mark.parametrize("layout", SETS)
def test_a_sample_is_what_rasterio_reads(tmp_path, samples, layout):
    sources, expected = SETS[layout](samples)
    uri = str(tmp_path / "out")
    done = convert(layout, {name: str(path) for name, path in sources.items()}, uri)

    assert expected
    assert done.patches == done.written == len(expected)
    rows = {row["key"]: row for row in pq.read_table(f"{uri}/manifest.parquet").to_pylist()}
    assert sorted(rows) == sorted(expected)
    # As rico-hdl's README reads a value.
    env = lmdb.open(uri, readonly=True)
    with env.begin() as txn:
        assert txn.stat()["entries"] == len(expected)
        for key, arrays in expected.items():
            value = txn.get(key.encode())
            tensors = safetensors.numpy.load(value)
            assert {n: (a.dtype, a.shape) for n, a in tensors.items()} == {
                n: (a.dtype, a.shape) for n, a in arrays.items()
            }
            assert value == safetensors.numpy.save(arrays)
            np.testing.assert_equal(tensors, arrays)
            assert rows[key]["bands"] == list(arrays)
            assert rows[key]["sha256"] == hashlib.sha256(value).hexdigest()
    env.close()


@pytest.mark.parametrize("layout", ["bigearthnet", "ssl4eo-s12"])
def test_a_sample_is_verified(tmp_path, samples, layout):
    sources, expected = SETS[layout](samples)
    given = {name: str(path) for name, path in sources.items()}
    convert(layout, given, str(tmp_path / "out"))
    found = verify(str(tmp_path / "out"), given)

    assert not found.errors
    assert found.tensors == sum(map(len, expected.values()))


def test_the_file_of_bigearthnet_is_that_which_rico_hdl_publishes(tmp_path, samples):
    sources, _ = bigearthnet(samples)
    given = {name: str(sources[name]) for name in ("s1", "s2")}
    convert("bigearthnet", given, str(tmp_path / "out"), rico_identical=True)
    digest = hashlib.sha256(Path(tmp_path / "out/data.mdb").read_bytes()).hexdigest()

    assert digest == "4e1ec10580ac2bde74ae4621c40ce20429cee6507ad10c4c6deb81abb06d5c06"
