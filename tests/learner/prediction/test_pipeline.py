"""Threads beside the model: order, exceptions, and that they always end."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest
import torch

from geoseg.errors import SourceError, StoreError
from geoseg.labels.geotiff import GeoTIFFLabelStore, GeoTIFFLabelWriter
from geoseg.learner.predict import predict
from geoseg.learner.prediction.pipeline import ahead, behind
from geoseg.scene import Scene
from geoseg.sources.geotiff import GeoTIFFSource
from tests.learner.prediction.runs import CLASSES, names, write_scene
from tests.support.waiting import PATIENCE


def ours():
    return [thread for thread in threading.enumerate() if thread.name.startswith("geoseg-")]


@pytest.fixture(autouse=True)
def threads_end():
    yield
    assert ours() == []


def test_items_come_in_order_and_no_more_wait_than_allowed():
    got, most = [], []

    def items():
        for i in range(50):
            got.append(i)
            yield i

    for i in ahead(items(), depth=2):
        time.sleep(0.001)
        most.append(len(got) - i)
    assert len(most) == 50
    assert max(most) <= 5
    assert got == list(range(50))


def test_an_exception_of_the_items_comes_in_its_place():
    def items():
        yield 1
        raise SourceError("broken")

    found = []
    with pytest.raises(SourceError, match="broken"):
        found.extend(ahead(items()))
    assert list(ahead([])) == []


def test_a_receiver_that_stops_early_ends_the_thread_and_closes_the_items():
    closed = []

    def items():
        try:
            yield from range(1000)
        finally:
            closed.append(threading.current_thread().name)

    stream = ahead(items())
    assert next(stream) == 0
    stream.close()
    assert closed == ["geoseg-reader"]


def test_all_is_worked_on_in_order_at_the_end_of_the_block():
    done = []

    def work(item):
        time.sleep(0.002)
        done.append((item, threading.current_thread().name))

    with behind(work) as give:
        for i in range(20):
            give(i)
    assert done == [(i, "geoseg-writer") for i in range(20)]


@pytest.mark.parametrize("count", [1, 50])
def test_an_exception_of_the_work_is_raised_and_no_more_is_worked_on(count):
    done = []

    def work(item):
        done.append(item)
        raise StoreError("full")

    def give_all():
        with behind(work) as give:
            for i in range(count):
                give(i)

    with pytest.raises(StoreError, match="full"):
        give_all()
    assert done == [0]


def test_an_exception_of_the_block_stops_the_work():
    begun, at_work, stopped = [], threading.Event(), []

    def work(item):
        begun.append(item)
        at_work.set()
        stopped[0].wait(PATIENCE)  # the first item is at hand until the block has ended

    def interrupted():
        with behind(work, depth=9) as give:
            stopped.append(give.__self__._stopped)
            for i in range(9):
                give(i)
            assert at_work.wait(PATIENCE)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert begun == [0]


def model(image, valid):
    return torch.ones(len(image), 3, *image.shape[2:]) / 3


@pytest.mark.parametrize("part", ["reader", "model", "writer"])
def test_whatever_fails_is_raised_and_leaves_no_file_and_no_thread(tmp_path, monkeypatch, part):
    scene = Scene.of(write_scene(tmp_path))
    store = GeoTIFFLabelStore(uri=str(tmp_path / "map.tif"))

    def fail(*_, **__):
        raise StoreError(part)

    broken = model
    if part == "model":
        broken = fail
    elif part == "reader":
        monkeypatch.setattr(GeoTIFFSource, "read", fail)
    else:
        monkeypatch.setattr(GeoTIFFLabelWriter, "write", fail)
    with pytest.raises(StoreError, match=part):
        predict(broken, scene, CLASSES, store=store, size=64)
    assert names(tmp_path) == ["image.tif"]


class Small:
    """A device with room for so many windows."""

    def __init__(self, room):
        self.room, self.sizes = room, []

    def __call__(self, image, valid):
        if len(image) > self.room:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        self.sizes.append(len(image))
        return torch.softmax(torch.cat([image.float(), valid[:, None].float()], dim=1) / 99, dim=1)


def test_a_batch_that_is_too_large_for_the_device_is_halved_and_told(tmp_path):
    scene = Scene.of(write_scene(tmp_path))
    room = Small(3)
    with pytest.warns(UserWarning, match="goes on with") as told:
        found = predict(room, scene, CLASSES, store=None, size=64, batch_size=9)
    assert [str(w.message).split("with ")[1][:2] for w in told] == ["5 ", "3 "]
    assert set(room.sizes) == {3}
    expected = predict(Small(9), scene, CLASSES, store=None, size=64, batch_size=9)
    whole = scene.grid.whole
    np.testing.assert_allclose(found.scores(whole), expected.scores(whole), atol=1e-4)


def test_no_room_for_one_window_is_an_error(tmp_path):
    scene = Scene.of(write_scene(tmp_path))
    with (
        pytest.raises(torch.cuda.OutOfMemoryError),
        pytest.warns(UserWarning, match="goes on with 1 windows"),
    ):
        predict(Small(0), scene, CLASSES, store=None, size=64, batch_size=2)


@pytest.mark.parametrize("resume", [False, True])
def test_a_part_notes_that_memory_ran_out_and_merge_tells(tmp_path, resume):
    from geoseg.labels.parts import merge

    scene, parts = Scene.of(write_scene(tmp_path)), []
    for i, room in enumerate([4, 2]):
        store = GeoTIFFLabelStore(uri=str(tmp_path / f"{i}.tif"))
        options = {"shard": (i, 2), "model_digest": "m", "resume": resume}
        parts.append(store.uri)
        if i:
            with pytest.warns(UserWarning, match="not enough"):
                predict(Small(room), scene, CLASSES, store=store, size=64, batch_size=4, **options)
        else:
            predict(Small(room), scene, CLASSES, store=store, size=64, batch_size=4, **options)
    with pytest.warns(UserWarning, match=r"first .*1\.tif: memory ran out: 2 windows at once"):
        merge(parts, GeoTIFFLabelStore(uri=str(tmp_path / "map.tif")))
