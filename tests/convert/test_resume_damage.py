"""Resuming where files of the killed run, the target or the sources are not what they were."""

import os
import shutil
import signal
import warnings
from functools import partial
from pathlib import Path

import lmdb
import pyarrow.parquet as pq
import pytest

from geoseg.convert.convert import convert
from geoseg.convert.running import writing
from geoseg.convert.running.target import Target
from geoseg.errors import SourceError, StoreError
from geoseg.sources.store.environments import close_stores
from geoseg.sources.store.reader import StoreReader
from tests.convert.killing import expected, in_child, killed, noted_reads, raw, resumed
from tests.convert.making import S1, maps, radar


@pytest.fixture(autouse=True)
def nothing_open():
    yield
    close_stores()


@pytest.fixture(autouse=True)
def short_transactions(monkeypatch):
    monkeypatch.setattr(writing, "PUTS", 4)


@pytest.fixture
def source(tmp_path):
    return radar(tmp_path / "data", range(12))


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


@pytest.fixture
def adding(tmp_path, source, out):
    """A finished store, and the maps of which some were added before the run was killed."""
    other = maps(tmp_path / "map", range(10))
    convert("bigearthnet", {"s1": source}, str(out))
    killed({"map": other}, out, after=9, append=True)
    return {"map": other}


@pytest.fixture
def reads(monkeypatch):
    return noted_reads(monkeypatch)


def rows(out):
    return Path(out).with_name(f".{Path(out).name}.convert") / "rows"


def keys_told(out):
    return sorted(pq.read_table(Path(out) / "manifest.parquet")["key"].to_pylist())


def cut(path):
    path.write_bytes(path.read_bytes()[:40])


def emptied(path):
    path.write_bytes(b"")


def no_lines(path):
    path.write_bytes(b"what is this\nno rows\n")


def other_lines(path):
    path.write_bytes(b'- {"key": 3}\n0 [1]')


DAMAGE = [cut, emptied, no_lines, other_lines, Path.unlink]


def _quietly(call):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        call()


# Notes that are damaged


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_store_that_is_added_to_loses_nothing_by_a_damaged_note(source, out, adding, damage):
    damage(min(rows(out).iterdir()))
    with pytest.warns(UserWarning, match=r"starts over, without \d+ patches .*noted is damaged"):
        done = resumed(adding, out, append=True)

    assert (done.written, done.removed) == (10, 0)
    assert raw(out) == expected(source, adding["map"])
    assert keys_told(out) == sorted(raw(out))


@pytest.mark.parametrize("damage", DAMAGE)
def test_patches_of_a_damaged_note_are_read_again(source, out, damage):
    killed(source, out, after=9)
    damage(min(rows(out).iterdir()))
    with pytest.warns(UserWarning, match=r"is damaged .*are read again"):
        done = resumed(source, out)

    assert (done.kept, done.written) == (4, 8)
    assert raw(out) == expected(source)


@pytest.mark.parametrize("damage", DAMAGE)
def test_without_resume_what_is_left_is_removed_whatever_its_state(source, out, damage):
    killed(source, out, after=9)
    damage(min(rows(out).iterdir()))
    with pytest.warns(UserWarning, match=r"without 4 patches .*`--resume` would"):
        convert("bigearthnet", {"s1": source}, str(out))

    assert raw(out) == expected(source)
    assert not rows(out).parent.exists()


def test_what_a_manifest_does_not_tell_is_kept_when_a_killed_run_is_gone_on_with(source, out):
    convert("bigearthnet", {"s1": source}, str(out))
    with lmdb.open(str(out), lock=False) as env, env.begin(write=True) as transaction:
        transaction.put(b"mine", b"value")
    radar(source, [77, 78, 79, 80, 81])
    killed(source, out, after=17, append=True, resume=True)
    resumed(source, out, append=True)

    assert raw(out) == expected(source) | {"mine": b"value"}


