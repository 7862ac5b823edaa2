"""Arguments that cannot be are refused before the work, and none is taken without a word."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import pytest
import rasterio
import torch

import geoseg.learner.prediction.perform as module
from geoseg.errors import ConfigError, LabelError, SceneError, StoreError
from geoseg.labels.base import LabelStore
from geoseg.labels.geotiff import GeoTIFFLabelStore
from geoseg.labels.sources import RasterLabels
from geoseg.learner import Learner, Training
from geoseg.learner.predict import predict
from geoseg.scene import Scene
from geoseg.sources.array import ArraySource
from geoseg.sources.vector import FileVectorSource
from tests.learner.prediction.runs import (
    CLASSES,
    Stop,
    learner,
    names,
    run,
    stop_after,
    write_scene,
)


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    return write_scene(tmp_path_factory.mktemp("arguments"))


def flat(image, valid):
    return torch.ones(len(image), 3, *image.shape[2:]) / 3


WRONG = [
    {"batch_size": 0},
    {"batch_size": -3},
    {"workers": -1},
    {"size": 0},
    {"size": (64,)},
    {"size": 64.5},
    {"stride": 1.5},
    {"stride": (0, 4)},
    {"blend": "soft"},
    {"tta": "d5"},
    {"max_memory": 0},
    {"max_memory": "500MB"},
]


@pytest.mark.parametrize("wrong", WRONG, ids=str)
@pytest.mark.parametrize("stored", [False, True])
def test_an_argument_that_cannot_be_is_a_config_error_that_names_it(image, tmp_path, wrong, stored):
    (name,) = wrong
    store = GeoTIFFLabelStore(uri=str(tmp_path / "map.tif")) if stored else None
    with pytest.raises(ConfigError, match=f"^{name} "):
        learner().predict(Scene.of(image), store, **wrong)
    with pytest.raises(ConfigError, match=f"^{name} "):
        predict(flat, Scene.of(image), CLASSES, store=store, **{"size": 64, **wrong})
    assert names(tmp_path) == []


@pytest.mark.parametrize("shard", [None, (0, 2)])
def test_a_run_cannot_go_on_from_rows_that_are_not_kept(image, tmp_path, shard):
    with pytest.raises(ConfigError, match=r"resume goes on from .* keep=False none are"):
        run(image, tmp_path / "map.tif", resume=True, keep=False, shard=shard)
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    "options", [{}, {"resume": True}, {"shard": (0, 2)}, {"scores": True}], ids=str
)
@pytest.mark.parametrize(
    "name", ["", ".", "..", "sub/", "sub", "a\0.tif", "a" * 236 + ".tif", "é" * 120 + ".tif"]
)
def test_an_output_that_can_be_no_file_is_refused_before_the_work(
    image, tmp_path, monkeypatch, name, options
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sub").mkdir()
    monkeypatch.setattr(module, "label_rows", None)  # no work is begun
    with pytest.raises(StoreError, match=r"is no name of a file|is a folder|choose a shorter one"):
        run(image, name, **options)
    assert names(tmp_path) == ["sub"]


def test_a_shard_replaces_neither_the_image_nor_what_may_not_be_replaced(tmp_path):
    source = write_scene(tmp_path)
    image = Path(source).rename(tmp_path / "big.part.tif")
    before = image.read_bytes()
    store = GeoTIFFLabelStore(uri=str(tmp_path / "big.tif"), scores=True)
    with pytest.raises(ConfigError, match=r"big\.part\.tif: is read as an input too"):
        learner().predict(Scene.of(str(image)), store, shard=(0, 2))
    assert image.read_bytes() == before
    (tmp_path / "p.part.tif").touch()
    store = GeoTIFFLabelStore(uri=str(tmp_path / "p.tif"), scores=True, mode="error")
    with pytest.raises(StoreError, match=r"p\.part\.tif: is there already"):
        learner().predict(Scene.of(str(image)), store, shard=(0, 2))


class Far(LabelStore):
    """Stands for a store of one's own on a server."""

    type: Literal["far"] = "far"
    uri: str

    @contextmanager
    def writer(self, grid, classes):
        yield self

    def write(self, window, ids, scores=None):
        pass

    def read(self):
        return None


