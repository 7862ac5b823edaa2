import hashlib
import json
import os
import resource
import warnings
from pathlib import Path

import lmdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import safetensors.numpy

from geoseg.errors import SourceError, StoreError
from geoseg.grid import Grid
from geoseg.sources.store.environments import close_stores
from geoseg.sources.store.manifest import manifest_path
from geoseg.sources.store.patch import Patch, find_patch
from geoseg.sources.store.writer import StoreWriter

GRID = Grid(crs="EPSG:32633", transform=[10, 0, 5e5, 0, -10, 4e6], height=12, width=20)


@pytest.fixture(autouse=True)
def nothing_open():
    yield
    close_stores()


def patch(seed):
    random = np.random.default_rng(seed)
    return {
        "B02": random.integers(0, 9999, (12, 20)).astype("uint16"),
        "B01": random.integers(0, 9999, (4, 10)).astype("uint16"),
    }


def listed(folder):
    return sorted(path.name for path in folder.iterdir())


def raw(uri):
    """What LMDB alone finds in a store."""
    with lmdb.open(str(uri), readonly=True, lock=False) as env, env.begin() as txn:
        return {bytes(key).decode(): bytes(value) for key, value in txn.cursor()}


def test_a_store_is_what_lmdb_and_safetensors_alone_read(tmp_path):
    uri = tmp_path / "new" / "folder" / "s"
    with StoreWriter(str(uri)) as store:
        for i in range(20):
            store.write(f"patch_{i}", patch(i))
    found = raw(uri)

    assert found == {f"patch_{i}": safetensors.numpy.save(patch(i)) for i in range(20)}
    assert listed(uri) == ["data.mdb", "manifest.parquet"]
    assert listed(uri.parent) == ["s"]
    assert not (uri / "data.mdb").stat().st_mode & 0o111


@pytest.mark.parametrize("puts", [1, 3, 512])
@pytest.mark.parametrize("transaction_bytes", [1, 60_000, 64 << 20])
def test_the_map_grows_and_transactions_end_where_they_must(tmp_path, puts, transaction_bytes):
    uri = str(tmp_path / "s")
    big = {"x": np.random.default_rng(0).random((100, 90))}
    options = {"puts": puts, "transaction_bytes": transaction_bytes, "map_bytes": 1}
    with StoreWriter(uri, **options) as store:
        for i in range(14):
            store.write(f"{i:02d}", big)

    assert raw(uri) == dict.fromkeys((f"{i:02d}" for i in range(14)), safetensors.numpy.save(big))
    assert Path(uri, "data.mdb").stat().st_size < 14 * 90_000


def test_a_transaction_that_is_repeated_with_a_larger_map_leaves_the_same_file(tmp_path):
    def written(name, map_bytes):
        with StoreWriter(str(tmp_path / name), puts=5, map_bytes=map_bytes) as store:
            for i in range(40):
                store.write(f"{i % 7}_{i}", {"x": np.full((40, 60), i)})
        data = bytearray((tmp_path / name / "data.mdb").read_bytes())
        for page in (0, 4096):  # the size of the map is written in both meta pages
            data[page + 32 : page + 40] = bytes(8)
        return data

    assert written("a", 1) == written("b", 1 << 26)


def test_the_file_is_that_of_lmdb_with_the_same_transactions(tmp_path):
    with StoreWriter(str(tmp_path / "a"), puts=4, map_bytes=1 << 24) as store:
        for i in range(10):
            store.write(f"{i % 3}_{i}", patch(i))
    with lmdb.open(str(tmp_path / "b"), map_size=1 << 24) as env:
        for first in range(0, 10, 4):
            with env.begin(write=True) as txn:
                for i in range(first, min(first + 4, 10)):
                    txn.put(f"{i % 3}_{i}".encode(), safetensors.numpy.save(patch(i)))

    assert (tmp_path / "a/data.mdb").read_bytes() == (tmp_path / "b/data.mdb").read_bytes()


