import hashlib
import json
import math
from pathlib import Path

import lmdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geoseg.errors import SourceError, StoreError
from geoseg.grid import Grid
from geoseg.sources.store.compression import compressed
from geoseg.sources.store.environments import close_stores
from geoseg.sources.store.listcolumns import list_values
from geoseg.sources.store.manifest import ManifestRows, iter_rows
from geoseg.sources.store.manifesttable import COLUMNS, read_manifest

SIZES = {"B2": (12, 20), "B1": (4, 10)}


@pytest.fixture(autouse=True)
def nothing_open():
    yield
    close_stores()


@pytest.fixture
def store(tmp_path):
    """The folder of an empty store, for a manifest."""
    lmdb.open(str(tmp_path / "s")).close()
    return tmp_path / "s"


def grid(i):
    transform = [10, 0, 5e5 + 200 * i, 0, -10, 4e6]
    return Grid(crs="EPSG:32633", transform=transform, height=12, width=20)


def filled(count, rows=None):
    """Rows of patches, each third without georeference, in no order."""
    rows = ManifestRows() if rows is None else rows
    for i in range(count):
        key = f"p{i * 7919 % count:05d}"
        names = ("B2", "B1") if i % 5 else ("B1", "B2")
        value = key.encode() * 9
        rows.add(
            key,
            {name: np.zeros(SIZES[name], "u2" if i % 2 else "i2") for name in names},
            compressed(value) if i % 7 == 0 else value,
            grid=grid(i) if i % 3 else None,
            nodata={"B1": float(i % 4)},
            source=f"folder/{key}",
            group="s2",
            sample=None if i % 4 else "x",
            split=("train", None)[i % 2],
            labels=None if i % 5 == 0 else [f"class {n}" for n in range(i % 4)],
        )
    return rows


def as_tuples(value):
    return tuple(map(as_tuples, value)) if isinstance(value, list) else value


def test_all_that_is_told_stands_in_the_file(tmp_path):
    rows = ManifestRows()
    value = compressed(b"value")
    rows.add(
        "a",
        {"x": np.zeros((12, 20), ">f4")},
        value,
        grid=grid(1),
        nodata=math.nan,
        source="folder/a",
        group="s1",
        sample="one",
        split="test",
        labels=("water", "forest"),
    )
    rows.write(tmp_path / "m", told={"layout": {"b": 1, "a": "é"}, "format": 1})
    row = pq.read_table(tmp_path / "m").to_pylist()[0]

    assert math.isnan(row.pop("nodata")[0])
    assert row == {
        "key": "a",
        "bands": ["x"],
        "shapes": [[12, 20]],
        "dtypes": ["float32"],
        "crs": "EPSG:32633",
        "transform": [10, 0, 5e5 + 200, 0, -10, 4e6],
        "bounds": [5e5 + 200, 4e6 - 120, 5e5 + 400, 4e6],
        "sha256": hashlib.sha256(value).hexdigest(),
        "source": "folder/a",
        "group": "s1",
        "sample": "one",
        "split": "test",
        "labels": ["water", "forest"],
        "compression": "zstd",
    }
    told = pq.read_schema(tmp_path / "m").metadata[b"geoseg"]
    assert told.decode() == '{"format":1,"layout":{"a":"é","b":1}}'


def test_the_bounds_are_those_of_a_rotated_grid_too(tmp_path):
    turned = Grid(crs="EPSG:32633", transform=[6, -8, 100, 8, 6, 200], height=12, width=20)
    rows = ManifestRows()
    rows.add("a", {"x": np.zeros((12, 20), "u1")}, b"", grid=turned, nodata=None)
    rows.write(tmp_path / "m")
    corners = np.array([turned.transform @ p for p in [(0, 0), (20, 0), (0, 12), (20, 12)]])

    assert pq.read_table(tmp_path / "m")["bounds"][0].as_py() == pytest.approx(
        [*corners.min(axis=0), *corners.max(axis=0)]
    )


@pytest.mark.parametrize("count", [0, 1, 1024, 1300])
def test_the_table_holds_what_the_rows_of_the_file_hold(store, count):
    filled(count).write(store / "manifest.parquet", told={"format": 1})
    manifest = read_manifest(str(store))
    expected = pq.read_table(store / "manifest.parquet").to_pylist()

    assert manifest.told == {"format": 1}
    assert tuple(manifest.table.columns) == COLUMNS
    assert manifest.table.to_dict("records") == [
        {name: as_tuples(value) for name, value in row.items()} for row in expected
    ]
    assert {type(dtype) for dtype in manifest.table.dtypes} == {np.dtypes.ObjectDType}
    assert list(manifest.table["key"]) == sorted(manifest.table["key"])


