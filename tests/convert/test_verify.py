import json
import shutil
from pathlib import Path

import lmdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import rasterio
import safetensors.numpy
from affine import Affine

from geoseg.convert.convert import convert
from geoseg.convert.layouts.generic import generic
from geoseg.convert.scenes import convert_scenes
from geoseg.convert.verify import verify
from geoseg.convert.verifying.bits import first_difference
from geoseg.errors import ConfigError, SourceError
from geoseg.scene import Scene
from geoseg.sources.store.environments import close_stores

S1, S2 = "S1A_IW_GRDH_1SDV_20170613T165043_33UUP_7_4", "S2A_MSIL2A_20170613T101031_N9_R2_T33UUP_7_4"
GROUPS = ("s1", "s2", "map")
BANDS = ("B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B09", "B11", "B12", "B8A")
SIZES = {"B01": 2, "B09": 2} | dict.fromkeys(("B02", "B03", "B04", "B08"), 12)
UTM = Affine(10, 0, 300_000, 0, -10, 5_000_000)


def write(path, pixels, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    bands = pixels if pixels.ndim == 3 else pixels[None]
    scale = 12 / bands.shape[2]
    place = {"crs": "EPSG:32633", "transform": UTM @ Affine.scale(scale), **options}
    with rasterio.open(
        path, "w", driver="GTiff", count=len(bands), height=bands.shape[1], width=bands.shape[2],
        dtype=bands.dtype, **place,
    ) as file:  # fmt: skip
        file.write(bands)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with a small data set like BigEarthNet, NaNs of several kinds in it, and its store."""
    tmp_path = tmp_path_factory.mktemp("made")
    rng = np.random.default_rng(0)
    for n in range(2):
        radar = rng.normal(size=(12, 12)).astype("f4")
        radar.view("u4")[3, 4:6] = 0x7FC01234, 0xFFC00000
        for band in ("VH", "VV"):
            write(tmp_path / f"s1/a/{S1}{n}/{S1}{n}_{band}.tif", radar + n)
        for band in BANDS:
            side = SIZES.get(band, 6)
            pixels = rng.integers(0, 9000, (side, side)).astype("u2")
            write(tmp_path / f"s2/b/{S2}{n}/{S2}{n}_{band}.tif", pixels, nodata=0)
        ids = rng.integers(0, 400, (12, 12)).astype("u2")
        write(tmp_path / f"map/{S2}{n}/{S2}{n}_reference_map.tif", ids)
    sources = {name: str(tmp_path / name) for name in GROUPS}
    convert("bigearthnet", sources, str(tmp_path / "store"), workers=0)
    return tmp_path


@pytest.fixture
def data(made, tmp_path):
    """A copy of the data set: {group: folder}."""
    for name in GROUPS:
        shutil.copytree(made / name, tmp_path / name)
    return {name: str(tmp_path / name) for name in GROUPS}


@pytest.fixture
def store(made, tmp_path):
    """A copy of its store."""
    shutil.copytree(made / "store", tmp_path / "store")
    return str(tmp_path / "store")


def change(store, key, value):
    """Put another value, or none, in place of one."""
    close_stores()
    with lmdb.open(store, map_size=1 << 28, lock=False) as env, env.begin(write=True) as txn:
        if value is None:
            txn.delete(key.encode())
        else:
            txn.put(key.encode(), value)


def value_of(store, key):
    with lmdb.open(store, readonly=True, lock=False) as env, env.begin() as txn:
        return txn.get(key.encode())


def arrays_of(store, key):
    return {n: a.copy() for n, a in safetensors.numpy.load(value_of(store, key)).items()}


def kinds(found):
    return dict(found.faults)


def test_a_store_that_is_its_sources_has_no_fault(store, data):
    seen = []
    found = verify(store, data, progress=seen.append)
    assert found.ok
    assert (found.layout, found.manifest, found.patches, found.faulty) == (
        "bigearthnet",
        True,
        6,
        0,
    )
    assert (found.files, found.tensors, found.hashes) == (30, 30, 6)
    assert found.bytes == 2 * (2 * 144 * 4 + 4 * 144 * 2 + 6 * 36 * 2 + 2 * 4 * 2 + 144 * 2)
    assert [(p.done, p.total) for p in seen] == [(i, 6) for i in range(1, 7)]
    json.dumps(found.to_dict(), allow_nan=False)
    assert found.to_dict()["ok"]


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 2, 0)])
@pytest.mark.parametrize("manifest", [True, False])
def test_folders_may_be_given_in_any_order(store, data, order, manifest):
    if not manifest:
        Path(store, "manifest.parquet").unlink()
    folders = [*data.values()]
    found = verify(store, [folders[i] for i in order])
    assert found.ok
    assert (found.sources, found.layout) == (data, "bigearthnet")
    assert found.manifest is manifest


def test_the_first_pixel_that_differs_is_told_and_how_many_do(store, data):
    arrays = arrays_of(store, f"{S2}0")
    original = arrays["B05"].copy()
    arrays["B05"][4, 2:] += 1
    change(store, f"{S2}0", safetensors.numpy.save(arrays))
    found = verify(store, data)

    assert not found.ok
    assert kinds(found) == {"hash": 1, "values": 1}
    fault = found.errors[1]
    assert (fault.key, fault.tensor, fault.row, fault.col, fault.count) == (
        f"{S2}0",
        "B05",
        4,
        2,
        4,
    )
    assert (fault.stored, fault.expected) == (str(original[4, 2] + 1), str(original[4, 2]))
    assert fault.file == f"{data['s2']}/b/{S2}0/{S2}0_B05.tif"
    assert "4 of 36 pixels differ, the first at row 4, column 2" in fault.text


def test_a_nan_of_other_bits_is_another_value(store, data):
    arrays = arrays_of(store, f"{S1}0")
    assert np.isnan(arrays["VV"][3, 4])
    arrays["VV"][3, 4] = np.nan
    change(store, f"{S1}0", safetensors.numpy.save(arrays))
    fault = verify(store, data).errors[1]
    assert (fault.kind, fault.row, fault.col, fault.count) == ("values", 3, 4, 1)
    assert (fault.stored, fault.expected) == ("nan (0x7fc00000)", "nan (0x7fc01234)")


def test_names_dtypes_and_shapes_are_compared(store, data):
    arrays = arrays_of(store, f"{S2}0")
    arrays["B13"] = arrays.pop("B12")
    arrays["B01"] = arrays["B01"].astype("i2")
    arrays["B02"] = arrays["B02"].reshape(6, 24)
    change(store, f"{S2}0", safetensors.numpy.save(arrays))
    found = verify(store, data)
    assert kinds(found) == {"dtype": 1, "hash": 1, "manifest": 1, "names": 2, "shape": 1}
    texts = " ".join(fault.text for fault in found.errors)
    assert "has no tensor 'B12'" in texts
    assert "has a tensor 'B13' that no file gives" in texts
    assert "the dtype is int16, expected uint16" in texts
    assert "the shape is (6, 24), expected (12, 12)" in texts
    assert found.faulty == 1


def test_keys_that_are_missing_or_too_many_are_told(store, data):
    value = value_of(store, f"{S1}0")
    change(store, f"{S1}0", None)
    change(store, "other", value)
    found = verify(store, data)
    assert kinds(found) == {"extra": 1, "manifest": 1, "missing": 1}
    missing = next(fault for fault in found.errors if fault.kind == "missing")
    assert missing.file == f"{data['s1']}/a/{S1}0"
    assert found.patches == 5


def test_a_group_whose_folder_is_not_named_is_counted_and_no_fault(store, data):
    found = verify(store, [data["s2"]])
    assert found.ok
    assert (found.patches, found.unchecked) == (2, {"s1": 2, "map": 2})
    Path(store, "manifest.parquet").unlink()
    assert kinds(verify(store, {"s2": data["s2"]}, layout="bigearthnet")) == {"extra": 4}


def test_a_value_that_is_none_is_told_and_the_others_are_compared(store, data):
    change(store, f"{S2}0", b"nonsense" * 4)
    found = verify(store, data)
    assert kinds(found) == {"damaged": 1, "hash": 1}
    assert found.patches == 6


def test_folders_are_told_apart_though_a_value_is_damaged(store, data):
    change(store, f"{S2}0", b"nonsense" * 4)
    Path(store, "manifest.parquet").unlink()
    found = verify(store, [*data.values()][::-1])
    assert found.sources == data
    assert kinds(found) == {"damaged": 1}


def test_a_source_that_cannot_be_read_is_told_and_the_others_are_compared(store, data):
    path = Path(data["s2"], "b", f"{S2}1", f"{S2}1_B02.tif")
    path.write_bytes(path.read_bytes()[:300])
    gone = path.with_name(f"{S2}1_B03.tif")
    gone.unlink()
    found = verify(store, data)
    assert kinds(found) == {"file": 2}
    assert {fault.file for fault in found.errors} == {str(path), str(gone)}
    assert found.tensors == 28


def test_a_source_that_has_changed_since_is_found(store, data):
    path = Path(data["map"], f"{S2}0", f"{S2}0_reference_map.tif")
    with rasterio.open(path, "r+") as file:
        pixels = file.read(1)
        pixels[0, 0] ^= 1
        file.write(pixels, 1)
    fault = verify(store, data).errors[0]
    assert (fault.kind, fault.tensor, fault.count) == ("values", "Data", 1)


@pytest.mark.parametrize(
    ("column", "value", "told"),
    [
        ("crs", "EPSG:32632", "of the CRS EPSG:32632, the files have EPSG:32633"),
        ("transform", [10.0, 0.0, 0.0, 0.0, -10.0, 0.0], "of the transform"),
        ("nodata", [5.0] * 12, "of 5.0 as nodata of B01, its file has 0.0"),
        ("dtypes", ["int16"] * 12, "of the dtypes"),
        ("sha256", "0" * 64, "the manifest tells 000"),
    ],
)
def test_a_manifest_that_lies_is_told(store, data, column, value, told):
    path = Path(store, "manifest.parquet")
    table = pq.read_table(path)
    rows = table.to_pylist()
    next(row for row in rows if row["key"] == f"{S2}1")[column] = value
    pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), path)
    found = verify(store, data)
    assert found.faulty == 1
    assert told in found.errors[0].text
    assert found.errors[0].key == f"{S2}1"


def test_a_store_of_wrong_data_keeps_a_thousand_faults_and_counts_all(store, data, monkeypatch):
    from geoseg.convert.verifying import faults

    monkeypatch.setattr(faults, "_KEPT", 3)
    for path in Path(data["s2"]).rglob("*.tif"):
        with rasterio.open(path, "r+") as file:
            file.write(file.read() + 1)
    found = verify(store, data)
    assert kinds(found) == {"values": 24}
    assert (len(found.errors), found.faulty) == (3, 2)


def test_a_shard_is_compared_with_its_part(data, tmp_path):
    total = 0
    for part in range(3):
        uri = str(tmp_path / f"part{part}")
        convert("bigearthnet", data, uri, workers=0, shard=(part, 3))
        found = verify(uri, data)
        assert found.ok, found.errors
        total += found.patches
    assert total == 6


@pytest.mark.parametrize("option", [{"compression": "zstd"}, {"embed_geo": True}])
def test_values_in_other_forms_are_compared(data, tmp_path, option):
    convert("bigearthnet", data, str(tmp_path / "z"), workers=0, **option)
    found = verify(str(tmp_path / "z"), data)
    assert found.ok
    assert found.hashes == 6


def test_images_and_masks_of_a_generic_layout_are_compared(tmp_path):
    rng = np.random.default_rng(1)
    folder = tmp_path / "own"
    for name in "ab":
        write(folder / f"images/{name}.tif", rng.integers(0, 9, (3, 12, 12)).astype("u1"))
        write(folder / f"masks/{name}.tif", rng.integers(0, 2, (12, 12)).astype("u1"))
    layout = generic(images="images/{key}.tif", masks="masks/{key}.tif")
    uri = str(tmp_path / "store")
    convert(layout, {"images": str(folder)}, uri, workers=0)
    found = verify(uri, [str(folder)])
    assert found.ok, found.errors
    assert (found.layout, found.files, found.tensors) == ("generic", 4, 8)

    write(folder / "masks/b.tif", np.full((12, 12), 7, "u1"))
    assert verify(uri, [str(folder)]).errors[0].tensor == "mask"


def test_patches_of_a_table_are_compared(tmp_path):
    folder = tmp_path / "own"
    write(folder / "one.tif", np.ones((12, 12), "u1"))
    pd.DataFrame({"image": ["one.tif"], "split": ["train"]}).to_csv(folder / "t.csv", index=False)
    uri = str(tmp_path / "store")
    convert(generic(csv=str(folder / "t.csv")), {"images": str(folder)}, uri, workers=0)
    found = verify(uri, [str(folder)])
    assert found.ok, found.errors
    assert found.tensors == 1


def test_calls_that_do_not_fit_are_refused(store, data, tmp_path):
    (tmp_path / "empty").mkdir()
    for sources, told in (
        ([], "expected the folders"),
        (data["s1"], "expected the folders"),
        ([data["s1"], data["s1"]], "s1: is named twice"),
        ([str(tmp_path / "empty")], "gives no key of .*, which has keys such as S1A"),
    ):
        with pytest.raises(ConfigError, match=told):
            verify(store, sources)
    with pytest.raises(SourceError, match="no such folder"):
        verify(store, [str(tmp_path / "none")])
    with pytest.raises(ConfigError, match="there is no layout 'bigearth'"):
        verify(store, data, layout="bigearth")
    with pytest.raises(SourceError, match="no such store"):
        verify(str(tmp_path / "none"), data)
    Path(store, "manifest.parquet").unlink()
    with pytest.raises(ConfigError, match="the sources fit none of: bigearthnet"):
        verify(store, [str(tmp_path / "empty")])


def test_a_store_of_scenes_is_refused(tmp_path):
    write(tmp_path / "i.tif", np.ones((12, 12), "u1"))
    convert_scenes([Scene.of(str(tmp_path / "i.tif"))], str(tmp_path / "store"))
    with pytest.raises(ConfigError, match="was made of scenes"):
        verify(str(tmp_path / "store"), [str(tmp_path)])


@pytest.mark.parametrize("dtype", ["u1", "i8", "f2", "f8", "c8", "?", ">u2"])
def test_planes_are_compared_in_all_their_bits(dtype):
    rng = np.random.default_rng(5)
    raw = rng.integers(0, 2, (5, 7, np.dtype(dtype).itemsize)).astype("u1")
    one = raw.view(dtype)[..., 0]
    assert first_difference(one, one.copy()) is None
    assert first_difference(one.copy("F"), one) is None
    for row, col, byte in [(0, 0, 0), (4, 6, np.dtype(dtype).itemsize - 1), (2, 3, 0)]:
        other = raw.copy()
        other[row, col, byte] ^= 1
        found = first_difference(other.view(dtype)[..., 0], one)
        assert (found.row, found.col, found.count) == (row, col, 1)
