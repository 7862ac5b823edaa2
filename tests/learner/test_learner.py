"""The Learner: fit, predict, save, load; and what it refuses."""

from __future__ import annotations

import signal
import subprocess
import sys
import zipfile

import numpy as np
import pytest
import rasterio
import torch
from affine import Affine
from safetensors.numpy import load as load_safetensors
from torch import nn
from torch.utils.data import Dataset

from geoseg import yamltext
from geoseg.classes import ClassMap
from geoseg.errors import BundleError, ConfigError, LabelError, SceneError
from geoseg.grid import Grid
from geoseg.labels.geotiff import GeoTIFFLabelStore
from geoseg.labels.sources import RasterLabels
from geoseg.learner import Learner, Training
from geoseg.learner.bundle import load_bundle
from geoseg.scene import Scene
from geoseg.sources.array import ArraySource
from geoseg.sources.geotiff import GeoTIFFSource
from tests.support.waiting import PATIENCE

CLASSES = ClassMap.model_validate([{"id": 3, "name": "dark"}, {"id": 1, "name": "bright"}])
GRID = Grid(crs="EPSG:32619", transform=[10, 0, 5e5, 0, -10, 4e6], height=61, width=83)
SMALL = Training(
    size=32, length=32, batch_size=4, epochs=3, lr=1e-2, model_options={"width": 4, "depth": 2}
)


