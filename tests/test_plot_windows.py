"""Pictures of windows: where those of an epoch lie, what they hold, and a prediction beside the truth."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geoseg import plot
from geoseg.classes import ClassMap
from geoseg.errors import ConfigError, GridError, LabelError
from geoseg.grid import Grid
from geoseg.labels.array import ArrayLabels
from geoseg.labels.sources import RasterLabels
from geoseg.plot import samplingmap
from geoseg.plot.panels import IGNORED, onto_scene, panels_of
from geoseg.plot.samplingmap import coverage
from geoseg.plot.view import View, blank_view, look_at
from geoseg.sampling import RandomWindows, SlidingWindows
from geoseg.scene import Scene
from geoseg.sources.array import ArraySource
from geoseg.window import Window

CLASSES = ClassMap.model_validate(
    [{"id": 4, "name": "dark", "color": "#102030"}, {"id": 2, "name": "light", "color": "#f0e0d0"}]
)
GRID = Grid(crs="EPSG:32619", transform=[10, 0, 5e5, 0, -10, 4e6], height=61, width=83)


def scene_of(name, grid=GRID, classes=CLASSES):
    rng = np.random.default_rng(len(name))
    data = rng.integers(1, 1000, (3, *grid.shape)).astype("uint16")
    ids = np.where(rng.random(grid.shape) < 0.3, 4, 2).astype("uint8")
    labels = RasterLabels(source=ArraySource(data=ids, grid=grid), classes=classes)
    return Scene(id=name, image=ArraySource(data=data, grid=grid), labels=labels)


def shown(figure):
    """The arrays of a figure's pictures, in order."""
    return [np.ma.asarray(image.get_array()) for ax in figure.axes for image in ax.get_images()]


def brute(boxes, view):
    """Windows over each pixel shown, one by one."""
    whole = np.zeros((200, 200), int)
    for row, col, height, width in boxes:
        whole[max(row, 0) : row + height, max(col, 0) : col + width] += 1
    w = view.window
    return whole[w.row : w.row_stop : view.step, w.col : w.col_stop : view.step]


windows = st.lists(
    st.tuples(st.integers(-5, 60), st.integers(-5, 80), st.integers(6, 40), st.integers(6, 40)),
    max_size=12,
)


