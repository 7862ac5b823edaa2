import json
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from geoseg import drafts
from geoseg.drafts import take_back
from geoseg.errors import StoreError
from geoseg.outputs import written_together, written_whole


def test_a_file_appears_under_its_name_when_the_block_ends(tmp_path):
    target = tmp_path / "new" / "folder" / "out.txt"
    with written_whole(str(target)) as path:
        path.write_text("half")
        assert not target.exists()
        path.with_name("beside.txt").write_text("more")
    assert target.read_text() == "half"
    assert list(target.parent.iterdir()) == [target]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_after_an_exception_the_old_file_is_untouched_and_nothing_is_left(tmp_path, error):
    target = tmp_path / "out.txt"
    target.write_text("old")

    def fail():
        with written_whole(str(target)) as path:
            path.write_text("new")
            raise error

    with pytest.raises(error):
        fail()
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_new_files_have_the_usual_permissions(tmp_path):
    (tmp_path / "usual").touch()
    with written_whole(str(tmp_path / "out.txt")) as path:
        path.touch()
    usual, ours = (stat.S_IMODE((tmp_path / n).stat().st_mode) for n in ("usual", "out.txt"))
    assert ours == usual


def test_a_block_that_writes_nothing_is_an_error(tmp_path):
    with (
        pytest.raises(StoreError, match="cannot be replaced"),
        written_whole(str(tmp_path / "out.txt")),
    ):
        pass


@pytest.mark.parametrize("uri", ["s3://bucket/out.tif", "/vsimem/out.tif", "https://a.b/out.tif"])
def test_outputs_are_local(uri):
    with pytest.raises(StoreError, match="local paths only"), written_whole(uri):
        pass


def test_a_folder_that_cannot_be_made_or_written_is_named(tmp_path):
    (tmp_path / "file").touch()
    with (
        pytest.raises(StoreError, match=r"folder .*file/deeper"),
        written_whole(str(tmp_path / "file" / "deeper" / "out.txt")),
    ):
        pass
    with pytest.raises(StoreError, match="is a folder"), written_whole(str(tmp_path)):
        pass