def made_scene(seed=0, *, name="a", labels=True, bands=("red", "nir"), dtype="uint8", grid=GRID):
    """Blobs that are bright or dark in both bands, with noise; a corner is not valid."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 2, (8, 11))
    bright = coarse.repeat(8, axis=0).repeat(8, axis=1)[: grid.height, : grid.width] == 1
    data = np.where(bright, 150, 60) + rng.normal(0, 12, (len(bands), *grid.shape))
    valid = np.ones(grid.shape, bool)
    valid[:9, :7] = False
    image = ArraySource(data=data.astype(dtype), valid=valid, grid=grid, band_names=bands)
    ids = np.where(bright, 1, 3).astype(np.uint8)
    truth = RasterLabels(source=ArraySource(data=ids, grid=grid), classes=CLASSES)
    return Scene(id=name, image=image, labels=truth if labels else None)


@pytest.fixture(scope="module")
def fitted():
    options = SMALL.model_copy(update={"epochs": 8})
    return Learner(CLASSES, options).fit([made_scene(0), made_scene(1, name="b")], [made_scene(2)])


def test_a_fit_learns_to_tell_the_classes_apart_by_ids_that_are_no_channels(fitted):
    evaluation = fitted.evaluate([made_scene(5, name="new")])
    assert evaluation.to_dict()["overall"]["mean_iou"] > 0.9
    assert len(fitted.history) == 8
    assert fitted.history[-1]["valid_mean_iou"] > 0.9


def test_two_fits_with_one_seed_are_the_same_to_the_bit_and_leave_the_callers_randomness_alone():
    torch.manual_seed(11)
    expected = torch.rand(3)
    torch.manual_seed(11)
    one = Learner(CLASSES, SMALL).fit([made_scene(0)])
    assert torch.equal(torch.rand(3), expected)
    two = Learner(CLASSES, SMALL).fit([made_scene(0)])
    for key, value in one.module.state_dict().items():
        assert torch.equal(value, two.module.state_dict()[key]), key


def test_statistics_are_those_of_valid_pixels_of_all_training_scenes(fitted):
    pixels = []
    for seed in (0, 1):
        image = made_scene(seed).image
        pixels.append(image.data[:, image.valid].astype(float))
    together = np.concatenate(pixels, axis=1)
    assert np.allclose(fitted.data.statistics.mean, together.mean(axis=1))
    assert np.allclose(fitted.data.statistics.std, together.std(axis=1))
    assert fitted.data.band_names == ("red", "nir")
    assert fitted.data.dtype == "uint8"


def test_a_prediction_is_ignored_where_the_image_is_not_valid_and_scores_sum_to_one(fitted):
    scene = made_scene(4, labels=False)
    labels = fitted.predict(scene, size=32, stride=16)
    ids = labels.to_array()
    assert np.array_equal(ids == 255, ~scene.image.valid)
    assert set(np.unique(ids)) == {1, 3, 255}
    scores = labels.scores(GRID.whole)
    assert np.allclose(scores.sum(axis=0)[scene.image.valid], 1, atol=1e-5)
    best = np.array([3, 1])[scores.argmax(axis=0)]
    assert np.array_equal(best[scene.image.valid], ids[scene.image.valid])


@pytest.mark.parametrize("blend", ["center", "mean", "linear", "hann", "gaussian"])
def test_a_prediction_equals_a_whole_array_reference(fitted, blend):
    scene = made_scene(4, labels=False)
    size, stride = (32, 24), (16, 11)
    module = fitted.module.eval()
    padded = np.where(scene.image.valid, scene.image.data, 0)
    sums, total = np.zeros((2, 61, 83)), np.zeros((61, 83))
    rows = [*range(0, 61 - 32, 16), 61 - 32]
    cols = [*range(0, 83 - 24, 11), 83 - 24]
    for row in rows:
        for col in cols:
            place = slice(row, row + 32), slice(col, col + 24)
            image = torch.from_numpy(padded[(slice(None), *place)])[None]
            valid = torch.from_numpy(scene.image.valid[place])[None]
            with torch.no_grad():
                scores = module(image, valid).softmax(dim=1)[0].double().numpy()
            weight = np.outer(side(blend, 32), side(blend, 24))
            if blend == "center":
                weight = np.outer(owned(rows, row, 32, 61), owned(cols, col, 24, 83))
            sums[(slice(None), *place)] += scores * weight
            total[place] += weight
    expected = sums / total
    found = fitted.predict(scene, size=size, stride=stride, blend=blend).scores(GRID.whole)
    where = scene.image.valid
    assert np.abs(found - expected)[:, where].max() < 1e-5


def side(blend, n):
    t = (np.arange(n) + 0.5) / n
    return {
        "center": np.ones(n),
        "mean": np.ones(n),
        "linear": 1 - np.abs(2 * t - 1),
        "hann": np.sin(np.pi * t) ** 2,
        "gaussian": np.exp(-0.5 * ((t - 0.5) * 8) ** 2),
    }[blend]


def owned(starts, start, size, length):
    """1 for the pixels of this window that lie nearer its middle than any other's part."""
    i = starts.index(start)
    first = 0 if i == 0 else (starts[i - 1] + size + start) // 2
    stop = length if i == len(starts) - 1 else (start + size + starts[i + 1]) // 2
    at = np.arange(start, start + size)
    return ((at >= first) & (at < stop)).astype(float)


@pytest.mark.parametrize("shape", [(9, 83), (61, 5), (1, 1), (20, 20)])
def test_scenes_smaller_than_a_window_are_predicted_whole(fitted, shape):
    grid = Grid(
        crs="EPSG:32619", transform=[10, 0, 5e5, 0, -10, 4e6], height=shape[0], width=shape[1]
    )
    data = np.full((2, *shape), 150, np.uint8)
    scene = Scene(id="s", image=ArraySource(data=data, grid=grid, band_names=("red", "nir")))
    ids = fitted.predict(scene).to_array()
    assert ids.shape == shape
    assert set(np.unique(ids)) <= {1, 3}


def file_scene(tmp_path, seed=4):
    scene = made_scene(seed, labels=False)
    uri = str(tmp_path / "image.tif")
    with rasterio.open(
        uri, "w", driver="GTiff", height=61, width=83, count=2, dtype="uint8", crs="EPSG:32619",
        transform=Affine(10, 0, 5e5, 0, -10, 4e6), nodata=0, tiled=True, blockxsize=32, blockysize=32,
    ) as file:  # fmt: skip
        file.write(np.where(scene.image.valid, np.maximum(scene.image.data, 1), 0))
        file.descriptions = ("red", "nir")
    return Scene(id="image", image=GeoTIFFSource(uri=uri))


