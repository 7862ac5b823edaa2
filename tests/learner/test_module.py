"""SegmentationModule and SegmentationData in plain Lightning, without the Learner."""

from __future__ import annotations

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from sklearn.metrics import jaccard_score

from geoseg.classes import ClassMap
from geoseg.errors import ConfigError, LabelError, SceneError
from geoseg.grid import Grid
from geoseg.labels.sources import RasterLabels
from geoseg.learner import SegmentationData, SegmentationModule
from geoseg.scene import Scene
from geoseg.sources.array import ArraySource

CLASSES = ClassMap.model_validate([{"id": 4, "name": "a"}, {"id": 2, "name": "b"}])
GRID = Grid(height=50, width=70)


def scene(seed=0):
    rng = np.random.default_rng(seed)
    bright = rng.integers(0, 2, (10, 14)).repeat(5, axis=0).repeat(5, axis=1) == 1
    data = np.where(bright, 40_000, 9_000).astype(np.uint16)
    valid = rng.random((50, 70)) > 0.1
    labels = RasterLabels(
        source=ArraySource(data=np.where(bright, 2, 4).astype(np.uint8)), classes=CLASSES
    )
    return Scene(id=f"s{seed}", image=ArraySource(data=data, valid=valid), labels=labels)


def small_module(**options):
    options = {"model_options": {"width": 4, "depth": 2}, "lr": 1e-2, **options}
    return SegmentationModule(CLASSES, 1, **options)


def quiet_trainer(**options):
    return pl.Trainer(
        accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, num_sanity_val_steps=0, log_every_n_steps=1, **options,
    )  # fmt: skip


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore:.*many workers.*")
@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
@pytest.mark.parametrize("schedule", ["onecycle", "cosine", "constant"])
def test_it_trains_in_a_plain_lightning_script(optimizer, schedule):
    module = small_module(optimizer=optimizer, schedule=schedule, mean=[0.4], std=[0.2])
    before = [p.clone() for p in module.parameters()]
    data = SegmentationData([scene(0)], [scene(1)], size=16, length=8, batch_size=4)
    trainer = quiet_trainer(max_epochs=2)
    trainer.fit(module, data)
    assert {"train_loss", "valid_loss", "valid_mean_iou"} <= set(trainer.callback_metrics)
    assert any(not torch.equal(a, b) for a, b in zip(before, module.parameters(), strict=True))


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore:.*many workers.*")
def test_validation_pools_one_confusion_matrix_over_all_valid_pixels_once():
    module = small_module(mean=[0.4], std=[0.2]).eval()
    data = SegmentationData([scene(0)], [scene(1), scene(2)], size=(16, 24), length=4, batch_size=3)
    trainer = quiet_trainer(max_epochs=1)
    trainer.validate(module, data, verbose=False)
    truth, found = [], []
    for batch in data.val_dataloader():
        with torch.no_grad():
            ids = torch.tensor(CLASSES.ids)[module(batch["image"], batch["valid"]).argmax(dim=1)]
        truth.append(batch["mask"][batch["valid"]])
        found.append(ids[batch["valid"]])
    truth, found = torch.cat(truth).numpy(), torch.cat(found).numpy()
    pixels = sum(int(scene(i).image.valid.sum()) for i in (1, 2))
    assert len(truth) == pixels == int(module.confusion.sum())
    expected = jaccard_score(truth, found, average="macro", labels=np.unique([truth, found]))
    assert float(trainer.callback_metrics["valid_mean_iou"]) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.uint16, torch.int16, torch.float32])
def test_native_and_scaled_images_give_the_same_logits(dtype):
    module = small_module(mean=[0.3], std=[0.5]).eval()
    native = torch.randint(0, 200, (2, 1, 20, 20)).to(dtype)
    scale = {torch.uint8: 255, torch.uint16: 65535}.get(dtype, 1)
    with torch.no_grad():
        assert torch.allclose(module(native), module(native.float() / scale), atol=1e-5)


def test_pixels_that_are_not_valid_have_no_say():
    module = small_module(mean=[0.3], std=[0.5]).eval()
    image = torch.rand(1, 1, 20, 20)
    valid = torch.rand(1, 20, 20) > 0.3
    other = torch.where(valid[:, None], image, torch.rand_like(image))
    with torch.no_grad():
        assert torch.equal(module(image, valid), module(other, valid))


