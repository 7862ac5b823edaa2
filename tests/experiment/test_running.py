"""What a run leaves behind."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import rasterio
from sklearn.metrics import confusion_matrix

from geoseg.errors import ConfigError, StoreError
from geoseg.experiment import Experiment, run
from geoseg.learner import Learner
from tests.experiment.experiments import TEXT, read


def test_a_folder_that_cannot_be_made_is_told_before_the_work(folder):
    with pytest.raises(StoreError, match=r"exp\.yaml/out: the output folder cannot be written"):
        run(read(folder, ("output: out", "output: exp.yaml/out")))


@pytest.mark.slow
def test_a_run_leaves_model_maps_scores_and_numbers(folder):
    experiment = read(folder)
    results = run(experiment)
    out = folder / "out"
    assert {p.name for p in out.iterdir()} == {
        "bundle.zip", "predictions", "evaluation.json", "metrics.csv", "last.ckpt",
        "run.yaml", "run.json", "report.html",
    }  # fmt: skip
    with rasterio.open(folder / "b_ids.tif") as ids, rasterio.open(results.maps["b"]) as labels:
        truth, predicted = ids.read(1), labels.read(1)
    with rasterio.open(folder / "b.tif") as image:
        measured = image.dataset_mask() > 0
    assert (predicted[~measured] == 255).all()
    assert set(np.unique(predicted[measured])) == {0, 1}
    expected = confusion_matrix(truth[measured], predicted[measured], labels=[0, 1])
    scores = json.loads((out / "evaluation.json").read_text())
    assert scores["scenes"]["b"]["confusion"] == expected.tolist()
    assert results.evaluation.to_dict() == scores
    assert results.scores == str(out / "evaluation.json")
    with (out / "metrics.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 5
    again = Learner.load(results.bundle).predict(experiment.test[0])
    assert (again.to_array() == predicted).all()


@pytest.mark.slow
def test_the_same_experiment_gives_the_same_files(folder):
    written = []
    for _ in range(2):  # into the same folder: a second run replaces the first
        results = run(read(folder))
        names = (results.bundle, results.maps["b"], results.scores)
        written.append([Path(name).read_bytes() for name in names])
    assert written[0] == written[1]
    assert len(list((folder / "out").iterdir())) == 8


@pytest.mark.slow
def test_prediction_options_reach_the_map(folder):
    short = ("epochs: 5", "epochs: 1")
    run(read(folder, short))
    plain = (folder / "out" / "predictions" / "b.tif").read_bytes()
    run(read(folder, short, ("output: out", "output: out\nprediction: {blend: center, stride: 7}")))
    assert (folder / "out" / "predictions" / "b.tif").read_bytes() != plain


def test_without_test_scenes_there_are_no_scores(folder):
    text = TEXT[: TEXT.index("test:")] + TEXT[TEXT.index("training:") :]
    (folder / "exp.yaml").write_text(text)
    results = run(Experiment.from_yaml(folder / "exp.yaml"))
    assert (results.maps, results.evaluation, results.scores) == ({}, None, None)
    assert Path(results.bundle).is_file()


def test_no_input_is_replaced_by_an_output(tmp_path):
    folder = tmp_path / "out" / "predictions"
    folder.mkdir(parents=True)
    image = folder / "t.tif"
    image.write_bytes(b"precious")
    labels = "labels: {type: raster, source: a.tif}"
    text = (
        f"classes: [a, b]\ntrain: [{{id: s, image: a.tif, {labels}}}]\n"
        f"test: [{{id: t, image: {image}, {labels}}}]\noutput: {tmp_path / 'out'}\n"
    )
    with pytest.raises(ConfigError, match="overwritten"):
        run(Experiment.from_yaml(text))
    assert image.read_bytes() == b"precious"