@pytest.mark.slow
def test_the_map_is_byte_equal_with_0_and_2_workers_and_close_for_other_batch_sizes(
    fitted, tmp_path
):
    scene = file_scene(tmp_path)
    for workers in (0, 2):
        store = GeoTIFFLabelStore(uri=str(tmp_path / f"{workers}.tif"))
        fitted.predict(scene, store, stride=8, workers=workers)
    assert (tmp_path / "0.tif").read_bytes() == (tmp_path / "2.tif").read_bytes()
    one, seven = (fitted.predict(scene, stride=8, batch_size=n) for n in (1, 7))
    apart = np.abs(one.scores(GRID.whole) - seven.scores(GRID.whole))
    assert apart.max() < 1e-4
    differ = one.to_array() != seven.to_array()
    ties = np.abs(np.diff(one.scores(GRID.whole), axis=0))[0] < 1e-4
    assert (ties | ~differ).all()


def test_a_bundle_brings_back_the_same_predictions(fitted, tmp_path):
    uri = str(tmp_path / "new" / "bundle.zip")
    fitted.save(uri)
    again = Learner.load(uri)
    scene = made_scene(7, labels=False)
    assert np.array_equal(again.predict(scene).to_array(), fitted.predict(scene).to_array())
    assert (again.classes, again.training, again.data) == (
        fitted.classes, fitted.training, fitted.data,
    )  # fmt: skip


def test_a_bundle_is_a_zip_of_safetensors_and_yaml_with_the_same_bytes_each_time(fitted, tmp_path):
    one, two = tmp_path / "one.zip", tmp_path / "two.zip"
    fitted.save(str(one))
    fitted.save(str(two))
    assert one.read_bytes() == two.read_bytes()
    with zipfile.ZipFile(one) as file:
        assert sorted(file.namelist()) == [
            "geoseg.yaml", "history.json", "manifest.json", "mlm.json", "model.safetensors",
        ]  # fmt: skip
        weights = load_safetensors(file.read("model.safetensors"))
        text = file.read("geoseg.yaml").decode()
    assert {"mean", "std"} < set(weights)
    for word in ("red", "nir", "dark", "bright", "uint8", "statistics", "resolution_m"):
        assert word in text
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize("damage", ["missing", "text", "no yaml", "half", "newer", "pickle"])
def test_what_is_no_bundle_is_refused_with_its_name(fitted, tmp_path, damage):
    uri = tmp_path / "bundle.zip"
    if damage == "text":
        uri.write_text("not a zip")
    elif damage in ("no yaml", "newer", "pickle"):
        with zipfile.ZipFile(uri, "w") as file:
            file.writestr("model.safetensors", b"")
            if damage == "newer":
                file.writestr("geoseg.yaml", "format: geoseg-bundle/9\n")
            if damage == "pickle":
                file.writestr("geoseg.yaml", "!!python/object/apply:os.system ['echo hello']\n")
    elif damage == "half":
        fitted.save(str(uri))
        uri.write_bytes(uri.read_bytes()[:-3000])
    with pytest.raises(BundleError, match=r"bundle\.zip"):
        Learner.load(str(uri))


def test_a_scene_with_other_bands_or_dtype_is_refused(fitted):
    with pytest.raises(BundleError, match="by name in that order"):
        fitted.predict(made_scene(bands=("nir", "red")))
    with pytest.raises(BundleError, match="3 bands"):
        fitted.predict(made_scene(bands=("red", "nir", "blue")))
    with pytest.raises(BundleError, match="uint16"):
        fitted.predict(made_scene(dtype="uint16"))


def test_bands_without_names_and_another_resolution_are_told(fitted):
    with pytest.warns(UserWarning, match="cannot be compared by name"):
        fitted.predict(made_scene(bands=("1", "2")))
    coarse = Grid(crs="EPSG:32619", transform=[40, 0, 5e5, 0, -40, 4e6], height=61, width=83)
    with pytest.warns(UserWarning, match="a pixel is 40"):
        fitted.predict(made_scene(grid=coarse))


