"""A run that ends anywhere goes on where it was, and its map is that of a run that never ended."""

from __future__ import annotations

import json
import os
import re
import resource
import signal
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from geoseg.classes import ClassMap
from geoseg.errors import ConfigError, StoreError
from geoseg.labels.geotiff import GeoTIFFLabelStore
from geoseg.labels.kept import KeptBands
from geoseg.learner.module import SegmentationModule
from geoseg.learner.predict import predict
from geoseg.scene import Scene
from tests.learner.prediction.runs import (
    Stop,
    contents,
    learner,
    names,
    run,
    stop_after,
    write_scene,
)
from tests.support.forked import forked

BATCHES = -(-27 * 2 // 5)
"""Of the whole scene: 27 rows of 2 windows, 5 a batch."""


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """(image, folder with maps of runs without resume: `map` with scores, `plain` without)."""
    folder = tmp_path_factory.mktemp("whole")
    image = write_scene(folder)
    run(image, folder / "map.tif", scores=True)
    run(image, folder / "plain.tif")
    return image, folder


@pytest.mark.slow
@pytest.mark.parametrize("begun", [{"scores": True}, {}, {"scores": True, "resume": True}])
@pytest.mark.parametrize("calls", [0, 3, 6, 9])
def test_a_run_that_is_stopped_goes_on_and_ends_with_the_same_bytes(
    whole, tmp_path, monkeypatch, calls, begun
):
    image, folder = whole
    scores = "scores" in begun
    with monkeypatch.context() as patch:
        stop_after(patch, calls)
        with pytest.raises(Stop) as stopped:
            run(image, tmp_path / "map.tif", **begun)
    notes = getattr(stopped.value, "__notes__", [])
    bands = {0: 0, 3: 0, 6: 1, 9: 2}[calls]
    assert names(tmp_path) == ([".map.tif.resume"] if bands else [])
    assert [note.split(" are kept")[0] for note in notes] == [f"{bands} finished bands of rows"][
        : bool(bands)
    ]
    if bands:
        state = json.loads((tmp_path / ".map.tif.resume" / "state.json").read_text())
        assert len(state["bands"]) == bands
    with monkeypatch.context() as patch:
        again = stop_after(patch, None)
        run(image, tmp_path / "map.tif", scores=scores, resume=True)
    assert (len(again) < BATCHES) == bool(bands)
    assert contents(tmp_path, "map") == contents(folder, "map" if scores else "plain")
    assert not list(tmp_path.glob(".*"))


def test_a_finished_run_leaves_nothing_to_resume_and_computes_no_window_twice(
    whole, tmp_path, monkeypatch
):
    image, folder = whole
    calls = stop_after(monkeypatch, None)
    run(image, tmp_path / "map.tif", scores=True, resume=True)
    assert len(calls) == BATCHES
    assert contents(tmp_path, "map") == contents(folder, "map")
    assert not list(tmp_path.glob(".*"))


def stopped(image, folder, monkeypatch, **options):
    with monkeypatch.context() as patch:
        stop_after(patch, 6)
        with pytest.raises(Stop):
            run(image, folder / "map.tif", resume=True, **options)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"stride": 32}, r"stride is \[32, 32\], was \[48, 48\]"),
        ({"blend": "mean"}, "blend is mean, was hann"),
        ({"batch_size": 4}, "batch_size is 4, was 5"),
        ({"tta": "flips"}, "tta is flips, was null"),
        ({"size": 48}, r"size is \[48, 48\], was \[64, 64\]"),
        ({"seed": 1}, "model is [0-9a-f]{64}, was"),
        ({"scores": True}, "scores is true, was false"),
        ({"shard": (0, 2)}, r"rows are \(0, 512\), were \(0, 1300\)"),
    ],
)
def test_another_run_is_refused_with_the_difference(tmp_path, monkeypatch, options, text):
    image = write_scene(tmp_path)
    stopped(image, tmp_path, monkeypatch)
    before = names(tmp_path / ".map.tif.resume")
    with pytest.raises(ConfigError, match=f"cannot be resumed, it was another one: {text}"):
        run(image, tmp_path / "map.tif", resume=True, **options)
    assert names(tmp_path / ".map.tif.resume") == before


def test_an_image_that_has_changed_is_refused(tmp_path, monkeypatch):
    image = write_scene(tmp_path)
    stopped(image, tmp_path, monkeypatch)
    write_scene(tmp_path, seed=1)
    with pytest.raises(ConfigError, match=r"file image\.tif\.digest is"):
        run(image, tmp_path / "map.tif", resume=True)


