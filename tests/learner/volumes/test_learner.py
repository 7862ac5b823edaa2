"""Learning on volumes from rows to masks: training, prediction, bundles, and what is refused."""

import inspect

import numpy as np
import pytest
import torch
from torch import nn

from geoseg.classes import ClassMap
from geoseg.errors import BundleError, ConfigError, GeosegError, LabelError
from geoseg.labels.evaluation.scoring import Scoring
from geoseg.learner import Learner, Training
from geoseg.learner.bundle.mlm import mlm_item
from geoseg.learner.bundle.versions import versions_for
from geoseg.learner.export import export_onnx
from geoseg.learner.prediction.volumes import predict_volume
from geoseg.learner.volumes.prepare import with_background
from geoseg.scene import Scene
from geoseg.sources.array import ArraySource
from geoseg.volumes import ArrayVolume, VolumeZip, VolumeZipWriter
from geoseg.volumes.scores import read_scores
from tests.learner.volumes.boxes import noisy, quick, rows


def dice_of(truth, found):
    return 2 * (truth & found).sum() / (truth.sum() + found.sum())


@pytest.fixture(scope="module")
def fitted():
    """A learner of a moment, and what it was trained on."""
    given = rows(3)
    return Learner(["box"], quick()).fit(given[:2], given[2:]), given


@pytest.fixture(scope="module")
def overlapping():
    given = rows(3, classes=("box", "core"), overlap=True)
    options = quick(overlap="multilabel", loss="bce+dice")
    return Learner(["box", "core"], options).fit(given[:2], given[2:]), given


@pytest.mark.slow
def test_noisy_boxes_of_odd_sizes_are_learnt_and_predicted_into_a_zip(tmp_path):
    given = rows(6)
    options = quick(
        size=(6, 24, 24), model_options={"width": 8, "depth": 2}, loss="cross_entropy+dice",
        epochs=8, length=48, batch_size=4, lr=1e-2, select="best",
    )  # fmt: skip
    learner = Learner(["box"], options).fit(given[:4], given[4:])
    report = learner.evaluate(given[4:])
    assert report.dice["box"] > 0.95
    with VolumeZipWriter(f"{tmp_path}/found.zip", ["box"]) as store:
        learner.predict(given[4:], store=store)
    written = VolumeZip(f"{tmp_path}/found.zip").frame("train")
    truth, found = (
        np.concatenate([row.masks().ravel() for row in part]) for part in (given[4:], written)
    )
    assert dice_of(truth, found) == pytest.approx(report.dice["box"])


def test_a_fit_tells_epochs_classes_and_voxels(fitted):
    learner, given = fitted
    assert learner.classes.names == ("background", "box")
    assert {"train_loss", "valid_mean_iou", "valid_mean_dice", "valid_dice_box"} <= {
        *learner.history[0]
    }
    area = sum(row.rles()[0].area for row in given[:2])
    total = sum(row.masks().size for row in given[:2])
    assert learner.histogram == {"background": total - area, "box": area}
    assert (learner.data.dtype, learner.data.origin) == ("uint8", "volumes")


def test_classes_may_be_given_with_their_background():
    learner = Learner(["elsewhere", "box"], quick())
    with pytest.raises(ConfigError, match=r"the volumes have the classes \['background', 'box'\]"):
        learner.fit(rows(1))
    assert Learner(["background", "box"], quick()).fit(rows(1)).classes.names == (
        "background",
        "box",
    )


def test_a_second_fit_knows_the_classes_of_the_first():
    learner = Learner(["box"], quick()).fit(rows(1))
    first = learner.module.network.coarse.weight.clone()
    assert torch.equal(learner.fit(rows(1)).module.network.coarse.weight, first)


