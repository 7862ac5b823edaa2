"""One run at a time beside an output, however the one before has ended."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import threading
import warnings
from pathlib import Path

import pytest

from geoseg import runlock
from geoseg.errors import StoreError
from geoseg.runlock import RunLock

fcntl = pytest.importorskip("fcntl", reason="forks and flock are of POSIX")

BUSY = r"map\.tif: another run is writing this map, as .*lock tells; wait until that has ended, or"

_CHILD = """
import os, signal, sys
from pathlib import Path
from geoseg.runlock import RunLock

lock = RunLock(Path(sys.argv[1]), "map.tif")
if sys.argv[2] == "fork":
    begun, begin = os.pipe()
    if os.fork() == 0:
        sys.stdout.close()
        os.write(begin, b"!")
        signal.pause()
    os.read(begun, 1)
print("locked", flush=True)
signal.pause()
"""


def child(folder, how):
    """A process that has the lock and waits."""
    process = subprocess.Popen(
        [sys.executable, "-c", _CHILD, str(folder), how],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        cwd=Path(__file__).parents[2],
    )
    assert process.stdout.readline() == "locked\n"
    return process


def is_free(folder):
    try:
        RunLock(folder, "map.tif").release()
    except StoreError:
        return False
    return True


def test_a_second_run_is_refused_until_the_first_has_ended(tmp_path):
    folder = tmp_path / "new" / "hidden"
    first = RunLock(folder, "map.tif")
    with pytest.raises(StoreError, match=BUSY):
        RunLock(folder, "map.tif")
    first.release()
    assert list(folder.iterdir()) == []
    first.release()  # does nothing
    second = RunLock(folder, "map.tif")
    first.release()  # is not its own any more
    assert not is_free(folder)
    second.release()
    assert is_free(folder)


def test_two_threads_of_one_process_are_two_runs(tmp_path):
    lock = RunLock(tmp_path, "map.tif")
    found = []
    thread = threading.Thread(target=lambda: found.append(is_free(tmp_path)))
    thread.start()
    thread.join()
    assert found == [False]
    lock.release()


@pytest.mark.slow
@pytest.mark.parametrize("how", ["alone", "fork"])
def test_a_run_that_is_killed_lets_go_though_a_child_that_it_forked_lives(tmp_path, how):
    process = child(tmp_path, how)
    try:
        assert not is_free(tmp_path)
        process.kill()
        process.wait()
        assert (tmp_path / "lock").exists()
        assert is_free(tmp_path)
    finally:
        os.killpg(process.pid, signal.SIGKILL) if how == "fork" else process.kill()
        process.stdout.close()


def test_a_child_that_ends_does_not_release_the_lock_of_its_parent(tmp_path):
    lock = RunLock(tmp_path, "map.tif")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forks beside threads
        number = os.fork()
    if number == 0:
        lock.release()
        os._exit(0)
    os.waitpid(number, 0)
    assert (tmp_path / "lock").exists()
    assert not is_free(tmp_path)
    lock.release()


def test_a_lock_whose_file_was_removed_meanwhile_is_taken_anew(tmp_path, monkeypatch):
    """Another run ends between the opening of its file and the locking of it."""
    before = RunLock(tmp_path, "map.tif")
    is_locked, calls = runlock._is_locked, []

    def late(file, uri):
        if not calls:
            before.release()
        calls.append(1)
        return is_locked(file, uri)

    monkeypatch.setattr(runlock, "_is_locked", late)
    lock = RunLock(tmp_path, "map.tif")
    assert len(calls) == 2
    monkeypatch.undo()
    assert not is_free(tmp_path)
    lock.release()


def test_a_file_system_without_locks_is_told_and_the_run_goes_on(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.warns(UserWarning, match=r"map\.tif: no lock can be taken .*No locks available"):
        RunLock(tmp_path, "map.tif").release()


def test_a_folder_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match=r"map\.tif: nothing can be written to the folder .*file"):
        RunLock(tmp_path / "file" / "hidden", "map.tif")
