"""Manifests that lie, tables and metadata of the patches, and originals that are damaged unseen."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import rasterio
from affine import Affine

from geoseg.convert.convert import convert
from geoseg.convert.layouts.generic import generic
from geoseg.convert.verify import verify
from geoseg.errors import ConfigError

LAYOUT = generic(images="{split}/{label}/{key}.tif", bands=("a", "b", "c"))


def write(path, data, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    count, height, width = data.shape
    place = {"crs": "EPSG:32633", "transform": Affine(10, 0, 5e5, 0, -10, 5e6)}
    with rasterio.open(
        path, "w", driver="GTiff", count=count, height=height, width=width, dtype=data.dtype,
        **(place | options),
    ) as file:  # fmt: skip
        file.write(data)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A data set of four patches by split and label, and its store."""
    folder = tmp_path_factory.mktemp("made")
    for number, place in enumerate(("train/x", "train/y", "val/x", "val/y")):
        data = np.random.default_rng(number).normal(size=(3, 8, 6)).astype("f4")
        write(folder / f"data/{place}/p{number}.tif", data, nodata=float("nan"))
    convert(LAYOUT, {"images": str(folder / "data")}, str(folder / "store"), workers=0)
    return folder


@pytest.fixture
def lying(made, tmp_path):
    """Changes cells of the first row of the manifest; what verify then finds."""

    def make(**cells):
        store = tmp_path / "store"
        shutil.copytree(made / "store", store)
        path = store / "manifest.parquet"
        table = pq.read_table(path)
        rows = table.to_pylist()
        rows[0] |= cells
        pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), path)
        return verify(str(store), [str(made / "data")])

    return make


@pytest.mark.parametrize(
    ("column", "value", "told"),
    [
        ("split", "test", "of the split 'test', the source gives 'train'"),
        ("labels", ["zzz"], "of the labels ('zzz',), the source gives ('x',)"),
        ("labels", None, "of the labels None"),
        ("group", "foo", "of the group 'foo', the source gives 'images'"),
        ("sample", "foo", "of the sample 'foo', the source gives 'p0'"),
        ("source", "foo.tif", "of the source 'foo.tif', the source gives 'train/x/p0.tif'"),
        ("source", None, "of the source None"),
        ("bounds", [0.0, 0.0, 1.0, 1.0], "of the bounds (0.0, 0.0, 1.0, 1.0)"),
        ("bounds", None, "of the bounds None"),
        ("transform", None, "of the transform"),
        ("crs", None, "of the CRS None"),
        ("compression", "zstd", "of the compression zstd, found is None"),
        ("bands", ["c", "b", "a"], "in the order c, b, a, the files give a, b, c"),
        ("bands", None, "does not tell its bands"),
        ("nodata", None, "of None as nodata of a, its file has nan"),
        ("shapes", None, "does not tell its shapes"),
        ("dtypes", None, "does not tell its dtypes"),
        ("sha256", None, "does not tell its sha256"),
    ],
)
def test_a_cell_of_the_manifest_that_lies_is_a_fault(lying, column, value, told):
    more = (
        dict.fromkeys(("shapes", "dtypes", "nodata")) if (column, value) == ("bands", None) else {}
    )
    found = lying(**{column: value}, **more)
    assert not found.ok
    assert (found.faulty, {*found.faults}) == (1, {"manifest"})
    assert any(told in fault.text for fault in found.errors), found.errors


def test_folders_above_and_below_the_one_that_was_named_tell_the_same_source(made, lying):
    assert lying().ok
    folder = made / "data/train"
    layout = generic(images="{label}/{key}.tif", bands=("a", "b", "c"))
    store = str(made / "below")
    convert(layout, {"images": str(folder)}, store, workers=0)
    above = generic(images="train/{label}/{key}.tif", bands=("a", "b", "c"))
    assert verify(store, [str(made / "data")], layout=above).ok


def test_a_key_of_no_source_is_not_hidden_by_a_group_that_there_is_not(made, tmp_path):
    for name in ("data", "store"):
        shutil.copytree(made / name, tmp_path / name)
    path = tmp_path / "store/manifest.parquet"
    table = pq.read_table(path)
    rows = table.to_pylist()
    rows[0]["group"] = "foo"
    pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), path)
    (tmp_path / "data/train/x/p0.tif").unlink()
    found = verify(str(tmp_path / "store"), [str(tmp_path / "data")])
    assert (found.faults, found.unchecked) == ({"extra": 1}, {})


S2 = "S2A_MSIL2A_20170613T101031_N9_R2_T33UUP"


