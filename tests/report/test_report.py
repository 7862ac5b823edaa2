"""The report of a training: all of it in one file that stands by itself, whatever things are called."""

from __future__ import annotations

import base64
import dataclasses
import importlib.util
import re
import sys

import numpy as np
import pytest
import rasterio
from rasterio.io import MemoryFile

from geoseg.classes import ClassMap
from geoseg.errors import StoreError
from geoseg.labels.evaluate import evaluate
from geoseg.labels.sources import RasterLabels
from geoseg.learner.training import Training
from geoseg.report import TrainingFacts, pictures, write_report
from geoseg.report.training import report_text
from geoseg.sampling import Sampling
from geoseg.scene import Scene
from geoseg.sources.geotiff import GeoTIFFSource
from geoseg.window import Window
from tests.report.trainings import CLASSES, EVIL, GRID, Page, facts, prediction_of, scene_of

# The pictures of a page have no place on the Earth.
pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")


@pytest.fixture(scope="module")
def whole():
    pytest.importorskip("matplotlib")
    return report_text(facts())


def titles(page):
    return [link["href"] for link in page.all("a")]


def test_the_report_has_all_sections_and_their_links(whole):
    page = Page(whole)
    names = [head["id"] for head in page.all("h2")]
    assert names == [
        "notes", "scores", "confusion", "maps", "worst", "history", "classes", "sampling", "scenes", "options",
    ]  # fmt: skip
    assert titles(page) == [f"#{name}" for name in names]
    assert len(page.all("h1")) == 1


def test_nothing_is_fetched_and_no_name_becomes_markup(whole):
    page = Page(whole)
    tags = {tag for tag, _ in page.elements}
    assert not tags & {"script", "link", "iframe", "object", "form"}
    for tag, attributes in page.elements:
        assert not [name for name in attributes if name.startswith("on")]
        if "src" in attributes:
            assert tag == "img"
            assert attributes["src"].startswith("data:image/png;base64,")
    assert not re.search(r"url\(|@import|https?://", whole)
    assert EVIL in page.text
    assert CLASSES.names[0] in page.text
    assert f"a warning about {EVIL}" in page.text


def test_pictures_have_words_and_the_sizes_they_say(whole):
    page = Page(whole)
    images = page.all("img")
    assert len(images) == 8  # scores, two maps, worst, history, histogram, sampling, sample
    for image in images:
        assert len(image["alt"]) > 20
        data = base64.b64decode(image["src"].partition(",")[2])
        with MemoryFile(data) as memory, memory.open() as file:
            assert (str(file.width), str(file.height)) == (image["width"], image["height"])
            assert file.width <= 1400
            assert file.height <= 1000
            assert len(np.unique(file.read())) > 10
    assert len(whole) < 3_000_000


def test_the_numbers_are_those_of_the_evaluation(whole):
    given = facts()
    found = given.evaluation.to_dict()["overall"]
    text = Page(whole).text
    for key in ("mean_iou", "mean_f1", "accuracy", "kappa"):
        assert f"{found[key]:.3f}" in text
    for count in np.ravel(found["confusion"]):
        assert f"{count:,}" in text
    assert "0.0123" in text
    assert "sampling.size_range" in text
    assert "1.2.3" in text


def test_what_the_numbers_say_is_noted(whole):
    text = Page(whole).text
    assert "The class 'never' does not occur in the training scenes" in text
    assert "has 0.50% of the labelled training pixels" in text
    assert "epoch 2 had 0.600: select: best would have kept that" in text
    sampling = Sampling(class_balance="balanced")
    careful = Training(select="best", sampling=sampling)
    text = Page(report_text(facts(training=careful, train=(), test=(), predictions={}))).text
    assert "would have kept" not in text
    assert "labelled training pixels" not in text


