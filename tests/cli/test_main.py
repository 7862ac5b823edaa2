"""What all commands share: help, version, exit codes, short errors, speed of the help."""

from __future__ import annotations

import subprocess
import sys
import warnings
from typing import get_args

import pytest
import typer
from pydantic import ValidationError

from geoseg.cli.options import bands_of, bytes_of, mapping_of
from geoseg.cli.told import lines_of, told_briefly
from geoseg.errors import (
    BundleError,
    ConfigError,
    GridError,
    LabelError,
    SceneError,
    SourceError,
    StoreError,
)
from geoseg.experiment import Experiment
from geoseg.labels.blend import Blend
from geoseg.learner.training import Training

COMMANDS = ["demo", "check", "train", "predict", "evaluate", "info"]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_help_shows_an_example(geoseg, command):
    found = geoseg(command, "--help")
    assert found.code == 0
    assert f"Example: geoseg {command} " in found.out
    assert "--debug" in found.out


def test_the_version_is_that_of_the_package(geoseg):
    from geoseg import __version__

    assert geoseg("--version").out == f"geoseg {__version__}\n"


@pytest.mark.parametrize("arguments", [["trian"], ["train"], ["predict", "--blue"]])
def test_a_wrong_call_ends_with_2(geoseg, arguments):
    assert geoseg(*arguments).code == 2


def test_the_help_names_every_blend(geoseg):
    text = " ".join(geoseg("predict", "--help").out.split())
    for blend in get_args(Blend):
        assert blend in text


def test_help_loads_no_heavy_library():
    code = (
        "import sys, geoseg.cli.main;"
        "print({'torch', 'pytorch_lightning', 'geopandas', 'rasterio', 'numpy'} & set(sys.modules))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "set()"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (SourceError, 1),
        (LabelError, 1),
        (SceneError, 1),
        (GridError, 1),
        (BundleError, 1),
        (OSError, 1),
        (ConfigError, 2),
        (StoreError, 2),
    ],
)
def test_an_error_is_one_line_and_a_code(capsys, error, code):
    with pytest.raises(typer.Exit) as caught, told_briefly(debug=False):
        raise error("a.tif: is\n  broken; mend it")
    assert caught.value.exit_code == code
    assert capsys.readouterr().err == "error: a.tif: is broken; mend it\n"


@pytest.mark.parametrize("problems", [1, 3, 5])
def test_with_a_note_of_several_lines_an_error_is_three_lines_still(capsys, problems):
    with pytest.raises(ValidationError) as wrong:
        Training.model_validate({f"k{i}": 1 for i in range(problems)})
    wrong.value.add_note("2 bands\nare kept")
    wrong.value.add_note("and more")
    with pytest.raises(typer.Exit), told_briefly(debug=False):
        raise wrong.value
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == min(problems + 1, 3)
    assert lines[-1] == "       2 bands are kept; and more"
    assert lines[-2].endswith("and 3 more like these") == (problems == 5)
    text = ConfigError("a.tif: is\nbroken")
    text.add_note("1 band is kept")
    with pytest.raises(typer.Exit), told_briefly(debug=False):
        raise text
    assert capsys.readouterr().err == "error: a.tif: is broken\n       1 band is kept\n"


def test_debug_lets_the_error_through():
    with pytest.raises(SourceError), told_briefly(debug=True):
        raise SourceError("x")


def test_a_mistake_of_ours_is_not_hidden():
    with pytest.raises(ZeroDivisionError), told_briefly(debug=False):
        raise ZeroDivisionError


def test_a_warning_is_one_line_and_counted(capsys):
    with told_briefly(debug=False):
        for _ in range(3):
            warnings.warn("two\nlines", stacklevel=1)
        warnings.warn("other", stacklevel=1)
        warnings.warn("for programmers", DeprecationWarning, stacklevel=1)
    assert capsys.readouterr().err.splitlines() == [
        "warning: two lines",
        "warning: other",
        "warning: 2 times more: two lines",
    ]


def problems(**keys):
    base = {
        "classes": ["a", "b"],
        "train": [{"id": "a", "image": "a.tif", "labels": {"type": "raster", "source": "b.tif"}}],
        "output": "out",
    }
    with pytest.raises(ValueError, match="validation error") as caught:
        Experiment.model_validate(base | keys)
    return lines_of(caught.value, "exp.yaml")


def test_an_unknown_key_is_told_with_file_path_and_nearest_key():
    assert problems(training={"epocs": 3}) == [
        "exp.yaml: training.epocs: unknown key; nearest known key: epochs"
    ]


def test_a_list_is_not_called_too_short_because_its_item_is_wrong():
    assert problems(train=[{"id": "a", "image": "a.tif", "aio": "x"}]) == [
        "exp.yaml: train.0.aio: unknown key; nearest known key: aoi"
    ]


def test_types_that_were_tried_are_not_part_of_the_path():
    assert problems(training={"size": 0}) == ["exp.yaml: training.size: got 0, expected at least 1"]


def test_many_problems_are_three_lines():
    lines = problems(training={"a": 1, "b": 1, "c": "x", "d": 0})
    assert len(lines) == 3
    assert "training.a" in lines[0]
    assert lines[-1].endswith("; and 1 more like these")


def test_bands_are_names_or_numbers():
    assert bands_of("red, 4,nir") == ("red", 4, "nir")
    assert bands_of(None) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("300000000", 300_000_000), ("500MB", 500_000_000), ("500 mb", 500_000_000), ("7b", 7),
        ("1.5GB", 1_500_000_000), ("1gb", 10**9), ("2k", 2000), ("3T", 3 * 10**12),
        ("1KiB", 2**10), ("512MiB", 2**29), ("1GiB", 2**30), ("1 gib", 2**30), ("0.5TiB", 2**39),
        (" 1Gi ", 2**30), (None, None),
    ],
)  # fmt: skip
def test_bytes_have_units_of_1000_and_of_1024(text, expected):
    assert bytes_of(text) == expected


@pytest.mark.parametrize("text", ["", "GB", "1iB", "1 PB", "-1GB", "1,5GB", "1GB2", "1e9", "nan"])
def test_what_is_no_number_of_bytes_is_refused(text):
    with pytest.raises(ConfigError, match="expected bytes, as 500MB, 2GB, 1GiB or 300000000"):
        bytes_of(text)


def test_pairs_are_values_and_ids():
    assert mapping_of("1:0, -2:7") == {1: 0, -2: 7}
    assert mapping_of(None) is None
    for text in ("1", "1:2:3", "a:1", ""):
        with pytest.raises(ConfigError, match="such as 1:0,2:1"):
            mapping_of(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("Size: 32", "training.Size: unknown key"), ("int: 3", "training.int: unknown key")],
)
def test_an_unknown_key_is_named_whatever_it_looks_like(text, expected):
    with pytest.raises(ValidationError) as raised:
        Experiment.from_yaml(
            "classes: [a, b]\noutput: out\ntrain: [{id: s, image: a.tif, "
            f"labels: {{type: raster, source: b.tif}}}}]\ntraining: {{{text}}}\n"
        )
    assert expected in " ".join(lines_of(raised.value, "x.yaml"))


def test_a_killed_worker_and_lack_of_memory_are_told_in_a_line():
    killed = RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed.")
    assert "fewer workers" in lines_of(killed, "")[0]
    assert "smaller size" in lines_of(MemoryError("71 GiB"), "")[0]
    assert lines_of(RuntimeError("a fault of ours"), "") == []