@pytest.mark.skipif(not hasattr(resource, "RLIMIT_AS"), reason="no limit of address space here")
def test_little_address_space_is_enough(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forks beside threads
        child = os.fork()
    if not child:
        status = 1
        try:
            used = int(Path("/proc/self/statm").read_text().split()[0]) * 4096
            resource.setrlimit(resource.RLIMIT_AS, (used + (512 << 20),) * 2)
            with StoreWriter(str(tmp_path / "s")) as store:
                store.write("a", patch(0))
            status = 0
        finally:
            os._exit(status)
    assert os.waitpid(child, 0)[1] == 0
    assert list(raw(tmp_path / "s")) == ["a"]


# Whole or not at all


def test_nothing_is_left_after_an_exception(tmp_path):
    def write():
        with StoreWriter(str(tmp_path / "s"), puts=2) as store:
            for i in range(5):
                store.write(str(i), patch(i))
            assert not (tmp_path / "s").exists()
            raise KeyError("stop")

    with pytest.raises(KeyError, match="stop"):
        write()
    assert listed(tmp_path) == []


@pytest.mark.parametrize("puts", [2, 3, 512])
def test_a_key_that_is_there_twice_is_named_and_nothing_is_left(tmp_path, puts):
    def write():
        with StoreWriter(str(tmp_path / "s"), puts=puts) as store:
            for key in ("a", "b", "c", "a", "d"):
                store.write(key, patch(0))

    with pytest.raises(StoreError, match="s: the key 'a' is there twice"):
        write()
    assert listed(tmp_path) == []


def test_a_store_that_exists_is_left_as_it_is(tmp_path):
    uri = str(tmp_path / "s")
    with StoreWriter(uri) as store:
        store.write("a", patch(0))
    with pytest.raises(StoreError, match="s: is a folder with something in it"):
        StoreWriter(uri).__enter__()
    (tmp_path / "file").write_text("text")
    with pytest.raises(StoreError, match="file: is a file, expected a folder"):
        StoreWriter(str(tmp_path / "file")).__enter__()

    assert list(raw(uri)) == ["a"]
    assert listed(tmp_path) == ["file", "s"]


def test_an_empty_folder_takes_the_store(tmp_path):
    (tmp_path / "s").mkdir()
    with StoreWriter(str(tmp_path / "s")) as store:
        store.write("a", patch(0))

    assert list(raw(tmp_path / "s")) == ["a"]


def test_a_store_that_appears_meanwhile_is_not_overwritten(tmp_path):
    def write():
        with StoreWriter(str(tmp_path / "s")) as store:
            store.write("a", patch(0))
            (tmp_path / "s").mkdir()
            (tmp_path / "s" / "mine").touch()

    with pytest.raises(StoreError, match="is a folder with something in it"):
        write()
    assert listed(tmp_path) == ["s"]
    assert listed(tmp_path / "s") == ["mine"]


def test_a_forked_child_does_not_finish_its_parents_store(tmp_path):
    with StoreWriter(str(tmp_path / "s")) as store:
        store.write("a", patch(0))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of forks beside threads
            child = os.fork()
        if not child:
            store.__exit__(None, None, None)
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        assert not (tmp_path / "s").exists()

    assert list(raw(tmp_path / "s")) == ["a"]


@pytest.mark.parametrize(
    ("uri", "text"),
    [("s3://bucket/s", "local paths only"), ("{}/file/s", "nothing can be written to the folder")],
)
def test_a_place_that_cannot_be_written_is_an_error(tmp_path, uri, text):
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match=text):
        StoreWriter(uri.format(tmp_path)).__enter__()


@pytest.mark.skipif(not hasattr(resource, "RLIMIT_FSIZE"), reason="no limit of file sizes here")
@pytest.mark.parametrize("room", [40_000, 250_000])
def test_a_full_disk_is_a_clear_error_and_nothing_is_left(tmp_path, room):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forks beside threads
        child = os.fork()
    if not child:
        status = 1
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))
            try:
                with StoreWriter(str(tmp_path / "s"), puts=3) as store:
                    for i in range(30):
                        store.write(str(i), {"x": np.full((40, 50), float(i))})
            except StoreError as error:
                status = 0 if "cannot be written" in str(error) else 2
        finally:
            os._exit(status)

    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert listed(tmp_path) == []


def test_a_map_that_is_too_large_for_the_machine_is_an_error(tmp_path):
    with pytest.raises(StoreError, match=f"a map of {1 << 60} bytes.*smaller `map_bytes`"):
        StoreWriter(str(tmp_path / "s"), map_bytes=1 << 60).__enter__()
    assert listed(tmp_path) == []


def test_writing_outside_the_with_says_so(tmp_path):
    with pytest.raises(StoreError, match="is not open yet; write inside `with"):
        StoreWriter(str(tmp_path / "s")).write("a", patch(0))


# What is refused


@pytest.mark.parametrize(
    ("key", "arrays", "options", "text"),
    [
        ("", {}, {}, "is 0 bytes long, expected 1 to 511"),
        ("é" * 256, {}, {}, "is 512 bytes long"),
        ("\udcff", {}, {}, "is no text"),
        ("a", {"x": np.zeros(2, "complex128")}, {}, "s: a: the array 'x' is complex128"),
        ("a", patch(0), {"grid": GRID.crop(GRID.whole).model_copy(update={"height": 11})},
         "s: a: the grid is .*11 x 20 px.*largest bands are \\(12, 20\\)"),
        ("a", patch(0), {"nodata": {"B2": 0}}, "nodata is given for \\['B2'\\]"),
    ],
)  # fmt: skip
def test_what_cannot_be_stored_is_an_error(tmp_path, key, arrays, options, text):
    def write():
        with StoreWriter(str(tmp_path / "s")) as store:
            store.write(key, arrays, **options)

    with pytest.raises(StoreError, match=text):
        write()
    assert listed(tmp_path) == []


