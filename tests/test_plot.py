"""Pictures: what is shown is what is in the files, thinned out in bounded memory."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import rasterio

from geoseg import plot
from geoseg.classes import ClassMap
from geoseg.errors import GeosegError, GridError, SceneError, StoreError
from geoseg.grid import Grid
from geoseg.labels.array import ArrayLabels
from geoseg.labels.evaluate import evaluate
from geoseg.labels.sources import RasterLabels
from geoseg.plot import view as viewing
from geoseg.plot.lettering import lettered
from geoseg.plot.panels import IGNORED, RIGHT, WRONG, panels_of
from geoseg.plot.view import extent_of, look_at, stretched, thinned_labels
from geoseg.scene import Scene
from geoseg.sources.array import ArraySource
from geoseg.window import Window

CLASSES = ClassMap.model_validate(
    [{"id": 4, "name": "dark", "color": "#102030"}, {"id": 2, "name": "light", "color": "#f0e0d0"}]
)
GRID = Grid(crs="EPSG:32619", transform=[10, 0, 5e5, 0, -10, 4e6], height=61, width=83)
NAMES = ("blue", "green", "red", "nir")


@pytest.fixture
def scene():
    rng = np.random.default_rng(0)
    data = rng.integers(1, 1000, (4, *GRID.shape)).astype("uint16")
    valid = np.ones(GRID.shape, bool)
    valid[:9, :7] = False
    ids = np.where(rng.random(GRID.shape) < 0.3, 4, 2).astype("uint8")
    return Scene(
        id="s",
        image=ArraySource(data=data, valid=valid, grid=GRID, band_names=NAMES),
        labels=RasterLabels(source=ArraySource(data=ids, grid=GRID), classes=CLASSES),
    )


@pytest.fixture
def prediction():
    ids = np.where(np.random.default_rng(1).random(GRID.shape) < 0.5, 4, 2).astype("uint8")
    ids[40:50] = 255
    return ArrayLabels(GRID, CLASSES, ids)


@pytest.fixture
def area(tmp_path):
    """Rows 21 to 40 and columns 31 to 60, as a vector file."""
    import geopandas
    from shapely import box

    path = str(tmp_path / "area.gpkg")
    bounds = box(5e5 + 310, 4e6 - 410, 5e5 + 610, 4e6 - 210)
    geopandas.GeoDataFrame(geometry=[bounds], crs="EPSG:32619").to_file(path)
    return path


@pytest.mark.parametrize(("longest", "block"), [(1500, 1024), (30, 16), (29, 7), (11, 1)])
def test_a_view_is_every_nth_pixel_however_it_is_cut(monkeypatch, scene, longest, block):
    monkeypatch.setattr(viewing, "LONGEST", longest)
    monkeypatch.setattr(viewing, "_BLOCK", block)
    window = Window(3, 5, 53, 71)
    view = look_at(scene, window)
    step = view.step
    assert max(view.valid.shape) <= longest
    whole = scene.read(window)
    assert (view.valid == whole.image.valid[::step, ::step]).all()
    assert (view.labels == whole.labels[::step, ::step]).all()
    data = whole.image.data[[2, 1, 0], ::step, ::step]
    assert (view.image == stretched(data, view.valid)).all()
    labels = ArrayLabels(GRID, CLASSES, scene.labels.read(GRID, GRID.whole))
    expected = scene.labels.read(GRID, window)[::step, ::step]
    assert (thinned_labels(labels, window) == expected).all()


def test_a_large_scene_is_never_read_in_one_piece(monkeypatch, scene):
    monkeypatch.setattr(viewing, "LONGEST", 10)
    monkeypatch.setattr(viewing, "_BLOCK", 20)
    seen = []
    read = Scene.read
    monkeypatch.setattr(Scene, "read", lambda self, w: seen.append(w) or read(self, w))
    look_at(scene)
    assert max(w.height * w.width for w in seen) <= 20 * 20
    assert sum(w.height * w.width for w in seen) == 61 * 83


def test_colours_are_stretched_over_valid_pixels_only():
    data = np.linspace(0, 1000, 101, dtype="float32").reshape(1, 1, 101)
    valid = np.ones((1, 101), bool)
    data[0, 0, 0], valid[0, 0] = 1e9, False
    colors = stretched(data, valid)
    low, high = np.percentile(data[0, 0, 1:], [2, 98])
    expected = np.round(np.clip((data[0, 0, 1:] - low) / (high - low), 0, 1) * 255)
    assert (colors[0, 1:, 0] == expected).all()
    assert (colors[..., 0] == colors[..., 2]).all()  # one band: greys
    assert colors[0, 0].tolist() == [255, 255, 255]


@pytest.mark.parametrize("valid", [True, False])
def test_a_band_of_one_value_is_a_picture_too(valid):
    colors = stretched(np.full((3, 4, 5), 7.0), np.full((4, 5), valid))
    assert set(np.unique(colors)) == {0 if valid else 255}


@pytest.mark.parametrize(
    ("names", "shown"),
    [
        (("Red", "GREEN", "blue"), [0, 1, 2]),
        (("a", "b", "c", "d"), [0, 1, 2]),
        (("B2 blue", "B3_green", "B4 red", "B5 nir"), [2, 1, 0]),
        (("blue 1", "green 1", "red edge", "red 1"), [0, 1, 2]),
        (("a", "b"), [0]),
        (("1",), [0]),
    ],
)
def test_bands_are_chosen_by_name_else_by_place(names, shown):
    image = np.arange(len(names) * 4).reshape(len(names), 2, 2)
    assert (viewing.colored_bands(names, image) == image[shown]).all()


def test_the_extent_is_the_aoi_and_the_whole_scene_without_one(scene, area):
    assert extent_of(scene) == GRID.whole
    inside = Scene(id="s", image=scene.image, labels=scene.labels, aoi=area)
    assert extent_of(inside) == Window(21, 31, 20, 30)


def test_a_window_elsewhere_is_refused(scene):
    with pytest.raises(SceneError, match=r"'s'.*does not meet the scene of 61 x 83"):
        look_at(scene, Window(100, 0, 5, 5))


def test_panels_show_classes_and_errors_in_their_colours(scene, prediction):
    panels = panels_of(scene, prediction)
    assert list(panels) == ["image", "truth", "prediction", "errors"]
    truth = scene.read(GRID.whole).labels
    found = prediction.to_array()
    colors = {4: (0x10, 0x20, 0x30), 2: (0xF0, 0xE0, 0xD0), 255: IGNORED}
    for ids, panel in ((truth, panels["truth"]), (found, panels["prediction"])):
        for number, color in colors.items():
            assert ((panel == color).all(axis=2) == (ids == number)).all()
    left_out = (truth == 255) | (found == 255)
    errors = panels["errors"]
    assert ((errors == IGNORED).all(axis=2) == left_out).all()
    assert ((errors == RIGHT).all(axis=2) == (~left_out & (truth == found))).all()
    assert ((errors == WRONG).all(axis=2) == (~left_out & (truth != found))).all()


def test_a_scene_without_labels_has_no_truth_and_no_errors(scene, prediction):
    assert list(panels_of(Scene(id="s", image=scene.image), prediction)) == ["image", "prediction"]


def test_a_prediction_on_another_grid_is_refused(scene):
    other = Grid(crs="EPSG:32619", transform=[10, 0, 5e5 + 10, 0, -10, 4e6], height=61, width=83)
    labels = ArrayLabels(other, CLASSES, np.full(other.shape, 2, "uint8"))
    with pytest.raises(GridError, match="compare what was predicted on the scene's own grid"):
        panels_of(scene, labels)


def read_png(path):
    with rasterio.open(path) as file:
        return file.read().transpose(1, 2, 0)


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_the_preview_holds_the_four_panels_side_by_side(tmp_path, scene, prediction):
    path = tmp_path / "new" / "preview.png"
    plot.preview_png(str(path), scene, prediction)
    assert [p.name for p in path.parent.iterdir()] == ["preview.png"]  # no .aux.xml either
    page = read_png(path)
    zoom, start = 360 // 83, 8
    for panel in panels_of(scene, prediction).values():
        large = panel.repeat(zoom, axis=0).repeat(zoom, axis=1)
        height, width = large.shape[:2]
        assert (page[8 + 14 + 8 :][:height, start : start + width] == large).all()
        start += width + 8
    assert page.shape[1] == start


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_the_preview_shows_the_inside_of_the_aoi(tmp_path, scene, prediction, area):
    inside = Scene(id="s", image=scene.image, labels=scene.labels, aoi=area)
    plot.preview_png(str(tmp_path / "p.png"), inside, prediction)
    zoom = 360 // 30
    assert read_png(tmp_path / "p.png").shape[1] == 8 + 4 * (30 * zoom + 8)


def test_a_preview_that_cannot_be_written_is_told(tmp_path, scene, prediction):
    (tmp_path / "file").write_text("x")
    with pytest.raises(StoreError, match="nothing can be written"):
        plot.preview_png(str(tmp_path / "file" / "p.png"), scene, prediction)


def test_letters_are_drawn_in_capitals_and_unknown_ones_as_a_question_mark():
    drawn = ["".join(" #"[int(ink)] for ink in row).rstrip() for row in lettered("Hi", scale=1)]
    assert drawn[0] == " #   #  ###"
    assert drawn[3] == " #####   #"
    assert (lettered("é", scale=1) == lettered("?", scale=1)).all()
    assert lettered("abc", scale=3).shape == (21, 57)
    every = {lettered(c, scale=1).tobytes() for c in "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"}
    assert len(every) == 36  # no two alike


def shown(figure):
    """The arrays of a figure's pictures, in order."""
    return [np.asarray(image.get_array()) for ax in figure.axes for image in ax.get_images()]


