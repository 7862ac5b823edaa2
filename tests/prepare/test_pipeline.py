"""Steps of the preparation from one file, done again only where something changed."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import rasterio
from affine import Affine
from pydantic import ValidationError
from shapely.geometry import box

from geoseg.errors import ConfigError, GeosegError, SourceError, StoreError
from geoseg.prepare import align, masks, split
from geoseg.prepare.pipeline import AlignStep, Pipeline, run
from geoseg.sampling.windowindex import WindowIndex

TEXT = """
output: work
seed: 5
steps:
  - {type: align, source: image.tif, reference: reference.tif, out: work/aligned.tif, measure: false}
  - {type: masks, vectors: fields.geojson, reference: work/aligned.tif, out: work/masks, class_by: kind, class_map: {a: 1, b: 2}}
  - {type: split, index: windows.csv, out: work/index.csv, block_m: 150, shares: {train: 0.5, val: 0.5}}
"""


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    place = {"driver": "GTiff", "count": 1, "dtype": "uint8", "crs": "EPSG:32633"}
    for name, cell, height, width in (("image", 7.0, 61, 83), ("reference", 10.0, 40, 52)):
        transform = Affine(cell, 0, 400_000, 0, -cell, 5_000_000)
        with rasterio.open(
            tmp_path / f"{name}.tif", "w", height=height, width=width, transform=transform, **place
        ) as file:
            file.write(rng.integers(0, 200, (1, height, width), np.uint8))
    shapes = [box(400_000 + 90 * i, 4_999_700, 400_060 + 90 * i, 4_999_950) for i in range(5)]
    frame = gpd.GeoDataFrame({"kind": list("ababa")}, geometry=shapes, crs="EPSG:32633")
    frame.to_file(tmp_path / "fields.geojson")
    with rasterio.open(
        tmp_path / "truth.tif",
        "w",
        height=40,
        width=52,
        transform=Affine(10, 0, 4e5, 0, -10, 5e6),
        **place,
    ) as file:
        file.write(rng.integers(1, 3, (1, 40, 52), np.uint8))
    WindowIndex.build([str(tmp_path / "truth.tif")], patch_size=5, edge="pad").write(
        str(tmp_path / "windows.csv")
    )
    (tmp_path / "pipeline.yaml").write_text(TEXT)
    return tmp_path


def kinds(report):
    return [(step.type, step.reused) for step in report.steps]


def test_the_steps_write_what_their_functions_write(folder):
    report = run(Pipeline.from_yaml(folder / "pipeline.yaml"))
    assert kinds(report) == [("align", False), ("masks", False), ("split", False)]
    by_hand = folder / "by_hand"
    by_hand.mkdir()
    aligned = align(
        folder / "image.tif", folder / "reference.tif", by_hand / "aligned.tif", measure=False
    )
    masks(
        folder / "fields.geojson",
        aligned.out,
        by_hand / "masks",
        class_by="kind",
        class_map={"a": 1, "b": 2},
    )
    split(
        folder / "windows.csv",
        by_hand / "index.csv",
        block_m=150,
        shares={"train": 0.5, "val": 0.5},
        seed=5,
    )
    for name in ("aligned.tif", "masks/aligned.tif", "index.csv"):
        assert (folder / "work" / name).read_bytes().replace(b"../truth", b"") == (
            by_hand / name
        ).read_bytes().replace(b"../truth", b"")


def test_a_second_run_does_nothing_again(folder):
    pipeline = Pipeline.from_yaml(folder / "pipeline.yaml")
    first = run(pipeline)
    times = {p: p.stat().st_mtime_ns for p in (folder / "work").rglob("*.tif")}
    second = run(pipeline)
    assert kinds(second) == [("align", True), ("masks", True), ("split", True)]
    assert [s.report for s in second.steps] == json.loads(
        json.dumps([s.report for s in first.steps])
    )
    assert times == {p: p.stat().st_mtime_ns for p in (folder / "work").rglob("*.tif")}
    assert kinds(run(pipeline, fresh=True)) == [
        ("align", False),
        ("masks", False),
        ("split", False),
    ]


def test_what_changed_and_what_hangs_on_it_is_done_again(folder):
    pipeline = Pipeline.from_yaml(folder / "pipeline.yaml")
    run(pipeline)
    with rasterio.open(folder / "image.tif", "r+") as file:
        file.write(255 - file.read())
    assert kinds(run(pipeline)) == [("align", False), ("masks", False), ("split", True)]
    (folder / "work" / "index.csv").unlink()
    assert kinds(run(pipeline)) == [("align", True), ("masks", True), ("split", False)]
    (folder / "pipeline.yaml").write_text(TEXT.replace("seed: 5", "seed: 6"))
    changed = Pipeline.from_yaml(folder / "pipeline.yaml")
    assert kinds(run(changed)) == [("align", True), ("masks", True), ("split", False)]


def test_an_input_that_was_only_touched_is_known_by_its_full_hash(folder):
    pipeline = Pipeline.from_yaml(folder / "pipeline.yaml")
    run(pipeline, full_hash=True)
    os.utime(folder / "image.tif", (1, 1))
    assert kinds(run(pipeline, full_hash=True))[0] == ("align", True)
    assert kinds(run(pipeline))[0] == ("align", False)


def test_a_step_that_fails_leaves_those_before_it_and_is_logged(folder):
    pipeline = Pipeline.from_yaml(folder / "pipeline.yaml")
    (folder / "fields.geojson").write_text("{}")
    with pytest.raises(GeosegError):
        run(pipeline)
    log = (folder / "work" / "pipeline.log").read_text().splitlines()
    own = [line.split(" ", 1)[1] for line in log if " 1 align" in line or " 2 masks" in line]
    assert [line.split(":")[0] for line in own] == [
        "info 1 align",
        "info 1 align",
        "info 2 masks",
        "error 2 masks",
    ]
    assert all(re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ (info|error) ", line) for line in log)
    manifest = json.loads((folder / "work" / "pipeline.json").read_text())
    assert list(manifest["steps"]) == ["1 align"]
    assert manifest["seed"] == 5
    assert manifest["versions"]["geoseg"]
    inputs = manifest["steps"]["1 align"]["inputs"]
    assert sorted(Path(uri).name for uri in inputs) == ["image.tif", "reference.tif"]
    (folder / "image.tif").unlink()
    with pytest.raises(SourceError, match=r"image\.tif: is missing") as found:
        run(pipeline)
    assert "step 1, align" in " ".join(found.value.__notes__)


def test_what_cannot_be_is_refused(folder):
    wrong = TEXT.replace("work/masks", "work/aligned.tif")
    with pytest.raises(ValidationError, match="written by two steps"):
        Pipeline.from_yaml(wrong)
    with pytest.raises(ValidationError, match="nearest known key: block_m"):
        Pipeline.from_yaml(TEXT.replace("block_m", "blok_m"))
    with pytest.raises(ValidationError, match="type is 'rasterise'"):
        Pipeline.from_yaml(TEXT.replace("type: masks", "type: rasterise"))
    run(Pipeline.from_yaml(folder / "pipeline.yaml"))
    (folder / "work" / "pipeline.json").write_text("half")
    with pytest.raises(StoreError, match="cannot be read as a manifest"):
        run(Pipeline.from_yaml(folder / "pipeline.yaml"))


def test_a_pipeline_is_the_same_after_a_round_trip(folder):
    pipeline = Pipeline.from_yaml(folder / "pipeline.yaml")
    assert Pipeline.from_yaml(pipeline.to_yaml()) == pipeline


def test_split_does_not_write_into_its_index(folder):
    with pytest.raises(ConfigError):
        split(folder / "windows.csv", folder / "windows.csv", block_m=150)


CUTS = """
output: work
steps:
  - {type: tile, image: image.tif, masks: truth.tif, out: work/tiles, patch_size: 10, edge: pad}
  - {type: export, image: image.tif, masks: truth.tif, out: work/pairs, full_mask: true, previews: false, measure: false}
  - {type: split, index: work/tiles/index.parquet, out: work/tiles/split.csv, folds: 2, block_m: 100}