def test_a_damaged_band_is_told_and_predicted_again(tmp_path, monkeypatch, whole):
    image, folder = whole
    stopped(image, tmp_path, monkeypatch, scores=True)
    band = tmp_path / ".map.tif.resume" / "band-000000.npy"
    data = bytearray(band.read_bytes())
    data[5000] ^= 1
    band.write_bytes(data)
    with pytest.warns(UserWarning, match=r"map\.tif: 1 of 1 bands .* damaged"):
        run(image, tmp_path / "map.tif", resume=True, scores=True)
    assert contents(tmp_path, "map") == contents(folder, "map")


def test_a_damaged_list_is_told_and_the_run_begins_anew(tmp_path, monkeypatch, whole):
    image, folder = whole
    stopped(image, tmp_path, monkeypatch, scores=True)
    (tmp_path / ".map.tif.resume" / "state.json").write_text("{")
    with pytest.warns(UserWarning, match="cannot be read .* begins anew"):
        run(image, tmp_path / "map.tif", resume=True, scores=True)
    assert contents(tmp_path, "map") == contents(folder, "map")


def test_a_run_without_resume_removes_what_an_earlier_one_left_and_says_so(tmp_path, monkeypatch):
    image = write_scene(tmp_path)
    stopped(image, tmp_path, monkeypatch)
    with pytest.warns(UserWarning, match="without resume, so they were removed"):
        run(image, tmp_path / "map.tif")
    assert not list(tmp_path.glob(".*"))


def test_more_threads_are_told_since_the_last_digits_may_differ(tmp_path, monkeypatch):
    image = write_scene(tmp_path)
    stopped(image, tmp_path, monkeypatch)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 99)
    with pytest.warns(UserWarning, match="threads 99; scores may differ in the last digits"):
        run(image, tmp_path / "map.tif", resume=True)


def test_resume_needs_a_store_and_a_model_that_is_known(tmp_path):
    scene, classes = Scene.of(write_scene(tmp_path)), ClassMap.of("a", "b")
    store = GeoTIFFLabelStore(uri=str(tmp_path / "map.tif"))

    def model(image, valid):
        return torch.ones(len(image), 2, *image.shape[2:]) / 2

    with pytest.raises(ConfigError, match="pass a store"):
        predict(model, scene, classes, store=None, size=64, resume=True)
    with pytest.raises(ConfigError, match="model_digest="):
        predict(model, scene, classes, store=store, size=64, resume=True)
    assert names(tmp_path) == ["image.tif"]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*there is nothing to resume")
@pytest.mark.parametrize("first", [{}, {"shard": (1, 2)}, {"keep": False}])
def test_two_runs_on_one_output_at_a_time_do_not_destroy_each_other(whole, tmp_path, first):
    image, _ = whole
    told = []

    def meanwhile(window, ids):
        if told:
            return
        for second in ({}, {"resume": True, "keep": True}, {"keep": False}):
            try:
                run(image, tmp_path / "map.tif", **first | second)
            except StoreError as error:
                told.append(str(error))

    run(image, tmp_path / "map.tif", seen=meanwhile, **first)
    run(image, tmp_path / "ref.tif", **first)
    assert contents(tmp_path, "map") == contents(tmp_path, "ref")
    assert not list(tmp_path.glob(".*"))
    assert len(told) == (0 if "keep" in first else 3)
    for text in told:
        assert re.search(r"map\.tif: another run is writing this map, as .*lock tells; wait", text)


@pytest.mark.slow
def test_processes_that_read_do_not_hold_the_output_when_their_run_is_killed(whole, tmp_path):
    image, folder = whole
    done = child(image, tmp_path / "map.tif", 7, workers=2)
    assert done.returncode == -signal.SIGKILL, done.stderr
    run(image, tmp_path / "map.tif", scores=True, resume=True)  # at once
    assert contents(tmp_path, "map") == contents(folder, "map")


def _kill(*_):
    os.kill(os.getpid(), signal.SIGKILL)


def _killed_at_write():
    """While the finished bands are being written to the map."""
    read = KeptBands.read

    def half(self, rows):
        for i, piece in enumerate(read(self, rows)):
            if i == 2:
                _kill()
            yield piece

    KeptBands.read = half


def _killed_at_list():
    """When a band is whole and not in the list yet."""
    write = KeptBands._write_state

    def late(self):
        if len(self.bands) == 2:
            _kill()
        write(self)

    KeptBands._write_state = late


def _killed_at_call(number):
    """When the network is called so many times."""
    forward, calls = SegmentationModule.forward, []

    def counted(self, *args):
        calls.append(1)
        if len(calls) == number:
            _kill()
        return forward(self, *args)

    SegmentationModule.forward = counted


def _run_to_its_end(image, out, place, limit, workers):
    if place == "write":
        _killed_at_write()
    elif place == "list":
        _killed_at_list()
    elif place is not None:
        _killed_at_call(place)
    if limit:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    try:
        run(image, out, resume=True, scores=True, workers=workers)
    except OSError as error:
        sys.exit(f"{type(error).__name__}: {error}")


