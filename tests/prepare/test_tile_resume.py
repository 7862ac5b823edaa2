"""tile: a run that is stopped anywhere is taken up again, and gives the same bytes."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from geoseg.prepare import tile
from geoseg.prepare.tiling import pairs
from geoseg.prepare.tiling.pairs import PairWriter

SHAPE = 61, 83
OPTIONS = {"patch_size": 16, "stride": 9, "edge": "pad", "empty": 0.5, "seed": 3}


@pytest.fixture
def sources(write_raster):
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, SHAPE, np.uint8)
    labels[:40, :50] = 0
    image = rng.integers(0, 255, (3, *SHAPE), np.uint8)
    return write_raster("image.tif", image, nodata=0), write_raster("mask.tif", labels)


def bytes_of(folder):
    """{name: bytes} of all files."""
    files = sorted(p for p in Path(folder).rglob("*") if p.is_file())
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in files}


class StoppedError(Exception):
    """What stands for the end of a process."""


def stop_after(monkeypatch, count, written):
    """Have the writer of pairs fail half way through the pair after `count`."""
    plain = PairWriter.write

    def write(self, name, *rest):
        if len(written) == count:
            (self.folder / self.file(pairs.IMAGES, name)).write_bytes(b"half")
            raise StoppedError
        plain(self, name, *rest)
        written.append(name)

    monkeypatch.setattr(PairWriter, "write", write)


@pytest.mark.slow
@pytest.mark.parametrize("output", ["geotiff", "png", "npy", "lmdb"])
def test_the_same_inputs_and_seed_give_the_same_bytes(sources, tmp_path, output):
    for name in ("a", "b"):
        tile(*sources, tmp_path / name, output=output, **OPTIONS)
    first, second = bytes_of(tmp_path / "a"), bytes_of(tmp_path / "b")
    assert first == second
    assert len(first) > 2


@pytest.mark.parametrize("output", ["geotiff", "lmdb"])
def test_a_run_that_was_stopped_is_taken_up_with_the_same_bytes(
    sources, tmp_path, monkeypatch, output
):
    whole = tile(*sources, tmp_path / "whole", output=output, **OPTIONS)
    written = []
    with monkeypatch.context() as patch:
        stop_after(patch, 7, written)
        with pytest.raises(StoppedError):
            tile(*sources, tmp_path / "out", output=output, **OPTIONS)
    assert not (tmp_path / "out").exists()
    with (tmp_path / ".out.unfinished/.journal").open("ab") as journal:
        journal.write(b"[12,nu")  # killed within a line
    again = []
    with monkeypatch.context() as patch:
        stop_after(patch, -1, again)
        report = tile(*sources, tmp_path / "out", output=output, **OPTIONS)
    assert report.resumed > 0
    assert len(written) == 7
    assert set(written).isdisjoint(again)
    assert len(again) == whole.written - 7
    assert bytes_of(tmp_path / "out") == bytes_of(tmp_path / "whole")
    assert not [p for p in tmp_path.iterdir() if p.name.startswith(".")]


@pytest.mark.slow
@pytest.mark.parametrize("change", ["settings", "source", "resume=False"])
def test_what_was_done_otherwise_is_not_taken_up(sources, tmp_path, monkeypatch, change):
    with monkeypatch.context() as patch:
        stop_after(patch, 5, [])
        with pytest.raises(StoppedError):
            tile(*sources, tmp_path / "out", **OPTIONS)
    options = dict(OPTIONS)
    if change == "settings":
        options["seed"] = 4
    elif change == "source":
        os.utime(sources[0], ns=(1, 1))
    else:
        options["resume"] = False
    report = tile(*sources, tmp_path / "out", **options)
    assert report.resumed == 0
    tile(*sources, tmp_path / "fresh", **options)
    assert bytes_of(tmp_path / "out") == bytes_of(tmp_path / "fresh")


CHILD = """
import os, signal, sys
from geoseg.prepare import tile
from geoseg.prepare.tiling import pairs

plain, written = pairs.PairWriter.write, []

def write(self, name, *rest):
    if len(written) == 30:
        (self.folder / self.file(pairs.IMAGES, name)).write_bytes(b"half")
        os.kill(os.getpid(), signal.SIGKILL)
    plain(self, name, *rest)
    written.append(name)

