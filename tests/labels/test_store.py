"""What every LabelStore can do: `write` whole labels."""

import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from geoseg.classes import ClassMap
from geoseg.errors import StoreError
from geoseg.grid import Grid
from geoseg.labels.array import ArrayLabels
from geoseg.labels.base import Labels, LabelStore
from geoseg.labels.geotiff import GeoTIFFLabelStore
from geoseg.labels.sources import RasterLabels
from geoseg.labels.vector import VectorLabelStore
from geoseg.sources.array import ArraySource
from geoseg.window import Window

CLASSES = ClassMap.of("a", "b", "c")
GRID = Grid(crs="EPSG:32619", transform=[10, 0, 5e5, 0, -10, 4e6], height=1100, width=30)


class Recording(LabelStore):
    """A store whose writer keeps the calls."""

    type: Literal["test-recording"] = "test-recording"
    scored: bool = False

    @property
    def wants_scores(self):
        return self.scored

    @contextmanager
    def writer(self, grid, classes):
        CALLS.clear()
        yield _Writer()

    def read(self):
        return ArrayLabels(GRID, CLASSES, np.concatenate([ids for _, ids, _ in CALLS]))


CALLS: list[tuple] = []


class _Writer:
    def write(self, window, ids, scores=None):
        CALLS.append((window, ids, scores))


@pytest.fixture
def labels():
    random = np.random.default_rng(0)
    scores = random.random((3, *GRID.shape), np.float32)
    ids = random.integers(0, 3, GRID.shape, np.uint8)
    return ArrayLabels(GRID, CLASSES, ids, scores)


@pytest.mark.parametrize("scored", [True, False])
def test_labels_are_written_from_top_to_bottom_with_scores_where_they_are_wanted(labels, scored):
    read = Recording(scored=scored).write(labels)
    np.testing.assert_array_equal(read.to_array(), labels.to_array())
    row = 0
    for window, ids, scores in CALLS:
        assert (window.row, window.col, window.width) == (row, 0, 30)
        assert ids.shape == window.shape
        assert (scores is not None) is scored
        if scored:
            np.testing.assert_array_equal(scores, labels.scores(window))
        row = window.row_stop
    assert row == 1100


def test_a_store_of_the_plainest_kind_wants_no_scores_and_names_its_uri():
    store = Recording()
    assert (store.wants_scores, store.outputs) == (False, ())
    store.check()


def test_ground_truth_can_be_written_too(tmp_path):
    ids = np.random.default_rng(0).integers(0, 3, (70, 50), np.uint8)
    grid = Grid(crs="EPSG:32619", transform=GRID.transform, height=70, width=50)
    source = RasterLabels(source=ArraySource(data=ids, grid=grid), classes=CLASSES)
    read = GeoTIFFLabelStore(uri=str(tmp_path / "truth.tif")).write(source.on(grid))
    np.testing.assert_array_equal(read.to_array(), ids)


def test_labels_may_be_written_over_themselves(tmp_path, labels):
    store = GeoTIFFLabelStore(uri=str(tmp_path / "map.tif"), cog=False)
    first = store.write(labels)
    again = GeoTIFFLabelStore(uri=store.uri, cog=True).write(first)
    np.testing.assert_array_equal(again.to_array(), labels.to_array())


@pytest.mark.parametrize("suffix", ["tif", "gpkg", "fgb", "parquet", "geojson"])
def test_the_longest_name_that_is_taken_can_be_written_and_no_longer_one(tmp_path, suffix):
    """Files of GDAL's own beside the hidden draft are longer still: overviews, journals."""
    kind = GeoTIFFLabelStore if suffix == "tif" else VectorLabelStore
    grid = Grid(crs="EPSG:32619", transform=GRID.transform, height=530, width=30)
    ids = np.arange(530, dtype=np.uint8)[:, None].repeat(30, axis=1) // 64 % 3
    labels = ArrayLabels(grid, CLASSES, ids)
    for length in range(255, 200, -1):
        store = kind(uri=str(tmp_path / f"{'a' * (length - len(suffix) - 1)}.{suffix}"))
        try:
            store.check()
        except StoreError as error:
            assert "choose a shorter one" in str(error)  # noqa: PT017 - the loop looks for the first
            continue
        np.testing.assert_array_equal(store.write(labels).to_array(), ids)
        break
    assert 225 < length < 245
    assert {path.name for path in tmp_path.iterdir()} == {Path(uri).name for uri in store.outputs}


_KILLED = """
import os, signal, sys
from geoseg.classes import ClassMap
from geoseg.grid import Grid
from geoseg.labels.geotiff import GeoTIFFLabelStore

store = GeoTIFFLabelStore(uri=sys.argv[1], scores=True)
with store.writer(Grid(height=700, width=30), ClassMap.of("a", "b", "c")):
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.slow
def test_what_a_killed_writer_left_goes_when_the_map_is_written_in_another_way(tmp_path, labels):
    uri = str(tmp_path / "my.map.tif")
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-c", _KILLED, uri], check=False, cwd=Path(__file__).parents[2]
        )
        assert done.returncode == -signal.SIGKILL
        (left,) = tmp_path.iterdir()  # one, the second time too
        assert left.name.startswith(".my.map.scores.tif-")
    GeoTIFFLabelStore(uri=uri, sidecar=False).write(labels)
    assert [path.name for path in tmp_path.iterdir()] == ["my.map.tif"]


def test_many_classes_on_a_wide_grid_come_in_few_rows_at_once():
    class Wide(Labels):
        grid = Grid(height=600, width=20_000)
        classes = ClassMap.of(*(f"class {i}" for i in range(100)))

        def read(self, window):
            return np.zeros(window.shape, np.uint8)

        def scores(self, window: Window):
            heights.append(window.height)
            return np.zeros((100, 1, 1), np.float32)

    heights: list[int] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Recording, "read", lambda self: None)
        Recording(scored=True).write(Wide())
    assert max(heights) * 20_000 * 100 * 4 <= 64 << 20
    assert sum(heights) == 600