def test_equal_seeds_give_equal_models_and_the_callers_random_numbers_stay():
    torch.manual_seed(5)
    weights = [Learner(["box"], quick()).fit(rows(1)).module.state_dict() for _ in range(2)]
    assert torch.initial_seed() == 5
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_prediction_is_that_of_windows_of_the_normalised_volume(fitted):
    learner, given = fitted
    found = learner.predict(given[2], stride=(3, 8, 8), scores=True)
    normal = (given[2].image() / 255.0 - learner.module.mean.numpy()) / learner.module.std.numpy()
    slabs = predict_volume(
        learner.module.network,
        normal.astype(np.float32),
        (6, 16, 16),
        (3, 8, 8),
        activation="softmax",
    )
    expected = np.concatenate([slab for _, slab in slabs], axis=1)
    np.testing.assert_allclose(found.scores, expected, atol=1e-5)
    np.testing.assert_array_equal(found.ids, found.scores.argmax(axis=0))
    np.testing.assert_array_equal(found.masks()["box"], found.ids == 1)
    assert found.rles()["box"].area == (found.ids == 1).sum()


def test_a_volume_smaller_than_a_window_sees_around_it_what_training_sees(fitted):
    learner, _ = fitted
    image = np.random.default_rng(0).integers(0, 256, (3, 5, 7), np.uint8)
    around = np.zeros((1, 6, 16, 16), np.uint8)
    valid = np.zeros((6, 16, 16), bool)
    place = slice(1, 4), slice(5, 10), slice(4, 11)
    around[(0, *place)], valid[place] = image, True
    with torch.inference_mode():
        logits = learner.module.eval()(
            torch.from_numpy(around[None]), torch.from_numpy(valid[None])
        )
    expected = logits.softmax(1)[(0, slice(None), *place)].numpy()
    found = learner.predict(ArrayVolume("small", image), scores=True)
    np.testing.assert_allclose(found.scores, expected, atol=1e-5)


def test_voxels_that_are_not_finite_are_to_others_as_the_mean():
    image = np.random.default_rng(0).normal(5, 2, (6, 16, 16)).astype(np.float32)
    volume = ArrayVolume("floats", image, {"box": image > 5})
    learner = Learner(["box"], quick()).fit([volume])
    holes, filled = image.copy(), image.copy()
    holes[2, 3:6, 4] = np.nan, np.inf, -np.inf
    filled[2, 3:6, 4] = learner.module.mean.item()
    found = [
        learner.predict(ArrayVolume("x", part), scores=True).scores for part in (holes, filled)
    ]
    valid = np.isfinite(holes)
    np.testing.assert_allclose(found[0][:, valid], found[1][:, valid], atol=1e-4)
    assert (found[0][:, ~valid] == 0).all()


def test_classes_that_overlap_are_judged_by_a_threshold(overlapping, tmp_path):
    learner, given = overlapping
    assert learner.classes.names == ("box", "core")
    found = learner.predict(given[2], threshold=0.4, scores=True)
    np.testing.assert_array_equal(found.voxels, found.scores >= 0.4)
    report = learner.evaluate(given[2:], threshold=0.4)
    for channel, name in enumerate(("box", "core")):
        expected = dice_of(given[2].masks()[channel], found.mask(name))
        assert report.dice[name] == pytest.approx(expected)
    with pytest.raises(ConfigError, match=r"use masks\(\)"):
        _ = found.ids
    with VolumeZipWriter(f"{tmp_path}/found.zip", ["core", "box"]) as store:
        learner.predict(given[2], store=store, threshold=0.4, scores=True, split="validation")
    (row,) = VolumeZip(f"{tmp_path}/found.zip", train=None, validation="validation.pq").frame(
        "validation"
    )
    np.testing.assert_array_equal(row.masks(), found.voxels[[1, 0]])
    np.testing.assert_allclose(read_scores(row), found.scores[[1, 0]], atol=1e-3)


def test_a_prediction_keeps_the_channels_and_the_frame_of_its_row(fitted, tmp_path):
    learner, given = fitted
    with VolumeZipWriter(tmp_path / "a.zip", ["box"]) as writer:
        for split in ("train", "validation", "test"):
            masks = None if split == "test" else {}
            writer.write(split, given[2].image(), masks, split, channel_names=["vv"])
    frames = VolumeZip(tmp_path / "a.zip", validation="validation.pq", test="test.pq")
    with VolumeZipWriter(tmp_path / "p.zip", ["box"]) as store:
        for split in ("train", "validation", "test"):
            with pytest.warns(UserWarning, match="only they have names"):
                learner.predict(frames.frame(split), store)
        learner.predict(given[2], store, split="validation")
    found = VolumeZip(tmp_path / "p.zip", validation="validation.pq")
    names = [[row.name for row in found.frame(split)] for split in ("train", "validation")]
    assert names == [["train.npy", "test.npy"], ["validation.npy", "v2.npy"]]
    assert [row.facts.channel_names for row in found.frame("train")] == [("vv",)] * 2


