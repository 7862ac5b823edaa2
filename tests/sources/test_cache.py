import os
import threading
from collections import Counter

import pytest

from geoseg.sources import cache
from geoseg.sources.cache import forget, remember, stamp


@pytest.fixture(autouse=True)
def empty():
    forget()
    yield
    forget()


@pytest.fixture
def made():
    """Counts what was made, by name."""
    return Counter()


@pytest.fixture
def get(made):
    """Remembers a value by name and counts how often it was made."""

    def get(name, *, files=(), nbytes=1):
        def make():
            made[name] += 1
            return [name, made[name]]

        return remember((name,), make, files=files, nbytes=lambda _: nbytes)

    return get


def test_a_value_is_made_once_for_its_key(get, made):
    assert get("a") is get("a")
    assert get("b") is not get("a")
    assert made == {"a": 1, "b": 1}


def test_a_value_is_made_anew_when_one_of_its_files_changes(get, made, tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_text("1")
    two.write_text("2")
    files = (str(one), str(two))

    assert get("a", files=files) is get("a", files=files)
    two.write_text("longer")
    get("a", files=files)
    os.utime(one, ns=(1, 1))
    get("a", files=files)
    one.unlink()
    get("a", files=files)
    assert made["a"] == 4


def test_what_failed_is_tried_again():
    def fail():
        raise OSError("not now")

    with pytest.raises(OSError, match="not now"):
        remember(("a",), fail, nbytes=lambda _: 1)
    assert remember(("a",), lambda: 7, nbytes=lambda _: 1) == 7


def test_values_unused_for_longest_go_when_there_are_too_many(get, made, monkeypatch):
    monkeypatch.setattr(cache, "_LIMIT_ENTRIES", 2)
    for name in ("a", "b", "a", "c", "a", "b"):  # c drives b out, not a
        get(name)

    assert made == {"a": 1, "b": 2, "c": 1}


def test_values_unused_for_longest_go_when_they_are_too_large(get, made, monkeypatch):
    monkeypatch.setattr(cache, "_LIMIT_BYTES", 100)
    for name in ("a", "b", "c", "b", "a"):  # c drives a out, then a drives c out
        get(name, nbytes=45)

    assert made == {"a": 2, "b": 1, "c": 1}


def test_a_value_larger_than_the_cache_is_kept_until_the_next(get, made, monkeypatch):
    monkeypatch.setattr(cache, "_LIMIT_BYTES", 100)

    assert get("big", nbytes=1000) is get("big", nbytes=1000)
    get("small")
    get("big", nbytes=1000)
    assert made == {"big": 2, "small": 1}


def test_forget_drops_everything(get, made):
    get("a")
    forget()
    get("a")

    assert made["a"] == 2


def test_a_value_may_be_made_of_other_values(get):
    inner = remember(("outer",), lambda: ("outer", get("inner")), nbytes=lambda _: 1)

    assert inner == ("outer", ["inner", 1])


def test_threads_that_ask_at_the_same_time_get_one_value(made):
    start, results = threading.Barrier(4), []

    def make():
        made["a"] += 1
        return object()

    def ask():
        start.wait()
        results.append(remember(("a",), make, nbytes=lambda _: 1))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert made["a"] == 1
    assert len(results) == 4
    assert len(set(map(id, results))) == 1


def test_the_stamp_of_what_is_no_local_file_is_none(tmp_path):
    path = tmp_path / "a"
    path.write_text("123")
    os.utime(path, ns=(5, 7))

    assert stamp(str(path)) == (7, 3)
    for uri in (str(tmp_path / "gone"), "s3://bucket/key.tif", "/vsizip/a.zip/b.tif", "x" * 300):
        assert stamp(uri) is None
