"""What is kept beside an output: counted when it is listed, one run's own, and never trusted blindly."""

from __future__ import annotations

import json
import os
import zlib

import numpy as np
import pytest

from geoseg.errors import StoreError
from geoseg.labels.kept import KeptBands, remove_leftovers
from geoseg.labels.manifest import Part
from geoseg.labels.rows import LabelRows
from geoseg.outputs import written_whole
from tests.labels.test_parts import IDS, MANIFEST

PART = Part(manifest=MANIFEST, rows=(0, 1100))
BAND = LabelRows(0, IDS, None).cut(0, 512)


@pytest.fixture
def uri(tmp_path):
    return str(tmp_path / "map.tif")


@pytest.fixture
def folder(tmp_path):
    return tmp_path / ".map.tif.resume"


class Stop(BaseException):
    """Ends a run."""


def stopped(uri):
    """A run that ends after its first band: what was noted of that."""
    kept = KeptBands.open(uri, PART)

    def work():
        with kept.until_whole():
            kept.begin()
            kept.put(BAND)
            raise Stop

    with pytest.raises(Stop) as caught:
        work()
    return caught.value.__notes__


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_while_a_run_goes_on_another_is_refused_and_removes_nothing(uri, folder):
    kept = KeptBands.open(uri, PART)
    with kept.until_whole():
        kept.begin()
        kept.put(BAND)
        before = names(folder)
        for begin in (remove_leftovers, lambda uri: KeptBands.open(uri, PART)):
            with pytest.raises(StoreError, match=r"map\.tif: another run is writing this map"):
                begin(uri)
        assert names(folder) == before == ["band-000000.npy", "lock", "state.json"]
    assert not folder.exists()


def test_a_run_that_has_ended_in_any_way_lets_another_begin(uri, folder):
    assert stopped(uri)[0].startswith("1 finished bands of rows are kept")
    assert names(folder) == ["band-000000.npy", "state.json"]
    kept = KeptBands.open(uri, PART)
    with kept.until_whole():
        assert kept.begin() == [(range(512), True), (range(512, 1100), False)]
        assert [(piece.row, piece.ids.tobytes()) for piece in kept.read(range(512))] == [
            (0, IDS[:512].tobytes())
        ]
    KeptBands.open(uri, PART).remove()
    assert not folder.exists()


def test_a_run_that_is_refused_lets_go_and_leaves_all_as_it_was(uri, folder):
    stopped(uri)
    other = PART.model_copy(update={"rows": (0, 512)})
    for _ in range(2):
        with pytest.raises(ValueError, match="rows are"):
            KeptBands.open(uri, other)
    assert names(folder) == ["band-000000.npy", "state.json"]


def test_a_band_counts_when_the_list_names_it(uri, folder, monkeypatch):
    """The disk is full when the list is to be written for the second band."""
    write, calls = KeptBands._write_state, []

    def full(self):
        calls.append(len(self.bands))
        if len(calls) == 3:
            raise OSError(28, "No space left on device")
        write(self)

    monkeypatch.setattr(KeptBands, "_write_state", full)
    kept = KeptBands.open(uri, PART)

    def work():
        with kept.until_whole():
            kept.begin()
            kept.put(BAND)
            kept.put(LabelRows(0, IDS, None).cut(512, 1024))

    with pytest.raises(StoreError, match="No space left on device") as caught:
        work()
    assert calls == [0, 1, 2]
    assert caught.value.__notes__[0].startswith("1 finished bands of rows are kept")
    assert list(json.loads((folder / "state.json").read_text())["bands"]) == ["0"]


def test_a_forked_child_removes_nothing_of_its_parent_s(uri, folder, monkeypatch):
    kept = KeptBands.open(uri, PART)
    pid, context = os.getpid(), kept.until_whole()
    context.__enter__()
    kept.begin()
    monkeypatch.setattr(os, "getpid", lambda: pid + 1)
    assert not context.__exit__(Stop, Stop(), None)
    monkeypatch.undo()
    assert names(folder) == ["lock", "state.json"]
    kept.remove()


