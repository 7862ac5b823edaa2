"""Predictions that are written: what they are called, and what a store refuses before any is made."""

import io
import zipfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import rasterio
from affine import Affine

from geoseg.errors import ConfigError, LabelError, StoreError
from geoseg.learner import Learner
from geoseg.learner.volumes import performing
from geoseg.learner.volumes.judging import judged
from geoseg.volumes import ArrayVolume, VolumeZip, VolumeZipWriter, read_scores
from geoseg.volumes.exporting import VolumeFolderWriter
from tests.learner.volumes.boxes import noisy, quick
from tests.volumes.rle.documented import documented_encoder

UTM = {"crs": "EPSG:32619", "transform": Affine(30, 0, 4e5, 0, -30, 4e6)}


@pytest.fixture(scope="module")
def learner():
    return Learner(["box"], quick(length=2)).fit([noisy(0)])


@pytest.fixture
def none_is_predicted(monkeypatch):
    monkeypatch.setattr(performing, "predicted", lambda *_, **__: pytest.fail("predicted"))


def named(name, **options):
    given = noisy(0)
    return ArrayVolume(name, given.image(), {"box": given.masks()[0]}, **options)


def tiff(array):
    """Bytes of a TIFF with a band for each plane."""
    depth, height, width = array.shape
    options = {"count": depth, "height": height, "width": width, "dtype": array.dtype}
    with rasterio.MemoryFile() as file:
        with file.open(driver="GTiff", transform=UTM["transform"], **options) as out:
            out.write(array)
        return file.read()


def nifti(array):
    """Bytes of a NIfTI whose axes are width, height, depth."""
    nibabel = pytest.importorskip("nibabel")
    return nibabel.Nifti1Image(array.transpose(2, 1, 0), np.eye(4)).to_bytes()


def packed(array):
    buffer = io.BytesIO()
    np.savez_compressed(buffer, image=array.transpose(1, 2, 0))
    return buffer.getvalue()


WRITERS = {".tif": tiff, ".nii": nifti, ".npz": packed}


def foreign(path, names):
    """A zip of another program: images in the format that their names tell, no metadata."""
    rows = [noisy(number) for number in range(len(names))]
    masks = [[documented_encoder(row.masks()[0])] for row in rows]
    table = pa.table({"image": list(names), "class_id": [["box"]] * len(rows), "rle_mask": masks})
    with zipfile.ZipFile(path, "w") as archive:
        for name, row in zip(names, rows, strict=True):
            archive.writestr(f"images/{name}", WRITERS[name[-4:]](row.image()[0]))
        data = io.BytesIO()
        pq.write_table(table, data)
        archive.writestr("train.pq", data.getvalue())
    return VolumeZip(path).frame("train")


@pytest.mark.parametrize(
    ("names", "written"),
    [
        (("s.tif", "n.nii", "p.npz"), ("s.npy", "n.npy", "p.npy")),
        (("s.tif", "s.nii", "p.npz"), ("s.tif.npy", "s.nii.npy", "p.npy")),
    ],
)
def test_predictions_of_any_format_are_judged_against_their_truth(
    learner, tmp_path, names, written
):
    rows = foreign(tmp_path / "truth.zip", names)
    with VolumeZipWriter(tmp_path / "p.zip", ["box"]) as store:
        learner.predict(rows, store, scores=True)
    found = VolumeZip(tmp_path / "p.zip").frame("train")
    assert tuple(row.name for row in found) == written
    report, expected = judged(rows, found), learner.evaluate(rows)
    assert report.dice["box"] == pytest.approx(expected.dice["box"])
    for row, other in zip(rows, found, strict=True):
        assert (row.image() == other.image()).all()
        assert read_scores(other).shape == (1, *row.shape)


def test_each_volume_is_told_once_it_is_written(learner, tmp_path):
    rows, told = [named("a"), named("b")], []
    with VolumeZipWriter(tmp_path / "p.zip", ["box"]) as store:
        learner.predict(rows, store, seen=told.append)
    assert told == rows
    with pytest.raises(ConfigError, match="the prediction of volumes has no option 'seen'"):
        learner.predict(rows, seen=told.append)


@pytest.mark.parametrize(
    ("rows", "text"),
    [
        ((("a", 1), ("a:b", 2)), "a volume is named 'a:b'"),
        ((("a", 1), ("a", 2)), "the volumes 'a' and 'a' would both be written as 'a.npy'"),
        ((("a", 1), ("A", 2)), "the volumes 'a' and 'A' would both be written as 'A.npy'"),
        ((("a", 1), ("there", 2)), "there.npy: was written already"),
        ((("a", "x"), ("b", "y")), "the fold is 'x', but that of there.npy is 1"),
        ((("a", 1), ("b", None)), "the fold is None, but that of there.npy is 1"),
    ],
)
@pytest.mark.usefixtures("none_is_predicted")
def test_what_a_zip_refuses_is_told_before_anything_is_predicted(learner, tmp_path, rows, text):
    with VolumeZipWriter(tmp_path / "p.zip", ["box"]) as store:
        store.write("there", np.zeros((1, 2, 3), np.uint8), {}, fold=1)
        with pytest.raises(StoreError, match=text):
            learner.predict([named(name, fold=fold) for name, fold in rows], store)


