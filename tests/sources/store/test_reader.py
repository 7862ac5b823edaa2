import os
import pickle
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from pathlib import Path

import lmdb
import numpy as np
import pytest
import safetensors.numpy

import geoseg
from geoseg.errors import SourceError
from geoseg.sources.store import environments
from geoseg.sources.store.environments import close_stores
from geoseg.sources.store.reader import StoreReader
from tests.support.waiting import PATIENCE

SIZES = {"B02": (12, 20), "B8A": (6, 10), "B01": (3, 5), "B10": (12, 20)}

READ_IN_WORKERS = """
import multiprocessing, pickle, sys
import numpy as np
from geoseg.sources.store import environments
from geoseg.sources.lmdb import LMDBSource
from geoseg.sources.store.reader import StoreReader

PARENTS = []

def wrong_reads(job):
    reader, expected, seed = job
    wrong = 0
    for i in np.random.default_rng(seed).permutation(300) % len(expected):
        for name, array in reader.read(f"patch_{i}").items():
            wrong += not np.array_equal(array, expected[i][name])
        source = LMDBSource(uri=reader.uri, key=f"patch_{i}", bands=("B10", "B02"))
        data = source.read(source.grid.whole).data
        wrong += not np.array_equal(data, [expected[i]["B10"], expected[i]["B02"]])
    if seed and next(iter(environments._opened.values())).env in PARENTS:
        return "the parent's environment"
    return wrong

if __name__ == "__main__":
    _, method, uri, truth = sys.argv
    reader, expected = StoreReader(uri), pickle.loads(open(truth, "rb").read())
    reader.read("patch_0")
    PARENTS.append(next(iter(environments._opened.values())).env)
    with multiprocessing.get_context(method).Pool(4) as pool:
        jobs = [(reader, expected, seed) for seed in range(1, 5)]
        jobs = pool.map_async(wrong_reads, jobs, chunksize=1)
        here = wrong_reads((reader, expected, 0))  # while the workers read
        print("wrong reads:", [*jobs.get(timeout=600), here])
"""


def patch(seed, dtype="uint16"):
    random = np.random.default_rng(seed)
    return {name: random.integers(0, 9999, size).astype(dtype) for name, size in SIZES.items()}


def put(path, values, **options):
    """Write values by LMDB alone."""
    with lmdb.open(str(path), map_size=1 << 24, **options) as env, env.begin(write=True) as txn:
        for key, value in values.items():
            raw = value if isinstance(value, bytes) else safetensors.numpy.save(value)
            txn.put(key if isinstance(key, bytes) else key.encode(), raw)
    return str(path)


@pytest.fixture
def store(tmp_path):
    """A store that LMDB and safetensors alone have written: its path and its patches."""
    patches = [patch(seed) for seed in range(7)]
    return put(tmp_path / "s", {f"patch_{i}": p for i, p in enumerate(patches)}), patches


@pytest.fixture(autouse=True)
def nothing_open():
    yield
    close_stores()


def assert_same(found, expected):
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name], array)


# Keys and values


def test_a_patch_is_read_as_it_was_written(store):
    uri, patches = store
    reader = StoreReader(uri)

    for i, expected in enumerate(patches):
        assert_same(reader.read(f"patch_{i}"), expected)
        assert_same(safetensors.numpy.load(reader.value(f"patch_{i}")), expected)


def test_arrays_come_in_natural_order_or_in_that_asked_for(store):
    reader = StoreReader(store[0])

    assert list(reader.read("patch_0")) == ["B01", "B02", "B8A", "B10"]
    assert list(reader.read("patch_0", ["B8A", "B01"])) == ["B8A", "B01"]
    with reader.views("patch_0", ["B10", "B02"]) as views:
        assert list(views) == ["B10", "B02"]


def test_what_is_read_is_a_copy_that_may_be_changed(store):
    uri, patches = store
    reader = StoreReader(uri)
    for bands in (None, ["B02", "B8A"]):
        found = reader.read("patch_3", bands)
        for array in found.values():
            np.add(array, 1, out=array)
        assert_same(reader.read("patch_3"), patches[3])