def test_a_scene_is_drawn_with_its_labels_and_the_outline_of_its_aoi(scene, area, tmp_path):
    pytest.importorskip("matplotlib")
    figure = plot.scene(scene)
    view = look_at(scene)
    assert (shown(figure)[0] == view.image).all()
    assert len(figure.legends) == 1
    inside = Scene(id="s", image=scene.image, labels=scene.labels, aoi=area)
    figure = plot.scene(inside)
    vertices = figure.axes[0].collections[0].get_paths()[0].vertices
    assert vertices.min(axis=0).tolist() == [30.5, 20.5]
    assert vertices.max(axis=0).tolist() == [60.5, 40.5]
    figure.savefig(tmp_path / "scene.png")


def test_a_comparison_shows_the_panels(scene, prediction):
    pytest.importorskip("matplotlib")
    figure = plot.comparison(scene, prediction)
    for found, panel in zip(shown(figure), panels_of(scene, prediction).values(), strict=True):
        assert (found == panel).all()
    assert figure.axes[0].get_xlabel() == "0.83 x 0.61 km, pixels of 10 x 10 m"


def test_a_scene_without_georeference_is_sized_in_pixels(scene):
    pytest.importorskip("matplotlib")
    plain = Scene(id="p", image=ArraySource(data=np.ones((1, 5, 7), "uint8")))
    assert plot.scene(plain).axes[0].get_xlabel() == "7 x 5 px"


