"""`geoseg volumes check|info|convert` as they are typed."""

from __future__ import annotations

import io
import json
import zipfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import rasterio
from affine import Affine

from geoseg.volumes import VolumeZip, VolumeZipWriter

CLASSES = ("water", "ice")
UTM = Affine(30, 0, 4e5, 0, -30, 4e6)
TIMES = tuple(f"2020-0{month}-01" for month in range(1, 6))


def volume(seed):
    """An image (depth, height, width) and its ids: boxes of two classes that do not touch."""
    ids = np.zeros((5, 17 + seed, 23), np.uint8)
    ids[1:4, 2:9, 3:11], ids[0:3, 11:15, 12:21] = 1, 2
    image = np.random.default_rng(seed).integers(0, 50, ids.shape, np.uint8) + 90 * ids
    return image, ids


def masks_of(ids):
    return {name: ids == number for number, name in enumerate(CLASSES, start=1)}


@pytest.fixture
def written(tmp_path, monkeypatch):
    """a.zip, two volumes to train on, one to validate on and one to test, in the working directory."""
    monkeypatch.chdir(tmp_path)
    place = {"crs": "EPSG:32619", "transform": UTM, "times": TIMES}
    with VolumeZipWriter("a.zip", CLASSES) as writer:
        for seed, split in enumerate(("train", "train", "validation", "test")):
            image, ids = volume(seed)
            masks = None if split == "test" else masks_of(ids)
            fold = seed if split == "train" else None
            writer.write(f"v{seed}", image, masks, split, fold=fold, **place)
    return tmp_path


def foreign(path, rows, *, names=("image", "class_id", "rle_mask")):
    """A zip of another program: no metadata, one table."""
    table = pa.table(dict(zip(names, zip(*rows, strict=True), strict=True)))
    with zipfile.ZipFile(path, "w") as archive:
        data = io.BytesIO()
        pq.write_table(table, data)
        archive.writestr("train.pq", data.getvalue())
        for seed, row in enumerate(rows):
            data = io.BytesIO()
            np.save(data, np.moveaxis(volume(seed)[0], 0, -1))
            archive.writestr(f"images/{row[0]}", data.getvalue())


def fortran(mask):
    """The text of a stored array (height, width, depth) in Fortran order: 1-based starts and lengths."""
    line = np.moveaxis(mask, 0, -1).ravel(order="F")
    edges = np.flatnonzero(np.diff(np.concatenate([[0], line.astype(int), [0]])))
    return " ".join(
        f"{start + 1} {end - start}" for start, end in zip(edges[::2], edges[1::2], strict=True)
    )


def test_each_command_says_what_it_does(geoseg):
    found = geoseg("volumes", "--help")
    assert found.code == 0
    for name in ("check", "info", "convert", "train", "predict"):
        assert name in found.out
        told = geoseg("volumes", name, "--help")
        assert told.code == 0
        assert f"Example: geoseg volumes {name}" in told.out


def test_a_zip_without_faults_passes(geoseg, written):
    found = geoseg("volumes", "check", "a.zip")
    assert (found.code, found.err) == (0, "")
    assert "look like: literal" in found.out
    assert (
        found.out.splitlines()[-1] == "2 train, 1 validation, 1 test volumes: 0 errors, 0 warnings"
    )


def test_every_fault_is_told_in_a_line_and_ends_with_1(geoseg, written):
    rows = [("b.npy", list(CLASSES), ["0 5", "1 2 9"]), ("c.npy", ["water"], [""])]
    foreign("bad.zip", rows)
    found = geoseg("volumes", "check", "bad.zip")
    assert found.code == 1
    errors = [line for line in found.out.splitlines() if line.startswith("error: ")]
    assert len(errors) == 3
    for name, text in zip(("'b.npy'", "'b.npy'", "'c.npy'"), sorted(errors), strict=True):
        assert name in text
    assert "2 train volumes: 3 errors" in found.out
    told = json.loads(geoseg("volumes", "check", "bad.zip", "--json").out)
    assert [f"error: {text}" for text in told["errors"]] == errors


def test_masks_that_look_written_along_other_axes_are_a_warning(geoseg, written):
    rows = []
    for seed in range(2):
        ids = volume(seed)[1]
        texts = [fortran(ids == number) for number in (1, 2)]
        rows.append((f"v{seed}.npy", list(CLASSES), texts))
    foreign("other.zip", rows)
    found = geoseg("volumes", "check", "other.zip")
    assert found.code == 0
    assert (
        "warning: masks are read with image axes HWD and order dhw, but look smoother" in found.out
    )
    assert "--image-axes HWD --rle-order hwd" in found.out
    found = geoseg("volumes", "check", "other.zip", "--rle-order", "hwd")
    assert "warning:" not in found.out
    geoseg("volumes", "convert", "other.zip", "right.zip", "--rle-order", "hwd")
    for seed, row in enumerate(VolumeZip("right.zip").frame("train")):
        image, ids = volume(seed)
        assert (row.image()[0] == image).all()
        assert (row.masks() == np.stack([ids == 1, ids == 2])).all()