def test_a_float_past_32_bits_is_not_valid_and_does_not_warn():
    image = np.random.default_rng(0).normal(size=(6, 16, 16))
    volume = ArrayVolume("far", image, {"box": image > 0})
    learner = Learner(["box"], quick()).fit([volume])
    far = image.copy()
    far[2, 3, 4] = 1e300
    scores = learner.predict(ArrayVolume("x", far), scores=True).scores
    assert np.isfinite(scores).all()


def test_evaluation_is_of_all_voxels_and_of_each_volume(fitted):
    learner, given = fitted
    report = learner.evaluate(given)
    truth, found = [], []
    for row in given:
        truth.append(row.masks()[0].ravel())
        found.append(learner.predict(row).mask("box").ravel())
        one = report.to_dict()["volumes"][row.name]["per_class"][1]
        assert one["dice"] == pytest.approx(dice_of(truth[-1], found[-1]))
    truth, found = np.concatenate(truth), np.concatenate(found)
    assert report.dice == pytest.approx(
        {"background": dice_of(~truth, ~found), "box": dice_of(truth, found)}
    )
    assert report.iou["box"] == pytest.approx((truth & found).sum() / (truth | found).sum())
    assert "box" in report.table()


@pytest.mark.parametrize("kind", ["fitted", "overlapping"])
def test_a_bundle_brings_everything_back(kind, request, tmp_path):
    learner, given = request.getfixturevalue(kind)
    uri = f"{tmp_path}/model.geoseg"
    learner.save(uri)
    again = Learner.load(uri)
    assert (again.training, again.data, again.classes) == (
        learner.training,
        learner.data,
        learner.classes,
    )
    assert again.info.to_yaml() == learner.info.to_yaml()
    assert again.module.network.strides == learner.module.network.strides
    found = [one.predict(given[2], scores=True).scores for one in (learner, again)]
    np.testing.assert_array_equal(*found)


def test_a_training_goes_on_as_if_never_interrupted(tmp_path):
    given, options = rows(2), quick(epochs=2, schedule="constant")
    whole = Learner(["box"], options).fit(given[:1], given[1:])
    Learner(["box"], quick(epochs=1, schedule="constant")).fit(
        given[:1], given[1:], folder=str(tmp_path)
    )
    resumed = Learner(["box"], options).fit(given[:1], given[1:], resume=f"{tmp_path}/last.ckpt")
    ours, theirs = resumed.module.state_dict(), whole.module.state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    assert resumed.history == whole.history
    other = Learner(["box"], quick(epochs=2, schedule="constant", size=(16, 16, 16)))
    with pytest.raises(ConfigError, match="its planes is 6, but here it is 16"):
        other.fit(given[:1], given[1:], resume=f"{tmp_path}/last.ckpt")


class Bright(nn.Module):
    """A network of one's own: the brighter the more of a box."""

    def __init__(self):
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(20.0))

    def forward(self, image):
        return torch.cat([0 * image, self.factor * (image - 0.55)], dim=1)


def test_a_network_of_ones_own_predicts_without_a_fit_and_learns(tmp_path):
    own = Training(model="custom", size=(6, 16, 16), epochs=1, length=2, batch_size=2)
    learner = Learner(["background", "box"], own, Bright())
    volume = noisy(0)
    np.testing.assert_array_equal(
        learner.predict(volume, blend="constant", stride=(6, 16, 16)).mask("box"),
        volume.image()[0] > 0.55 * 255,
    )
    learner.fit([volume])
    learner.save(f"{tmp_path}/own.geoseg")
    again = Learner.load(f"{tmp_path}/own.geoseg", model=Bright())
    np.testing.assert_array_equal(again.predict(volume).ids, learner.predict(volume).ids)