class Threshold(nn.Module):
    """Bright above 0.4 of the first channel, without anything to learn."""

    def forward(self, image):
        return torch.stack([0.4 - image[:, 0], image[:, 0] - 0.4], dim=1) * 100


def test_a_module_of_ones_own_predicts_without_a_fit():
    scene = made_scene(3)
    ids = Learner(CLASSES, SMALL, model=Threshold()).predict(scene).to_array()
    expected = np.where(scene.image.data[0] / 255 > 0.4, 1, 3)
    valid = scene.image.valid
    assert (ids[valid] == expected[valid]).mean() > 0.999


def test_floats_reach_a_module_of_ones_own_unchanged():
    seen = []

    class Spy(nn.Module):
        def forward(self, image):
            seen.append(image.clone())
            return torch.zeros(len(image), 2, *image.shape[2:])

    data = np.random.default_rng(0).normal(0, 1000, (1, 20, 30)).astype(np.float32)
    Learner(CLASSES, SMALL, model=Spy()).predict(Scene(id="a", image=ArraySource(data=data)))
    assert np.array_equal(seen[0][0, :, :20, :30].numpy(), data)


def test_a_bundle_of_ones_own_module_asks_for_it(tmp_path):
    uri = str(tmp_path / "own.zip")

    def network():
        return nn.Conv2d(2, 2, 1)

    learner = Learner(CLASSES, SMALL, model=network()).fit([made_scene(0)])
    learner.save(uri)
    with pytest.raises(BundleError, match=r"model=Conv2d\("):
        Learner.load(uri)
    again = Learner.load(uri, model=network())
    scene = made_scene(1)
    assert np.array_equal(again.predict(scene).to_array(), learner.predict(scene).to_array())
    with pytest.raises(BundleError, match="do not fit"):
        Learner.load(uri, model=nn.Conv2d(2, 5, 1))


def test_a_learner_without_a_model_says_so():
    with pytest.raises(BundleError, match=r"call fit\(\)"):
        Learner(CLASSES).predict(made_scene())


def test_scenes_that_cannot_be_trained_on_are_refused():
    with pytest.raises(SceneError, match="no labels"):
        Learner(CLASSES, SMALL).fit([made_scene(labels=False)])
    with pytest.raises(ConfigError, match="one class map"):
        Learner(ClassMap.of("x", "y"), SMALL).fit([made_scene()])
    with pytest.raises(SceneError, match="no labels"):
        Learner(CLASSES, SMALL, model=Threshold()).evaluate([made_scene(labels=False)])


class Pairs(Dataset):
    """A map-style data set that knows no scenes."""

    def __len__(self):
        return 12

    def __getitem__(self, index):
        rng = np.random.default_rng(index)
        bright = rng.integers(0, 2, (4, 4)).repeat(4, axis=0).repeat(4, axis=1)
        image = torch.from_numpy(bright[None].repeat(2, axis=0) * 0.5).float()
        mask = torch.from_numpy(np.where(bright, 1, 3))
        return {"image": image, "mask": mask, "valid": torch.ones(16, 16, dtype=torch.bool)}


def test_a_map_style_data_set_can_be_trained_on():
    training = SMALL.model_copy(update={"epochs": 16, "size": 16})
    learner = Learner(CLASSES, training).fit(Pairs(), Pairs())
    assert learner.history[-1]["valid_mean_iou"] > 0.9


@pytest.mark.slow
def test_a_folder_keeps_metrics_and_a_checkpoint_to_go_on_from(tmp_path):
    whole = Learner(CLASSES, SMALL).fit([made_scene(0)], folder=str(tmp_path / "whole"))
    assert (tmp_path / "whole" / "metrics.csv").read_text().count("\n") == 4
    more = SMALL.model_copy(update={"epochs": 4, "schedule": "constant"})
    part = SMALL.model_copy(update={"epochs": 2, "schedule": "constant"})
    straight = Learner(CLASSES, more).fit([made_scene(0)])
    Learner(CLASSES, part).fit([made_scene(0)], folder=str(tmp_path / "part"))
    resumed = Learner(CLASSES, more).fit(
        [made_scene(0)], resume=str(tmp_path / "part" / "last.ckpt")
    )
    assert whole.history[-1]["epoch"] == 2
    for key, value in straight.module.state_dict().items():
        assert torch.equal(value, resumed.module.state_dict()[key]), key