def test_keys_are_sorted_by_their_bytes_and_counted(tmp_path):
    names = ["b", "a", "é", "B", "a1", "a10", "a2", "\x01", "日本"]
    uri = put(tmp_path / "s", {name: {"x": np.zeros((1, 1), "u1")} for name in names})
    reader = StoreReader(uri)

    assert list(reader.keys()) == list(reader) == sorted(names, key=str.encode)
    assert len(reader) == len(names)
    assert "é" in reader
    for other in ("c", "", "a" * 600, 3):
        assert other not in reader


def test_keys_come_in_portions_that_leave_none_out(tmp_path, monkeypatch):
    monkeypatch.setattr("geoseg.sources.store.reader._KEYS_AT_ONCE", 3)
    names = [f"k{i}" for i in range(10)]
    reader = StoreReader(put(tmp_path / "s", {name: {"x": np.zeros(1)} for name in names}))

    assert list(reader) == names
    for key in reader:  # the store is used meanwhile
        reader.read(key)


@pytest.mark.parametrize("most", [1, 2, 1000])
def test_the_longest_keys_are_listed_too(tmp_path, monkeypatch, most):
    monkeypatch.setattr("geoseg.sources.store.reader._KEYS_AT_ONCE", most)
    names = ["x" * 511, "x" * 510 + "y", "x" * 510]
    reader = StoreReader(put(tmp_path / "s", {name: {"x": np.zeros(1)} for name in names}))

    assert list(reader) == sorted(names)
    assert all(name in reader for name in names)


def test_a_key_that_is_no_text_is_found_again(tmp_path):
    reader = StoreReader(put(tmp_path / "s", {b"\xff\xfe": {"x": np.arange(3)}}))
    (key,) = reader

    assert_same(reader.read(key), {"x": np.arange(3)})


def test_a_single_file_is_a_store_too(tmp_path):
    uri = put(tmp_path / "one.lmdb", {"a": patch(0)}, subdir=False)

    assert_same(StoreReader(uri).read("a"), patch(0))


def test_a_small_value_which_is_not_aligned_is_read_right(tmp_path):
    small = {
        name: {"x": np.arange(5.0), "y": np.arange(3, dtype="i2")} for name in ("a", "bb", "c")
    }
    reader = StoreReader(put(tmp_path / "s", small))
    for key, expected in small.items():
        assert_same(reader.read(key), expected)
        with reader.views(key) as views:
            assert_same(views, expected)
            assert all(array.flags.aligned for array in views.values())


# Views


def test_views_lie_in_the_stores_memory_and_cannot_be_written(tmp_path):
    big = {"x": np.arange(3000.0).reshape(50, 60)}
    reader = StoreReader(put(tmp_path / "s", {"a": big}))
    with reader.views("a") as first, reader.views("a") as second:
        assert np.shares_memory(first["x"], second["x"])
        assert not first["x"].flags.writeable
        assert_same(first, big)


def test_a_view_that_is_in_use_survives_a_store_that_is_replaced(tmp_path, store):
    uri, patches = store
    reader = StoreReader(uri)
    with reader.views("patch_0") as views:
        shutil.move(uri, tmp_path / "old")
        put(uri, {"patch_0": patch(99)})
        time.sleep(0.01)
        assert_same(reader.read("patch_0"), patch(99))
        assert_same(views, patches[0])
    assert_same(reader.read("patch_0"), patch(99))


# Into an array


def test_bands_are_read_into_an_array_nearest_where_sizes_differ(store):
    uri, patches = store
    out = np.full((3, 12, 20), 7, "float32")
    StoreReader(uri).read_into("patch_2", ("B8A", "B02", "B01"), out)
    ours = patches[2]
    expected = [
        np.kron(ours["B8A"], np.ones((2, 2))), ours["B02"], np.kron(ours["B01"], np.ones((4, 4)))
    ]  # fmt: skip

    np.testing.assert_array_equal(out, expected)


def test_a_slice_of_a_batch_is_filled_in_place(store):
    uri, patches = store
    batch = np.zeros((4, 2, 12, 20), "uint16")
    reader = StoreReader(uri)
    for i in range(4):
        reader.read_into(f"patch_{i}", ["B10", "B02"], batch[i])

    np.testing.assert_array_equal(batch, [[p["B10"], p["B02"]] for p in patches[:4]])


