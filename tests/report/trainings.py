"""A small training as plain values, with names that would break a page that does not escape them."""

from __future__ import annotations

import dataclasses
from html.parser import HTMLParser

import numpy as np

from geoseg.classes import ClassMap
from geoseg.grid import Grid
from geoseg.labels.array import ArrayLabels
from geoseg.labels.evaluate import Evaluation, evaluate
from geoseg.labels.sources import RasterLabels
from geoseg.learner.training import Prediction, Training
from geoseg.report import TrainingFacts
from geoseg.sampling import Sampling
from geoseg.scene import Scene
from geoseg.sources.array import ArraySource

EVIL = "<script>alert(1)</script>"
CLASSES = ClassMap.model_validate(
    [
        {"id": 4, "name": '"><img src=x onerror=alert(2)>', "color": "#102030"},
        {"id": 2, "name": "a & b_long_name_without_any_break_" + "x" * 40, "color": "#f0e0d0"},
        {"id": 9, "name": "never", "color": "#30a050"},
    ]
)
GRID = Grid(crs="EPSG:32619", transform=[10, 0, 5e5, 0, -10, 4e6], height=97, width=131)
_VOID = {"img", "meta"}


def scene_of(name, seed=0):
    rng = np.random.default_rng(seed)
    data = rng.integers(1, 1000, (3, *GRID.shape)).astype("uint16")
    ids = rng.choice([2, 4], (13, 17), p=[0.7, 0.3]).astype("uint8")
    ids = ids.repeat(8, axis=0).repeat(8, axis=1)[: GRID.height, : GRID.width]
    labels = RasterLabels(source=ArraySource(data=ids, grid=GRID), classes=CLASSES)
    image = ArraySource(data=data, grid=GRID, band_names=("red", "green", "blue"))
    return Scene(id=name, image=image, labels=labels)


def prediction_of(scene, wrong):
    """The truth, but for a share of wrong pixels, all in the upper left quarter."""
    ids = scene.labels.read(GRID, GRID.whole).copy()
    rng = np.random.default_rng(1)
    part = ids[:48, :64]
    part[rng.random(part.shape) < wrong] = 2
    ids[-3:] = 255
    return ArrayLabels(GRID, CLASSES, ids)


def facts(**changes):
    test = [scene_of(EVIL, 3), scene_of("z" * 150, 4)]
    predictions = {scene.id: prediction_of(scene, 0.8) for scene in test}
    parts = {
        scene.id: evaluate(scene.labels.on(GRID), predictions[scene.id], name=scene.id)
        for scene in test
    }
    epochs = [
        {
            "epoch": float(i),
            "train_loss": 1 / (i + 1),
            "valid_loss": 1.2 / (i + 1),
            "valid_mean_iou": 0.5 + 0.1 * (i == 2),
            "lr": 0.01,
        }
        for i in range(5)
    ]
    whole = TrainingFacts(
        classes=CLASSES,
        training=Training(
            size=32, length=20, batch_size=4, lr=0.0123, sampling=Sampling(size_range=(24, 40))
        ),
        prediction=Prediction(),
        train=[scene_of("south", 1), scene_of(f"{EVIL} 2", 2)],
        valid=[scene_of("valid", 5)],
        test=test,
        history=epochs,
        histogram={CLASSES.names[0]: 995, CLASSES.names[1]: 5, "never": 0},
        evaluation=Evaluation.pool(parts),
        predictions=predictions,
        versions={"geoseg": "1.2.3"},
        notes=[f"a warning about {EVIL}"],
    )
    return dataclasses.replace(whole, **changes)


class Page(HTMLParser):
    """Reads a page and sees that all that begins ends."""

    def __init__(self, text):
        super().__init__()
        self.open, self.elements, self.texts = [], [], []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        assert len(dict(attrs)) == len(attrs)
        if tag not in _VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] != "style":
            self.texts.append(data)

    def all(self, tag):
        return [attrs for name, attrs in self.elements if name == tag]

    @property
    def text(self):
        return " ".join(self.texts)