def test_windows_differ_from_epoch_to_epoch(monkeypatch):
    from geoseg.learner.module import SegmentationModule

    seen = {}
    step = SegmentationModule.training_step

    def spy(self, batch, batch_idx):
        seen.setdefault(self.current_epoch, []).extend(
            zip(batch["row"].tolist(), batch["col"].tolist(), strict=True)
        )
        return step(self, batch, batch_idx)

    monkeypatch.setattr(SegmentationModule, "training_step", spy)
    Learner(CLASSES, SMALL).fit([made_scene(0)])
    assert len(seen) == 3
    assert seen[0] != seen[1] != seen[2]


_INTERRUPTED = """
import signal, sys, time
import torch
from geoseg import yamltext
from geoseg.classes import ClassMap
from geoseg.labels.geotiff import GeoTIFFLabelStore
from geoseg.learner.predict import predict
from geoseg.scene import Scene

signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
calls = 0

def model(image, valid):
    global calls
    calls += 1
    if calls == 3:
        print("running", flush=True)
        time.sleep(900)  # here the signal comes: what is raised in a destructor would be lost
    return torch.ones(len(image), 2, *image.shape[2:]) / 2

scene, out = Scene.of(sys.argv[1]), GeoTIFFLabelStore(uri=sys.argv[2])
predict(model, scene, ClassMap.of("a", "b"), store=out, size=16, stride=8, batch_size=4)
"""


@pytest.mark.slow
def test_a_terminated_prediction_leaves_no_file(tmp_path):
    scene = file_scene(tmp_path)
    out = tmp_path / "out" / "map.tif"
    process = subprocess.Popen(
        [sys.executable, "-c", _INTERRUPTED, scene.image.uri, str(out)],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout.readline() == "running\n"
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=PATIENCE)
    assert process.returncode != 0
    assert list(out.parent.iterdir()) == []