def test_a_batch_shows_images_above_masks():
    pytest.importorskip("matplotlib")
    import torch

    batch = {
        "image": torch.rand(10, 4, 6, 5),
        "valid": torch.ones(10, 6, 5, dtype=torch.bool),
        "mask": torch.full((10, 6, 5), 4),
    }
    pictures = shown(plot.batch(batch, CLASSES, band_names=NAMES, most=3))
    assert len(pictures) == 6
    image = batch["image"][2].numpy()[[2, 1, 0]]
    assert (pictures[2] == stretched(image, np.ones((6, 5), bool))).all()
    assert (pictures[5] == (0x10, 0x20, 0x30)).all()
    del batch["mask"]
    assert len(shown(plot.batch(batch, CLASSES))) == 8


def test_an_evaluation_shows_shares_and_ious(scene, prediction, tmp_path):
    pytest.importorskip("matplotlib")
    evaluation = evaluate(scene.labels.on(GRID), prediction)
    figure = plot.evaluation(evaluation)
    shares = shown(figure)[0]
    assert shares.sum(axis=1) == pytest.approx([1, 1])
    widths = [bar.get_width() for bar in figure.axes[1].patches]
    per_class = evaluation.to_dict()["overall"]["per_class"]
    assert widths == pytest.approx([c["iou"] for c in per_class])
    figure.savefig(tmp_path / "evaluation.png")