def test_a_batch_without_a_labelled_pixel_changes_nothing_and_is_no_nan():
    module = small_module()
    module.log = lambda *_, **__: None
    batch = {
        "image": torch.rand(2, 1, 16, 16),
        "mask": torch.full((2, 16, 16), 255),
        "valid": torch.ones(2, 16, 16, dtype=torch.bool),
    }
    loss = module.training_step(batch, 0)
    loss.backward()
    assert float(loss.detach()) == 0
    assert all(torch.isfinite(p.grad).all() for p in module.parameters() if p.grad is not None)


def test_names_stand_for_classes_and_unknown_words_are_errors():
    assert SegmentationModule(["x", "y", "z"]).classes.names == ("x", "y", "z")
    for wrong in (
        {"optimizer": "adam"},
        {"schedule": "step"},
        {"loss": "hinge"},
        {"model": "vnet"},
    ):
        with pytest.raises(ConfigError, match="known"):
            SegmentationModule(["x", "y"], **wrong)
    with pytest.raises(ConfigError, match="2 statistics for 3 channels"):
        SegmentationModule(["x", "y"], 3, mean=[0, 1])


def test_nan_where_not_valid_stays_out_of_the_network():
    module = small_module(mean=[0.3], std=[0.5])
    image = torch.rand(1, 1, 8, 8)
    image[0, 0, 2, 3] = torch.nan
    valid = ~torch.isnan(image[:, 0])
    assert torch.isfinite(module.normalized(image, valid)).all()


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore:.*many workers.*")
def test_without_statistics_it_measures_the_training_scenes_itself():
    module = small_module()
    scenes = [scene(0), scene(1)]
    quiet_trainer(max_epochs=1).fit(
        module, SegmentationData(scenes, [scene(2)], size=16, length=4, batch_size=4)
    )
    pixels = np.concatenate([s.image.data[s.image.valid] for s in scenes]) / 65535
    assert float(module.mean) == pytest.approx(pixels.mean(), rel=1e-5)
    assert float(module.std) == pytest.approx(pixels.std(), rel=1e-5)


def test_scenes_of_other_classes_or_without_labels_are_refused_before_a_training():
    other = SegmentationModule(["a", "b"], 1, model_options={"width": 4, "depth": 2})
    with pytest.raises(ConfigError, match="one class map"):
        quiet_trainer(max_epochs=1).fit(other, SegmentationData([scene(0)], size=16, length=4))
    bare = scene(0).model_copy(update={"labels": None})
    with pytest.raises(SceneError, match="no labels"):
        quiet_trainer(max_epochs=1).fit(small_module(), SegmentationData([bare], size=16, length=4))


def test_a_network_of_another_shape_and_ids_of_no_class_are_told():
    image, valid = torch.rand(1, 1, 8, 8), torch.ones(1, 8, 8, dtype=torch.bool)
    wrong = SegmentationModule(CLASSES, 1, model=torch.nn.Conv2d(1, 3, 1))
    with pytest.raises(ConfigError, match="2 classes"):
        wrong(image, valid)
    batch = {"image": image, "valid": valid, "mask": torch.full((1, 8, 8), 7)}
    module = small_module()
    module.log = lambda *_, **__: None
    with pytest.raises(LabelError, match=r"ids \[7\]"):
        module.training_step(batch, 0)


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore:.*many workers.*")
def test_lightning_can_load_its_own_checkpoint(tmp_path):
    classes = CLASSES.model_copy(update={"ignore_id": 9})
    module = SegmentationModule(classes, 1, model_options={"width": 4, "depth": 2})
    labels = scene(0).labels.model_copy(update={"classes": classes})
    scenes = [scene(i).model_copy(update={"labels": labels}) for i in range(2)]
    trainer = quiet_trainer(max_epochs=1)
    trainer.fit(module, SegmentationData(scenes, scenes, size=16, length=4, batch_size=4))
    trainer.save_checkpoint(tmp_path / "last.ckpt")
    again = SegmentationModule.load_from_checkpoint(tmp_path / "last.ckpt")
    assert again.classes == module.classes
    image = torch.rand(1, 1, 16, 16)
    with torch.no_grad():
        assert torch.equal(again.eval()(image), module.eval()(image))