class Spy(nn.Module):
    """Remembers the shapes of what reaches it."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def forward(self, image):
        self.seen.append(image.clone())
        return torch.zeros(len(image), 2, *image.shape[2:])


def test_every_batch_is_filled_up_so_that_kernels_do_not_differ():
    spy = Spy()
    Learner(CLASSES, SMALL, model=spy).predict(made_scene(), size=20, stride=9, batch_size=7)
    assert {len(image) for image in spy.seen} == {7}


def test_windows_without_a_valid_pixel_never_reach_the_model():
    spy = Spy()
    data = np.full((1, 64, 96), 9, np.uint8)
    valid = np.zeros((64, 96), bool)
    valid[20:30, 50:60] = True
    scene = Scene(id="a", image=ArraySource(data=data, valid=valid))
    labels = Learner(CLASSES, SMALL, model=spy).predict(scene, size=16, stride=16, batch_size=1)
    assert len(spy.seen) == 1  # of 24
    assert np.array_equal(labels.to_array() != 255, valid)


def test_a_data_set_of_windows_given_to_fit_gets_new_windows_in_each_epoch(monkeypatch):
    from geoseg.datasets import RandomWindowGeoDataset
    from geoseg.learner.module import SegmentationModule

    seen = {}
    step = SegmentationModule.training_step

    def spy(self, batch, batch_idx):
        seen.setdefault(self.current_epoch, set()).update(
            zip(batch["row"].tolist(), batch["col"].tolist(), strict=True)
        )
        return step(self, batch, batch_idx)

    monkeypatch.setattr(SegmentationModule, "training_step", spy)
    windows = RandomWindowGeoDataset([made_scene()], 32, 16, seed=1, size_range=(20, 40))
    Learner(CLASSES, SMALL).fit(windows)
    assert seen[0] != seen[1] != seen[2]


def test_scenes_whose_bands_come_in_another_order_are_not_mixed():
    with pytest.raises(SceneError, match="nir, red"):
        Learner(CLASSES, SMALL).fit([made_scene(), made_scene(1, name="b", bands=("nir", "red"))])
    with pytest.raises(BundleError, match="by name in that order"):
        Learner(CLASSES, SMALL).fit([made_scene()], [made_scene(1, bands=("nir", "red"))])


def test_a_map_never_replaces_its_own_image(fitted, tmp_path):
    scene = file_scene(tmp_path)
    before = (tmp_path / "image.tif").read_bytes()
    (tmp_path / "link.tif").hardlink_to(tmp_path / "image.tif")
    for name in ("image.tif", "link.tif"):
        with pytest.raises(ConfigError, match="overwritten"):
            fitted.predict(scene, GeoTIFFLabelStore(uri=str(tmp_path / name)))
    assert (tmp_path / "image.tif").read_bytes() == before


def test_a_training_that_diverges_is_an_error():
    wild = SMALL.model_copy(update={"lr": 1e30, "schedule": "constant"})
    with pytest.raises(LabelError, match="diverged"):
        Learner(CLASSES, wild).fit([made_scene()])


def test_scenes_of_one_name_are_not_taken_for_one_another(fitted):
    with pytest.raises(SceneError, match="two scenes are called 'a'"):
        fitted.evaluate([made_scene(1), made_scene(2)])
    with pytest.raises(ConfigError, match="at least one scene"):
        fitted.evaluate([])


def test_pixels_that_are_no_numbers_are_refused():
    scene = Scene(id="a", image=ArraySource(data=np.ones((1, 9, 9), np.complex64)))
    with pytest.raises(SceneError, match="complex64"):
        Learner(CLASSES, SMALL, model=Threshold()).predict(scene)


def test_a_bundle_keeps_history_histogram_and_versions(fitted, tmp_path):
    uri = str(tmp_path / "a.zip")
    fitted.save(uri)
    again = Learner.load(uri)
    assert again.history == fitted.history
    assert again.histogram == fitted.histogram
    again.save(str(tmp_path / "b.zip"))
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()
    info, _ = load_bundle(uri)
    assert info.network is None
    assert {"geoseg", "torch", "python"} <= {*info.versions}


def test_another_class_of_network_is_told_where_its_weights_fit(tmp_path):
    class Mine(nn.Conv2d):
        pass

    uri = str(tmp_path / "own.zip")
    learner = Learner(CLASSES, SMALL, model=Mine(2, 2, 1))
    learner.save(uri)
    with pytest.raises(BundleError, match=r"Mine; pass it: Learner\.load\(uri, model=Mine\("):
        Learner.load(uri)
    Learner.load(uri, model=Mine(2, 2, 1))
    with pytest.warns(UserWarning, match=r"Mine, but torch\S*Conv2d is given"):
        Learner.load(uri, model=nn.Conv2d(2, 2, 1))


def test_a_bundle_of_the_first_format_predicts_the_same(fitted, tmp_path):
    uri = tmp_path / "a.zip"
    fitted.save(str(uri))
    with zipfile.ZipFile(uri) as file:
        tensors, text = file.read("model.safetensors"), file.read("geoseg.yaml").decode()
    old = yamltext.load(text) | {"format": "geoseg-bundle/1"}
    kept = ("format", "classes", "training", "in_channels", "data")
    with zipfile.ZipFile(uri, "w") as file:
        file.writestr("model.safetensors", tensors)
        file.writestr("geoseg.yaml", yamltext.dump({key: old[key] for key in kept}))
    again, scene = Learner.load(str(uri)), made_scene(7, labels=False)
    assert np.array_equal(again.predict(scene).to_array(), fitted.predict(scene).to_array())
    assert (again.history, again.histogram) == ([], None)
