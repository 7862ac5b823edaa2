"""`geoseg volumes train|predict` as they are typed."""

from __future__ import annotations

import io
import json
import sys
import zipfile
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import rasterio
from affine import Affine

from geoseg.cli.volumes.opening import Opening
from geoseg.cli.volumes.sizes import size_of
from geoseg.cli.volumes.train import options_of, rows_of
from geoseg.errors import ConfigError
from geoseg.learner import Learner, Training
from geoseg.volumes import VolumeZip, VolumeZipWriter

UTM = Affine(30, 0, 4e5, 0, -30, 4e6)


@pytest.fixture
def written(tmp_path, monkeypatch):
    """Bright boxes in noise: two volumes to train on, one to validate on and one to test."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    with VolumeZipWriter("a.zip", ["box"]) as writer:
        for seed, split in enumerate(("train", "train", "validation", "test")):
            mask = np.zeros((4, 17, 21 + seed), bool)
            mask[1:3, 4:13, 5:14] = True
            image = (rng.normal(60, 10, mask.shape) + 120 * mask).clip(0, 255).astype("uint8")
            masks = None if split == "test" else {"box": mask}
            fold = "ab"[seed] if split == "train" else None
            writer.write(f"v{seed}", image, masks, split, fold=fold, crs=32619, transform=UTM)
    return mask


@pytest.mark.slow
def test_a_zip_is_learnt_and_predicted_as_a_zip_and_as_maps(geoseg, written):
    options = ("--size", "4,16,16", "--epochs", "3", "--length", "12", "--lr", "0.02")
    options += ("--batch-size", "2")
    found = geoseg("volumes", "train", "a.zip", "--out", "bundle.zip", *options)
    assert found.code == 0, found.err
    assert "valid_dice_box" in found.out
    found = geoseg("volumes", "predict", "bundle.zip", "a.zip", "p.zip", "--scores")
    assert (found.code, found.err, found.out) == (0, "", "p.zip\n")
    (row,) = VolumeZip("p.zip").frame("train")
    assert (row.name, row.transform, row.classes) == ("v3.npy", UTM, ("box",))
    mask = row.masks()[0]
    assert 2 * (mask & written).sum() / (mask.sum() + written.sum()) > 0.9
    found = geoseg("volumes", "predict", "bundle.zip", "a.zip", "maps", "--scores")
    assert (found.code, found.err) == (0, "")
    for plane in range(4):
        with rasterio.open(f"maps/v3_{plane:03d}.tif") as file:
            assert (file.read(1) == mask[plane]).all()
        with rasterio.open(f"maps/v3.scores_{plane:03d}.tif") as file:
            assert ((file.read(1) > 0.5) == mask[plane]).all()


@pytest.mark.slow
def test_classes_that_may_overlap_become_a_layer_each(geoseg, written):
    options = ("--size", "4,16,16", "--epochs", "1", "--length", "4", "--overlap", "multilabel")
    call = ("volumes", "train", "a.zip", *options, "--validation", "none", "--valid-fold", "b")
    assert geoseg(*call).code == 0
    call = ("volumes", "predict", "bundle.zip", "a.zip", "out", "--as", "npy", "--frame", "train")
    assert geoseg(*call, "--threshold", "0").code == 0
    assert (np.load("out/v1.npy") == np.ones((1, 4, 17, 22))).all()


def test_options_of_the_network_are_yaml_by_name():
    texts = ["width=8", "channels=[8, 16]", "norm = batch"]
    assert options_of(texts) == {"width": 8, "channels": [8, 16], "norm": "batch"}
    for texts in (["width"], ["=8"], ["width="], ["width=8", "width=4"]):
        with pytest.raises(ConfigError, match="expected KEY=VALUE"):
            options_of(texts)


def test_what_nobody_says_is_cut_to_the_volumes(geoseg, written, monkeypatch):
    asked = []

    class Learner:
        history = ()

        def __init__(self, classes, training):
            asked.append(training)

        def fit(self, rows, valid):
            return self

        def save(self, out):
            pass

    monkeypatch.setattr("geoseg.learner.Learner", Learner)
    assert geoseg("volumes", "train", "a.zip", "--model-option", "width=4").code == 0
    assert geoseg("volumes", "train", "a.zip", "--size", "2,8,8", "--length", "5").code == 0
    assert [(one.size, one.length, one.loss) for one in asked] == [
        ((4, 16, 16), 32, "cross_entropy+dice"),
        ((2, 8, 8), 5, "cross_entropy+dice"),
    ]
    assert dict(asked[0].model_options) == {"width": 4}


def test_two_zips_are_compared(geoseg, written):
    shifted = np.zeros_like(written)
    rows = [*VolumeZip("a.zip").frame("train")]
    shifted = np.roll(rows[0].masks()[0], 3, axis=1)
    with VolumeZipWriter("p.zip", ["box"], rle_order="hwd") as writer:
        writer.write("v0", rows[0].image(), {"box": shifted}, "validation")
    found = geoseg("volumes", "evaluate", "a.zip", "p.zip", "--json")
    assert (found.code, found.err) == (0, "")
    told = json.loads(found.out)
    assert told["overall"]["per_class"][0] == {
        "name": "box", "dice": 6 / 9, "iou": 6 / 12, "truth": 162, "predicted": 162,
    }  # fmt: skip
    assert told["not predicted"] == ["v1", "v2"]
    found = geoseg("volumes", "evaluate", "a.zip", "p.zip")
    assert "0.667   0.500" in found.out
    assert "volumes compared: 1, of TRUTH not predicted: 2" in found.out
    found = geoseg("volumes", "evaluate", "p.zip", "a.zip")
    assert found.code == 2
    assert "2 of 3 predicted volumes are not in the truth" in found.err


def test_rows_of_a_fold_are_held_out(written):
    found = Opening(validation="none").open("a.zip")
    rows, held = rows_of(found, "b")
    assert [row.name for row in rows] == ["v0.npy"]
    assert [row.name for row in held] == ["v1.npy"]
    with pytest.raises(ConfigError, match=r"0 of 2 rows are of this fold.*in the zip: a, b"):
        rows_of(found, "c")
    found = Opening().open("a.zip")
    assert [row.name for row in rows_of(found, None)[1]] == ["v2.npy"]
    with pytest.raises(ConfigError, match="has a table for validation"):
        rows_of(found, "b")


class Model:
    """Stands for a learner: keeps what it was asked for."""

    training = SimpleNamespace(of_volumes=True, multilabel=False)
    classes = SimpleNamespace(names=("background", "box"))

    def __init__(self):
        self.asked = []

    def predict(self, rows, store, *, seen, **options):
        for row in rows:
            self.asked.append((row.name, options))
            store.write(row.name, row.image(), {}, crs=row.crs, transform=row.transform)
            seen(row)


def test_the_options_of_a_prediction_reach_the_model(geoseg, written, monkeypatch):
    model = Model()
    module = sys.modules["geoseg.cli.volumes.predict"]  # the package has a function of that name
    monkeypatch.setattr(module, "_learner", lambda bundle: model)
    options = ("--size", "4,8,8", "--stride", "2", "--blend", "constant", "--frame", "train")
    found = geoseg("volumes", "predict", "b.zip", "a.zip", "p.zip", *options, "--batch-size", "3")
    assert (found.code, found.err) == (0, "")
    expected = {"size": (4, 8, 8), "stride": (2, 2, 2), "blend": "constant", "batch_size": 3}
    asked = [(f"v{seed}.npy", expected | {"scores": False}) for seed in (0, 1)]
    assert model.asked == asked
    assert [row.name for row in VolumeZip("p.zip").frame("train")] == ["v0.npy", "v1.npy"]


@pytest.fixture
def trained(written):
    """A bundle of a moment beside the zip."""
    options = {"model_options": {"width": 4, "depth": 2}, "length": 2, "batch_size": 2, "epochs": 1}
    training = Training(model="unet3d", size=(4, 16, 16), **options)
    Learner(["box"], training).fit(VolumeZip("a.zip").frame("train")).save("bundle.zip")


def as_tiffs(source, target):
    """A zip of another program: the images of a zip as TIFFs of a page a plane, and its table of training rows."""
    rows = [*VolumeZip(source).frame("train")]
    with zipfile.ZipFile(source) as found, zipfile.ZipFile(target, "w") as archive:
        table = pq.read_table(io.BytesIO(found.read("train.pq"))).drop_columns(["image", "fold"])
        table = table.append_column("image", pa.array([f"{row.name[:-4]}.tif" for row in rows]))
        data = io.BytesIO()
        pq.write_table(table.replace_schema_metadata(None), data)
        archive.writestr("train.pq", data.getvalue())
        for row in rows:
            depth, height, width = row.shape
            shape = {"count": depth, "height": height, "width": width, "dtype": "uint8"}
            with rasterio.MemoryFile() as file:
                with file.open(driver="GTiff", transform=UTM, **shape) as out:
                    out.write(row.image()[0])
                archive.writestr(f"images/{row.name[:-4]}.tif", file.read())


@pytest.mark.usefixtures("trained")
def test_predictions_of_tiffs_are_evaluated_against_their_zip(geoseg):
    as_tiffs("a.zip", "tiffs.zip")
    call = ("volumes", "predict", "bundle.zip", "tiffs.zip", "p.zip", "--frame", "train")
    found = geoseg(*call)
    assert (found.code, found.err) == (0, "")
    assert [row.name for row in VolumeZip("p.zip").frame("train")] == ["v0.npy", "v1.npy"]
    for truth in ("tiffs.zip", "a.zip"):
        found = geoseg("volumes", "evaluate", truth, "p.zip", "--json")
        assert (found.code, found.err) == (0, "")
        left = ["v2"] if truth == "a.zip" else []
        told = json.loads(found.out)
        assert ([*told["volumes"]], told["not predicted"]) == (["v0", "v1"], left)


@pytest.mark.usefixtures("trained")
def test_errors_of_a_prediction_name_the_option_as_it_is_typed(geoseg):
    for option, value, text in (
        ("--stride", "2,99,2", "error: --stride 99 along the height is longer than the window"),
        ("--threshold", "0.3", "error: --threshold is 0.3, but each voxel has one class"),
        ("--threshold", "0.3", "`geoseg volumes train --overlap multilabel`"),
        ("--batch-size", "0", "error: --batch-size is 0, expected a whole number"),
        ("--precision", "8", "error: --precision is '8', expected one of"),
    ):
        found = geoseg("volumes", "predict", "bundle.zip", "a.zip", "p.zip", option, value)
        assert found.code == 2
        assert text in found.err


def test_errors_of_a_training_name_the_option_as_it_is_typed(geoseg, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    whole = np.ones((2, 8, 8), bool)
    with VolumeZipWriter("o.zip", ["a", "b"]) as writer:
        writer.write("v", whole.astype("uint8"), {"a": whole, "b": whole})
    found = geoseg("volumes", "train", "o.zip")
    assert found.code == 1
    assert "--overlap priority gives such voxels to the first class" in found.err
    found = geoseg("volumes", "train", "o.zip", "--loss", "bce")
    assert found.code == 2
    assert "with --overlap multilabel; use --loss cross_entropy+dice" in found.err
    for text in (found.err, geoseg("volumes", "check", "o.zip").out):
        assert 'overlap="' not in text
        assert "--overlap" in text


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (
            ("train", "a.zip", "--size", "4,x,4"),
            "--size 4,x,4: expected voxels as depth,height,width",
        ),
        (("train", "a.zip", "--out", "a.zip"), "a.zip: is read as an input too"),
        (("train", "a.zip", "--model", "unet4d"), "unet4d"),
        (("predict", "b.zip", "a.zip", "p.zip", "--as", "npy"), "--as: changes nothing without"),
        (
            ("predict", "b.zip", "a.zip", "p.zip", "--test", "none"),
            "a.zip: has no table test.pq of test rows",
        ),
    ],
)
def test_a_wrong_call_is_told_before_any_work(geoseg, written, arguments, text):
    found = geoseg("volumes", *arguments)
    assert found.code == 2
    assert text in found.err


def test_a_model_for_images_is_refused(geoseg, written, files):
    found = geoseg("volumes", "predict", files.bundle, "a.zip", "p.zip")
    assert found.code == 2
    assert "is for images; predict them with `geoseg predict`" in found.err


def test_sizes_are_three_numbers_or_one():
    assert size_of("8, 64,32", "--size") == (8, 64, 32)
    assert size_of("16", "--size") == (16, 16, 16)
    assert size_of(None, "--size") is None
    for text in ("", "0,1,1", "4,4", "1,2,3,4", "-1"):
        with pytest.raises(ConfigError, match="expected voxels"):
            size_of(text, "--size")