def test_without_matplotlib_there_are_tables_and_a_word(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert importlib.util.find_spec("matplotlib") is None
    page = Page(report_text(facts()))
    assert not page.all("img")
    assert 'pip install "geoseg[plot]"' in page.text
    names = [head["id"] for head in page.all("h2")]
    assert names == ["notes", "scores", "confusion", "history", "classes", "scenes", "options"]


def test_what_is_not_known_is_left_out():
    page = Page(report_text(TrainingFacts(classes=CLASSES, training=Training())))
    assert [head["id"] for head in page.all("h2")] == ["notes", "classes", "options"]
    assert "Nothing was measured on validation scenes" in page.text


def test_one_training_gives_the_same_bytes_again():
    pytest.importorskip("matplotlib")
    small = facts(train=(), predictions={})
    assert report_text(small) == report_text(small)


def test_intervals_and_boundaries_have_columns_where_they_were_measured():
    scene = scene_of("s")
    truth = scene.labels.on(GRID)
    found = evaluate(truth, prediction_of(scene, 0.5), boundary_px=2, bootstrap=50, block_px=16)
    text = Page(report_text(facts(evaluation=found, train=(), test=(), history=()))).text
    assert "95 % interval of the IoU" in text
    low, high = found.overall.intervals.iou[0]
    assert f"{low:.3f} to {high:.3f}" in text
    assert f"{found.to_dict()['overall']['mean_boundary_iou']:.3f}" in text


def test_letters_that_figures_lack_are_in_the_page():
    pytest.importorskip("matplotlib")
    classes = ClassMap.of("\u68ee\u6797", "\u6c34")
    counts = {"\u68ee\u6797": 3, "\u6c34": 5}
    page = Page(report_text(TrainingFacts(classes=classes, training=Training(), histogram=counts)))
    assert "\u68ee\u6797" in page.texts
    assert len(page.all("img")) == 1


def test_many_scenes_and_epochs_are_bounded(monkeypatch):
    monkeypatch.setattr(pictures, "can_draw", lambda: False)
    scene = scene_of("s")
    many = [scene.model_copy(update={"id": f"scene {i}"}) for i in range(203)]
    rows = [{"epoch": float(i), "train_loss": 1.0} for i in range(1001)]
    text = Page(report_text(facts(train=many, valid=(), test=(), history=rows, evaluation=None)))
    assert "203 scenes, of which the first 200 are listed" in text.text
    assert "scene 199" in text.texts
    assert "scene 200" not in text.texts
    assert "every 6th epoch; metrics.csv has all" in text.text


def test_of_a_large_scene_the_middle_is_shown(monkeypatch):
    scene = scene_of("s")
    assert pictures.part_of(scene) == (GRID.whole, "")
    monkeypatch.setattr(pictures, "_PART", 50)
    part, told = pictures.part_of(scene)
    assert part == Window(23, 40, 50, 50)
    assert told == ", the middle 50 x 50 px of 97 x 131"


@pytest.mark.slow
def test_the_report_appears_whole_or_not_at_all(tmp_path, monkeypatch):
    small = facts(train=(), predictions={}, test=())
    write_report(str(tmp_path / "run" / "report.html"), small)
    assert [p.name for p in (tmp_path / "run").iterdir()] == ["report.html"]
    written = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert written == report_text(small)
    (tmp_path / "file").write_text("x")
    with pytest.raises(StoreError, match="nothing can be written"):
        write_report(str(tmp_path / "file" / "report.html"), small)


def test_facts_are_plain_values():
    assert [part for part, _ in facts().scenes()] == ["train", "train", "valid", "test", "test"]
    assert dataclasses.replace(facts(), title="Mine").title == "Mine"
    assert "<h1>Mine</h1>" in report_text(
        TrainingFacts(classes=CLASSES, training=Training(), title="Mine")
    )


def test_a_report_tells_no_secrets_and_no_users(monkeypatch, tmp_path):
    monkeypatch.setattr(pictures, "can_draw", lambda: False)
    signed = "https://me:S3cret@host/a.tif?sig=S3cret&band=1"
    image = GeoTIFFSource(uri=_written(tmp_path / "a.tif"))
    labels = RasterLabels(source=image, classes=CLASSES)
    scene = Scene(id=f"scene {signed}", image=image, labels=labels)
    monkeypatch.setattr(Scene, "inputs", ("/home/anna/a.tif", signed))
    training = Training(
        model="unet/resnet18", weights="/home/anna/w.pth", sampling={"cache": f"/home/anna/{EVIL}"}
    )
    given = TrainingFacts(
        classes=CLASSES,
        training=training,
        train=[scene],
        notes=[f"{signed}: was slow"],
        title=signed,
    )
    text = report_text(given)
    assert "S3cret" not in text
    assert "anna" not in text
    page = Page(text)
    masked = "https://***@host/a.tif?sig=***&band=1"
    assert f"~/a.tif, {masked}" in page.texts
    assert "~/w.pth" in page.texts
    assert f"scene {masked}" in page.texts
    assert page.texts.count(masked) == 2  # the title, twice


def _written(path):
    with rasterio.open(
        path, "w", driver="GTiff", width=3, height=2, count=1, dtype="uint8"
    ) as file:
        file.write(np.full((1, 2, 3), 4, "uint8"))
    return str(path)