def test_info_tells_what_a_zip_holds(geoseg, written):
    found = geoseg("volumes", "info", "a.zip", "--json")
    assert (found.code, found.err) == (0, "")
    told = json.loads(found.out)
    assert told["kind"] == "volumes"
    assert told["classes"] == list(CLASSES)
    train = told["train"]
    assert (train["volumes"], train["folds"]) == (2, {"0": 1, "1": 1})
    assert (train["smallest"], train["largest"]) == ([5, 17, 23], [5, 18, 23])
    counts = [np.bincount(volume(seed)[1].ravel())[1:] for seed in (0, 1)]
    assert train["class voxels"] == dict(zip(CLASSES, map(int, sum(counts)), strict=True))
    assert told["test"]["voxels"] == 5 * 20 * 23
    assert json.loads(geoseg("info", "a.zip", "--json").out) == told
    assert "class voxels" in geoseg("info", "a.zip").out


def test_frames_can_be_named_and_left_out(geoseg, written):
    told = json.loads(geoseg("volumes", "info", "a.zip", "--validation", "none", "--json").out)
    assert "validation" not in told
    told = json.loads(
        geoseg(
            *("volumes", "info", "a.zip", "--train", "validation.pq", "--validation", "none"),
            "--json",
        ).out
    )
    assert told["train"]["file"] == "validation.pq"
    found = geoseg("volumes", "info", "a.zip", "--test", "tset.pq")
    assert found.code == 1
    assert found.err.startswith("error: a.zip: there is no 'tset.pq'")


def test_a_zip_of_other_axes_and_fewer_classes_holds_the_same_voxels(geoseg, written):
    options = ("--to-image-axes", "DHW", "--to-rle-order", "hwd", "--classes", "ice")
    found = geoseg("volumes", "convert", "a.zip", "b.zip", *options)
    assert (found.code, found.err, found.out) == (0, "", "b.zip\n")
    one, two = (
        VolumeZip(uri, validation="validation.pq", test="test.pq") for uri in ("a.zip", "b.zip")
    )
    assert (two.image_axes, two.rle_order, two.classes) == ("DHW", "hwd", ("ice",))
    for split in ("train", "validation", "test"):
        for row, other in zip(one.frame(split), two.frame(split), strict=True):
            assert (row.image() == other.image()).all()
            facts = ("name", "fold", "crs", "transform", "times")
            assert all(getattr(row, key) == getattr(other, key) for key in facts)
            if split != "test":
                assert (row.masks()[1:] == other.masks()).all()


def test_a_zip_becomes_a_folder_of_maps(geoseg, written):
    found = geoseg("volumes", "convert", "a.zip", "maps")
    assert (found.code, found.err) == (0, "")
    for seed in range(3):
        for plane in range(5):
            with rasterio.open(f"maps/v{seed}_{plane:03d}.tif") as file:
                assert (file.read(1) == volume(seed)[1][plane]).all()
                assert file.transform == UTM
    geoseg("volumes", "convert", "a.zip", "arrays", "--as", "npy", "--layers", "masks")
    ids = volume(1)[1]
    assert (np.load("arrays/v1.npy") == np.stack([ids == 1, ids == 2])).all()


@pytest.mark.parametrize("by_class", [False, True])
def test_a_folder_becomes_a_zip(geoseg, written, by_class):
    for name in ("images", "masks/water", "masks/ice") if by_class else ("images", "masks"):
        (written / "data" / name).mkdir(parents=True)
    for seed in range(2):
        image, ids = volume(seed)
        np.save(f"data/images/s{seed}.npy", image)
        if by_class:
            np.save(f"data/masks/water/s{seed}.npy", ids == 1)
        if by_class and seed:
            np.save(f"data/masks/ice/s{seed}.npy", (ids == 2).astype("uint8"))
        if not by_class:
            profile = {"driver": "GTiff", "count": 5, "height": 17 + seed, "width": 23}
            place = {"crs": "EPSG:32619", "transform": UTM}
            with rasterio.open(
                f"data/masks/s{seed}.tif", "w", dtype="uint8", **profile, **place
            ) as file:
                file.write(ids)
    options = ("--image-axes", "DHW", "--classes", "water,ice")
    found = geoseg("volumes", "convert", "data", "c.zip", *options)
    assert (found.code, found.err) == (0, "")
    for seed, row in enumerate(VolumeZip("c.zip").frame("train")):
        image, ids = volume(seed)
        expected = np.stack([ids == 1, (ids == 2) & (not by_class or seed > 0)])
        assert row.name == f"s{seed}.npy"
        assert (row.image()[0] == image).all()
        assert (row.masks() == expected).all()


