"""The record of a run: written before, completed after, whatever happens between."""

from __future__ import annotations

import json
import platform
from datetime import datetime

import numpy as np
import pytest
import rasterio

from geoseg.errors import ConfigError, SceneError
from geoseg.record import (
    differences,
    earlier_facts,
    parts_so_far,
    recorded,
    refuse_own_file,
)
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


def test_the_record_holds_no_secrets_and_says_so(record, tmp_path):
    signed = "https://me:S3cret@host/a.tif?band=1&X-Amz-Signature=S3cret"
    error = SceneError(f"{signed}: cannot be opened")
    with (
        pytest.raises(SceneError),
        record(Work(image=signed, output=str(tmp_path)), known={"of": signed}),
    ):
        raise error
    texts = {name: (tmp_path / name).read_text() for name in ("run.yaml", "run.json")}
    assert not [name for name, text in texts.items() if "S3cret" in text]
    told = "https://***@host/a.tif?band=1&X-Amz-Signature=***"
    assert Work.from_yaml(tmp_path / "run.yaml").image.uri == told
    assert read(tmp_path)["of"] == told
    assert "# Secrets in uris are ***" in texts["run.yaml"]
    refuse_own_file(tmp_path)


def test_a_record_without_secrets_has_all_places_as_they_are(record, tmp_path):
    image = str(tmp_path / "home" / "anna" / "a b@2.tif")
    with record(Work(image=image, output=str(tmp_path))):
        pass
    assert Work.from_yaml(tmp_path / "run.yaml").image.uri == image
    assert "Secrets" not in (tmp_path / "run.yaml").read_text()


def test_an_earlier_run_is_told_of_to_the_one_that_goes_on(record, tmp_path):
    assert earlier_facts(tmp_path) is None
    with pytest.raises(SceneError), record():
        raise SceneError("x")
    first = earlier_facts(tmp_path)
    assert first["status"] == "failed"
    with record(known={"parts_before": parts_so_far(first)}):
        pass
    second = earlier_facts(tmp_path)
    assert second["status"] == "finished"
    assert [part["status"] for part in parts_so_far(second)] == ["failed", "finished"]
    assert parts_so_far(second)[0]["started"] == first["started"]


@pytest.mark.parametrize("text", ["", "[1]", "{", '{"status": "finished"}'])
def test_a_file_that_is_no_record_tells_of_no_run(tmp_path, text):
    (tmp_path / "run.json").write_text(text)
    assert earlier_facts(tmp_path) is None


def test_trees_are_compared_place_by_place():
    one = {"a": {"b": [1, 2], "c": 3}, "d": [1]}
    other = {"a": {"b": [1, 5]}, "d": [1, 2], "e": None}
    assert list(differences(one, other)) == [
        ("a.b.1", 2, 5),
        ("a.c", 3, None),
        ("d", [1], [1, 2]),
    ]
    assert list(differences(one, one)) == []