pairs.PairWriter.write = write
tile(sys.argv[1], sys.argv[2], sys.argv[3], patch_size=16, stride=5, edge="pad", empty=0.5)
"""


@pytest.mark.slow
def test_a_killed_process_leaves_nothing_half_done(sources, tmp_path):
    options = {"patch_size": 16, "stride": 5, "edge": "pad", "empty": 0.5}
    tile(*sources, tmp_path / "whole", **options)
    command = [sys.executable, "-c", CHILD, *sources, str(tmp_path / "out")]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    assert not (tmp_path / "out").exists()
    report = tile(*sources, tmp_path / "out", **options)
    assert 30 <= report.resumed < report.windows
    assert bytes_of(tmp_path / "out") == bytes_of(tmp_path / "whole")


def damage(out, how):
    """Spoil a file of a result; gives its name in it."""
    file = sorted((out / "masks").iterdir())[3]
    if how == "missing":
        file.unlink()
    elif how == "cut short":
        file.write_bytes(file.read_bytes()[:-5])
    elif how == "the index":
        file = out / "index.parquet"
        file.unlink()
    else:  # written over: as many bytes
        file.write_bytes(bytes(file.stat().st_size))
        later = (out / "tile.json").stat().st_mtime_ns + 1_000_000
        os.utime(file, ns=(later, later))
    return file.relative_to(out).as_posix()


@pytest.mark.parametrize("how", ["missing", "cut short", "the index", "written over"])
def test_a_finished_folder_with_a_lost_or_changed_file_is_made_anew(sources, tmp_path, how):
    out = tmp_path / "out"
    tile(*sources, out, patch_size=30)
    before = bytes_of(out)
    name = damage(out, how)
    with pytest.warns(UserWarning, match=f"1 of 19 files are missing or were .* first is {name};"):
        report = tile(*sources, out, patch_size=30)
    assert report.resumed == 0
    assert bytes_of(out) == before
    assert tile(*sources, out, patch_size=30).resumed == report.windows


def test_files_that_others_laid_into_a_folder_stay_when_it_is_made_anew(sources, tmp_path):
    out = tmp_path / "out"
    tile(*sources, out, patch_size=30)
    made = set(bytes_of(out))
    (out / "mine").mkdir()
    (out / "mine/notes.txt").write_text("x")
    stale = out / f"{next(n for n in sorted(made) if n.startswith('images'))}.aux.xml"
    stale.write_text("<PAMDataset/>")
    assert tile(*sources, out, patch_size=30).resumed  # it does no harm
    tile(*sources, out, patch_size=40, overwrite=True)
    found = bytes_of(out)
    assert found.pop("mine/notes.txt") == b"x"
    tile(*sources, tmp_path / "plain", patch_size=40)
    assert found == bytes_of(tmp_path / "plain")


def test_a_result_is_back_when_the_process_was_killed_while_it_was_replaced(sources, tmp_path):
    out = tmp_path / "out"
    tile(*sources, out, patch_size=30)
    out.rename(tmp_path / ".out.unfinished-old")
    assert tile(*sources, out, patch_size=30).resumed
    assert not (tmp_path / ".out.unfinished-old").exists()


def rewritten(uri):
    """Other bytes in a file of the same size and time."""
    facts = Path(uri).stat()
    content = bytearray(Path(uri).read_bytes())
    content[-1] ^= 1
    Path(uri).write_bytes(content)
    os.utime(uri, ns=(facts.st_atime_ns, facts.st_mtime_ns))


def test_bytes_that_changed_under_the_same_time_are_known_by_the_full_hash(
    sources, tmp_path, monkeypatch
):
    out = tmp_path / "out"
    options = {"patch_size": 30, "full_hash": True, "overwrite": True}
    first = tile(*sources, out, **options)
    os.utime(sources[1], ns=(1, 1))
    assert tile(*sources, out, **options).resumed == first.windows  # only touched
    rewritten(sources[1])
    with monkeypatch.context() as patch:
        stop_after(patch, 2, [])
        with pytest.raises(StoppedError):
            tile(*sources, out, **options)
    rewritten(sources[1])
    rewritten(sources[0])
    assert tile(*sources, out, **options).resumed == 0  # what was stopped was of other bytes


def test_nothing_is_resumed_where_it_is_not_wanted_not_even_what_is_finished(sources, tmp_path):
    tile(*sources, tmp_path / "out", patch_size=30)
    before = bytes_of(tmp_path / "out")
    assert tile(*sources, tmp_path / "out", patch_size=30, resume=False).resumed == 0
    assert bytes_of(tmp_path / "out") == before