def test_a_run_that_is_killed_while_it_clears_up_is_not_gone_on_with(
    source, out, adding, monkeypatch
):
    def dying(*_args, **_options):
        os.kill(os.getpid(), signal.SIGKILL)

    with monkeypatch.context() as patched:
        patched.setattr(shutil, "rmtree", dying)
        listed = Path.iterdir
        patched.setattr(Path, "iterdir", lambda self: iter(sorted(listed(self), reverse=True)))
        call = partial(convert, "bigearthnet", adding, str(out), append=True)
        assert in_child(lambda: _quietly(call)) == -signal.SIGKILL
    with pytest.warns(UserWarning, match="starts over.*settings are not known"):
        resumed(adding, out, append=True)

    assert raw(out) == expected(source, adding["map"])


# A target that has changed since


def test_a_store_that_was_replaced_since_is_what_is_added_to(tmp_path, out, adding):
    other = radar(tmp_path / "other", range(50, 53))
    shutil.rmtree(out)
    convert("bigearthnet", {"s1": other}, str(tmp_path / "new"))
    (tmp_path / "new").rename(out)
    with pytest.warns(UserWarning, match="starts over.*the store has changed since"):
        done = resumed(adding, out, append=True)

    assert done.written == 10
    assert raw(out) == expected(other, adding["map"])
    assert keys_told(out) == sorted(raw(out))


def test_a_store_that_is_gone_does_not_come_back(out, adding):
    shutil.rmtree(out)
    with pytest.warns(UserWarning, match="starts over.*was adding to is gone"):
        resumed(adding, out, append=True)

    assert raw(out) == expected(adding["map"])


def test_a_store_that_is_there_since_is_not_written_over(tmp_path, source, out):
    killed(source, out, after=9)
    other = radar(tmp_path / "other", range(50, 53))
    convert("bigearthnet", {"s1": other}, str(tmp_path / "new"))
    (tmp_path / "new").rename(out)
    with pytest.warns(UserWarning, match="starts over.*there is a store since then"):
        resumed(source, out, append=True)

    assert raw(out) == expected(source, other)


def test_a_store_that_changes_while_it_is_added_to_is_left_as_it_is(tmp_path, source, out):
    convert("bigearthnet", {"s1": source}, str(out))
    other = radar(tmp_path / "other", range(50, 53))
    convert("bigearthnet", {"s1": other}, str(tmp_path / "new"))

    def change(progress):
        if progress.done == progress.total:
            shutil.rmtree(out)
            (tmp_path / "new").rename(out)

    with pytest.raises(StoreError, match="has changed while this run was adding"):
        convert(
            "bigearthnet",
            {"s1": radar(tmp_path / "c", [77])},
            str(out),
            append=True,
            progress=change,
        )
    assert raw(out) == expected(other)


# A target that is a link


@pytest.mark.parametrize("left", [False, True])
def test_a_link_to_a_store_stays_one(tmp_path, source, out, left):
    (tmp_path / "disk").mkdir()
    out.symlink_to("disk/real")
    (tmp_path / "disk/real").mkdir()
    convert("bigearthnet", {"s1": source}, str(out))
    radar(source, [77])
    if left:
        killed(source, out, after=12, resume=True)
        assert [path.name for path in (tmp_path / "disk").glob(".*")] == [".real.convert"]
    done = resumed(source, out)

    assert done.patches == 13
    assert out.is_symlink()
    assert raw(tmp_path / "disk/real") == expected(source)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "disk", "out"]
    assert [path.name for path in (tmp_path / "disk").iterdir()] == ["real"]


def test_a_link_to_nothing_is_no_target(source, out):
    out.symlink_to("nowhere")
    with pytest.raises(StoreError, match=r"is a link to .*nowhere, which is not there"):
        convert("bigearthnet", {"s1": source}, str(out))


# Files beside images


def world_file(path, left):
    path.with_suffix(".tfw").write_text(f"10\n0\n0\n-10\n{left + 5}\n5899995\n")


def auxiliary(path, left):
    Path(f"{path}.aux.xml").write_text(
        f"<PAMDataset><GeoTransform>{left},10,0,5900000,0,-10</GeoTransform></PAMDataset>"
    )


