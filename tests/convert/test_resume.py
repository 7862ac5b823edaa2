"""Going on with what a killed run has left, and comparing a finished store with its sources."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import lmdb
import pyarrow.parquet as pq
import pytest

from geoseg.convert.convert import convert
from geoseg.convert.running import writing
from geoseg.errors import ConfigError, SourceError, StoreError
from geoseg.sources.store.environments import close_stores
from geoseg.sources.store.growing import GrowingEnvironment
from tests.convert.killing import expected, killed, noted_reads, raw, resumed
from tests.convert.making import S1, maps, radar
from tests.support.waiting import PATIENCE


@pytest.fixture(autouse=True)
def nothing_open():
    yield
    close_stores()


@pytest.fixture(autouse=True)
def short_transactions(monkeypatch):
    monkeypatch.setattr(writing, "PUTS", 4)


@pytest.fixture
def source(tmp_path):
    return radar(tmp_path / "data", range(30))


def folder_of(source, number):
    (found,) = Path(source).glob(f"*/{S1}_{number}_*")
    return found


@pytest.fixture
def reads(monkeypatch):
    return noted_reads(monkeypatch)


# After kill -9


def test_a_killed_run_is_gone_on_with_and_nothing_is_read_twice(tmp_path, source, reads):
    killed(source, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    done = resumed(source, tmp_path / "out")
    convert("bigearthnet", {"s1": source}, str(tmp_path / "whole"))

    assert (done.patches, done.kept, done.written, done.redone) == (30, 16, 14, 0)
    assert len(reads) == 14 + 30
    assert raw(tmp_path / "out") == raw(tmp_path / "whole") == expected(source)
    tables = [pq.read_table(tmp_path / name / "manifest.parquet") for name in ("out", "whole")]
    assert tables[0].equals(tables[1], check_metadata=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "out", "whole"]


def test_a_run_may_be_killed_again_and_again(tmp_path, source):
    killed(source, tmp_path / "out", after=6)
    killed(source, tmp_path / "out", after=15, resume=True)
    killed(source, tmp_path / "out", after=29, resume=True)
    done = resumed(source, tmp_path / "out")

    assert done.kept == 28
    assert raw(tmp_path / "out") == expected(source)


def test_what_has_changed_meanwhile_is_redone_and_what_is_gone_removed(tmp_path, source):
    killed(source, tmp_path / "out")
    first = sorted(expected(source))
    changed, touched, gone = (Path(source) / S1 / key for key in first[:3])
    path = changed / f"{changed.name}_VV.tif"
    path.write_bytes(path.read_bytes()[:-4] + b"\x00\x00\x80\x3f")
    (touched / f"{touched.name}_VV.tif").touch()
    shutil.rmtree(gone)
    radar(source, [99])
    told = rf"1 patches .* not in the sources any more and were removed: {gone.name}$"
    with pytest.warns(UserWarning, match=told):
        done = resumed(source, tmp_path / "out")

    assert (done.patches, done.kept, done.redone, done.removed, done.written) == (30, 14, 1, 1, 15)
    assert raw(tmp_path / "out") == expected(source)
    assert pq.read_table(tmp_path / "out/manifest.parquet").num_rows == 30


def test_a_change_that_keeps_size_and_modification_time_is_seen(tmp_path, source):
    killed(source, tmp_path / "out")
    key = min(expected(source))
    path = Path(source) / S1 / key / f"{key}_VV.tif"
    times = path.stat()
    path.write_bytes(path.read_bytes()[:-4] + b"\x00\x00\x80\x3f")
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    done = resumed(source, tmp_path / "out")

    assert done.redone == 1
    assert raw(tmp_path / "out") == expected(source)


def test_a_stored_value_that_is_damaged_is_redone(tmp_path, source):
    killed(source, tmp_path / "out")
    key = min(expected(source))
    store = str(tmp_path / ".out.convert/store")
    with (
        lmdb.open(store, lock=False, map_size=1 << 26) as env,
        env.begin(write=True) as transaction,
    ):
        transaction.put(key.encode(), transaction.get(key.encode())[:-1] + b"\x00")
    done = resumed(source, tmp_path / "out")

    assert (done.kept, done.redone) == (15, 1)
    assert raw(tmp_path / "out") == expected(source)


def test_a_run_that_is_killed_between_note_and_commit_is_gone_on_with(
    tmp_path, source, monkeypatch
):
    put = GrowingEnvironment.put

    def late(self, values, *, replacing=False):
        if len(self.all_keys()) == 12:
            os.kill(os.getpid(), signal.SIGKILL)
        put(self, values, replacing=replacing)

    with monkeypatch.context() as patched:
        patched.setattr(GrowingEnvironment, "put", late)
        killed(source, tmp_path / "out", after=99)
    shutil.rmtree(Path(source) / S1 / sorted(expected(source))[13])  # noted, not committed
    done = resumed(source, tmp_path / "out")

    assert (done.kept, done.written, done.redone) == (12, 17, 0)
    assert raw(tmp_path / "out") == expected(source)


def test_a_note_that_was_cut_costs_its_patches_only(tmp_path, source):
    killed(source, tmp_path / "out")
    path = max((tmp_path / ".out.convert/rows").iterdir())
    path.write_bytes(path.read_bytes()[:40])
    with pytest.warns(UserWarning, match=rf"{path.name}, which .* is damaged .*read again"):
        done = resumed(source, tmp_path / "out")

    assert (done.kept, done.written) == (12, 18)
    assert raw(tmp_path / "out") == expected(source)


def test_without_resume_it_starts_over_and_says_so(tmp_path, source):
    killed(source, tmp_path / "out")
    with pytest.warns(UserWarning, match=r"without 16 patches.*`--resume` would have"):
        done = convert("bigearthnet", {"s1": source}, str(tmp_path / "out"))

    assert (done.written, done.kept) == (30, 0)
    assert raw(tmp_path / "out") == expected(source)


def test_a_file_identical_to_rico_hdls_is_started_over(tmp_path, source, monkeypatch):
    killed(source, tmp_path / "out", rico_identical=True)
    with pytest.warns(UserWarning, match="starts over.*in two goes is not identical"):
        resumed(source, tmp_path / "out", rico_identical=True)
    convert("bigearthnet", {"s1": source}, str(tmp_path / "whole"), rico_identical=True)

    with pytest.warns(UserWarning, match="out: is written anew: .*two goes"):
        resumed(source, tmp_path / "out", rico_identical=True)

    files = [tmp_path / name / "data.mdb" for name in ("out", "whole")]
    assert files[0].read_bytes() == files[1].read_bytes()


@pytest.mark.parametrize(
    ("before", "options", "text"),
    [
        ({}, {"compression": "zstd"}, "begun with compression None, and now compression is zstd"),
        ({"embed_geo": True}, {}, "begun with embed_geo True, and now embed_geo is False"),
        ({"shard": (0, 1)}, {}, r"begun with shard \[0, 1\], and now shard is None"),
    ],
)
def test_other_settings_than_those_of_the_killed_run_are_an_error(
    tmp_path, source, before, options, text
):
    killed(source, tmp_path / "out", **before)
    with pytest.raises(ConfigError, match=text):
        resumed(source, tmp_path / "out", **options)
    resumed(source, tmp_path / "out", **before)


def test_another_layout_than_that_of_the_killed_run_is_an_error(tmp_path, source):
    killed(source, tmp_path / "out")
    (tmp_path / "images").mkdir()
    shutil.copy(next(Path(source).rglob("*.tif")), tmp_path / "images/patch_1.tif")
    with pytest.raises(ConfigError, match="layout bigearthnet, and now layout is hydro"):
        convert("hydro", {"images": str(tmp_path / "images")}, str(tmp_path / "out"), resume=True)


# After an error, or Ctrl-C


def test_what_was_written_before_an_error_is_kept(tmp_path, source):
    bad = Path(source) / S1 / sorted(expected(source))[10]
    path = bad / f"{bad.name}_VV.tif"
    text = path.read_bytes()
    path.write_bytes(text[:-20])
    with pytest.raises(SourceError, match=rf"{path.name}.*\(8 patches .* `--resume` goes on"):
        convert("bigearthnet", {"s1": source}, str(tmp_path / "out"))
    path.write_bytes(text)
    done = resumed(source, tmp_path / "out")

    assert (done.kept, done.written) == (8, 22)
    assert raw(tmp_path / "out") == expected(source)


def test_what_was_written_before_ctrl_c_is_kept(tmp_path, source):
    def stop(progress):
        if progress.done == 9:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        convert("bigearthnet", {"s1": source}, str(tmp_path / "out"), progress=stop)
    assert resumed(source, tmp_path / "out").kept == 8


# A finished store


def state(path):
    """Whatever changes where a file is written or replaced; reading changes its time of access."""
    found = path.stat()
    return found.st_ino, found.st_size, found.st_mode, found.st_mtime_ns, found.st_ctime_ns


def test_a_finished_store_that_equals_its_sources_is_left_as_it_is(tmp_path, source):
    convert("bigearthnet", {"s1": source}, str(tmp_path / "out"))
    before = state(tmp_path / "out/data.mdb")
    done = resumed(source, tmp_path / "out")

    assert (done.patches, done.kept, done.written, done.redone) == (30, 30, 0, 0)
    assert state(tmp_path / "out/data.mdb") == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "out"]


def test_a_finished_store_gets_what_has_changed_and_what_is_new(tmp_path, source):
    convert("bigearthnet", {"s1": source}, str(tmp_path / "out"))
    key = min(expected(source))
    path = Path(source) / S1 / key / f"{key}_VV.tif"
    path.write_bytes(path.read_bytes()[:-4] + b"\x00\x00\x80\x3f")
    radar(source, [99])
    done = resumed(source, tmp_path / "out")

    assert (done.patches, done.kept, done.redone, done.written) == (31, 29, 1, 1)
    assert raw(tmp_path / "out") == expected(source)
    assert pq.read_table(tmp_path / "out/manifest.parquet").num_rows == 31


def test_a_finished_store_with_other_patches_is_refused_unless_they_are_to_be_kept(
    tmp_path, source
):
    convert("bigearthnet", {"s1": source}, str(tmp_path / "out"))
    before = expected(source)
    shutil.rmtree(folder_of(source, 3))
    with pytest.raises(StoreError, match=r"holds 1 other patches.*`--append`"):
        resumed(source, tmp_path / "out")
    assert raw(tmp_path / "out") == before
    done = resumed(source, tmp_path / "out", append=True)

    assert (done.kept, done.removed) == (29, 0)
    assert raw(tmp_path / "out") == before


def test_a_finished_store_of_other_settings_is_an_error(tmp_path, source):
    convert("bigearthnet", {"s1": source}, str(tmp_path / "out"), compression="zstd")
    with pytest.raises(
        ConfigError, match="begun with compression zstd, and now compression is None"
    ):
        resumed(source, tmp_path / "out")


def test_adding_that_was_killed_is_gone_on_with(tmp_path, source):
    other = {"map": maps(tmp_path / "map", range(20))}
    convert("bigearthnet", {"s1": source}, str(tmp_path / "out"))
    before = (tmp_path / "out/data.mdb").read_bytes()
    killed(other, tmp_path / "out", after=11, append=True)
    assert (tmp_path / "out/data.mdb").read_bytes() == before
    done = resumed(other, tmp_path / "out", append=True)

    assert (done.patches, done.kept, done.written) == (20, 8, 12)
    assert raw(tmp_path / "out") == expected(source, other["map"])
    assert pq.read_table(tmp_path / "out/manifest.parquet").num_rows == 50


def test_a_run_that_is_killed_while_the_store_is_replaced_loses_nothing(
    tmp_path, source, monkeypatch
):
    convert("bigearthnet", {"s1": source}, str(tmp_path / "out"))
    before = expected(source)
    radar(source, [99])
    replace = Path.replace

    def dying(self, target):
        if self.name == "store":
            os.kill(os.getpid(), signal.SIGKILL)
        return replace(self, target)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", dying)
        killed(source, tmp_path / "out", after=99, resume=True)
    assert not (tmp_path / "out").exists()
    with pytest.raises(StoreError, match="already"):
        convert("bigearthnet", {"s1": source}, str(tmp_path / "out"))
    assert raw(tmp_path / "out") == before
    done = resumed(source, tmp_path / "out")

    assert done.kept == 31
    assert raw(tmp_path / "out") == expected(source)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "out"]


def test_two_runs_do_not_write_one_store(tmp_path, source):
    def second(progress):
        if progress.done == 3:
            with pytest.raises(StoreError, match="another run is writing this store"):
                convert("bigearthnet", {"s1": source}, str(tmp_path / "out"), resume=True)

    convert("bigearthnet", {"s1": source}, str(tmp_path / "out"), progress=second)
    assert raw(tmp_path / "out") == expected(source)


# Worker processes


def children(process):
    """Processes that a process has started, zombies apart."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        state, parent = state_of(path.name)
        if parent == process and state != "Z":
            found.append(int(path.name))
    return found