def test_the_channels_of_an_array_are_bands(tmp_path):
    image = np.arange(60, dtype="u1").reshape(3, 4, 5)
    uri = put(tmp_path / "s", {"a": {"img": image, "one": image[:1]}})
    for bands, expected in [
        (["img"], image),
        (["img_3", "img_1"], image[[2, 0]]),
        (["one", "img"], image[[0, 0, 1, 2]]),
    ]:
        out = np.zeros((len(expected), 4, 5), "u1")
        StoreReader(uri).read_into("a", bands, out)
        np.testing.assert_array_equal(out, expected)


@pytest.mark.parametrize(
    ("dtype", "into"),
    [("uint16", "uint8"), ("uint16", "int16"), ("float32", "uint16"), ("int8", "uint8")],
)
def test_values_are_never_wrapped_or_cut(tmp_path, dtype, into):
    uri = put(tmp_path / "s", {"a": patch(0, dtype)})
    with pytest.raises(
        SourceError, match=f"`out` is {into} and does not hold all values of {dtype}"
    ):
        StoreReader(uri).read_into("a", ["B02"], np.zeros((1, 12, 20), into))


@pytest.mark.parametrize("shape", [(2, 12, 20), (12, 20), (1, 0, 20)])
def test_an_array_of_another_shape_is_an_error(store, shape):
    with pytest.raises(
        SourceError, match=r"patch_0: `out` has shape .*expected \(1, height, width\)"
    ):
        StoreReader(store[0]).read_into("patch_0", ["B02"], np.zeros(shape, "uint16"))


# Errors


def test_a_missing_key_names_near_keys(store):
    reader = StoreReader(store[0])
    with pytest.raises(SourceError, match=r"has no patch 'patch_33'; near keys: patch_3"):
        reader.read("patch_33")
    for key in ("zzz", "", "x" * 600, "A"):
        with pytest.raises(SourceError, match="near keys: patch_0"):
            reader.read(key)


def test_a_near_key_is_found_among_many(tmp_path):
    small = {"x": np.zeros(1, "u1")}
    reader = StoreReader(put(tmp_path / "s", {f"scene_{i:05d}_end": small for i in range(3000)}))
    with pytest.raises(SourceError, match=r"near keys: .*scene_01700_end"):
        reader.read("scene_01700_ende")


def test_a_missing_key_of_an_empty_store_says_so(tmp_path):
    with pytest.raises(SourceError, match="has no patch 'a'; the store is empty"):
        StoreReader(put(tmp_path / "s", {})).read("a")


def test_a_missing_array_lists_those_there_are(store):
    reader = StoreReader(store[0])
    text = "patch_0: has no array 'B03', expected one of: B01, B02, B8A, B10"
    with pytest.raises(SourceError, match=text):
        reader.read("patch_0", ["B02", "B03"])
    with pytest.raises(SourceError, match=text), reader.views("patch_0", ["B03"]):
        pass


def test_a_store_that_is_not_there_names_its_neighbour(store):
    with pytest.raises(SourceError, match=r"no such store; did you mean s\?"):
        StoreReader(store[0] + "s").read("patch_0")
    with pytest.raises(SourceError, match=r"s3://bucket/s: no such store.*local"):
        StoreReader("s3://bucket/s").read("patch_0")


def test_a_folder_without_data_tells_what_it_holds(tmp_path):
    for name in ("a.tif", "b.tif"):
        (tmp_path / "f").mkdir(exist_ok=True)
        (tmp_path / "f" / name).touch()
    with pytest.raises(SourceError, match=r"folder has no data.mdb, it holds a.tif, b.tif"):
        len(StoreReader(str(tmp_path / "f")))
    (tmp_path / "g").mkdir()
    with pytest.raises(SourceError, match=r"folder has no data.mdb, it is empty"):
        len(StoreReader(str(tmp_path / "g")))