"""
ONCE = [("tile", True), ("export", True), ("split", True)]


@pytest.fixture
def cuts(folder):
    (folder / "cuts.yaml").write_text(CUTS)
    return Pipeline.from_yaml(folder / "cuts.yaml")


def changed_unseen(uri):
    """Other pixels in a file of the same size and time."""
    facts = uri.stat()
    content = bytearray(uri.read_bytes())
    content[-2] ^= 1
    uri.write_bytes(content)
    os.utime(uri, ns=(facts.st_atime_ns, facts.st_mtime_ns))


def test_a_lost_patch_is_made_anew_and_all_is_done_before_after_that(folder, cuts):
    run(cuts)
    run(cuts)  # the split of the first run lies among the tiles
    assert kinds(run(cuts)) == ONCE
    patches = sorted((folder / "work/tiles/masks").iterdir())
    before = [patch.read_bytes() for patch in patches]
    patches[0].unlink()
    with pytest.warns(UserWarning, match="1 of .* files are missing or were changed"):
        assert kinds(run(cuts))[:2] == [("tile", False), ("export", True)]
    assert [patch.read_bytes() for patch in patches] == before
    run(cuts)
    assert kinds(run(cuts)) == ONCE


def test_a_full_hash_does_a_cut_again_whose_input_changed_unseen(folder, cuts):
    run(cuts, full_hash=True)
    changed_unseen(folder / "image.tif")
    report = run(cuts, full_hash=True)
    assert kinds(report)[:2] == [("tile", False), ("export", False)]
    assert [step.report["resumed"] for step in report.steps[:2]] == [0, 0]


def test_fresh_cuts_again_what_is_finished(cuts):
    run(cuts)
    assert [step.report["resumed"] for step in run(cuts, fresh=True).steps[:2]] == [0, 0]


def test_steps_behind_one_that_fails_are_still_known(folder):
    pipeline = Pipeline.from_yaml(folder / "pipeline.yaml")
    run(pipeline)
    features = (folder / "fields.geojson").read_bytes()
    (folder / "fields.geojson").write_text("{}")
    with pytest.raises(GeosegError):
        run(pipeline)
    (folder / "fields.geojson").write_bytes(features)
    assert kinds(run(pipeline)) == [("align", True), ("masks", False), ("split", True)]


def test_secrets_of_uris_stay_out_of_the_log(folder):
    uri = "http://127.0.0.1:9/image.tif?token=5ec2e7"
    text = TEXT.replace("source: image.tif", f'source: "{uri}"')
    (folder / "pipeline.yaml").write_text(text)
    with pytest.raises(GeosegError):
        run(Pipeline.from_yaml(folder / "pipeline.yaml"))
    log = (folder / "work" / "pipeline.log").read_text()
    assert "127.0.0.1" in log
    assert "5ec2e7" not in log


def test_an_input_that_changes_while_a_step_works_is_noticed_the_next_time(folder, monkeypatch):
    pipeline = Pipeline.from_yaml(folder / "pipeline.yaml")
    perform = AlignStep.run

    def meddled(step):
        report = perform(step)
        os.utime(folder / "image.tif", (5, 5))
        return report

    monkeypatch.setattr(AlignStep, "run", meddled)
    run(pipeline)
    monkeypatch.setattr(AlignStep, "run", perform)
    assert kinds(run(pipeline))[0] == ("align", False)
    assert kinds(run(pipeline))[0] == ("align", True)
