"""Opening a bundle runs no code from it, whatever is in it: watched by Python's own audit events."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from geoseg.learner import Learner
from geoseg.learner.bundle import save_bundle
from tests.learner.bundles import info, members_of, weights, with_manifest, write_zip
from tests.support.waiting import PATIENCE

_WATCHED = """
import sys
import warnings
import tests.conftest
from geoseg.errors import BundleError
from geoseg.learner import Learner
from geoseg.learner.bundle import load_bundle

FORBIDDEN = (
    "exec", "compile", "import", "pickle.find_class", "marshal.load", "marshal.loads", "code.__new__",
    "function.__new__", "os.system", "os.exec", "os.posix_spawn", "os.fork", "subprocess.Popen",
    "ctypes.dlopen", "socket.connect", "os.mkdir", "os.rename", "os.remove", "shutil.unpack_archive",
)
seen = []
watching = False

def watch(event, arguments):
    if watching and (event in FORBIDDEN or (event == "open" and "r" not in str(arguments[1]))):
        seen.append((event, str(arguments)[:200]))

first, second, *others = sys.argv[1:]
Learner.load(first)  # what is imported only when it is first needed
for uri in others:  # the texts of errors, too
    try:
        load_bundle(uri)
    except BundleError:
        pass
sys.addaudithook(watch)
exec("pass")
watching = True
exec("control = 1")
assert [event for event, _ in seen] == ["compile", "exec"], seen  # the watch itself works
seen.clear()
learner = Learner.load(second)
watching = False
assert not seen, seen
assert learner.history
for uri in others:
    watching = True
    try:
        load_bundle(uri)
        told = ""
    except BundleError as error:
        told = str(error)
    watching = False
    assert not seen, (uri, seen)
    assert told.startswith(uri), (uri, told)
print("clean", len(others))
"""


class Evil:
    """Makes a file where it is unpickled."""

    def __init__(self, place):
        self.place = place

    def __reduce__(self):
        return Path.touch, (Path(self.place),)


@pytest.mark.slow
def test_nothing_of_a_bundle_is_executed_compiled_imported_or_unpickled(tmp_path):
    good, mark = tmp_path / "good.zip", tmp_path / "mark"
    learner = Learner(info().classes, info().training)
    learner._module = learner._build(2)
    learner.data, learner.history = info().data, info().epochs
    learner.save(str(good))
    learner.history = [{"epoch": 5.0}]
    learner.save(str(tmp_path / "second.zip"))
    plain = tmp_path / "plain.zip"
    save_bundle(str(plain), info(), weights())
    members = members_of(plain)
    evil = pickle.dumps(Evil(str(mark)))
    yaml = f"!!python/object/apply:pathlib.Path.touch [{mark}]\n".encode()
    code = f"open({str(mark)!r}, 'w')\n".encode()
    others = [
        write_zip(tmp_path / "pickle.zip", with_manifest({**members, "model.safetensors": evil})),
        write_zip(tmp_path / "yaml.zip", with_manifest({**members, "geoseg.yaml": yaml})),
        write_zip(tmp_path / "history.zip", with_manifest({**members, "history.json": code})),
        write_zip(tmp_path / "code.zip", {"__init__.py": code, "geoseg.py": code, **members}),
        write_zip(tmp_path / "torch.zip", {"archive/data.pkl": evil, "archive/version": b"3\n"}),
        write_zip(
            tmp_path / "old.zip", {"model.safetensors": evil, "geoseg.yaml": members["geoseg.yaml"]}
        ),
    ]
    root = str(Path(__file__).parent.parent.parent)
    done = subprocess.run(
        [sys.executable, "-c", _WATCHED, str(good), str(tmp_path / "second.zip"), *others],
        capture_output=True, text=True, check=False, timeout=PATIENCE, cwd=root,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout == f"clean {len(others)}\n"
    assert not mark.exists()