def test_the_longest_key_is_stored(tmp_path):
    key = "é" * 255 + "x"
    with StoreWriter(str(tmp_path / "s")) as store:
        store.write(key, patch(0))

    assert list(raw(tmp_path / "s")) == [key]


# The manifest


def test_the_manifest_tells_what_the_values_do_not(tmp_path):
    uri = tmp_path / "s"
    with StoreWriter(str(uri)) as store:
        store.write("b", patch(0), grid=GRID, nodata=0)
        store.write("a", patch(1), nodata={"B01": -1.5})
        store.write("c", {"one": np.zeros((2, 3, 4), ">f4")})
    rows = pq.read_table(uri / "manifest.parquet").to_pylist()
    values = raw(uri)

    assert [row["key"] for row in rows] == ["a", "b", "c"]
    assert [row["sha256"] for row in rows] == [
        hashlib.sha256(values[key]).hexdigest() for key in "abc"
    ]
    assert rows[1] | {"sha256": 0} == {
        "key": "b",
        "bands": ["B02", "B01"],  # as they were given
        "shapes": [[12, 20], [4, 10]],
        "dtypes": ["uint16", "uint16"],
        "crs": "EPSG:32633",
        "transform": [10, 0, 5e5, 0, -10, 4e6],
        "nodata": [0, 0],
        "bounds": [5e5, 4e6 - 120, 5e5 + 200, 4e6],
        "sha256": 0,
        "source": None,
        "group": None,
        "sample": None,
        "split": None,
        "labels": None,
        "compression": None,
    }
    assert (rows[0]["crs"], rows[0]["transform"], rows[0]["nodata"]) == (None, None, [None, -1.5])
    assert rows[0]["bounds"] is None
    assert (rows[2]["shapes"], rows[2]["dtypes"]) == ([[2, 3, 4]], ["float32"])


def test_the_manifest_tells_where_patches_come_from_and_what_holds_for_all(tmp_path):
    facts = {"source": "a/b.tif", "group": "s1", "sample": "b", "split": "test"}
    with StoreWriter(str(tmp_path / "s"), told={"layout": "own"}) as store:
        store.write("a", patch(0), labels=["sea", "sand"], **facts)
    table = pq.read_table(tmp_path / "s/manifest.parquet")

    (row,) = table.to_pylist()
    assert {name: row[name] for name in facts} == facts
    assert row["labels"] == ["sea", "sand"]
    assert json.loads(table.schema.metadata[b"geoseg"]) == {"layout": "own"}


def test_values_are_compressed_and_carry_notes_where_that_is_asked_for(tmp_path):
    for name, compression in (("plain", None), ("small", "zstd")):
        with StoreWriter(str(tmp_path / name), compression=compression) as store:
            store.write("a", patch(0), metadata={"z": "1", "a": "2"})
    plain, small = raw(tmp_path / "plain")["a"], raw(tmp_path / "small")["a"]
    (row,) = pq.read_table(tmp_path / "small/manifest.parquet").to_pylist()

    np.testing.assert_equal(safetensors.numpy.load(plain), patch(0))
    size = int.from_bytes(plain[:8], "little")
    assert list(json.loads(plain[8 : 8 + size])["__metadata__"]) == ["a", "z"]
    assert pa.Codec("zstd").decompress(small, decompressed_size=len(plain)) == plain
    assert row["compression"] == "zstd"
    assert row["sha256"] == hashlib.sha256(small).hexdigest()


def test_a_patch_is_found_in_a_manifest_of_many_rows(tmp_path):
    uri = str(tmp_path / "s")
    keys = [f"p{i * 7919 % 3001}" for i in range(3001)]  # in no order
    with StoreWriter(uri) as store:
        for i, key in enumerate(keys):
            store.write(key, {"x": np.zeros((1, 1), "u1")}, nodata=i)
    path = manifest_path(f"{uri}/data.mdb")

    assert pq.ParquetFile(path).num_row_groups == 3
    for i, key in list(enumerate(keys))[::97]:
        assert find_patch(path, key) == Patch(
            bands=("x",),
            shapes=((1, 1),),
            dtypes=("uint8",),
            crs=None,
            transform=None,
            nodata=(float(i),),
        )
    for key in ("p", "p1x", "zzz", ""):
        assert find_patch(path, key) is None


def test_an_empty_store_has_an_empty_manifest(tmp_path):
    with StoreWriter(str(tmp_path / "s")):
        pass

    assert raw(tmp_path / "s") == {}
    assert pq.read_table(tmp_path / "s/manifest.parquet").num_rows == 0
    assert find_patch(str(tmp_path / "s/manifest.parquet"), "a") is None


def test_a_manifest_that_is_none_is_an_error(tmp_path):
    (tmp_path / "manifest.parquet").write_text("key\na\n")
    with pytest.raises(
        SourceError, match=r"the manifest cannot be read for 'a'.*write the store again"
    ):
        find_patch(str(tmp_path / "manifest.parquet"), "a")