@pytest.mark.parametrize("dtype", [torch.bool, torch.uint8, torch.int16, torch.uint16, torch.int32])
def test_masks_of_any_integers_give_the_loss_and_the_confusion_of_int64(dtype):
    module = SegmentationModule(
        ["a", "b"], 1, model=torch.nn.Conv2d(1, 2, 1), augmentation="d4+light"
    )
    mask = torch.rand(2, 8, 8) < 0.4
    batch = {
        "image": torch.rand(2, 1, 8, 8),
        "mask": mask.long(),
        "valid": torch.rand(2, 8, 8) > 0.3,
    }
    other = {**batch, "mask": mask.to(dtype), "valid": batch["valid"].to(torch.uint8)}
    assert torch.equal(module.loss_of(other, seed=1), module.loss_of(batch, seed=1))
    logits = module(batch["image"], batch["valid"])
    assert torch.equal(module(batch["image"], other["valid"]), logits)
    found = module.confusion_of(logits, other)
    assert torch.equal(found, module.confusion_of(logits, batch))
    assert int(found.sum()) == int(batch["valid"].sum())


@pytest.mark.parametrize("wrong", [-1, -100, 256, 300])
def test_ids_outside_a_byte_are_told_and_never_taken_as_ignored(wrong):
    module = small_module()
    batch = {
        "image": torch.rand(1, 1, 8, 8),
        "mask": torch.full((1, 8, 8), 4),
        "valid": torch.ones(1, 8, 8, dtype=torch.bool),
    }
    batch["mask"][0, 2, 3] = wrong
    with pytest.raises(LabelError, match=rf"ids \[{wrong}\], expected those of"):
        module.loss_of(batch, seed=0)
    with pytest.raises(LabelError, match=rf"ids \[{wrong}\], expected those of"):
        module.kept(batch)


def test_floats_as_ids_and_numbers_as_valid_are_told():
    module = small_module()
    image, mask = torch.rand(1, 1, 8, 8), torch.full((1, 8, 8), 4)
    with pytest.raises(LabelError, match=r"torch\.float32, expected class ids as integers"):
        module.loss_of({"image": image, "mask": mask.float(), "valid": mask > 0}, seed=0)
    with pytest.raises(
        ConfigError, match=r"`valid` is torch\.int64 with other numbers than 0 and 1"
    ):
        module.loss_of({"image": image, "mask": mask, "valid": mask}, seed=0)


@pytest.mark.parametrize("wrong", [0.0, -1.0, float("nan"), float("inf")])
def test_a_deviation_that_cannot_be_divided_by_is_refused(wrong):
    with pytest.raises(ConfigError, match=r"std is .*above 0"):
        SegmentationModule(["x", "y"], 3, std=[wrong, 1, 1])


def test_a_mean_that_is_no_number_is_refused():
    with pytest.raises(ConfigError, match=r"mean is .*finite"):
        SegmentationModule(["x", "y"], 2, mean=[float("nan"), 1])
    negative = SegmentationModule(["x", "y"], 2, model=torch.nn.Conv2d(2, 2, 1), mean=[-1, 0])
    assert negative.mean.flatten().tolist() == [-1, 0]


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore:.*many workers.*")
def test_scenes_whose_labels_name_no_classes_are_validated_before_any_training():
    bare = [
        s.model_copy(update={"labels": s.labels.model_copy(update={"classes": None})})
        for s in (scene(0), scene(1))
    ]
    with pytest.raises(LabelError, match="these RasterLabels have no class map") as caught:
        _ = bare[0].labels.class_map
    assert "array(" not in str(caught.value)
    module = small_module(mean=[0.4], std=[0.2])
    found = [
        quiet_trainer().validate(module, SegmentationData(*given, size=16), verbose=False)
        for given in (([bare[0]], [bare[1]]), ([scene(0)], [scene(1)]))
    ]
    assert found[0] == found[1]
    other = SegmentationModule(["a", "b"], 1, model=torch.nn.Conv2d(1, 2, 1))
    with pytest.raises(ConfigError, match="one class map"):
        quiet_trainer().validate(other, SegmentationData([scene(0)], [scene(1)], size=16))
