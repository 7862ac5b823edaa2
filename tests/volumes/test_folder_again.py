"""Folders that are written a second time, and volumes whose files would have one name."""

from __future__ import annotations

import csv

import numpy as np
import pytest
from affine import Affine

from geoseg.errors import LabelError, StoreError
from geoseg.volumes import VolumeFolderWriter

PLACE = {"crs": 32619, "transform": Affine(30, 0, 4e5, 0, -30, 4e6)}
NOTES = {"classes.yaml", "index.csv"}


def write(folder, kind, volumes, *, scores=()):
    """Volumes {name: planes} of which class `a` is in the first plane, and scores of some of them."""
    with VolumeFolderWriter(folder, ["a"], kind=kind) as writer:
        for name, depth in volumes.items():
            mask = np.zeros((depth, 3, 4), bool)
            mask[0] = True
            writer.write(name, mask.astype("uint8"), {"a": mask}, **PLACE)
            if name in scores:
                writer.write_scores(name, [np.full((1, depth, 3, 4), 0.5, "float32")])


def names_in(folder):
    return {path.name for path in folder.iterdir()}


@pytest.mark.parametrize(
    ("kind", "end"), [("npy", ".npy"), ("tiff", ".tif"), ("geotiff", "_000.tif")]
)
@pytest.mark.parametrize("name", ["x.scores", "X.Scores"])
def test_scores_and_masks_of_two_volumes_do_not_replace_each_other(tmp_path, kind, end, name):
    text = rf"would replace .*{end}, which was written for"
    for number, order in enumerate(({"x": 1, name: 1}, {name: 1, "x": 1})):
        folder = tmp_path / str(number)
        with pytest.raises(StoreError, match=text):
            write(folder, kind, order, scores=["x"])
        (found,) = [file for file in names_in(folder) if file.lower() == f"x.scores{end}"]
        masks = folder / found if number else folder / f"x{end}"
        write(tmp_path / "alone", kind, {name if number else "x": 1})
        assert masks.read_bytes() == (tmp_path / "alone" / masks.name).read_bytes()
    write(tmp_path / "apart", kind, {name: 1, "x": 1})
    assert len(names_in(tmp_path / "apart")) == 4


@pytest.mark.parametrize("kind", ["npy", "tiff", "geotiff"])
def test_a_second_run_leaves_nothing_of_the_first_one_of_its_volumes(tmp_path, kind):
    write(tmp_path / "out", kind, {"a": 3, "b": 2}, scores=["a", "b"])
    of_b = {name for name in names_in(tmp_path / "out") if name.startswith("b")}
    others = {"a_9.tif", "a_003.tiff", "a_x.tif", "a_005.tif", "a.scores_004.tif", "a.scores.txt"}
    for name in others:
        (tmp_path / "out" / name).write_text("of somebody else")
    write(tmp_path / "out", kind, {"a": 1})
    write(tmp_path / "alone", kind, {"a": 1})
    assert names_in(tmp_path / "out") == names_in(tmp_path / "alone") | of_b | others


@pytest.mark.parametrize(("first", "second"), [(11, 2), (2, 11)])
def test_planes_with_more_digits_are_of_the_same_volume(tmp_path, monkeypatch, first, second):
    monkeypatch.setattr("geoseg.volumes.exporting.names._DIGITS", 1)
    write(tmp_path / "out", "geotiff", {"a": first})
    write(tmp_path / "out", "geotiff", {"a": second})
    write(tmp_path / "alone", "geotiff", {"a": second})
    assert names_in(tmp_path / "out") == names_in(tmp_path / "alone")


def test_volumes_of_an_earlier_run_that_only_look_like_left_files_stay(tmp_path):
    write(tmp_path, "tiff", {"a_001": 1, "a.scores": 1})
    kept = names_in(tmp_path)
    write(tmp_path, "geotiff", {"a": 1})
    assert names_in(tmp_path) == kept | {"a_000.tif"}
    write(tmp_path / "n", "npy", {"a.scores": 1})
    write(tmp_path / "n", "npy", {"a": 1})
    assert names_in(tmp_path / "n") == {"a.npy", "a.scores.npy", *NOTES}


@pytest.mark.parametrize("kind", ["npy", "tiff", "geotiff"])
def test_a_folder_that_is_half_of_another_run_has_no_index(tmp_path, kind):
    write(tmp_path, kind, {"a": 2, "b": 2})
    image = np.zeros((1, 3, 4), "uint8")
    writer = VolumeFolderWriter(tmp_path, ["a"], kind=kind)
    with pytest.raises(KeyError), writer:
        fill_half(writer, tmp_path, image)
    assert not names_in(tmp_path) & NOTES


def fill_half(writer, folder, image):
    with pytest.raises(LabelError, match="no class"):
        writer.write("a", image, {"x": image}, **PLACE)
    assert names_in(folder) >= NOTES
    writer.write("a", image, {"a": image}, **PLACE)
    assert not names_in(folder) & NOTES
    raise KeyError