@pytest.mark.skipif(os.getuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission_is_named(tmp_path):
    tmp_path.chmod(0o500)
    with (
        pytest.raises(StoreError, match="Permission denied"),
        written_whole(str(tmp_path / "out.txt")),
    ):
        pass


def contents(folder):
    return {path.name: path.read_text() for path in folder.iterdir() if path.is_file()}


def write_some(folder, names):
    """Write these of the files a, b and c, which appear together."""
    with written_together([str(folder / name) for name in "abc"]) as paths:
        before = contents(folder)
        for path in paths:
            if path.name in names:
                path.write_text(f"new {path.name}")
        assert contents(folder) == before


def test_several_files_appear_under_their_names_together(tmp_path):
    (tmp_path / "b").write_text("old")
    write_some(tmp_path, "abc")
    assert contents(tmp_path) == {name: f"new {name}" for name in "abc"}
    assert len(list(tmp_path.iterdir())) == 3


@pytest.mark.parametrize("links", [True, False])
@pytest.mark.parametrize("missing", ["a", "b", "c"])
def test_where_one_of_several_is_not_written_all_names_are_as_before(
    tmp_path, missing, links, monkeypatch
):
    def refuse(self, target):
        raise OSError("a file system without links")

    if not links:
        monkeypatch.setattr(Path, "hardlink_to", refuse)
    (tmp_path / "a").write_text("old a")
    (tmp_path / "c").write_text("old c")
    with pytest.raises(StoreError, match=f"{missing}: cannot be replaced"):
        write_some(tmp_path, set("abc") - {missing})
    assert contents(tmp_path) == {"a": "old a", "c": "old c"}
    assert len(list(tmp_path.iterdir())) == 2


_KILLED = """
import os, signal, sys
from pathlib import Path
from geoseg.outputs import written_together

def refuse(*_):
    raise OSError("a file system without links")

def replace(self, target):
    if Path(target).name == sys.argv[2]:
        os.kill(os.getpid(), signal.SIGKILL)
    return renamed(self, target)

renamed, Path.replace = Path.replace, replace
if sys.argv[3] == "no links":
    Path.hardlink_to = refuse
with written_together([os.path.join(sys.argv[1], name) for name in "abc"]) as paths:
    for path in paths:
        path.write_text(f"new {path.name}")
"""


def killed(folder, place, links="links"):
    """Write a, b and c and be killed before one of them gets its name: the hidden folder."""
    done = subprocess.run(
        [sys.executable, "-c", _KILLED, str(folder), place, links],
        check=False,
        cwd=Path(__file__).parents[1],
    )
    assert done.returncode == -signal.SIGKILL
    (hidden,) = folder.glob(".a-????????")
    return hidden


@pytest.mark.parametrize("links", ["links", "no links"])
@pytest.mark.parametrize("place", ["a", "b", "c"])
def test_what_a_killed_process_had_named_is_taken_back(tmp_path, place, links):
    before = {"a": "old a", "c": "old c"}
    for name, text in before.items():
        (tmp_path / name).write_text(text)
    hidden = killed(tmp_path, place, links)
    assert place == "a" or (tmp_path / "a").read_text() == "new a"
    take_back(hidden)
    assert contents(tmp_path) == before
    assert len(list(tmp_path.iterdir())) == 2


def test_a_name_that_somebody_has_given_to_another_file_since_stays(tmp_path):
    hidden = killed(tmp_path, "c")
    (tmp_path / "b").unlink()
    (tmp_path / "b").write_text("of others")
    take_back(hidden)
    assert contents(tmp_path) == {"b": "of others"}
    assert not hidden.exists()


def test_where_all_had_got_their_names_they_stay(tmp_path):
    hidden = killed(tmp_path, "c")
    (hidden / "c").replace(tmp_path / "c")
    take_back(hidden)
    assert contents(tmp_path) == {name: f"new {name}" for name in "abc"}
    assert not hidden.exists()


@pytest.mark.parametrize("place", ["a", "b", "c"])
@pytest.mark.parametrize("again", ["abc", "a"])
def test_the_next_who_writes_any_of_the_files_removes_what_a_killed_process_left(
    tmp_path, place, again
):
    (tmp_path / "c").write_text("old c")
    hidden = killed(tmp_path, place)
    with written_together([str(tmp_path / name) for name in again]) as paths:
        assert not hidden.exists()
        assert contents(tmp_path) == {"c": "old c"}  # what was half done is taken back
        for path in paths:
            path.write_text("newer")
    assert contents(tmp_path) == {"c": "old c"} | dict.fromkeys(again, "newer")
    assert len(list(tmp_path.iterdir())) == len(contents(tmp_path))


def test_drafts_that_are_being_written_of_other_files_or_of_nobody_stay(tmp_path):
    dead = killed(tmp_path, "a")
    strange = {
        ".a-abcdefgh": "[]",
        ".a-ijklmnop": "{",
        ".a-qrstuvwx": None,
        ".abc-abcdefgh": '["abc"]',
    }
    for name, owner in strange.items():
        (tmp_path / name).mkdir()
        if owner is not None:
            (tmp_path / name / ".owner.json").write_text(owner)
    (tmp_path / ".a-file4567").touch()
    before = set(tmp_path.iterdir()) - {dead}
    with written_whole(str(tmp_path / "a")) as first:
        first.write_text("first")
        with written_whole(str(tmp_path / "a")) as second:
            assert first.read_text() == "first"
            second.write_text("second")
        assert (tmp_path / "a").read_text() == "second"
    assert (tmp_path / "a").read_text() == "first"
    assert set(tmp_path.iterdir()) == before | {tmp_path / "a"}


def test_without_locks_nobody_takes_a_draft_for_a_leftover(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise OSError(37, "No locks available")

    hidden = killed(tmp_path, "b")
    monkeypatch.setattr(drafts, "locked", refuse)
    for _ in range(2):
        with written_whole(str(tmp_path / "a")) as path:
            path.write_text("new")
            assert path.parent.is_dir()
    assert hidden.is_dir()
    monkeypatch.undo()
    with written_whole(str(tmp_path / "a")) as path:
        path.write_text("newer")
    assert contents(tmp_path) == {"a": "newer"}
    assert not hidden.exists()


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "sub", "sub/", "sub/.", "a\0", "a" * 240, "é" * 120, "a/" + "b" * 300],
    ids=len,
)
def test_what_can_be_no_file_is_refused_before_anything_is_made(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sub").mkdir()
    with (
        pytest.raises(StoreError, match=r"is no name of a file|is a folder|choose a shorter one"),
        written_whole(name),
    ):
        raise AssertionError("nothing is written")
    assert [path.name for path in tmp_path.rglob("*")] == ["sub"]


@pytest.mark.parametrize(
    "text", ["{", "[1]", "3", json.dumps({"..": None, "../out/mine": [1], "no": 3, "": []}), "[" * 9999]
)  # fmt: skip
def test_a_damaged_list_of_names_takes_nothing_back(tmp_path, text):
    (hidden := tmp_path / "out" / ".a-abcdefgh").mkdir(parents=True)
    (hidden / ".naming.json").write_text(text)
    (hidden / "no").touch()
    (tmp_path / "out" / "mine").write_text("mine")
    take_back(hidden)
    assert contents(tmp_path / "out") == {"mine": "mine"}
    assert not hidden.exists()