@pytest.mark.parametrize(
    ("damage", "text"),
    [
        (lambda data: b"", "is empty"),
        (lambda data: b"\0" * len(data), "is no LMDB database"),
        (lambda data: b"key,value\n" * 2000, "is no LMDB database"),
        (lambda data: data[:100], "is no LMDB database"),
        (lambda data: data[:5000], "is truncated: it has 5000 bytes"),
        (lambda data: data[:-4096], "is truncated"),
        (lambda data: data[:-1], "is truncated"),
        (lambda data: data[:20] + b"\xff" * 4 + data[24:], "cannot be opened as an LMDB store"),
    ],
)
def test_a_damaged_file_is_an_error_not_a_crash(store, damage, text):
    path = Path(store[0], "data.mdb")
    data = path.read_bytes()
    path.write_bytes(damage(data))
    with pytest.raises(SourceError, match=text):
        StoreReader(store[0]).read("patch_0")
    path.write_bytes(data)

    assert_same(StoreReader(store[0]).read("patch_0"), store[1][0])


def test_a_damaged_value_names_its_key_and_spares_the_others(tmp_path):
    whole = safetensors.numpy.save(patch(0))
    reader = StoreReader(put(tmp_path / "s", {"a": whole, "b": whole[:-1], "c": b"hello, world"}))
    assert_same(reader.read("a"), patch(0))
    for key in ("b", "c"):
        with pytest.raises(SourceError, match=f"s: {key}: is no whole safetensors value"):
            reader.read(key)


def test_near_keys_are_not_looked_for_in_a_store_that_was_found_damaged(tmp_path):
    uri = put(tmp_path / "s", {f"k{i:03}": b"x" * 1500 for i in range(30)})
    path = Path(uri, "data.mdb")
    data = bytearray(path.read_bytes())
    for page in range(0, len(data), 4096):
        # A page begins with its number (8 bytes), 2 bytes and flags: 2 is a leaf of the tree.
        if data[page + 10] == 2 and b"k029" in data[page : page + 4096]:
            data[page + 10] = 0
    path.write_bytes(data)
    reader = StoreReader(uri)
    with pytest.raises(SourceError, match=r"cannot be read: .*is damaged"):
        reader.value("k029")
    with pytest.raises(SourceError, match=r"has no patch 'a'; the store is damaged: write or copy"):
        reader.value("a")


def test_a_store_that_the_program_itself_has_open_is_read_or_says_so(store):
    with lmdb.open(store[0], map_size=1 << 24):
        try:
            lmdb.open(store[0], readonly=True, lock=False).close()
        except lmdb.Error:  # newer releases refuse a second time
            with pytest.raises(
                SourceError, match=r"close the lmdb.Environment that this process has"
            ):
                StoreReader(store[0]).read("patch_0")
        else:
            assert_same(StoreReader(store[0]).read("patch_0"), store[1][0])


# One environment a process


def test_all_readers_of_a_process_share_one_environment(store, tmp_path):
    uri = store[0]
    link = tmp_path / "link"
    link.symlink_to(uri)
    for name in (uri, uri + "/", str(link), str(Path(uri) / "data.mdb")):
        StoreReader(name).read("patch_0")

    assert len(environments._opened) == 1


def test_stores_beyond_the_limit_are_closed_but_those_in_use_are_not(tmp_path, monkeypatch):
    monkeypatch.setattr(environments, "_LIMIT", 2)
    readers = [StoreReader(put(tmp_path / f"s{i}", {"a": patch(i)})) for i in range(5)]
    with readers[0].views("a") as views:
        for i, reader in enumerate(readers):
            assert_same(reader.read("a"), patch(i))
        assert_same(views, patch(0))
        assert readers[0].path in environments._opened
        assert len(environments._opened) <= 3


def test_a_pickled_reader_is_small_and_reads(store):
    reader = StoreReader(store[0])
    before = pickle.dumps(reader)
    reader.read("patch_0")

    assert pickle.dumps(reader) == before
    assert len(before) < 500
    assert_same(pickle.loads(before).read("patch_1"), store[1][1])


def test_a_store_that_has_grown_is_read_anew(store):
    uri, patches = store
    reader = StoreReader(uri)
    assert "new" not in reader
    add = "import lmdb, sys; e = lmdb.open(sys.argv[1], map_size=1 << 27)\nwith e.begin(write=True) as t:"
    add += "\n t.put(b'new', b'x' * (50 << 20))"
    subprocess.run([sys.executable, "-c", add, uri], check=True)

    assert "new" in reader
    assert_same(reader.read("patch_0"), patches[0])


