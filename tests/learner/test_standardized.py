"""A Standardize at the end of the images: recorded, given to images without it, never done twice."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pytest
import pytorch_lightning as pl
import rasterio
import torch
from typer.testing import CliRunner

from geoseg.classes import ClassMap
from geoseg.cli.main import app
from geoseg.errors import BundleError, ConfigError
from geoseg.grid import Grid
from geoseg.labels.sources import RasterLabels
from geoseg.learner import Learner, SegmentationData, SegmentationModule, Training
from geoseg.learner.bundle import load_bundle
from geoseg.learner.facts import facts_of
from geoseg.learner.standardized import standardize_of, with_standardize
from geoseg.scene import Scene
from geoseg.sources.array import ArraySource
from geoseg.sources.base import Chip, RasterSource
from geoseg.sources.stack import StackSource
from geoseg.sources.transforms.scaling import Log, Standardize
from geoseg.sources.warp import WarpedSource
from geoseg.window import Window

CLASSES = ClassMap.of("dark", "bright")
GRID = Grid(crs="EPSG:32619", transform=[10, 0, 5e5, 0, -10, 4e6], height=61, width=83)
SMALL = Training(
    size=32, length=16, batch_size=4, epochs=2, lr=1e-2, model_options={"width": 4, "depth": 2}
)
quiet = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore:.*many workers.*")


class Plain(RasterSource):
    """A kind without transforms."""

    type: Literal["plain-for-tests"] = "plain-for-tests"
    inner: RasterSource

    @property
    def grid(self) -> Grid:
        return self.inner.grid

    @property
    def band_names(self) -> tuple[str, ...]:
        return self.inner.band_names

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.inner.dtype

    def read(self, window: Window) -> Chip:
        return self.inner.read(window)


def scene(seed=0, *transforms, dtype="uint8"):
    rng = np.random.default_rng(seed)
    bright = rng.integers(0, 2, (8, 11)).repeat(8, axis=0).repeat(8, axis=1)[:61, :83] == 1
    data = np.where(bright, 150, 60) + rng.normal(0, 12, (2, 61, 83)) + [[[0]], [[40]]]
    valid = np.ones((61, 83), bool)
    valid[:9, :7] = False
    image = ArraySource(
        data=data.astype(dtype),
        valid=valid,
        grid=GRID,
        band_names=("red", "nir"),
        transforms=transforms,
    )
    labels = ArraySource(data=bright.astype("uint8"), grid=GRID)
    return Scene(id=f"s{seed}", image=image, labels=RasterLabels(source=labels, classes=CLASSES))


TRAIN = (0, 1)
STANDARDIZE = Standardize.of([scene(seed).image for seed in TRAIN])
OTHER = Standardize(mean=(1, 2), std=(3, 4))


@pytest.fixture(scope="module")
def fitted():
    """Trained on standardized images, measured on one with and one without."""
    train = [scene(seed, STANDARDIZE) for seed in TRAIN]
    return Learner(CLASSES, SMALL).fit(train, [scene(2), scene(3, STANDARDIZE)])


@pytest.fixture(scope="module")
def fitted_plain():
    return Learner(CLASSES, SMALL).fit([scene(seed) for seed in TRAIN], [scene(2), scene(3)])


def same(one, other):
    return np.array_equal(one.scores(GRID.whole), other.scores(GRID.whole)) and np.array_equal(
        one.to_array(), other.to_array()
    )


def test_it_is_recorded_and_the_module_does_nothing_of_its_own(fitted, fitted_plain):
    assert fitted.data.standardize == STANDARDIZE
    assert fitted_plain.data.standardize is None
    assert fitted.data == fitted_plain.data.model_copy(update={"standardize": STANDARDIZE})
    assert fitted.data.statistics.mean == pytest.approx(STANDARDIZE.mean)
    assert fitted.data.dtype == "uint8"
    assert not fitted.module.mean.any()
    assert (fitted.module.std == 1).all()


def test_an_image_with_and_one_without_give_the_same_map_and_that_of_a_model_without(
    fitted, fitted_plain
):
    found = fitted.predict(scene(5, STANDARDIZE))
    assert same(found, fitted.predict(scene(5)))
    plain = fitted_plain.predict(scene(5))
    np.testing.assert_allclose(found.scores(GRID.whole), plain.scores(GRID.whole), atol=1e-3)
    assert (found.to_array() == plain.to_array()).mean() > 0.999
    assert (
        fitted.evaluate([scene(5)]).to_dict() == fitted.evaluate([scene(5, STANDARDIZE)]).to_dict()
    )
    iou = [learner.history[-1]["valid_mean_iou"] for learner in (fitted, fitted_plain)]
    assert iou[0] == pytest.approx(iou[1], abs=0.02)


def test_the_network_sees_the_same_numbers_with_and_without(fitted, fitted_plain):
    seen = []
    for learner, one in ((fitted, scene(5, STANDARDIZE)), (fitted_plain, scene(5))):
        image = torch.from_numpy(one.image.read(GRID.whole).data)[None]
        seen.append(learner.module.normalized(image))
    assert torch.allclose(*seen, atol=1e-4)
    assert abs(float(seen[0].mean())) < 1


def test_a_bundle_keeps_it_and_the_command_line_applies_it_to_a_plain_file(fitted, tmp_path):
    bundle, image, out = (str(tmp_path / name) for name in ("m.zip", "a.tif", "map.tif"))
    fitted.save(bundle)
    info, _ = load_bundle(bundle)
    assert info.data == fitted.data
    again = Learner.load(bundle)
    expected = fitted.predict(scene(5))
    for one in (scene(5), scene(5, STANDARDIZE)):
        assert same(again.predict(one), expected)
    source = scene(5).image
    profile = {"driver": "GTiff", "count": 2, "height": 61, "width": 83, "dtype": "uint8"}
    with rasterio.open(image, "w", **profile, crs="EPSG:32619", transform=GRID.transform) as file:
        file.write(source.data)
        file.write_mask(source.valid)
        file.descriptions = ("red", "nir")
    result = CliRunner().invoke(app, ["predict", bundle, image, out])
    assert result.exit_code == 0, result.output
    with rasterio.open(out) as file:
        assert np.array_equal(file.read(1), expected.to_array())


def test_training_scenes_that_end_differently_are_refused():
    for second in (scene(1), scene(1, OTHER), scene(1, STANDARDIZE, Log())):
        scenes = [scene(0, STANDARDIZE), second]
        with pytest.raises(
            ConfigError, match=r"'s1': its image ends with .* 's0' ends with Standardize"
        ):
            facts_of(scenes)
        with pytest.raises(ConfigError, match="give all training scenes the same"):
            Learner(CLASSES, SMALL).fit(scenes)
        with pytest.raises(ConfigError, match="give all training scenes the same"):
            _ = SegmentationData(scenes).standardize


def test_a_scene_with_another_one_is_refused_with_both_named(fitted, fitted_plain):
    with pytest.raises(
        BundleError, match=r"mean=\(1, 2\).* trained on pixels in Standardize\(mean=\("
    ):
        fitted.predict(scene(5, OTHER))
    with pytest.raises(BundleError, match=r"mean=\(1, 2\).* trained on pixels in their own units"):
        fitted_plain.predict(scene(5, OTHER))
    with pytest.raises(BundleError, match=r"mean=\(1, 2\)"):
        Learner(CLASSES, SMALL).fit([scene(0, STANDARDIZE)], [scene(1, OTHER)])


def test_bands_and_dtype_are_compared_before_it(fitted):
    with pytest.raises(BundleError, match="pixels are uint16, but the model was trained on uint8"):
        fitted.predict(scene(5, STANDARDIZE, dtype="uint16"))
    with pytest.raises(BundleError, match="pixels are float32, but the model was trained on uint8"):
        fitted.predict(scene(5, STANDARDIZE, Log()))


def test_one_that_hides_in_the_image_is_told_of_and_never_done_on_top():
    image = scene(0, STANDARDIZE).image
    hidden = scene(0).model_copy(update={"image": StackSource(sources=(image,))})
    with pytest.warns(
        UserWarning, match=r"1 of 2 scenes, first 's0', have a Standardize that is not"
    ):
        facts = facts_of([hidden, scene(1, dtype="float32")])
    assert facts.standardize is None
    with pytest.raises(BundleError, match="not the last transform, and the model would apply"):
        with_standardize(hidden, STANDARDIZE)


def test_it_is_found_below_a_warp_and_given_to_kinds_without_transforms():
    other = Grid(crs="EPSG:32619", transform=[20, 0, 5e5, 0, -20, 4e6], height=30, width=41)
    inside = WarpedSource(source=scene(0, STANDARDIZE).image, onto=other)
    assert standardize_of(inside) == STANDARDIZE
    warped = scene(0).model_copy(update={"image": inside})
    assert with_standardize(warped, STANDARDIZE) is warped
    facts = facts_of([warped])
    assert (facts.standardize, facts.dtype) == (STANDARDIZE, "uint8")
    assert facts.statistics.mean == pytest.approx(
        facts_of(
            [scene(0).model_copy(update={"image": WarpedSource(source=scene(0).image, onto=other)})]
        ).statistics.mean
    )
    plain = scene(0).model_copy(update={"image": Plain(inner=scene(0).image)})
    found = with_standardize(plain, STANDARDIZE).image.read(Window(-2, 5, 20, 90))
    expected = scene(0, STANDARDIZE).image.read(Window(-2, 5, 20, 90))
    assert np.array_equal(found.data[:, found.valid], expected.data[:, expected.valid])
    assert np.array_equal(found.valid, expected.valid)


def trainer(**options):
    return pl.Trainer(
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_model_summary=False,
        enable_progress_bar=False,
        **options,
    )


def module(**options):
    torch.manual_seed(0)
    options = {"model_options": {"width": 4, "depth": 2}, "schedule": "constant", **options}
    return SegmentationModule(CLASSES, 2, **options)


def data(*transforms, valid=()):
    return SegmentationData(
        [scene(seed, *transforms) for seed in TRAIN],
        [scene(2, *valid)],
        size=32,
        length=8,
        batch_size=4,
    )


@quiet
def test_a_plain_lightning_script_trains_measures_and_keeps_it_in_the_checkpoint(tmp_path):
    one, two = module(), module()
    fit = trainer(max_epochs=1)
    fit.fit(one, data(STANDARDIZE))
    assert one.standardize == STANDARDIZE
    assert not one.mean.any()
    fit.save_checkpoint(tmp_path / "last.ckpt")
    other = trainer(max_epochs=1)
    other.fit(two, data(STANDARDIZE, valid=(STANDARDIZE,)))
    assert other.callback_metrics["valid_loss"] == fit.callback_metrics["valid_loss"]

    again = SegmentationModule.load_from_checkpoint(tmp_path / "last.ckpt")
    assert again.standardize == STANDARDIZE
    found = trainer().validate(again, datamodule=data(STANDARDIZE), verbose=False)[0]
    assert found["valid_loss"] == pytest.approx(float(fit.callback_metrics["valid_loss"]), rel=1e-5)
    with pytest.raises(ConfigError, match="trained on images that end with Standardize"):
        trainer().validate(again, datamodule=data(), verbose=False)
    with pytest.raises(ConfigError, match="but these end with no Standardize"):
        trainer().validate(
            module(), datamodule=data(), ckpt_path=tmp_path / "last.ckpt", weights_only=False
        )
    for wrong in ((), (OTHER,)):
        with pytest.raises(ConfigError, match="trained on images that end with Standardize"):
            trainer(max_epochs=2).fit(
                module(), data(*wrong), ckpt_path=tmp_path / "last.ckpt", weights_only=False
            )
    trainer(max_epochs=2).fit(
        module(), data(STANDARDIZE), ckpt_path=tmp_path / "last.ckpt", weights_only=False
    )


@quiet
def test_a_module_with_a_mean_of_its_own_does_not_do_it_twice():
    with pytest.raises(ConfigError, match="would do it twice; leave out one"):
        trainer(max_epochs=1).fit(module(mean=[0.4, 0.5], std=[0.1, 0.1]), data(STANDARDIZE))
    with pytest.raises(ConfigError, match="would do it twice"):
        trainer().validate(module(mean=[0.4, 0.5]), datamodule=data(STANDARDIZE), verbose=False)
    trainer(max_epochs=1).fit(module(mean=[0, 0], std=[1, 1]), data(STANDARDIZE))
    with pytest.raises(BundleError, match="in their own units"):
        trainer(max_epochs=1).fit(module(), data(valid=(OTHER,)))


def test_a_fit_goes_on_from_its_checkpoint_with_the_same_transforms_only(tmp_path):
    folder = str(tmp_path / "run")
    short, longer = (
        SMALL.model_copy(update={"epochs": epochs, "schedule": "constant"}) for epochs in (1, 2)
    )
    Learner(CLASSES, short).fit([scene(0, STANDARDIZE)], folder=folder)
    resume = f"{folder}/last.ckpt"
    more = Learner(CLASSES, longer).fit([scene(0, STANDARDIZE)], resume=resume)
    assert same(more.predict(scene(5)), more.predict(scene(5, STANDARDIZE)))
    with pytest.raises(ConfigError, match="use the same `transforms`"):
        Learner(CLASSES, longer).fit([scene(0)], resume=resume)
