"""geoseg demo: the promised files and numbers, and nobody else's files touched."""

from __future__ import annotations

import json

import pytest
import rasterio

from geoseg import sample
from geoseg.cli import demo
from geoseg.experiment import Experiment


@pytest.fixture
def short(monkeypatch):
    """The same demo with next to no training."""
    text = sample.experiment_text

    def shorter(*, output):
        words = text(output=output).split("training:")
        options = (
            "{epochs: 1, length: 4, size: 64, batch_size: 2, model_options: {width: 4, depth: 2}}"
        )
        return f"{words[0]}training: {options}\n\noutput: {json.dumps(output)}\n"

    monkeypatch.setattr(sample, "experiment_text", shorter)


FILES = {
    "experiment.yaml", "bundle.zip", "predictions", "evaluation.json", "preview.png", "metrics.csv",
    "last.ckpt", "run.yaml", "run.json", "report.html",
}  # fmt: skip


@pytest.mark.slow
def test_the_demo_leaves_its_files_and_the_same_numbers_again(geoseg, short, tmp_path):
    results = []
    for name in ("one", "two", "two"):
        out = tmp_path / name
        found = geoseg("demo", out)
        assert found.code == 0
        assert {p.name for p in out.iterdir()} == FILES
        results.append((out / "evaluation.json").read_text())
        for file in ("bundle.zip", "evaluation.json", "preview.png", "experiment.yaml"):
            assert str(out / file) in found.out
    assert results[0] == results[1] == results[2]


@pytest.mark.slow
def test_the_experiment_it_leaves_can_be_run_again(geoseg, short, tmp_path):
    geoseg("demo", tmp_path / "out")
    experiment = Experiment.from_yaml(tmp_path / "out" / "experiment.yaml")
    assert experiment.output == str(tmp_path / "out")
    assert geoseg("check", tmp_path / "out" / "experiment.yaml").code == 0


def test_the_demo_does_not_touch_what_is_not_its_own(geoseg, short, tmp_path):
    mine = tmp_path / "bundle.zip"
    mine.write_text("mine")
    found = geoseg("demo", tmp_path)
    assert found.code == 2
    assert "name a new folder" in found.err
    assert [p.read_text() for p in tmp_path.iterdir()] == ["mine"]
    found = geoseg("demo", mine)
    assert found.code == 2
    assert "is a file, expected a folder" in found.err


def test_a_changed_experiment_is_not_overwritten(geoseg, short, tmp_path):
    (tmp_path / "out").mkdir()
    path = tmp_path / "out" / "experiment.yaml"
    path.write_text(sample.experiment_text(output=str(tmp_path / "out")) + "# mine\n")
    found = geoseg("demo", tmp_path / "out")
    assert found.code == 2
    assert f"geoseg train {path}" in found.err
    assert path.read_text().endswith("# mine\n")


def test_the_demo_computes_in_one_thread_and_gives_the_others_back():
    import torch

    before = torch.get_num_threads()
    with demo._one_thread():
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == before


@pytest.mark.slow
def test_the_demo_reaches_its_score(geoseg, tmp_path):
    from rio_cogeo.cogeo import cog_validate

    out = tmp_path / "out"
    found = geoseg("demo", out)
    assert (found.code, found.err) == (0, "")
    scores = json.loads((out / "evaluation.json").read_text())["overall"]
    assert scores["mean_iou"] >= 0.42
    assert min(c["iou"] for c in scores["per_class"]) > 0.1  # water is found too
    assert f" {scores['mean_iou']:.3f} " in found.out
    (map_uri,) = (out / "predictions").glob("*.tif")
    valid, errors, _ = cog_validate(map_uri)
    assert valid, errors
    with rasterio.open(map_uri) as labels, rasterio.open(sample.image_uri()) as image:
        assert (labels.crs, labels.transform, labels.shape) == (
            image.crs,
            image.transform,
            image.shape,
        )
