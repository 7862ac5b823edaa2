"""ClassHistogram against brute counting, and when it is counted anew."""

from __future__ import annotations

import os
from typing import Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geoseg.classes import ClassMap
from geoseg.errors import ConfigError, LabelError, SceneError
from geoseg.labels.base import LabelSource
from geoseg.labels.sources import RasterLabels
from geoseg.sampling import ClassHistogram, class_counts
from geoseg.sampling.histogram import cell_side
from geoseg.scene import Scene
from geoseg.sources import cache, geotiff
from geoseg.sources.array import ArraySource

KINDS = 6
LABELS = ("raster", "other grid", "vector")


@pytest.fixture
def reads(monkeypatch):
    """The windows that are read of image files from now on."""
    seen = []
    read = geotiff.GeoTIFFSource.read

    def counted(self, window):
        seen.append((self.uri, window))
        return read(self, window)

    monkeypatch.setattr(geotiff.GeoTIFFSource, "read", counted)
    return seen


@pytest.mark.parametrize("labels", LABELS)
@pytest.mark.parametrize("side", [8, 64])
def test_the_counts_are_those_of_the_pixels(make, labels, side):
    made = make(labels)
    found = ClassHistogram.of(made.scene, side=side)
    rows, cols = (-(-length // side) for length in made.kinds.shape)
    assert found.counts.shape == (rows, cols, KINDS)
    for row in range(rows):
        for col in range(cols):
            part = made.kinds[row * side : (row + 1) * side, col * side : (col + 1) * side]
            expected = np.bincount(part.ravel(), minlength=KINDS)
            np.testing.assert_array_equal(found.counts[row, col], expected)
    np.testing.assert_array_equal(found.totals, np.bincount(made.kinds.ravel(), minlength=KINDS))
    names = ("background", "road", "rare")
    assert found.class_counts() == {n: int((made.kinds == i).sum()) for i, n in enumerate(names)}


def test_counts_of_several_scenes_are_added_up_by_name(make):
    one, other = make(), make("vector", "b", seed=5, aoi=False)
    kinds = np.concatenate([one.kinds, other.kinds])
    expected = {n: int((kinds == i).sum()) for i, n in enumerate(("background", "road", "rare"))}
    assert class_counts([one.scene, other.scene]) == expected
    assert class_counts([one.scene, other.scene], size=(40, 90)) == expected


def test_every_pixel_of_a_wide_scene_is_read_once(monkeypatch):
    # Wider than a block, and no multiple of a cell.
    rng = np.random.default_rng(0)
    ids = rng.integers(0, 3, (1, 300, 17_001), np.uint8)
    source = ArraySource(data=ids)
    seen = np.zeros(ids.shape[1:], int)
    read = ArraySource.read

    def counted(self, window):
        if self is not source:
            seen[window.slices] += 1
        return read(self, window)

    monkeypatch.setattr(ArraySource, "read", counted)
    labels = RasterLabels(source=source, classes=ClassMap.of("a", "b", "c"))
    scene = Scene(id="wide", image=ArraySource(data=np.zeros_like(ids)), labels=labels)
    found = ClassHistogram.of(scene)
    assert (seen == 1).all()
    np.testing.assert_array_equal(found.totals, [*np.bincount(ids.ravel()), 0, 0, 0])
    assert found.counts[4, 265].sum() == (300 - 256) * (17_001 - 265 * 64)


def test_what_was_counted_is_not_read_again_until_a_file_changes(make, reads):
    made = make()
    first = ClassHistogram.of(made.scene)
    assert reads
    reads.clear()
    again = ClassHistogram.of(made.scene)
    renamed = ClassHistogram.of(made.scene.model_copy(update={"id": "other"}))
    assert not reads
    assert again.counts is first.counts is renamed.counts
    labels = made.scene.labels.source.uri
    os.utime(labels, (1, 1))
    np.testing.assert_array_equal(ClassHistogram.of(made.scene).counts, first.counts)
    assert reads


def test_a_changed_label_file_is_counted_anew(make, write_raster):
    made = make(aoi=False)
    before = class_counts([made.scene])
    write_raster("a-labels.tif", np.full(made.kinds.shape, 2, np.uint8))
    assert before["rare"] < 1000
    assert class_counts([made.scene]) == {
        "background": 0,
        "road": 0,
        "rare": int((made.kinds != 5).sum()),
    }


def test_a_folder_keeps_histograms_for_other_processes(make, reads, tmp_path):
    made = make("vector")
    folder = tmp_path / "kept" / "here"
    first = ClassHistogram.of(made.scene, cache=str(folder))
    (file,) = folder.iterdir()
    cache.forget()
    reads.clear()
    again = ClassHistogram.of(made.scene, cache=str(folder))
    assert not reads
    np.testing.assert_array_equal(again.counts, first.counts)
    assert ClassHistogram.of(made.scene, side=32, cache=str(folder)).side == 32
    assert len(list(folder.iterdir())) == 2
    os.utime(made.scene.labels.source.uri, (1, 1))
    reads.clear()
    ClassHistogram.of(made.scene, cache=str(folder))
    assert reads
    assert len(list(folder.iterdir())) == 3
    assert file.exists()


@pytest.mark.parametrize("damage", [b"", b"PK no zip", None])
def test_a_damaged_file_is_an_error_that_names_it(make, tmp_path, damage):
    made = make()
    ClassHistogram.of(made.scene, cache=str(tmp_path / "kept"))
    (file,) = (tmp_path / "kept").iterdir()
    file.write_bytes(file.read_bytes()[:-30] if damage is None else damage)
    cache.forget()
    with pytest.raises(ConfigError, match=f"{file.name}.*delete it"):
        ClassHistogram.of(made.scene, cache=str(tmp_path / "kept"))


def test_scenes_that_cannot_be_counted_are_errors(make, tmp_path):
    made = make()
    bare = made.scene.model_copy(update={"labels": None})
    with pytest.raises(SceneError, match="'a' has no labels"):
        class_counts([bare])
    assert ClassHistogram.of(bare).totals[0] == (made.kinds < 4).sum()
    with pytest.raises(ConfigError, match="power of 2"):
        ClassHistogram.of(made.scene, side=48)
    with pytest.raises(ConfigError, match="at least one"):
        class_counts([])
    labels = RasterLabels(source=made.scene.labels.source, classes=ClassMap.of("x", "y", "z"))
    other = made.scene.model_copy(update={"labels": labels, "id": "b"})
    with pytest.raises(SceneError, match="'b' has the classes"):
        class_counts([made.scene, other])
    array = Scene(id="array", image=ArraySource(data=np.zeros((1, 9, 9), np.uint8)))
    with pytest.raises(ConfigError, match="ArraySource"):
        ClassHistogram.of(array, cache=str(tmp_path))


class OddLabels(LabelSource):
    """Labels of a user's own that are wrong."""

    type: Literal["odd-labels"] = "odd-labels"

    def read(self, grid, window):
        return np.full(window.shape, 7, np.uint8)


def test_ids_that_are_no_class_are_an_error():
    labels = OddLabels(classes=ClassMap.of("a", "b"))
    scene = Scene(id="s", image=ArraySource(data=np.zeros((1, 9, 9), np.uint8)), labels=labels)
    with pytest.raises(LabelError, match=r"'s'.*\[7\]"):
        ClassHistogram.of(scene)


@given(size=st.tuples(st.integers(1, 2000), st.integers(1, 2000)), pixels=st.integers(1, 10**12))
def test_a_window_covers_a_cell_wherever_it_lies(size, pixels):
    side = cell_side(size, pixels)
    assert side in (1, 2, 4, 8, 16, 32, 64)
    assert side == 1 or 2 * side <= min(size) + 1
