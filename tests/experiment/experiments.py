"""A small experiment as text, and ways to change it."""

from __future__ import annotations

from geoseg.experiment import Experiment

TEXT = """
classes: [dark, bright]
train:
  - id: a
    image: a.tif
    labels: {type: raster, source: a_ids.tif}
test:
  - id: b
    image: b.tif
    labels: {type: raster, source: b_ids.tif}
training:
  {model_options: {width: 4, depth: 2}, epochs: 5, length: 16, size: 32, batch_size: 4, lr: 1e-2}
output: out
"""


def read(folder, *changes):
    """The experiment with lines of its text replaced."""
    text = TEXT
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    (folder / "exp.yaml").write_text(text)
    return Experiment.from_yaml(folder / "exp.yaml")


def scene(**keys):
    return {"id": "a", "image": "a.tif", "labels": {"type": "raster", "source": "i.tif"}} | keys


def made(**keys):
    base = {"classes": ["dark", "bright"], "train": [scene()], "output": "out"}
    return Experiment.model_validate(base | keys)