def test_a_multiple_of_windows_is_drawn_around_a_class_that_is_asked_for():
    learner = Learner(["box"], quick(sampling={"class_balance": {"box": 1.0}}))
    assert learner.fit(rows(1)).history
    with pytest.raises(GeosegError, match="hut"):
        Learner(["box"], quick(sampling={"class_balance": {"hut": 1.0}})).fit(rows(1))


def scene():
    return Scene(id="flat", image=ArraySource(data=np.zeros((1, 20, 20), np.uint8)))


def test_volumes_and_scenes_are_told_apart(fitted, tmp_path):
    learner, given = fitted
    with pytest.raises(GeosegError, match=r"expected volumes.*got Scene"):
        learner.predict(scene())
    with pytest.raises(ConfigError, match=r"expected volumes.*got Scene"):
        learner.fit([scene()])
    with pytest.raises(ConfigError, match=r"expected volumes.*got none"):
        learner.evaluate([])
    flat = Learner(["a", "b"], Training(size=8))
    for call in (flat.fit, flat.predict, flat.evaluate):
        with pytest.raises(ConfigError, match=r'takes images.*model="unet3d"'):
            call(given)
    with pytest.raises(ConfigError, match="takes volumes, which exported models do not"):
        export_onnx(learner, f"{tmp_path}/model.onnx")


@pytest.mark.parametrize(
    ("volume", "message"),
    [
        (ArrayVolume("two", np.zeros((2, 6, 16, 16), np.uint8)), "has 2 channels, but .* trained on 1"),
        (ArrayVolume("wide", np.zeros((6, 16, 16), np.uint16)), "pixels are uint16, but .* trained on uint8"),
    ],
)  # fmt: skip
def test_a_volume_unlike_those_of_training_is_refused(fitted, volume, message):
    with pytest.raises(BundleError, match=message):
        fitted[0].predict(volume)


def test_what_a_prediction_cannot_do_is_told(fitted, tmp_path):
    learner, given = fitted
    with pytest.raises(ConfigError, match=r"no option 'tta'; its options: batch_size, blend"):
        learner.predict(given[2], tta="flips")
    with pytest.raises(ConfigError, match="threshold is 2"):
        learner.predict(given[2], threshold=2)
    with pytest.raises(ConfigError, match="stride 9 along the depth is longer than the window"):
        learner.predict(given[2], stride=9)
    with pytest.raises(ConfigError, match=r"by a VolumeZipWriter.*got str"):
        learner.predict(given[2], store="found.zip")
    with VolumeZipWriter(f"{tmp_path}/x.zip", ["hut"]) as store:
        with pytest.raises(
            ConfigError, match=r"the classes \['hut'\], but the model tells apart \['box'\]"
        ):
            learner.predict(given[2], store=store)
        store.write("x", np.zeros((1, 2, 3)), {})
    with pytest.raises(LabelError, match="'bare' has no masks to compare with"):
        learner.evaluate([ArrayVolume("bare", given[2].image())])
    with pytest.raises(ConfigError, match="two volumes are called 'v2'"):
        learner.evaluate([given[2], given[2]])


def test_what_cannot_be_learnt_from_is_told():
    empty = ArrayVolume(
        "empty", np.zeros((6, 16, 16), np.uint8), {"box": np.zeros((6, 16, 16), bool)}
    )
    with pytest.raises(
        LabelError, match=r"no voxel of the volumes for training is of a class \(box\)"
    ):
        Learner(["box"], quick()).fit([empty])
    overlapping = rows(1, classes=("box", "core"), overlap=True)
    with pytest.raises(LabelError, match=r"classes overlap.*'box' and 'core'"):
        Learner(["box", "core"], quick()).fit(overlapping)
    assert Learner(["box", "core"], quick(overlap="priority")).fit(overlapping).history
    with pytest.raises(GeosegError, match="no masks"):
        Learner(["box"], quick()).fit(
            [ArrayVolume("bare", np.zeros((6, 16, 16), np.uint8), classes=["box"])]
        )