@pytest.mark.filterwarnings("ignore:.*the manifest tells something else")  # another place
@pytest.mark.parametrize("write", [world_file, auxiliary])
@pytest.mark.parametrize("change", ["new", "other", "gone"])
def test_a_change_beside_an_image_is_seen(source, out, reads, write, change):
    (one, *_) = sorted(Path(source).rglob("*.tif"))
    folder = set(one.parent.iterdir())
    if change != "new":
        write(one, 300_000)
    killed(source, out, after=9)
    if change == "gone":
        for path in set(one.parent.iterdir()) - folder:
            path.unlink()
    else:
        write(one, 300_001)
    reads.clear()
    resumed(source, out)
    assert len(reads) == 5
    assert one.parent.name in reads


# Killed while a finished store is replaced


def dying_at(monkeypatch, name, call):
    """`call`, killed when a path of that name is to be renamed."""
    replace = Path.replace

    def dying(self, target):
        if self.name == name:
            os.kill(os.getpid(), signal.SIGKILL)
        return replace(self, target)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", dying)
        assert in_child(call) == -signal.SIGKILL


def test_a_store_without_its_name_is_told_by_its_reader(source, out, monkeypatch):
    convert("bigearthnet", {"s1": source}, str(out))
    radar(source, [77])
    dying_at(monkeypatch, "store", lambda: resumed(source, out))
    with pytest.raises(SourceError, match=r"no such store.*killed.*\.out\.convert/old.*--resume"):
        len(StoreReader(str(out)))


def test_files_of_others_are_carried_over_by_the_next_run(source, out, monkeypatch):
    convert("bigearthnet", {"s1": source}, str(out))
    (out / "notes.txt").write_text("mine")
    radar(source, [77])
    dying_at(monkeypatch, "notes.txt", lambda: resumed(source, out))
    assert not (out / "notes.txt").exists()
    assert resumed(source, out).kept == 13

    assert (out / "notes.txt").read_text() == "mine"
    assert not rows(out).parent.exists()


def test_a_store_that_took_the_name_of_one_that_was_being_replaced_is_an_error(
    tmp_path, source, out, monkeypatch
):
    convert("bigearthnet", {"s1": source}, str(out))
    before = raw(out)
    radar(source, [77])
    dying_at(monkeypatch, "store", lambda: resumed(source, out))
    convert("bigearthnet", {"s1": source}, str(tmp_path / "new"))
    (tmp_path / "new").rename(out)
    with pytest.raises(StoreError, match=r"another store has its name.*move it away"):
        resumed(source, out)

    assert raw(rows(out).parent / "old") == before


# Two at once


def test_a_target_is_looked_at_again_when_it_is_locked(source, out):
    late = Target(str(out))
    convert("bigearthnet", {"s1": source}, str(out))
    assert not late.is_store
    late.settle()
    assert late.is_store


def test_a_second_run_does_not_end_what_the_first_is_doing(source, out, monkeypatch):
    convert("bigearthnet", {"s1": source}, str(out))
    radar(source, [77])
    replace, seen = Path.replace, []

    def while_replacing(self, target):
        if self.name == "store":
            monkeypatch.setattr(Path, "replace", replace)
            with pytest.raises(StoreError, match="another run is writing"):
                resumed(source, out)
            seen.append(out.exists())
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", while_replacing)
    resumed(source, out)

    assert seen == [False]
    assert raw(out) == expected(source)


# Sources that are damaged now


def test_a_value_whose_source_is_damaged_now_is_removed_and_that_is_told(source, out):
    convert("bigearthnet", {"s1": source}, str(out))
    key = min(expected(source))
    path = Path(source) / S1 / key / f"{key}_VV.tif"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.warns(UserWarning, match=rf"1 patches .* removed from the store: {key}"):
        done = resumed(source, out, on_error="skip")

    ((skipped, error),) = done.skipped
    assert skipped == key
    assert error.endswith("its earlier value was removed from the store")
    assert "was removed from the store" in Path(done.report).read_text()
    assert key not in raw(out)


def test_a_value_that_a_killed_run_had_removed_is_told_by_the_next(source, out):
    convert("bigearthnet", {"s1": source}, str(out))
    key = min(expected(source))
    path = Path(source) / S1 / key / f"{key}_VV.tif"
    path.write_bytes(b"")
    killed(source, out, after=10, resume=True, on_error="skip")
    with pytest.warns(UserWarning, match=rf"1 patches .* removed from the store: {key}"):
        resumed(source, out, on_error="skip")

    assert len(raw(out)) == len(keys_told(out)) == 11