def test_equal_lists_are_one_object(store):
    filled(1500).write(store / "manifest.parquet")
    table = read_manifest(str(store)).table

    for name in ("bands", "shapes", "dtypes", "nodata", "labels"):
        assert len({*map(id, table[name])}) == len({*table[name]}) < 10


def test_it_is_read_once_until_the_file_changes(store):
    path = store / "manifest.parquet"
    assert read_manifest(str(store)) is None

    filled(3).write(path)
    first = read_manifest(str(store))
    assert read_manifest(str(store)) is first
    filled(40).write(path)
    assert len(read_manifest(str(store)).table) == 40


def test_some_columns_alone_are_read(store):
    filled(5).write(store / "manifest.parquet", told={"format": 1})
    some = read_manifest(str(store), columns=("split", "key"))

    assert list(some.table.columns) == ["split", "key"]
    assert some.told == {"format": 1}
    assert list(some.table["split"]) == list(read_manifest(str(store)).table["split"])


@pytest.mark.parametrize("kept", [("key",), ("split", "key", "bands"), ("nodata", "key")])
def test_a_manifest_of_others_with_few_columns_is_read(store, kept):
    filled(30).write(store / "whole")
    whole = pq.read_table(store / "whole")
    large = whole.select(kept).append_column("other", pa.array(range(30)))
    pq.write_table(large, store / "manifest.parquet", row_group_size=7)
    manifest = read_manifest(str(store))

    for name in COLUMNS:
        expected = whole[name].to_pylist() if name in kept else [None] * 30
        assert list(manifest.table[name]) == list(map(as_tuples, expected))
    assert manifest.told == {}


def test_other_types_of_lists_and_columns_of_nothing_are_read(store):
    columns = {
        "key": pa.array(["b", "a"], pa.large_string()),
        "bounds": pa.array([[1, 2, 3, 4], None], pa.list_(pa.float32(), 4)),
        "transform": pa.array([None, [1, 2, 3, 4, 5, 6]], pa.large_list(pa.int16())),
        "shapes": pa.array([[[1, 2], [3, 4]], []], pa.list_(pa.list_(pa.int64(), 2))),
        "labels": pa.array([[], None], pa.list_(pa.null())),
        "split": pa.nulls(2),
    }
    pq.write_table(pa.table(columns), store / "manifest.parquet")
    table = read_manifest(str(store)).table

    assert list(table["key"]) == ["b", "a"]
    assert list(table["bounds"]) == [(1, 2, 3, 4), None]
    assert list(table["transform"]) == [None, (1, 2, 3, 4, 5, 6)]
    assert list(table["shapes"]) == [((1, 2), (3, 4)), ()]
    assert list(table["labels"]) == [(), None]
    assert list(table["split"]) == [None, None]


@pytest.mark.parametrize(
    ("columns", "text"),
    [
        ({"name": ["a"]}, "no column `key`, but name"),
        ({"key": [3]}, r"the column `key` is int64: expected text"),
        ({"key": ["a", "b", "a"]}, "the key 'a' is there twice"),
        ({"key": ["a", None]}, "1 rows have no `key`"),
        ({"key": ["a"], "split": [3]}, "`split` is int64: expected text"),
        ({"key": ["a"], "bands": ["B1"]}, "`bands` is string: expected lists of text"),
        ({"key": ["a"], "bands": [[1]]}, "expected lists of text"),
        ({"key": ["a"], "shapes": [[1]]}, "expected lists of lists of whole numbers"),
        ({"key": ["a"], "nodata": [["x"]]}, "expected lists of numbers"),
        ({"key": ["a"], "bounds": [[1.0, 2.0]]}, "expected 4 finite numbers"),
        ({"key": ["a"], "transform": [[1.0] * 5 + [None]]}, "expected 6 finite numbers"),
        ({"key": ["a"], "transform": [[1.0] * 5 + [math.inf]]}, "expected 6 finite numbers"),
    ],
)
def test_a_manifest_that_makes_no_sense_is_an_error(store, columns, text):
    pq.write_table(pa.table(columns), store / "manifest.parquet")

    with pytest.raises(SourceError, match=rf"manifest.parquet: .*{text}.*write the store again"):
        read_manifest(str(store))


