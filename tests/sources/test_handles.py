import os
import pickle
import subprocess
import sys
import threading
import warnings
from pathlib import Path

import numpy as np
import pytest
from rasterio.env import get_gdal_config

import geoseg
from geoseg.errors import SourceError
from geoseg.sources import handles
from geoseg.sources.geotiff import GeoTIFFSource
from geoseg.sources.handles import block_cache, close_all, open_raster
from geoseg.window import Window
from tests.support.waiting import PATIENCE

READ_IN_WORKERS = """
import multiprocessing, sys
import numpy as np
from geoseg.sources.geotiff import GeoTIFFSource
from geoseg.sources.handles import block_cache, open_raster
from geoseg.window import Window

PARENTS = []

def wrong_reads(job):
    source, truth, seed = job
    if seed and open_raster(source.uri) in PARENTS:
        return "the parent's handle"
    random = np.random.default_rng(seed)
    truth, wrong = np.load(truth), 0
    with block_cache(1):  # so that every read goes to the file
        for row, col in random.integers(0, 200, (200, 2)).tolist():
            data = source.read(Window(row, col, 50, 56)).data
            wrong += not np.array_equal(data, truth[:, row : row + 50, col : col + 56])
    return wrong

if __name__ == "__main__":
    _, method, uri, truth = sys.argv
    source = GeoTIFFSource(uri=uri)
    PARENTS.append(open_raster(uri))
    with multiprocessing.get_context(method).Pool(2) as pool:
        jobs = pool.map_async(wrong_reads, [(source, truth, seed) for seed in range(1, 5)], chunksize=1)
        here = wrong_reads((source, truth, 0))  # while the workers read
        print("wrong reads:", [*jobs.get(timeout=600), here])
"""


@pytest.fixture
def scene(write_raster):
    """A compressed file of many blocks, and its pixels."""
    array = np.random.default_rng(0).integers(0, 255, (3, 250, 256)).astype("uint8")
    options = {"tiled": True, "blockxsize": 32, "blockysize": 16, "compress": "deflate"}
    return write_raster("scene.tif", array, **options), array


@pytest.fixture(autouse=True)
def nothing_open():
    close_all()
    yield
    close_all()


def in_thread(function):
    """What a function returns in a thread of its own, which has ended then."""
    results = []
    thread = threading.Thread(target=lambda: results.append(function()))
    thread.start()
    thread.join()
    return results[0]


def test_a_file_is_opened_once_in_a_thread(scene):
    uri, _ = scene

    assert open_raster(uri) is open_raster(uri)


def test_each_thread_has_its_own_handle_which_is_closed_when_the_thread_ends(scene):
    uri, _ = scene
    here = open_raster(uri)
    there, was_closed = in_thread(lambda: (open_raster(uri), open_raster(uri).closed))

    assert there is not here
    assert not was_closed
    assert there.closed
    assert not here.closed


