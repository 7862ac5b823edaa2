"""The record of a run: written before, completed after, whatever happens between."""

from __future__ import annotations

import json
import platform
from datetime import datetime

import numpy as np
import pytest
import rasterio

from geoseg.errors import ConfigError, SceneError
from geoseg.record import recorded, refuse_own_file
from geoseg.sources.array import ArraySource
from geoseg.sources.base import RasterField
from geoseg.spec import Spec, Uri


class Work(Spec):
    """What is run here."""

    image: RasterField
    output: Uri


@pytest.fixture
def record(tmp_path):
    """Calls `recorded` for a folder of the test."""

    def call(work=None, **options):
        work = work or Work(image="a.tif", output=str(tmp_path))
        return recorded(work, tmp_path, **{"seeds": {"training": 3}, "file": None} | options)

    return call


def read(folder):
    return json.loads((folder / "run.json").read_text())


def test_a_run_is_told_while_it_runs_and_when_it_has_ended(record, tmp_path):
    with record() as facts:
        before = read(tmp_path)
        assert (before["status"], before["ended"]) == ("running", None)
        facts.add(scores={"mean_iou": 0.5})
        assert read(tmp_path)["scores"] == {"mean_iou": 0.5}
    after = read(tmp_path)
    assert after["status"] == "finished"
    assert after["seeds"] == {"training": 3}
    assert after["scores"] == {"mean_iou": 0.5}
    assert after["experiment"] == "run.yaml"
    started, ended = (datetime.fromisoformat(after[key]) for key in ("started", "ended"))
    assert started.utcoffset().total_seconds() == 0
    assert after["seconds"] == pytest.approx((ended - started).total_seconds(), abs=0.01)
    assert after["versions"]["python"] == platform.python_version()
    assert after["versions"]["GDAL"] == rasterio.__gdal_version__
    assert after["versions"]["torch"]


@pytest.mark.parametrize(
    ("error", "status"),
    [(SceneError("x\n is  wrong"), "failed"), (KeyboardInterrupt(), "stopped")],
)
def test_a_run_that_fails_or_is_stopped_says_so(record, tmp_path, error, status):
    with pytest.raises(type(error)), record():
        raise error
    found = read(tmp_path)
    assert found["status"] == status
    assert found["ended"] is not None
    assert found.get("error") == ("SceneError: x is wrong" if status == "failed" else None)


def test_relative_uris_are_written_as_absolute_ones_and_the_output_as_its_own_folder(
    record, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    with record(Work(image="sub/a.tif", output="somewhere")):
        pass
    again = Work.from_yaml(tmp_path / "run.yaml")
    assert again.image.uri == str(tmp_path / "sub" / "a.tif")
    assert again.output == str(tmp_path)


def test_what_holds_arrays_is_run_without_a_text(record, tmp_path):
    with record():
        pass
    source = ArraySource(data=np.ones((1, 2, 3)))
    with record(Work(image=source, output="out")):
        pass
    assert read(tmp_path)["experiment"] is None
    assert not (tmp_path / "run.yaml").exists()


def test_the_file_and_its_folder_are_told(record, tmp_path):
    with record(file=str(tmp_path / "sub" / ".." / "exp.yaml")):
        pass
    assert read(tmp_path)["file"] == str(tmp_path / "exp.yaml")


def test_a_file_that_somebody_wrote_is_not_replaced(record, tmp_path):
    refuse_own_file(tmp_path)
    with record():
        pass
    refuse_own_file(tmp_path)  # of a run before
    (tmp_path / "run.yaml").write_text("# mine\n")
    with pytest.raises(ConfigError, match=r"run\.yaml: would be replaced"):
        refuse_own_file(tmp_path)