@pytest.mark.parametrize(
    ("rows", "text"),
    [
        ([named("a", **UTM), named("b")], "b: has no CRS"),
        (
            [named("a.tif", **UTM), named("a.nii", **UTM)],
            "'a.tif' and 'a.nii' would both be .* 'a'",
        ),
    ],
)
@pytest.mark.usefixtures("none_is_predicted")
def test_what_a_folder_refuses_is_told_before_anything_is_predicted(learner, tmp_path, rows, text):
    with VolumeFolderWriter(tmp_path / "maps", ["box"], kind="geotiff") as store:
        store.write("there", np.zeros((1, 2, 3), np.uint8), {}, **UTM)
        with pytest.raises(StoreError, match=text):
            learner.predict(rows, store)


@pytest.mark.parametrize(
    ("folds", "written"),
    [((1, None), (None, None)), ((1, "x"), (None, None)), ((1, 2), (1, 2)), ("xy", ("x", "y"))],
)
def test_folds_are_left_out_where_a_table_cannot_hold_them(learner, tmp_path, folds, written):
    rows = [named(name, fold=fold) for name, fold in zip("ab", folds, strict=True)]
    with VolumeZipWriter(tmp_path / "p.zip", ["box"]) as store:
        learner.predict(rows, store)
    found = VolumeZip(tmp_path / "p.zip").frame("train")
    assert tuple(row.fold for row in found) == written


@pytest.mark.usefixtures("none_is_predicted")
def test_tests_are_no_frame_for_predictions(learner):
    with pytest.raises(ConfigError, match="split is 'test', expected one of: train, validation"):
        learner.predict(named("a"), VolumeZipWriter("p.zip", ["box"]), split="test")


def test_each_frame_has_folds_of_its_own(learner, tmp_path):
    masks = {"box": noisy(0).masks()[0]}
    with VolumeZipWriter(tmp_path / "a.zip", ["box"]) as writer:
        writer.write("t", noisy(0).image(), masks, "train", fold=3)
        writer.write("v", noisy(0).image(), masks, "validation")
    found = VolumeZip(tmp_path / "a.zip", validation="validation.pq")
    with VolumeZipWriter(tmp_path / "p.zip", ["box"]) as store:
        learner.predict([*found.frame("train"), *found.frame("validation")], store)
    found = VolumeZip(tmp_path / "p.zip", validation="validation.pq")
    folds = [[row.fold for row in found.frame(split)] for split in ("train", "validation")]
    assert folds == [[3], [None]]


def test_a_store_of_ones_own_needs_no_check(learner):
    class Own:
        uri, classes, rle_order = "own", ("box",), "dhw"

        def write(self, name, image, masks, split, **facts):
            self.names = [*getattr(self, "names", []), name]

        def write_scores(self, name, slabs):
            pass

    store = Own()
    learner.predict([named("a.tif"), named("b")], store)
    assert store.names == ["a", "b"]


@pytest.mark.usefixtures("none_is_predicted")
def test_what_cannot_be_compared_is_told_before_anything_is_predicted(learner):
    bare = ArrayVolume("bare", noisy(0).image())
    other = ArrayVolume("other", noisy(0).image(), {"hut": noisy(0).masks()[0]})
    for row, kind, text in (
        (bare, LabelError, "'bare' has no masks"),
        (other, LabelError, r"'other' has masks of \['hut'\]"),
        (named("a"), ConfigError, "two volumes are called 'a'"),
    ):
        with pytest.raises(kind, match=text):
            learner.evaluate([named("a"), row])


def test_names_with_any_harmless_mark_are_predicted_into_a_zip_and_as_maps(learner, tmp_path):
    names = ("cafe\u0301 #1", "a&b", "50% [x]")
    rows = [named(f"{name}.npy", **UTM) for name in names]
    with VolumeZipWriter(tmp_path / "p.zip", ["box"]) as store:
        learner.predict(rows, store)
    found = VolumeZip(tmp_path / "p.zip").frame("train")
    assert [row.name for row in found] == [f"{name}.npy" for name in names]
    with VolumeFolderWriter(tmp_path / "maps", ["box"], kind="geotiff") as store:
        learner.predict(rows, store)
    for name, row in zip(names, found, strict=True):
        for plane, mask in enumerate(row.masks()[0]):
            with rasterio.open(tmp_path / "maps" / f"{name}_{plane:03d}.tif") as file:
                assert (file.read(1) == mask).all()