def test_scenes_of_an_experiment_become_volumes(geoseg, written):
    profile = {"driver": "GTiff", "count": 1, "height": 17, "width": 23, "crs": "EPSG:32619"}
    image, ids = volume(0)
    for name, data in (("june", image[1]), ("ids", ids[1])):
        with rasterio.open(f"{name}.tif", "w", dtype="uint8", transform=UTM, **profile) as file:
            file.write(data, 1)
    (written / "experiment.yaml").write_text(
        "classes: [background, water, ice]\n"
        "train: [{id: a, image: june.tif, labels: {type: raster, source: ids.tif}}]\n"
        "test: [{id: b, image: june.tif, labels: {type: raster, source: ids.tif}}]\n"
        "output: out\n"
    )
    found = geoseg("volumes", "convert", "experiment.yaml", "d.zip")
    assert (found.code, found.err) == (0, "")
    made = VolumeZip("d.zip", test="test.pq")
    assert [row.name for row in made.frame("test")] == ["b.npy"]
    (row,) = made.frame("train")
    assert (row.crs.to_epsg(), row.transform, row.shape) == (32619, UTM, (1, 17, 23))
    assert (row.image()[0] == image[1:2]).all()
    assert (row.masks() == np.stack([ids[1:2] == 1, ids[1:2] == 2])).all()
    assert geoseg("volumes", "convert", "experiment.yaml", "e.zip", "--split", "test").code == 2
    (written / "top.yaml").write_text("include: experiment.yaml\noutput: other\n")
    assert geoseg("volumes", "convert", "top.yaml", "g.zip").code == 0
    assert [row.name for row in VolumeZip("g.zip", test="test.pq").frame("test")] == ["b.npy"]
    found = geoseg("volumes", "convert", "none.yaml", "h.zip")
    assert (found.code, found.err.count("\n")) == (2, 1)
    assert "none.yaml: there is no such file, expected" in found.err
    (written / "scene.yaml").write_text("id: c\nimage: june.tif\n")
    options = ("--split", "test", "--classes", "water")
    assert geoseg("volumes", "convert", "scene.yaml", "f.zip", *options).code == 0
    (row,) = VolumeZip("f.zip", train=None, test="test.pq").frame("test")
    assert (row.name, row.rles()) == ("c.npy", None)


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (("a.zip", "a.zip"), 2, "a.zip: is read as an input too"),
        (("a.zip", "b.zip", "--as", "npy"), 2, "--as: changes nothing without a folder as OUT"),
        (
            ("a.zip", "maps", "--to-image-axes", "DHW"),
            2,
            "--to-image-axes: changes nothing without",
        ),
        (("a.zip", "b.zip", "--split", "test"), 2, "--split: changes nothing without scenes or"),
        (("a.zip", "b.zip", "--classes", "snow"), 2, "a.zip: has no class snow"),
        ((".", "maps"), 2, "maps: folders become a zip"),
        ((".", "b.zip"), 1, "images: there is no such folder"),
        (("none.zip", "b.zip"), 1, "none.zip: there is no such file"),
    ],
)
def test_what_cannot_be_converted_is_told(geoseg, written, arguments, code, text):
    found = geoseg("volumes", "convert", *arguments)
    assert found.code == code
    assert text in found.err
    assert not (written / "b.zip").exists()


def test_a_folder_of_masks_that_do_not_fit_is_refused(geoseg, written):
    (written / "data" / "images").mkdir(parents=True)
    (written / "data" / "masks").mkdir()
    image, ids = volume(0)
    np.save("data/images/s.npy", image)
    call = ("volumes", "convert", "data", "b.zip")
    assert "nothing tells what the numbers of its masks mean" in geoseg(*call).err
    assert "has no mask of its name" in geoseg(*call, "--classes", "water").err
    np.save("data/masks/s.npy", ids)
    found = geoseg(*call, "--classes", "water")
    assert found.code == 1
    assert "expected whole numbers from 0 (background) to 1" in found.err
    np.save("data/masks/s.npy", ids[1:])
    assert "expected one channel of (17, 23, 5)" not in found.err
    assert "as its image has" in geoseg(*call, "--classes", "water,ice").err
    np.save("data/images/s.npz.npy", image)
    (written / "data/images/s.npz").write_bytes(b"")
    assert "is called as s.npy but for its end" in geoseg(*call, "--classes", "water").err
