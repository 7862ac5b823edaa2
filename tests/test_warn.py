"""Warnings are told at the line of who calls geoseg."""

from __future__ import annotations

import inspect
import subprocess
import sys
import warnings

import geopandas
import numpy as np
import pytest
import rasterio
from shapely.geometry import box
from torch import nn

from geoseg.classes import ClassMap
from geoseg.convert import convert
from geoseg.convert.layouts.generic import generic
from geoseg.datasets import MBTilesMaskWindowedDataset
from geoseg.grid import Grid
from geoseg.labels.sources import VectorLabels
from geoseg.learner import Learner, Training
from geoseg.scene import Scene
from geoseg.sources.array import ArraySource
from geoseg.sources.vector import FrameSource
from geoseg.warn import warn

CLASSES = ClassMap.of("ground", "roof")
GRID = Grid(crs="EPSG:32619", transform=[2, 0, 5e5, 0, -2, 4e6], height=7, width=9)
OF_A_MODULE = """
__name__ = "geoseg.made"
from contextlib import contextmanager
from functools import cached_property
from pydantic import BaseModel, model_validator
from geoseg.warn import warn

class Checked(BaseModel):
    @model_validator(mode="after")
    def _check(self):
        warn("a field is odd")
        return self

class Cached:
    @cached_property
    def value(self):
        warn("a value is odd")

@contextmanager
def block():
    warn("a block is odd")
    yield
"""


def is_of_the_line_above(told):
    """Whether there is one warning, of the line above the one that calls this."""
    line = inspect.currentframe().f_back.f_lineno - 1
    return [(one.filename, one.lineno) for one in told] == [(__file__, line)]


def write(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    with rasterio.open(
        path, "w", driver="GTiff", width=9, height=7, count=1, dtype="uint8", crs=GRID.crs, transform=GRID.transform,
    ) as file:  # fmt: skip
        file.write(np.arange(63, dtype=np.uint8).reshape(1, 7, 9))
    return str(path)


def test_a_mask_without_an_image_is_told_where_convert_is_called(tmp_path):
    for name in ("i/a", "m/a", "m/lone"):
        write(tmp_path / "in" / f"{name}.tif")
    layout = generic(images="i/{key}.tif", masks="m/{key}.tif")
    folders, target = {"images": tmp_path / "in"}, tmp_path / "store"
    with pytest.warns(UserWarning, match=r"masks without an image.*lone\.tif") as told:
        convert(layout, folders, target, workers=1)
    assert is_of_the_line_above(told)


def test_features_elsewhere_are_told_where_a_scene_is_checked():
    frame = geopandas.GeoDataFrame(geometry=[box(10, 50, 11, 51)], crs="EPSG:4326")
    labels = VectorLabels(source=FrameSource(frame=frame), classes=CLASSES, default_class="roof")
    image = ArraySource(data=np.ones((3, 7, 9), np.uint8), grid=GRID)
    scene = Scene(id="a", image=image, labels=labels)
    with pytest.warns(UserWarning, match="none of the 1 features") as told:
        scene.check()
    assert is_of_the_line_above(told)


def test_masks_left_alone_are_told_where_a_data_set_is_made(tmp_path):
    image, folder = write(tmp_path / "image.tif"), tmp_path / "m"
    for name in ("a.tif", "b.TIF"):
        write(folder / name)
    with pytest.warns(UserWarning, match=r"b\.TIF.* left alone") as told:
        MBTilesMaskWindowedDataset(image, mask_dir=folder, patch_size=4, edge="pad")
    assert is_of_the_line_above(told)


def test_another_network_is_told_where_a_learner_is_loaded(tmp_path):
    class Mine(nn.Conv2d):
        pass

    uri = str(tmp_path / "own.zip")
    Learner(CLASSES, Training(), model=Mine(2, 2, 1)).save(uri)
    with pytest.warns(UserWarning, match="Conv2d is given") as told:
        Learner.load(uri, model=nn.Conv2d(2, 2, 1))
    assert is_of_the_line_above(told)


def test_libraries_through_which_geoseg_calls_itself_are_not_who_is_told():
    names = {}
    exec(OF_A_MODULE, names)
    with pytest.warns(UserWarning, match="field") as told:
        names["Checked"]()
    assert is_of_the_line_above(told)
    with pytest.warns(UserWarning, match="value") as told:
        _ = names["Cached"]().value
    assert is_of_the_line_above(told)
    block = names["block"]()
    with pytest.warns(UserWarning, match="block") as told:
        block.__enter__()
    assert is_of_the_line_above(told)


def test_by_default_a_text_is_told_once_by_each_line_that_calls():
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("default")
        for text in ("one", "two", "one"):
            warn(text)
        warn("one")
    assert [str(one.message) for one in told] == ["one", "two", "one"]


@pytest.mark.parametrize(
    ("inner", "line"), [("'geoseg.made'", 4), ("'geosegment'", 2), ("None", 2), ("7", 2)]
)
def test_the_nearest_line_outside_geoseg_is_told_else_the_outermost(inner, line):
    called = "from geoseg.warn import warn\nwarn('odd')"
    code = f"__name__ = 'geoseg'\n\n\nexec({called!r}, {{'__name__': {inner}}})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert f"<string>:{line}: UserWarning: odd" in done.stderr


@pytest.mark.parametrize(
    "between",
    ["multiprocessing.pool", "concurrent.futures.thread", "threading", "typer", "click.core"],
)
def test_programs_that_start_geoseg_are_not_who_is_told(between):
    names = {"__name__": between}
    exec("def start(call):\n    call('odd')", names)
    with pytest.warns(UserWarning, match="odd") as told:
        names["start"](warn)
    assert is_of_the_line_above(told)