def test_a_run_into_a_store_elsewhere_cannot_be_resumed_and_says_so(image):
    store = Far(uri="s3://bucket/map")
    learner().predict(Scene.of(image), store)
    with pytest.raises(ConfigError, match=r"Far has no local `uri` .* leave out `resume`"):
        learner().predict(Scene.of(image), store, resume=True)


def test_two_scenes_with_one_store_are_refused(image, tmp_path):
    scene = Scene.of(image)
    ids = np.zeros((1, *scene.grid.shape), np.uint8)
    labels = RasterLabels(source=ArraySource(data=ids, grid=scene.grid), classes=CLASSES)
    store = GeoTIFFLabelStore(uri=str(tmp_path / "map.tif"))
    pair = [scene.model_copy(update={"id": i, "labels": labels, "store": store}) for i in "ab"]
    with pytest.raises(SceneError, match=r"'a' and 'b' name one store, .*map\.tif"):
        learner().evaluate(pair)


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"),
        RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
        RuntimeError("MPS backend out of memory (MPS allocated: 4 GB)"),
        torch.cuda.OutOfMemoryError("CUDA out of memory"),
    ],
    ids=str,
)
def test_any_lack_of_memory_halves_the_batch_and_other_errors_do_not(image, error):
    def small(pixels, valid):
        if len(pixels) > 2:
            raise error
        return flat(pixels, valid)

    with pytest.warns(UserWarning, match="goes on with 2 windows at once"):
        predict(small, Scene.of(image), CLASSES, store=None, size=64, batch_size=4)

    def broken(pixels, valid):
        raise RuntimeError("shapes do not fit")

    with pytest.raises(RuntimeError, match="shapes do not fit"):
        predict(broken, Scene.of(image), CLASSES, store=None, size=64, batch_size=4)


def test_scores_are_0_where_the_map_is_ignored_in_memory_as_in_files(image, tmp_path):
    area = tmp_path / "area.geojson"
    ring = [[500010, 3999990], [500070, 3999990], [500070, 3999200], [500010, 3999990]]
    area.write_text(
        '{"type":"FeatureCollection","crs":{"type":"name","properties":{"name":"EPSG:32619"}},'
        f'"features":[{{"type":"Feature","properties":{{}},"geometry":{{"type":"Polygon",'
        f'"coordinates":[{ring}]}}}}]}}'
    )
    scene = Scene.of(image).model_copy(update={"aoi": FileVectorSource(uri=str(area))})
    found = learner().predict(scene, stride=48)
    ignored = found.to_array() == 255
    scores = found.scores(found.grid.whole)
    assert 0.4 < ignored.mean() < 0.9
    assert not scores[:, ignored].any()
    np.testing.assert_allclose(scores[:, ~ignored].sum(axis=0), 1, atol=1e-5)


class Bar:
    """Stands for tqdm."""

    made: ClassVar[list[Bar]] = []

    def __init__(self, *, total, desc, unit, disable, leave, ncols):
        assert ncols > 0
        self.total, self.desc, self.steps = total, desc, []
        Bar.made.append(self)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return None

    def update(self, count):
        self.steps.append(count)


def test_one_bar_counts_the_rows_that_are_predicted(tmp_path, monkeypatch):
    source = write_scene(tmp_path)
    monkeypatch.setattr(module, "tqdm", Bar)
    Bar.made = []
    with monkeypatch.context() as patch:
        stop_after(patch, 6)
        with pytest.raises(Stop):
            run(source, tmp_path / "map.tif")
    run(source, tmp_path / "map.tif", resume=True)
    run(source, tmp_path / "pieces.tif", max_memory=450_000)
    first, resumed, pieces = Bar.made
    assert (first.total, first.desc) == (1300, "predict image")
    assert 512 <= sum(first.steps) < 1300
    assert resumed.total == sum(resumed.steps) == 1300 - 512
    assert pieces.total == sum(pieces.steps) == 1300
    assert len(pieces.steps) > 1