def child(image, out, place=None, limit=None, workers=0):
    return forked(_run_to_its_end, image, out, place, limit, workers)


@pytest.mark.slow
@pytest.mark.parametrize("places", [[2, "list", "write"], [7, "write", "write"]])
def test_a_run_that_is_killed_at_three_places_ends_with_the_same_bytes(whole, tmp_path, places):
    image, folder = whole
    (tmp_path / "map.tif").write_text("of before")
    for place in places:
        done = child(image, tmp_path / "map.tif", place)
        assert done.returncode == -signal.SIGKILL, done.stderr
        assert (tmp_path / "map.tif").read_text() == "of before"
        assert (tmp_path / ".map.tif.resume" / "state.json").exists()
    done = child(image, tmp_path / "map.tif")
    assert done.returncode == 0, done.stderr
    assert contents(tmp_path, "map") == contents(folder, "map")
    assert not list(tmp_path.glob(".*"))


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(resource, "RLIMIT_FSIZE"), reason="needs a limit of file sizes")
@pytest.mark.parametrize(
    ("limit", "text", "left"),
    [
        (  # not even the first band fits: 512 x 90 px of 1 + 3 x 4 bytes
            300_000,
            "StoreError: .*map.tif: finished rows cannot be kept in .*: File too large. Is the disk full",
            [],
        ),
        (
            620_000,
            r"StoreError: .*map.scores.tif: cannot be written.*Is the disk full",
            [".map.tif.resume"],
        ),
    ],
)
def test_a_full_disk_is_told_and_the_run_goes_on_when_there_is_room(tmp_path, limit, text, left):
    image = write_scene(tmp_path, height=3400, blob=1)  # noise, which hardly gets smaller
    done = child(image, tmp_path / "map.tif", limit=limit)
    assert done.returncode == 1
    assert re.search(text, done.stderr), done.stderr
    assert names(tmp_path) == [*left, "image.tif"]
    assert child(image, tmp_path / "map.tif").returncode == 0
    run(image, tmp_path / "ref.tif", scores=True)
    assert contents(tmp_path, "map") == contents(tmp_path, "ref")


def test_no_space_left_while_a_band_is_kept_is_a_clear_error(tmp_path, monkeypatch, whole):
    image, folder = whole
    save, saved = np.save, []

    def full(*args, **kwargs):
        saved.append(1)
        if len(saved) > 40:
            raise OSError(28, "No space left on device")
        save(*args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(np, "save", full)
        with pytest.raises(
            StoreError,
            match=r"No space left on device\. Is the disk full.*\n1 finished bands .* with resume",
        ):
            run(image, tmp_path / "map.tif", resume=True, scores=True)
    assert names(tmp_path) == [".map.tif.resume"]
    assert names(tmp_path / ".map.tif.resume") == ["band-000000.npy", "state.json"]
    run(image, tmp_path / "map.tif", resume=True, scores=True)
    assert contents(tmp_path, "map") == contents(folder, "map")


def _named_until(image, out, last, shard):
    """Predict, and be killed before the file of that name gets it."""
    renamed = Path.replace

    def replace(self, target):
        if Path(target).name == last:
            _kill()
        return renamed(self, target)

    Path.replace = replace
    store = GeoTIFFLabelStore(uri=out, scores=True, confidence=True, mode="error")
    learner().predict(Scene.of(image), store, stride=48, shard=shard)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("last", "named", "shard"),
    [("map.tif", ["map.confidence.tif", "map.scores.tif", "map.tif.aux.xml"], None),
     ("map.confidence.tif", ["map.scores.tif"], None),
     ("map.tif", ["map.part.tif"], (0, 1))],
)  # fmt: skip
def test_a_run_that_replaces_nothing_goes_on_when_it_was_killed_between_two_names(
    whole, tmp_path, last, named, shard
):
    image, folder = whole
    out = tmp_path / "map.tif"
    done = forked(_named_until, image, str(out), last, shard)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert [name for name in names(tmp_path) if not name.startswith(".")] == named
    store = GeoTIFFLabelStore(uri=str(out), scores=True, confidence=True, mode="error")

    def go_on():
        learner().predict(Scene.of(image), store, stride=48, shard=shard, resume=True)

    of_others = tmp_path / named[0]
    kept = of_others.rename(tmp_path / "kept")
    of_others.write_text("of others")
    with pytest.raises(StoreError, match=rf"{named[0]}: is there already"):
        go_on()
    assert of_others.read_text() == "of others"
    assert [name for name in names(tmp_path) if not name.startswith(".")] == ["kept", named[0]]
    of_others.unlink()
    kept.unlink()
    go_on()
    assert not list(tmp_path.glob(".*"))
    if shard is None:
        assert contents(tmp_path, "map") == contents(folder, "map")