DAMAGED = {
    "no object": "[1, 2]",
    "a list of bands": {"bands": [1]},
    "bands without checksums": {"bands": {"0": 7}},
    "a band called so": {"bands": {"first": [1, 2]}},
    "checksums that are text": {"bands": {"0": ["a", "b"]}},
    "a number of drafts": {"drafts": 3},
    "drafts that are no names": {"drafts": [{"a": 1}]},
    "no part": {"part": None},
    "rows that are text": {"part": {"rows": "all"}},
    "no UTF-8": b"\xff\xfe",
    "a deep list": "[" * 100_000,
}


@pytest.mark.parametrize("change", DAMAGED.values(), ids=list(DAMAGED))
@pytest.mark.parametrize("resume", [True, False])
def test_a_damaged_list_is_told_whatever_it_holds(uri, folder, change, resume):
    stopped(uri)
    state = folder / "state.json"
    if isinstance(change, dict):
        state.write_text(json.dumps(json.loads(state.read_text()) | change))
    else:
        state.write_bytes(change if isinstance(change, bytes) else change.encode())
    if resume:
        with pytest.warns(UserWarning, match=r"map\.tif: what an earlier run left cannot be read"):
            KeptBands.open(uri, PART).remove()
    else:
        with pytest.warns(UserWarning, match="left 1 finished bands"):
            remove_leftovers(uri)
    assert not folder.exists()


@pytest.mark.parametrize("resume", [True, False])
def test_only_hidden_folders_of_this_output_are_removed(uri, folder, tmp_path, resume):
    stopped(uri)
    mine = [tmp_path / name for name in (".map.tif-abcd1234", ".map.tif-wxyz7890")]
    others = [tmp_path / name for name in ("data", ".other.tif-abcd1234", "data/.map.tif-abcd1234")]
    for each in (*mine, *others):
        each.mkdir()
        (each / "file").touch()
    state = json.loads((folder / "state.json").read_text())
    state["drafts"] = [
        mine[0].name, "..", ".", "", "../..", "data", "data/.map.tif-abcd1234", str(others[0]),
        ".other.tif-abcd1234", ".map.tif.resume", ".map.tif-abcd1234/..", "no\0name",
    ]  # fmt: skip
    (folder / "state.json").write_text(json.dumps(state))
    if resume:
        KeptBands.open(uri, PART).remove()
    else:
        with pytest.warns(UserWarning, match="1 finished bands"):
            remove_leftovers(uri)
    assert not mine[0].exists()
    for each in (mine[1], *others):
        assert (each / "file").exists()


def test_without_resume_what_a_killed_writer_of_a_file_beside_had_begun_goes_too(uri, tmp_path):
    kept = KeptBands.open(uri, PART, (str(tmp_path / "map.scores.tif"), uri))
    with written_whole(str(tmp_path / "map.scores.tif")) as path:
        kept.begin()
        kept.put(BAND)
        (draft := path.with_name("half")).touch()
        kept._lock.release()  # as the system does for a run that is killed
        assert draft.exists()
        with pytest.warns(UserWarning, match="1 finished bands"):
            remove_leftovers(uri)
        assert not draft.parent.exists()
        path.parent.mkdir()
        path.touch()


@pytest.mark.parametrize(
    "arrays",
    [
        [],
        [IDS[:100]],
        [np.empty((0, 70), np.uint8)],
        [IDS[0]],
        [IDS[:512].astype(np.int32)],
        [IDS[:513]],
    ],
    ids=["nothing", "too few", "no rows", "one row", "no bytes", "too many"],
)
def test_a_band_that_is_listed_but_holds_something_else_is_an_error(uri, folder, arrays):
    stopped(uri)
    band = folder / "band-000000.npy"
    with band.open("wb") as file:
        for array in arrays:
            np.save(file, array)
    state = json.loads((folder / "state.json").read_text())
    state["bands"] = {"0": [band.stat().st_size, zlib.crc32(band.read_bytes())]}
    (folder / "state.json").write_text(json.dumps(state))
    kept = KeptBands.open(uri, PART)
    with pytest.raises(StoreError, match=r"map\.tif: the finished rows from 0 cannot be read"):
        list(kept.read(range(512)))
    kept.remove()