@given(windows, st.integers(1, 9))
def test_coverage_counts_the_windows_over_each_pixel_shown(boxes, step):
    shape = -(-61 // step), -(-83 // step)
    view = View(GRID.whole, step, np.zeros((*shape, 3), "uint8"), np.ones(shape, bool), None)
    found = coverage(np.array(boxes, int).reshape(-1, 4), view)
    assert (found == brute(boxes, view)).all()


def test_a_map_shows_the_windows_of_an_epoch_of_each_scene():
    pytest.importorskip("matplotlib")
    scenes = [scene_of("one"), scene_of("second")]
    places = RandomWindows(scenes, (9, 17), length=40, seed=3)
    figure = plot.sampling(places, scenes, epoch=2)
    boxes = places.draw_many(range(40), 2)
    images = shown(figure)
    for i in range(2):
        own = boxes[boxes[:, 0] == i, 1:]
        view = look_at(scenes[i])
        cover = images[2 * i + 1]
        assert (cover.filled(0) == brute(own, view)).all()
        assert f"{len(own)} windows" in figure.axes[i].get_title()
        lines = figure.axes[i].collections[0].get_segments()
        assert len(lines) == len(own)
        row, col, height, width = own[0]
        assert lines[0].min(axis=0).tolist() == [col - 0.5, row - 0.5]
        assert lines[0].max(axis=0).tolist() == [col + width - 0.5, row + height - 0.5]
    assert figure.get_supxlabel() == "40 windows in 2 scenes"


def test_sliding_windows_and_data_sets_have_a_map_too():
    pytest.importorskip("matplotlib")
    scene = scene_of("one")

    class Windows:
        scenes = (scene,)
        windows = SlidingWindows([scene], 20, edge="pad")

    figure = plot.sampling(Windows())
    assert (shown(figure)[1] == 1).all()  # every pixel once
    assert figure.get_supxlabel() == f"{4 * 5} windows in 1 scene"
    assert (shown(plot.sampling(Windows.windows, [scene]))[1] == 1).all()


def test_only_the_scenes_with_the_most_windows_are_shown():
    pytest.importorskip("matplotlib")
    small = Grid(crs="EPSG:32619", transform=[10, 0, 5e5, 0, -10, 4e6], height=16, width=17)
    scenes = [scene_of("tiny", small), scene_of("large"), scene_of("larger")]
    places = RandomWindows(scenes, 16, length=50)
    figure = plot.sampling(places, scenes, most=2)
    titles = [ax.get_title().split(":")[0] for ax in figure.axes[:2]]
    assert titles == ["large", "larger"]
    assert "the 2 with the most of them are shown" in figure.get_supxlabel()


def test_many_windows_have_no_outlines_and_a_large_scene_no_image(monkeypatch):
    pytest.importorskip("matplotlib")
    scene = scene_of("one")
    places = RandomWindows([scene], 16, length=20)
    monkeypatch.setattr(samplingmap, "_OUTLINED", 19)
    monkeypatch.setattr(samplingmap, "_MOST_PIXELS", 61 * 83 - 1)
    monkeypatch.setattr(Scene, "read", lambda *_: pytest.fail("was read"))
    figure = plot.sampling(places, [scene])
    assert not figure.axes[0].collections
    assert len(np.unique(shown(figure)[0])) == 1
    assert blank_view(scene, longest=30).image.shape == (21, 28, 3)


def test_a_map_of_no_scene_is_refused():
    scene = scene_of("one")
    with pytest.raises(ConfigError, match="needs the scenes"):
        plot.sampling(RandomWindows([scene], 16, length=2))


def batch(count=3):
    rng = np.random.default_rng(0)
    valid = np.ones((count, 6, 5), bool)
    valid[:, 0] = False
    return {
        "image": rng.random((count, 3, 6, 5)),
        "valid": valid,
        "mask": rng.choice([2, 4], (count, 6, 5)),
    }


def test_a_batch_has_the_prediction_below_the_labels():
    pytest.importorskip("matplotlib")
    given = batch()
    ids = np.full((3, 6, 5), 2)
    figure = plot.batch(given, CLASSES, prediction=ids, titles=["first", "second", "third"])
    pictures = shown(figure)
    assert len(pictures) == 9
    assert (pictures[6][1:] == (0xF0, 0xE0, 0xD0)).all()
    assert (pictures[6][0] == IGNORED).all()  # not valid
    names = [ax.get_ylabel() for ax in figure.axes]
    assert [name for name in names if name] == ["image", "labels", "prediction"]
    assert [ax.get_title() for ax in figure.axes[:3]] == ["first", "second", "third"]


def test_a_prediction_may_be_numbers_for_each_class():
    pytest.importorskip("matplotlib")
    torch = pytest.importorskip("torch")
    given = batch()
    logits = torch.zeros(3, 2, 6, 5)
    logits[:, 0, :, 2] = 1.0
    logits[:, 1, :, [0, 1, 3, 4]] = 1.0
    del given["mask"]
    pictures = shown(plot.batch(given, CLASSES, prediction=logits))
    assert len(pictures) == 6
    assert (pictures[3][1:, 2] == (0x10, 0x20, 0x30)).all()
    assert (pictures[3][1:, [0, 1, 3, 4]] == (0xF0, 0xE0, 0xD0)).all()


def test_a_prediction_on_another_grid_is_brought_onto_the_scene():
    pytest.importorskip("matplotlib")
    scene = scene_of("one")
    finer = Grid(crs="EPSG:32619", transform=[5, 0, 5e5 + 100, 0, -5, 4e6], height=122, width=146)
    ids = np.random.default_rng(0).choice([2, 4], (61, 73)).astype("uint8")
    fine = ids.repeat(2, axis=0).repeat(2, axis=1)
    figure = plot.comparison(scene, ArrayLabels(finer, CLASSES, fine))
    expected = np.full(GRID.shape, 255, "uint8")
    expected[:, 10:] = ids
    onto = panels_of(scene, ArrayLabels(GRID, CLASSES, expected))
    for found, panel in zip(shown(figure), onto.values(), strict=True):
        assert (found == panel).all()
    said = " ".join(figure.axes[0].get_xlabel().split())
    assert "122 x 146 px" in said
    assert said.endswith("brought onto the scene's grid: nearest")


def test_a_prediction_elsewhere_or_without_crs_is_refused():
    scene = scene_of("one")
    far = Grid(crs="EPSG:32619", transform=[10, 0, 9e5, 0, -10, 5e6], height=61, width=83)
    nowhere = Grid(crs=None, transform=[10, 0, 5e5, 0, -10, 4e6], height=61, width=80)
    for grid, text in ((far, "share no ground"), (nowhere, "both need a CRS")):
        labels = ArrayLabels(grid, CLASSES, np.full(grid.shape, 2, "uint8"))
        with pytest.raises(GridError, match=text):
            onto_scene(scene, labels)


def test_a_comparison_of_a_window_shows_that_window():
    pytest.importorskip("matplotlib")
    scene = scene_of("one")
    labels = ArrayLabels(GRID, CLASSES, np.full(GRID.shape, 2, "uint8"))
    figure = plot.comparison(scene, labels, Window(50, 70, 20, 30))
    assert shown(figure)[0].shape == (11, 13, 3)
    assert figure.axes[0].get_xlabel() == "0.13 x 0.11 km, pixels of 10 x 10 m"


def test_labels_of_other_classes_are_not_compared():
    swapped = ClassMap.model_validate(
        [{"id": 2, "name": "dark", "color": "#102030"}, {"id": 4, "name": "light", "color": "#f0e0d0"}]
    )  # fmt: skip
    labels = ArrayLabels(GRID, swapped, np.full(GRID.shape, 2, "uint8"))
    with pytest.raises(LabelError, match=r"'one'.*4 dark, 2 light.*2 dark, 4 light"):
        panels_of(scene_of("one"), labels)


@pytest.mark.parametrize(
    ("shape", "rows", "columns"),
    [((40, 53), 2, 2), ((10, 61), 4, 1), ((61, 10), 1, 4), ((20, 59), 2, 2)],
)
def test_the_panels_of_a_comparison_fill_the_width_or_height_of_a_page(shape, rows, columns):
    pytest.importorskip("matplotlib")
    scene = scene_of("one")
    labels = ArrayLabels(GRID, CLASSES, np.full(GRID.shape, 2, "uint8"))
    figure = plot.comparison(scene, labels, Window(0, 0, *shape))
    places = [ax.get_subplotspec() for ax in figure.axes]
    assert [(p.rowspan.start, p.colspan.start) for p in places] == [
        (row, col) for row in range(rows) for col in range(columns)
    ]
    figure.draw_without_rendering()
    boxes = [ax.get_window_extent() for ax in figure.axes]
    sides = {(round(box.width), round(box.height)) for box in boxes}
    assert len(sides) == 1
    (width, height), dpi = sides.pop(), figure.dpi
    assert max(columns * width, rows * height) > 10 * dpi
    assert max(columns * width, rows * height) < 11.5 * dpi
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])


def test_a_comparison_without_truth_has_its_panels_side_by_side():
    pytest.importorskip("matplotlib")
    scene = scene_of("one").model_copy(update={"labels": None})
    labels = ArrayLabels(GRID, CLASSES, np.full(GRID.shape, 2, "uint8"))
    figure = plot.comparison(scene, labels)
    assert [ax.get_subplotspec().colspan.start for ax in figure.axes] == [0, 1]
    assert figure.axes[0].get_subplotspec().rowspan.start == 0