def test_what_a_table_of_metadata_told_is_compared_where_it_is_named(tmp_path):
    for number in range(2):
        key = f"{S2}_{number}_1"
        data = np.full((1, 8, 6), number + 1, "u2")
        write(tmp_path / f"map/{key}/{key}_reference_map.tif", data)
    table = {"patch_id": [f"{S2}_0_1", f"{S2}_1_1"], "split": ["train", "test"]}
    for name, labels in (("right", [["x"], ["y"]]), ("wrong", [["x"], ["z"]])):
        frame = pd.DataFrame(table | {"labels": labels})
        frame.to_parquet(tmp_path / f"{name}.parquet")
    sources, store = {"map": str(tmp_path / "map")}, str(tmp_path / "store")
    convert("bigearthnet", sources, store, workers=0, metadata=str(tmp_path / "right.parquet"))

    found = verify(store, sources)
    assert (found.ok, found.without_metadata) == (True, 2)
    found = verify(store, sources, metadata=str(tmp_path / "right.parquet"))
    assert (found.ok, found.without_metadata) == (True, 0)
    found = verify(store, sources, metadata=str(tmp_path / "wrong.parquet"))
    assert found.faults == {"manifest": 1}
    assert "of the labels ('y',), the source gives ('z',)" in found.errors[0].text


@pytest.fixture
def tabled(tmp_path, monkeypatch):
    """A data set with its table beside it, its store, and a wrong table in the current directory."""
    write(tmp_path / "data/one.tif", np.ones((1, 8, 6), "u1"))
    write(tmp_path / "data/two.tif", np.ones((1, 8, 6), "u1"))
    (tmp_path / "tables").mkdir()
    table = tmp_path / "tables/t.csv"
    table.write_text("image,labels\none.tif,a;b;a\ntwo.tif,\n")
    (tmp_path / "here").mkdir()
    (tmp_path / "here/t.csv").write_text("image\none.tif\n")
    monkeypatch.chdir(tmp_path / "here")
    store, data = str(tmp_path / "store"), str(tmp_path / "data")
    convert(generic(csv=str(table)), {"images": data}, store, workers=0)
    return store, data, str(table)


def test_the_table_of_a_store_is_named_and_never_one_of_its_name_elsewhere(tabled):
    store, data, table = tabled
    for call in (
        lambda: verify(store, [data], table=table),
        lambda: verify(store, [data, table]),
        lambda: verify(store, {"images": data}, table=table),
    ):
        found = call()
        assert found.ok, found.errors
        assert found.patches == 2
    with pytest.raises(ConfigError, match=r"by the table t\.csv, which is not in .*--csv"):
        verify(store, [data])
    with pytest.raises(ConfigError, match="there is no such file"):
        verify(store, [data], table="none.csv")


def test_a_store_without_manifest_is_compared_by_the_table_that_is_named(tabled):
    store, data, table = tabled
    Path(store, "manifest.parquet").unlink()
    found = verify(store, [data], table=table)
    assert (found.ok, found.patches) == (True, 2)


def test_a_label_that_is_there_twice_in_a_table_is_stored_once(tabled):
    store, *_ = tabled
    rows = pq.read_table(Path(store, "manifest.parquet")).to_pylist()
    assert [row["labels"] for row in rows] == [["a", "b"], None]


def test_a_table_is_refused_by_a_layout_that_knows_none(made, tabled):
    _, _, table = tabled
    with pytest.raises(ConfigError, match="takes no table"):
        verify(str(made / "store"), [str(made / "data")], table=table)


def test_a_deflated_original_that_is_damaged_is_a_fault_and_no_noise(tmp_path):
    data = np.random.default_rng(0).integers(0, 40, (1, 64, 64)).astype("u2")
    write(tmp_path / "data/a.tif", data, compress="deflate")
    store = str(tmp_path / "store")
    convert(generic(bands=("a",)), {"images": str(tmp_path / "data")}, store, workers=0)
    path = tmp_path / "data/a.tif"
    with rasterio.open(path) as file:
        place = [
            int(file.get_tag_item(f"BLOCK_{w}_0_0", "TIFF", bidx=1)) for w in ("OFFSET", "SIZE")
        ]
    raw = bytearray(path.read_bytes())
    middle = place[0] + place[1] // 2
    raw[middle : middle + 40] = bytes(40)
    path.write_bytes(raw)
    found = verify(store, [str(tmp_path / "data")])
    assert found.faults == {"file": 1}
    assert "a.tif: cannot be read: a deflated block of band 1 is damaged" in found.errors[0].text