def test_without_a_stride_it_is_half_of_what_the_model_gives():
    data = np.random.default_rng(0).integers(0, 255, (1, 90, 70), np.uint8)
    scene = Scene(id="a", image=ArraySource(data=data))
    mean = torch.ones(1, 1, 41, 41) / 41**2

    def middle(image, valid):
        level = torch.nn.functional.conv2d(image.float() / 255, mean)
        return torch.cat([level, 1 - level, level * 0], dim=1)

    found = predict(middle, scene, CLASSES, store=None, size=64)
    chosen = predict(middle, scene, CLASSES, store=None, size=64, stride=12)
    np.testing.assert_array_equal(found.to_array(), chosen.to_array())


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (lambda scores: scores[:1], r"gives \(1, 3, 64, 64\), expected .* of 4 windows"),
        (lambda scores: scores[:, :2], r"gives \(4, 2, 64, 64\), expected .* and 3 classes"),
        (lambda scores: scores.mean(0), r"gives \(3, 64, 64\), expected"),
        (lambda scores: scores.numpy(), "gives ndarray, expected a tensor"),
        (lambda scores: {"out": scores}, "gives dict, expected a tensor"),
        (lambda scores: scores * 9 - 4, "gives -1 to -1, expected .* take the softmax"),
        (lambda scores: scores / 0, "gives inf to inf, expected probabilities"),
        (lambda scores: scores * np.nan, "gives NaN where the image is valid"),
    ],
    ids=range(8),
)
@pytest.mark.parametrize("tta", [None, "d4"])
def test_a_model_that_gives_no_probabilities_of_its_batch_is_refused(image, answer, told, tta):
    def model(pixels, valid):
        return answer(flat(pixels, valid))

    with pytest.raises(LabelError, match=told):
        predict(model, Scene.of(image), CLASSES, store=None, size=64, batch_size=4, tta=tta)


def test_where_an_image_is_not_valid_a_model_may_give_anything(image):
    def model(pixels, valid):
        return torch.where(valid[:, None], flat(pixels, valid), torch.nan)

    found = predict(model, Scene.of(image), CLASSES, store=None, size=64, batch_size=4)
    expected = predict(flat, Scene.of(image), CLASSES, store=None, size=64, batch_size=4)
    np.testing.assert_array_equal(found.to_array(), expected.to_array())


def test_a_finished_map_is_predicted_anew_and_resume_says_so(tmp_path):
    source = write_scene(tmp_path)
    run(source, tmp_path / "map.tif")
    before = (tmp_path / "map.tif").read_bytes()
    with pytest.warns(UserWarning, match=r"map\.tif: is there already .* nothing to resume"):
        run(source, tmp_path / "map.tif", resume=True)
    assert (tmp_path / "map.tif").read_bytes() == before


@pytest.mark.parametrize("size", [(96, 96), (70, 200), (1400, 130)])
def test_windows_may_be_larger_than_those_of_the_training_and_than_the_scene(image, size):
    rng = np.random.default_rng(5)
    network = torch.nn.Conv2d(2, 3, 1)
    weight, bias = rng.normal(0, 3, (3, 2)), rng.normal(0, 1, 3)
    network.weight.data[:] = torch.from_numpy(weight)[..., None, None].float()
    network.bias.data[:] = torch.from_numpy(bias).float()
    made = Learner(CLASSES, Training(size=32, batch_size=3), model=network)
    found = made.predict(Scene.of(image), size=size)
    with rasterio.open(image) as file:
        data, valid = file.read() / 255, file.dataset_mask() > 0
    logits = np.tensordot(weight, data, 1) + bias[:, None, None]
    expected = np.exp(logits) / np.exp(logits).sum(axis=0)
    scores = found.scores(found.grid.whole)
    np.testing.assert_allclose(scores[:, valid], expected[:, valid], atol=1e-5)
    np.testing.assert_array_equal(found.to_array() == 255, ~valid)