@pytest.mark.parametrize("told", [b"{", b"[1]", b"\xff"])
def test_what_is_told_must_be_json(store, told):
    schema = pa.schema([("key", pa.string())], metadata={b"geoseg": told})
    pq.write_table(schema.empty_table(), store / "manifest.parquet")

    with pytest.raises(SourceError, match=r"manifest.parquet: the manifest cannot be read"):
        read_manifest(str(store))


def test_a_file_that_is_no_parquet_is_an_error(store):
    (store / "manifest.parquet").write_bytes(b"PAR1 and no more PAR1")

    with pytest.raises(SourceError, match="the manifest cannot be read"):
        read_manifest(str(store))
    with pytest.raises(SourceError, match="rows of a manifest cannot be read"):
        list(iter_rows(store / "manifest.parquet"))


# Runs that go on


def test_rows_of_a_killed_run_give_the_same_manifest(tmp_path):
    first = ManifestRows()
    filled(1300, first).write(tmp_path / "whole", told={"format": 1})
    kept, again, written = ManifestRows(), ManifestRows(), ManifestRows()
    filled(1300, kept)
    rows = list(iter_rows(tmp_path / "whole"))[::-1]
    for i, row in enumerate(rows):
        written.add_row(row)
        if i % 400 == 0 or i == len(rows) - 1:
            written.write_segment(tmp_path / f"segment_{i:05d}")
    for path in sorted(tmp_path.glob("segment_*")):
        for row in iter_rows(path):
            again.add_row(row)
    again.write(tmp_path / "again", told={"format": 1})

    assert len(again) == len(first) == 1300
    assert Path(tmp_path / "again").read_bytes() == Path(tmp_path / "whole").read_bytes()
    assert [pq.read_metadata(p).num_rows for p in sorted(tmp_path.glob("segment_*"))] == [
        1, 400, 400, 400, 99,
    ]  # fmt: skip


def test_a_row_that_tells_less_is_kept(tmp_path):
    rows = ManifestRows()
    rows.add_row({"key": "a", "bands": ["x"]})
    rows.write(tmp_path / "m")

    assert pq.read_table(tmp_path / "m").to_pylist() == [
        dict.fromkeys(COLUMNS) | {"key": "a", "bands": ["x"]}
    ]


def test_rows_alike_take_little_memory():
    rows = ManifestRows()
    arrays = {f"B{i}": np.zeros((1, 1), "u2") for i in range(224)}
    for i in range(1100):
        rows.add(f"patch_{i}", arrays, b"", grid=None, nodata=math.nan)

    assert sum(table.nbytes for table in rows._tables) < 1100 * 250
    assert len(rows._shared) == 1


def test_two_runs_write_the_same_bytes(tmp_path):
    for name in ("a", "b"):
        filled(300).write(
            tmp_path / name, told={"b": 1, "a": 2} if name == "a" else {"a": 2, "b": 1}
        )

    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert json.loads(pq.read_schema(tmp_path / "a").metadata[b"geoseg"]) == {"a": 2, "b": 1}


def test_what_does_not_fit_the_arrays_is_refused():
    with pytest.raises(StoreError, match=r"nodata is given for \['y'\]"):
        ManifestRows().add("a", {"x": np.zeros((2, 2))}, b"", grid=None, nodata={"y": 0})
    with pytest.raises(StoreError, match=r"the grid is .*12 x 20 px"):
        ManifestRows().add("a", {"x": np.zeros((2, 2))}, b"", grid=grid(0), nodata=None)


# Lists as objects

texts = st.lists(st.one_of(st.none(), st.sampled_from(["a", "b", ""])), max_size=3)
numbers = st.lists(st.one_of(st.none(), st.sampled_from([0.0, 1.5, -3.0])), max_size=3)
sizes = st.lists(st.lists(st.integers(0, 2), max_size=2), max_size=3)


@settings(max_examples=60)
@given(st.data(), st.sampled_from(["text", "numbers", "sizes"]), st.integers(0, 3))
def test_lists_are_what_pyarrow_gives_row_by_row(data, kind, first):
    one, leaf = {
        "text": (texts, pa.string()),
        "numbers": (numbers, pa.float64()),
        "sizes": (sizes, pa.list_(pa.int32())),
    }[kind]
    rows = data.draw(st.lists(st.one_of(st.none(), one), max_size=9))
    column = pa.array(rows, pa.list_(leaf)).slice(first)

    assert list(list_values(column, kind=kind, seen={})) == [*map(as_tuples, rows[first:])]