def test_intervals_are_drawn_over_the_bars(scene, prediction):
    pytest.importorskip("matplotlib")
    options = {"bootstrap": 50, "block_px": 8}
    evaluation = evaluate(scene.labels.on(GRID), prediction, **options)
    axes = plot.evaluation(evaluation).axes[1]
    drawn = [segments.get_segments()[0][:, 0].tolist() for segments in axes.collections]
    per_class = evaluation.to_dict()["overall"]["per_class"]
    np.testing.assert_allclose(drawn, [record["iou_interval"] for record in per_class])


def test_an_evaluation_with_a_class_that_does_not_occur_is_drawn():
    pytest.importorskip("matplotlib")
    labels = ArrayLabels(GRID, CLASSES, np.full(GRID.shape, 2, "uint8"))
    figure = plot.evaluation(evaluate(labels, labels))
    assert "-" in [text.get_text() for text in figure.axes[1].texts]


def test_a_history_has_a_line_for_each_number():
    pytest.importorskip("matplotlib")
    epochs = [{"epoch": 0, "train_loss": 3.0}, {"epoch": 1, "train_loss": 2.0, "valid_loss": 5.0}]
    lines = plot.history(epochs).axes[0].get_lines()
    assert {line.get_label(): line.get_ydata().tolist() for line in lines} == {
        "training": [3.0, 2.0],
        "validation": [5.0],
    }


def test_without_matplotlib_the_cure_is_told(monkeypatch, scene):
    monkeypatch.delitem(sys.modules, "geoseg.plot.picture", raising=False)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(GeosegError, match=r'pip install "geoseg\[plot\]"'):
        plot.scene(scene)


@pytest.mark.slow
def test_pictures_leave_pyplot_alone():
    code = (
        "import sys, numpy as np\n"
        "from geoseg import plot\n"
        "assert 'matplotlib' not in sys.modules and 'torch' not in sys.modules\n"
        "plot.history([{'epoch': 0, 'loss': 1.0}])\n"
        "print('matplotlib.pyplot' in sys.modules)"
    )
    pytest.importorskip("matplotlib")
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "False"


@pytest.mark.parametrize("shape", [(1184, 256), (256, 1184), (300, 300)])
def test_no_text_of_a_picture_sticks_out_of_it(shape):
    pytest.importorskip("matplotlib")
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    grid = Grid(
        crs="EPSG:32619", transform=[320, 0, 5e5, 0, -320, 4e6], height=shape[0], width=shape[1]
    )
    image = ArraySource(data=np.ones((3, *shape), "uint8"), grid=grid)
    ids = ArraySource(data=np.full((1, *shape), 2, "uint8"), grid=grid)
    labels = RasterLabels(source=ids, classes=CLASSES)
    plain = Scene(id="a_rather_long_NAME_of_a_scene_2019-07-31", image=image)
    for scene in (plain, Scene(id="MMMM WWWW " * 4 + "s", image=image, labels=labels)):
        figure = plot.scene(scene)
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        width, height = canvas.get_width_height()
        ax = figure.axes[0]
        assert "".join(ax.title.get_text().split()) == "".join(f"{scene.id}: image".split())
        for text in (ax.title, ax.xaxis.label):
            box = text.get_window_extent()
            assert box.x0 >= 0, text
            assert box.y0 >= 0, text
            assert box.x1 <= width, text
            assert box.y1 <= height, text