def test_two_threads_read_right_at_the_same_time(scene):
    uri, array = scene
    source, wrong, done = GeoTIFFSource(uri=uri), [], []

    def read(seed):
        random = np.random.default_rng(seed)
        for row, col in random.integers(0, 200, (400, 2)).tolist():
            window = Window(row, col, 50, 56)
            if not np.array_equal(source.read(window).data, array[(slice(None), *window.slices)]):
                wrong.append(window)
        done.append(seed)

    threads = [threading.Thread(target=read, args=(seed,)) for seed in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(done) == [0, 1]
    assert wrong == []


@pytest.mark.parametrize(
    "method",
    [
        pytest.param(
            "fork",
            marks=pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system"),
        ),
        pytest.param("spawn", marks=pytest.mark.slow),
    ],
)
def test_worker_processes_read_right_after_the_parent_has_read(scene, tmp_path, method):
    uri, array = scene
    script, truth = tmp_path / "read.py", tmp_path / "truth.npy"
    script.write_text(READ_IN_WORKERS)
    np.save(truth, array)
    root = str(Path(geoseg.__file__).parents[1])
    done = subprocess.run(
        [sys.executable, script, method, uri, truth],
        env={**os.environ, "PYTHONPATH": root},
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "wrong reads: [0, 0, 0, 0, 0]"


def test_a_pickled_source_is_small_and_holds_nothing_open(scene):
    uri, array = scene
    source = GeoTIFFSource(uri=uri, bands=(1, 2, 3))
    before = pickle.dumps(source)
    source.read(source.grid.whole)

    assert pickle.dumps(source) == before
    assert len(before) < 1000
    assert set(source.__dict__) == set(GeoTIFFSource.model_fields)
    np.testing.assert_array_equal(pickle.loads(before).read(Window(0, 0, 250, 256)).data, array)


def test_the_handle_unused_for_longest_is_closed_when_there_are_too_many(write_raster, monkeypatch):
    monkeypatch.setattr(handles, "_LIMIT", 3)
    uris = [write_raster(f"{i}.tif", np.zeros((3, 3), "uint8")) for i in range(4)]
    first, second, third = (open_raster(uri) for uri in uris[:3])
    assert open_raster(uris[0]) is first  # used again
    fourth = open_raster(uris[3])

    assert second.closed
    assert not any(handle.closed for handle in (first, third, fourth))
    assert open_raster(uris[1]) is not second


def test_a_changed_file_is_opened_anew_and_the_old_handle_closed(scene):
    uri, _ = scene
    old = open_raster(uri)
    os.utime(uri, ns=(1, 1))
    new = open_raster(uri)

    assert new is not old
    assert old.closed
    assert open_raster(uri) is new


def test_close_all_closes_this_threads_handles(scene):
    uri, _ = scene
    handle = open_raster(uri)
    close_all()

    assert handle.closed
    assert not open_raster(uri).closed


def test_a_file_that_cannot_be_opened_is_tried_again(tmp_path, write_raster):
    with pytest.raises(SourceError, match="no such file"):
        open_raster(str(tmp_path / "a.tif"))
    uri = write_raster("a.tif", np.zeros((3, 3), "uint8"))

    assert open_raster(uri).shape == (3, 3)


def test_the_block_cache_is_bounded_inside_and_as_before_outside():
    before = get_gdal_config("GDAL_CACHEMAX")

    with block_cache(12_345_678):
        assert get_gdal_config("GDAL_CACHEMAX") == 12_345_678
        with block_cache(1_000_000):  # less than is wanted around it
            assert get_gdal_config("GDAL_CACHEMAX") == 12_345_678
        with block_cache(23_456_789):
            assert get_gdal_config("GDAL_CACHEMAX") == 23_456_789
        assert get_gdal_config("GDAL_CACHEMAX") == 12_345_678
    assert get_gdal_config("GDAL_CACHEMAX") == before
    with pytest.raises(KeyError), block_cache(1_000_000):
        raise KeyError
    assert get_gdal_config("GDAL_CACHEMAX") == before


@pytest.mark.parametrize("sizes", [(1_000_000, 2_000_000), (2_000_000, 1_000_000)])
def test_the_block_cache_is_as_before_when_threads_leave_in_the_order_they_came(sizes):
    before, sizes_seen = get_gdal_config("GDAL_CACHEMAX"), []
    inside, leave = threading.Event(), threading.Event()

    def first():
        with block_cache(sizes[0]):
            inside.set()
            leave.wait(PATIENCE)

    thread = threading.Thread(target=first)
    thread.start()
    assert inside.wait(PATIENCE)
    with block_cache(sizes[1]):
        sizes_seen.append(get_gdal_config("GDAL_CACHEMAX"))
        leave.set()
        thread.join()
        sizes_seen.append(get_gdal_config("GDAL_CACHEMAX"))

    assert sizes_seen == [2_000_000, sizes[1]]
    assert get_gdal_config("GDAL_CACHEMAX") == before


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_child_does_not_keep_to_bounds_of_threads_that_it_lacks():
    before = get_gdal_config("GDAL_CACHEMAX")
    inside, leave = threading.Event(), threading.Event()

    def elsewhere():
        with block_cache(7_000_000):
            inside.set()
            leave.wait(PATIENCE)

    thread = threading.Thread(target=elsewhere)
    thread.start()
    assert inside.wait(PATIENCE)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forks beside threads
        child = os.fork()
    if not child:
        with block_cache(1_000_000):
            bounded = get_gdal_config("GDAL_CACHEMAX")
        os._exit((bounded, get_gdal_config("GDAL_CACHEMAX")) != (1_000_000, before))
    leave.set()
    thread.join()

    assert os.waitpid(child, 0)[1] == 0


def test_pixels_are_the_same_with_the_smallest_block_cache(scene):
    uri, array = scene
    with block_cache(1):
        data = GeoTIFFSource(uri=uri).read(Window(0, 0, 250, 256)).data

    np.testing.assert_array_equal(data, array)