def state_of(process):
    """(state, parent) of a process; of one that is gone (Z, 0)."""
    try:
        state, parent = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[:2]
    except OSError:
        return "Z", 0
    return state, int(parent)


def is_alive(process):
    """Nobody need have taken note of its end: in a container there may be nobody who does."""
    return state_of(process)[0] not in "ZX"


@pytest.mark.slow
def test_a_worker_that_is_killed_is_a_clear_error(tmp_path, source):
    before = set(children(os.getpid()))  # of other tests: servers of processes to fork, say

    def kill(progress):
        if progress.done == 2:
            os.kill(min(set(children(os.getpid())) - before), signal.SIGKILL)

    with pytest.raises(StoreError, match=r"a worker process ended by SIGKILL.*fewer `workers`"):
        convert(
            "bigearthnet", {"s1": many(source)}, str(tmp_path / "out"), workers=2, progress=kill
        )
    assert not (tmp_path / "out").exists()
    assert not set(children(os.getpid())) - before


def many(source):
    return radar(Path(source), range(30, 300))


SCRIPT = """
import sys
from geoseg.convert.convert import convert
def tell(progress):
    print(progress.done, flush=True)
    if progress.done == 9:
        sys.stdin.read()
convert("bigearthnet", {"s1": sys.argv[1]}, sys.argv[2], workers=2, progress=tell)
"""


@pytest.mark.slow
def test_no_worker_outlives_its_run(tmp_path, source):
    command = [sys.executable, "-c", SCRIPT, many(source), str(tmp_path / "out")]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, text=True, **pipes) as process:
        while process.stdout.readline().strip() != "9":
            pass
        workers = children(process.pid)
        process.kill()
        process.wait(PATIENCE)
    until = time.monotonic() + PATIENCE
    while any(map(is_alive, workers)):
        assert time.monotonic() < until
        time.sleep(0.05)

    assert len(workers) == 2
    assert not (tmp_path / "out").exists()
