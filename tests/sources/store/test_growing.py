"""The environment that is written: how its map grows, and what it does to its file."""

import os
import resource
import warnings
from pathlib import Path

import lmdb
import pytest

from geoseg.errors import StoreError
from geoseg.sources.store.growing import (
    GrowingEnvironment,
    affordable,
    note_map_size,
    whole_pages,
)


def raw(folder):
    with lmdb.open(str(folder), readonly=True, lock=False) as env, env.begin() as transaction:
        return {bytes(key): bytes(value) for key, value in transaction.cursor()}


def values(first, count, nbytes=5000):
    return {f"{i:03d}": bytes([i % 251]) * nbytes for i in range(first, first + count)}


def test_values_are_put_replaced_and_deleted(tmp_path):
    with GrowingEnvironment(tmp_path, uri="s", map_bytes=1) as env:
        env.put(values(0, 30))
        env.put({"003": b"new", "100": b"other"}, replacing=True)
        env.delete(["004", "not there"])
        assert env.get("003") == b"new"
        assert env.get("004") is None
        keys = env.all_keys()
    expected = values(0, 30) | {"003": b"new", "100": b"other"}
    del expected["004"]

    assert keys == sorted(expected)
    assert raw(tmp_path) == {key.encode(): value for key, value in expected.items()}


def test_a_transaction_with_a_key_that_is_there_changes_nothing(tmp_path):
    with GrowingEnvironment(tmp_path, uri="s", map_bytes=1 << 20) as env:
        env.put({"a": b"1"})
        with pytest.raises(StoreError, match="s: the key 'a' is there twice"):
            env.put({"b": b"2", "a": b"3"})
    assert raw(tmp_path) == {b"a": b"1"}


def test_a_file_is_gone_on_with(tmp_path):
    for first in range(0, 60, 20):
        with GrowingEnvironment(tmp_path, uri="s", map_bytes=1) as env:
            env.put(values(first, 20))
    assert len(raw(tmp_path)) == 60


@pytest.mark.parametrize("size", [None, 100 << 40])
def test_the_size_of_the_map_is_noted_and_nothing_else_changes(tmp_path, size):
    with GrowingEnvironment(tmp_path, uri="s", map_bytes=1 << 22) as env:
        env.put(values(0, 20))
    path = tmp_path / "data.mdb"
    before = bytearray(path.read_bytes())
    note_map_size(path, size)
    after = path.read_bytes()

    expected = len(before) if size is None else size
    for place in (32, 4128):  # of the two first pages of 4096 bytes
        assert int.from_bytes(after[place : place + 8], "little") == expected
        before[place : place + 8] = after[place : place + 8]
    assert after == before
    assert raw(tmp_path) == {key.encode(): value for key, value in values(0, 20).items()}


@pytest.mark.skipif(not hasattr(resource, "RLIMIT_AS"), reason="no limit of address space here")
def test_a_map_grows_as_far_as_the_address_space_goes(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forks beside threads
        child = os.fork()
    if not child:
        status = 1
        try:
            used = int(Path("/proc/self/statm").read_text().split()[0]) * 4096
            resource.setrlimit(resource.RLIMIT_AS, (used + (60 << 20),) * 2)
            status = _fill(tmp_path)
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert len(raw(tmp_path)) > 7  # of 4 MB, more than doubling from 16 MB gives


def _fill(folder):
    size = affordable(1 << 40)
    if not 2 << 20 <= size <= 32 << 20:
        return 2
    with GrowingEnvironment(folder, uri="s", map_bytes=16 << 20) as env:
        for i in range(200):
            try:
                env.put(values(i, 1, nbytes=4 << 20))
            except StoreError as error:
                return 0 if "address space" in str(error) else 3
    return 4


def test_sizes_of_maps_are_whole_pages(tmp_path):
    assert whole_pages(0) == 16 * 4096
    assert whole_pages(100_001) == 102_400
    assert affordable(1 << 20) == 1 << 20