@pytest.mark.parametrize("kind", ["npy", "tiff", "geotiff"])
def test_a_volume_that_fails_half_way_leaves_the_folder_as_it_was(tmp_path, monkeypatch, kind):
    write(tmp_path, kind, {"a": 3})
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    monkeypatch.setattr("geoseg.volumes.exporting.layers._SLAB", 1)
    both = np.zeros((3, 3, 4), bool)
    both[2] = True
    with (
        pytest.raises(LabelError, match="overlap at plane 2"),
        VolumeFolderWriter(tmp_path, ["a", "b"], kind=kind) as writer,
    ):
        writer.write("a", both, {"a": both, "b": both}, **PLACE)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_the_index_names_what_is_there(tmp_path):
    write(tmp_path, "geotiff", {"a": 3}, scores=["a"])
    write(tmp_path, "geotiff", {"a": 2})
    with (tmp_path / "index.csv").open(newline="") as file:
        listed = {row["file"] for row in csv.DictReader(file)}
    assert listed == names_in(tmp_path) - NOTES == {"a_000.tif", "a_001.tif"}


def test_the_index_lists_masks_and_scores_that_are_there(tmp_path):
    write(tmp_path, "geotiff", {"a": 2, "b": 1}, scores=["a"])
    with (tmp_path / "index.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["file"] for row in rows} == names_in(tmp_path) - NOTES
    scores = [(r["volume"], r["plane"]) for r in rows if r["file"].startswith("a.scores")]
    assert scores == [("a", "0"), ("a", "1")]


FOREIGN = {
    *(f"a_{year:03d}.tif" for year in range(2, 9)),
    *(f"a_{year:04d}.tif" for year in range(6)),
    *("a.scores.npy", "a.scores.tif", "a.scores_000.tif", "a.scores_001.tif"),
}
"""Names that the writer of a volume `a` of two planes could have given in an earlier run."""


def put(folder, names):
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / name).write_text(f"{name} of somebody else")


@pytest.mark.parametrize("kind", ["npy", "tiff", "geotiff"])
@pytest.mark.parametrize("before", [None, "b", "a", "broken off"])
def test_files_that_no_index_lists_stay(tmp_path, kind, before):
    """Neither numbers without a gap nor names like those of scores make them those of an earlier run."""
    put(tmp_path, FOREIGN)
    if before == "broken off":
        with pytest.raises(StoreError, match="would replace"):
            write(tmp_path, kind, {"b": 2, "b.scores": 2}, scores=["b"])
    elif before is not None:
        write(tmp_path, kind, {before: 2})
    write(tmp_path, kind, {"a": 2})
    assert all((tmp_path / name).read_text().endswith("somebody else") for name in FOREIGN)


def test_a_line_of_the_index_that_the_writer_would_not_write_removes_nothing(tmp_path):
    write(tmp_path / "out", "geotiff", {"a": 1})
    files = ["../a_001.tif", "a_x.tif", "b_001.tif", "a_1.tif", "a_001.tif/", "classes.yaml"]
    put(tmp_path, ["a_001.tif"])
    put(tmp_path / "out", files[1:4])
    kept = names_in(tmp_path / "out")
    with (tmp_path / "out" / "index.csv").open("a") as file:
        file.writelines(f"a,1,,{name}\n" for name in files)
    write(tmp_path / "out", "geotiff", {"a": 1})
    assert names_in(tmp_path / "out") == kept
    assert (tmp_path / "a_001.tif").exists()


@pytest.mark.parametrize(
    "text",
    [
        b"id,price\n1,2\n",
        b"",
        b"volume,plane,time\n",
        b"volume,plane,time,file\na,0\n",
        b"\xff\xfe",
    ],
)
def test_an_index_of_something_else_is_refused_and_stays(tmp_path, text):
    (tmp_path / "index.csv").write_bytes(text)
    with pytest.raises(StoreError, match=r"index\.csv: is not an index of volumes.*another folder"):
        write(tmp_path, "npy", {"a": 1})
    assert names_in(tmp_path) == {"index.csv"}
    assert (tmp_path / "index.csv").read_bytes() == text


@pytest.mark.parametrize(
    ("text", "indexed"),
    [
        (b"[water, ice]", False),
        *((text, indexed) for text in (b"mine", b"a: [", b"\xff\xfe") for indexed in (False, True)),
    ],
)
def test_classes_of_something_else_are_refused_and_stay(tmp_path, text, indexed):
    """Without an index, they are those of somebody else even where they are classes."""
    if indexed:
        write(tmp_path, "npy", {"a": 2})
    (tmp_path / "classes.yaml").write_bytes(text)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(
        StoreError, match=r"classes\.yaml: is not of an earlier run.*another folder"
    ):
        write(tmp_path, "npy", {"a": 1})
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