def test_a_store_that_grows_while_it_is_looked_into_shows_what_is_new(store):
    uri, patches = store
    reader = StoreReader(uri)
    add = "import lmdb, sys; e = lmdb.open(sys.argv[1], map_size=1 << 24)\nwith e.begin(write=True) as t:"
    add += "\n t.put(b'new', b'x')"
    with reader.views("patch_0") as views:
        subprocess.run([sys.executable, "-c", add, uri], check=True)
        time.sleep(0.01)
        assert "new" in reader
        assert_same(reader.read("patch_1"), patches[1])
        assert_same(views, patches[0])


def test_four_threads_read_right_at_the_same_time(store):
    uri, patches = store
    reader, wrong, done = StoreReader(uri), [], []

    def read(seed):
        for i in np.random.default_rng(seed).permutation(700) % len(patches):
            found = reader.read(f"patch_{i}")
            with reader.views(f"patch_{i}") as views:
                for name, array in patches[i].items():
                    if not (
                        np.array_equal(found[name], array) and np.array_equal(views[name], array)
                    ):
                        wrong.append((i, name))
        done.append(seed)

    threads = [threading.Thread(target=read, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(done) == [0, 1, 2, 3]
    assert wrong == []
    assert len(environments._opened) == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    "method",
    [
        pytest.param(
            "fork",
            marks=pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system"),
        ),
        "spawn",
    ],
)
def test_worker_processes_read_right_after_the_parent_has_read(store, tmp_path, method):
    uri, patches = store
    script, truth = tmp_path / "read.py", tmp_path / "truth"
    script.write_text(READ_IN_WORKERS)
    truth.write_bytes(pickle.dumps(patches))
    done = subprocess.run(
        [sys.executable, script, method, uri, truth],
        env={**os.environ, "PYTHONPATH": str(Path(geoseg.__file__).parents[1])},
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "wrong reads: [0, 0, 0, 0, 0]"


def in_child(function):
    """Whether a function returns true in a forked child."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forks beside threads
        child = os.fork()
    if not child:
        try:
            os._exit(0 if function() else 1)
        finally:
            os._exit(2)
    return os.waitpid(child, 0)[1] == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_forked_child_opens_a_store_for_itself_and_leaves_the_parents_alone(store):
    uri, patches = store
    reader = StoreReader(uri)
    reader.read("patch_0")
    parents = environments._opened[reader.path].env

    def read():
        assert reader.path not in environments._opened
        assert_same(reader.read("patch_1"), patches[1])
        return environments._opened[reader.path].env is not parents

    assert in_child(read)
    assert environments._opened[reader.path].env is parents
    assert_same(reader.read("patch_2"), patches[2])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.parametrize("place", ["the thread that forks", "another thread"])
def test_a_child_reads_right_though_somebody_looked_into_the_store_at_the_fork(store, place):
    uri, patches = store
    reader = StoreReader(uri)
    inside, leave = threading.Event(), threading.Event()

    def look():
        with reader.views("patch_0"):
            inside.set()
            leave.wait(PATIENCE)

    def read():
        for i, expected in enumerate(patches):
            assert_same(reader.read(f"patch_{i}"), expected)
        return True

    if place == "another thread":
        thread = threading.Thread(target=look)
        thread.start()
        assert inside.wait(PATIENCE)
        assert in_child(read)
        leave.set()
        thread.join()
    else:
        with reader.views("patch_0") as views:
            assert in_child(lambda: read() and np.array_equal(views["B02"], patches[0]["B02"]))
            assert_same(views, patches[0])
    assert read()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_store_is_read_by_one_who_may_not_write_there():
    folder = Path(tempfile.mkdtemp())  # tmp_path lies where others may not even look
    try:
        uri = put(folder / "s", {"a": patch(0)})
        (folder / "s" / "lock.mdb").unlink()
        for path in (folder / "s" / "data.mdb", folder / "s", folder):
            path.chmod(0o444 if path.is_file() else 0o555)

        def read():
            if os.geteuid() == 0:
                os.setuid(65534)
            assert not os.access(uri, os.W_OK)
            assert_same(StoreReader(uri).read("a"), patch(0))
            return True

        assert in_child(read)
        assert [path.name for path in Path(uri).iterdir()] == ["data.mdb"]
    finally:
        for path in (folder, folder / "s"):
            path.chmod(0o755)
        shutil.rmtree(folder)
