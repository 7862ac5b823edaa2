"""The package as a whole: what importing it costs, and what it offers."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import geoseg
from geoseg.spec import Tagged

ROOT = Path(__file__).parent.parent


def modules_after(code):
    """The names of all modules that are loaded after some code ran in a new interpreter."""
    script = f"{code}\nimport sys, json\nprint(json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_importing_geoseg_loads_neither_torch_nor_lightning_nor_much_else():
    loaded = modules_after("import geoseg")
    assert not {"torch", "pytorch_lightning", "rasterio", "geopandas", "pydantic"} & loaded


LOWER_HALF = ("sources", "labels", "scene", "sampling", "aoi", "plot", "sample", "cli.main")
LIGHT = (
    "report", "classweights", "learner.lossnames", "learner.modelnames", "learner.augments", "learner.training",
)  # fmt: skip
"""Names and options of a training, and its report: read and written where nothing is trained."""
CALLED = {"learner.augments": "named('d4+rotate')", "learner.training": "Training()"}
"""What works without torch too."""


@pytest.fixture(scope="module")
def loaded_by_each():
    """Module to the names of all that are loaded when it, and those before it, have been imported."""
    code = f"""
import importlib, json, sys
found = {{}}
for name in {LOWER_HALF + LIGHT}:
    module = importlib.import_module(f"geoseg.{{name}}")
    eval({CALLED}.get(name, "None"), vars(module))
    found[name] = sorted(sys.modules)
print(json.dumps(found))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("module", LOWER_HALF + LIGHT)
def test_the_lower_half_and_what_says_how_to_train_work_without_torch(loaded_by_each, module):
    loaded = loaded_by_each[module]
    assert f"geoseg.{module}" in loaded
    assert not {"torch", "pytorch_lightning", "matplotlib"}.intersection(loaded)


@pytest.mark.slow
def test_data_sets_work_without_lightning():
    assert "pytorch_lightning" not in modules_after("import geoseg.datasets")


def test_public_names_are_sorted_and_can_be_imported():
    assert geoseg.__all__ == sorted(geoseg.__all__)
    for name in geoseg.__all__:
        assert getattr(geoseg, name) is not None
    assert set(geoseg.__all__) <= set(dir(geoseg))
    with pytest.raises(AttributeError, match="no attribute 'Sorce'"):
        _ = geoseg.Sorce


@pytest.mark.parametrize("name", ["sources", "labels", "datasets", "learner"])
def test_rooms_export_sorted_names(name):
    room = __import__(f"geoseg.{name}", fromlist=["__all__"])
    assert room.__all__ == sorted(room.__all__, key=lambda n: n)
    for public in room.__all__:
        assert getattr(room, public) is not None


def test_every_kind_has_the_tag_that_files_use():
    families = {
        geoseg.RasterSource: {
            *("geotiff", "mbtiles", "lmdb", "npy", "stac"),
            *("warped", "stack", "timestack", "array"),
        },
        geoseg.VectorSource: {"file", "frame"},
        geoseg.Transform: {
            *("standardize", "minmax", "percentile", "log"),
            *("reclass", "rgb_to_class", "fill_nan", "cast"),
        },
        geoseg.VectorTransform: {"infer_class", "buffer", "shift", "only_valid"},
        geoseg.LabelSource: {"pixels", "raster", "vector"},
        geoseg.LabelStore: {"geotiff", "vector"},
    }
    for family, tags in families.items():
        assert issubclass(family, Tagged)
        own = {tag for tag, kind in family.kinds.items() if kind.__module__.startswith("geoseg.")}
        assert own == tags


def test_the_readmes_first_two_shell_blocks_are_one_line_each():
    blocks = re.findall(
        r"^```(?:bash|sh)\n(.*?)^```", (ROOT / "README.md").read_text(encoding="utf-8"), re.M | re.S
    )
    demo, tests = blocks[0].strip(), blocks[1].strip()
    assert "\n" not in demo
    assert "\n" not in tests
    assert "geoseg demo" in demo
    assert "pytest" in tests


def test_no_dependency_has_a_licence_that_binds_its_users():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    core = {re.split(r"[\[<>=!~ ]", line)[0] for line in project["dependencies"]}
    assert not core & {"albumentations", "opencv-python", "scipy", "boto3", "ultralytics"}
    everything = core | {
        re.split(r"[\[<>=!~ ]", line)[0]
        for extra in project["optional-dependencies"].values()
        for line in extra
    }
    assert not everything & {"ultralytics", "geodeep", "albumentationsx"}


@pytest.mark.slow
def test_the_readmes_python_example_runs(tmp_path):
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    example = "\n".join(re.findall(r"^```python\n(.*?)^```", text, re.M | re.S))
    done = subprocess.run(
        [sys.executable, "-c", example],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "IoU" in done.stdout
    assert {path.name for path in tmp_path.iterdir()} == {
        "bundle.zip", "map.tif", "map.tif.aux.xml", "aligned.tif", "map.gpkg", "polygons.png",
    }  # fmt: skip


def test_the_readmes_yaml_example_is_an_experiment():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    experiment = geoseg.Experiment.from_yaml(
        re.search(r"^```yaml\n(.*?)^```", text, re.M | re.S)[1]
    )
    assert experiment.train[0].labels.classes.names == ("background", "building")
