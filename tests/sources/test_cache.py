import os
import signal
import threading
import warnings
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from geoseg.sources.cache import Cache, forget, remember, stamp
from tests.support.waiting import PATIENCE


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


class Small:
    """A cache of 100,000 bytes that logs what was made."""

    def __init__(self, **options):
        self.cache, self.made = Cache(limit_bytes=100_000, **options), []

    def get(self, *names, nbytes):
        for name in names:
            self.cache.remember(
                (name,), lambda name=name: self.made.append(name), nbytes=lambda _: nbytes
            )


def test_values_unused_for_longest_go_when_they_are_too_large():
    small = Small()
    small.get("a", "b", "a", "c", "a", "b", nbytes=45_000)  # c drives b out, not a; b drives c out

    assert small.made == ["a", "b", "c", "b"]
    assert len(small.cache) == 2


def test_a_value_larger_than_the_cache_is_kept_until_the_next():
    small = Small()
    small.get("big", "big", nbytes=1_000_000)
    small.get("little", nbytes=1)
    small.get("big", nbytes=1_000_000)

    assert small.made == ["big", "little", "big"]


def test_the_least_number_of_values_stays_however_large_they_are():
    small = Small(least=3)
    small.get("a", "b", "c", "a", "b", "c", nbytes=1_000_000)
    assert small.made == ["a", "b", "c"]
    small.get("d", "b", nbytes=1_000_000)
    assert small.made == ["a", "b", "c", "d"]


def test_what_was_dropped_takes_no_room():
    small = Small()
    small.get("a", "b", nbytes=45_000)
    small.cache.drop([("a",), ("gone",)])
    small.get("c", "b", nbytes=45_000)
    small.cache.clear()
    small.get("d", "e", "d", "e", nbytes=45_000)

    assert small.made == ["a", "b", "c", "d", "e"]


def test_small_values_of_many_scenes_are_all_kept(get, made):
    for _ in range(2):
        for number in range(5000):
            get(number)

    assert set(made.values()) == {1}


def test_values_of_no_size_are_bounded_too():
    small = Small()
    small.get(*range(5000), nbytes=0)

    assert len(small.cache) <= 100


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


def run(*functions):
    """Run each in a thread of its own, all at the same time; what they gave or raised, in order."""
    with ThreadPoolExecutor(len(functions)) as pool:
        futures = [pool.submit(function) for function in functions]
        return [future.exception(timeout=PATIENCE) or future.result() for future in futures]


def test_a_value_that_takes_long_keeps_nobody_from_other_values():
    making, others_done = threading.Event(), threading.Event()

    def make_slowly():
        making.set()
        return others_done.wait(PATIENCE)

    def others():
        making.wait(PATIENCE)
        value = remember(("quick",), lambda: "made", nbytes=lambda _: 1)
        value += remember(("quick",), lambda: "again", nbytes=lambda _: 1)
        others_done.set()
        return value

    slow = remember_later("slow", make_slowly)
    assert run(slow, others) == [True, "mademade"]


def remember_later(name, make):
    return lambda: remember((name,), make, nbytes=lambda _: 1)


def test_values_made_of_each_others_parts_at_the_same_time_do_not_block_each_other():
    both = threading.Barrier(2)

    def outer(first, second):
        def make():
            both.wait(PATIENCE)
            return [remember_later(name, object)() for name in (first, second)]

        return make

    one, two = run(remember_later("one", outer("a", "b")), remember_later("two", outer("b", "a")))
    assert one == two[::-1]


def test_those_who_wait_for_what_fails_make_it_themselves(made):
    failing, waiting = threading.Event(), threading.Event()

    def fail():
        failing.set()
        waiting.wait(PATIENCE)
        raise OSError("not now")

    def make():
        made["a"] += 1
        return made["a"]

    def wait():
        failing.wait(PATIENCE)
        waiting.set()
        return remember_later("a", make)()

    results = run(remember_later("a", fail), wait, wait)
    assert isinstance(results[0], OSError)
    assert results[1:] == [1, 1]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_child_can_use_the_cache_whatever_threads_did_at_the_fork(get):
    making, forked = threading.Event(), threading.Event()
    kept = get("kept")

    def make():
        making.set()
        return forked.wait(PATIENCE)

    thread = threading.Thread(target=remember_later("slow", make))
    thread.start()
    assert making.wait(PATIENCE)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forks beside threads
        child = os.fork()
    if not child:
        signal.alarm(PATIENCE)  # ends a child that waits for ever
        same = get("kept") is kept
        os._exit(not same or remember_later("slow", lambda: "childs")() != "childs")
    status = os.waitpid(child, 0)[1]
    forked.set()
    thread.join()

    assert status == 0
    assert remember_later("slow", lambda: "anew")() is True


def test_the_stamp_of_what_is_no_local_file_is_none(tmp_path):
    path = tmp_path / "a"
    path.write_text("123")
    os.utime(path, ns=(5, 7))

    assert stamp(str(path)) == (7, 3)
    for uri in (str(tmp_path / "gone"), "s3://bucket/key.tif", "/vsizip/a.zip/b.tif", "x" * 300):
        assert stamp(uri) is None