def test_classes_of_the_validation_are_those_of_the_training_in_their_order():
    given = rows(2, classes=("a", "b"))
    swapped = ArrayVolume("s", given[1].image(), given[1].masks(), classes=("b", "a"))
    learner = Learner(["a", "b"], quick())
    for overlap in ("error", "multilabel"):
        loss = {"loss": "bce"} if overlap == "multilabel" else {}
        learner = Learner(["a", "b"], quick(overlap=overlap, **loss))
        with pytest.raises(ConfigError, match=r"for validation have the classes .*'b', 'a'\]"):
            learner.fit(given[:1], [swapped])
        assert learner.history == []


def test_classes_without_a_background_have_no_ids_of_their_own():
    def classes(*ids):
        return ClassMap.model_validate(
            {"classes": [{"id": i, "name": n} for i, n in zip(ids, "ab", strict=True)]}
        )

    given = rows(1, classes=("a", "b"))
    with pytest.raises(ConfigError, match=r"have the ids \[7, 9\].*they get \[1, 2\]"):
        Learner(classes(7, 9), quick()).fit(given)
    for ids in ((0, 1), (1, 2)):
        assert Learner(classes(*ids), quick(length=1)).fit(given).classes.ids == (0, 1, 2)


def test_the_added_background_has_a_colour_of_its_own():
    usual = [info.color for info in ClassMap.of("x", "y", "z").classes]
    for colors in ((usual[0], usual[1]), (usual[2], usual[1]), usual[:2][::-1]):
        known = ClassMap.of("background", "a", "b")
        given = ClassMap.model_validate(
            {"classes": [{"name": n, "color": c} for n, c in zip("ab", colors, strict=True)]}
        )
        found = [info.color for info in with_background(given, known).classes]
        assert found[1:] == list(colors)
        assert len({*found}) == 3


def test_options_of_both_kinds_are_named_and_those_of_the_other_refused(fitted):
    learner, given = fitted
    for call in (Learner.predict, Learner.evaluate):
        parameters = inspect.signature(call).parameters.values()
        assert not [one for one in parameters if one.kind is one.VAR_KEYWORD]
        assert {"size", "threshold", "device"} <= {one.name for one in parameters}
    with pytest.raises(ConfigError, match="the evaluation of volumes has no option 'scoring'"):
        learner.evaluate(given, scoring=Scoring())
    flat = Learner(["a", "b"], Training(size=8))
    with pytest.raises(ConfigError, match="the prediction of scenes has no option 'scores'"):
        flat.predict(scene(), scores=True)
    with pytest.raises(ConfigError, match="the evaluation of scenes has no option 'stride'"):
        flat.evaluate([scene()], stride=3)


def test_a_threshold_is_for_classes_that_may_overlap(fitted):
    learner, given = fitted
    for call in (learner.predict, learner.evaluate):
        with pytest.raises(ConfigError, match=r"threshold is 0\.9, but each voxel has one class"):
            call(given, threshold=0.9)


def test_what_is_no_volume_or_no_number_is_told(fitted):
    learner, given = fitted
    with pytest.raises(ConfigError, match="number 1 of the 2 volumes, from 0, is a int"):
        Learner(["box"], quick()).fit([given[0], 3])
    with pytest.raises(ConfigError, match=r"batch_size is 2\.5, expected a whole number"):
        learner.predict(given[0], batch_size=2.5)
    with pytest.raises(ConfigError, match="threshold is 'a', expected a number from 0 to 1"):
        learner.predict(given[0], threshold="a")


def test_a_learning_rate_is_looked_for_on_volumes():
    learner = Learner(["box"], quick(length=8, batch_size=1))
    found = learner.find_lr(rows(1), most=100, steps=30)
    assert 1e-6 < found.lr < 100


def test_catalogues_are_told_of_the_depth_and_of_the_package_of_the_network(fitted):
    info = fitted[0].info
    item = mlm_item(info, {}, digest="0" * 64, members={})
    (image,), (logits,) = item["properties"]["mlm:input"], item["properties"]["mlm:output"]
    assert image["input"]["dim_order"] == ["batch", "bands", "depth", "height", "width"]
    assert image["input"]["shape"] == [-1, 1, -1, -1, -1]
    assert logits["result"]["shape"] == [-1, 2, -1, -1, -1]
    assert "monai" not in versions_for("unet3d")
    assert "segmentation-models-pytorch" not in {
        *versions_for("unet3d"),
        *versions_for("monai:UNet"),
    }
