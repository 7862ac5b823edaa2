"""Tables of patches: headers that are nearly right, paths that lead below the folder, two of one store."""

import csv
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from geoseg.convert.convert import convert
from geoseg.convert.layouts.generic import generic
from geoseg.convert.patches import find_patches
from geoseg.convert.verify import verify
from geoseg.errors import ConfigError, SourceError
from tests.convert.making import write_tiff


def table(path, header, *rows):
    """A table with these names of columns, in CSV or Parquet by its ending."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".csv":
        with path.open("w", newline="") as file:
            csv.writer(file).writerows([header, *rows])
    else:
        columns = [pa.array(list(cells)) for cells in zip(*rows, strict=True)]
        pq.write_table(pa.Table.from_arrays(columns, names=header), path)
    return str(path)


def found(path, header, *rows):
    return find_patches(generic(csv=table(path, header, *rows)), {})


@pytest.mark.parametrize("name", ["t.csv", "t.parquet"])
def test_blanks_around_the_names_of_columns_do_not_count(tmp_path, name):
    header = ["image", " mask", "split ", " labels ", " other"]
    (patch,) = found(tmp_path / name, header, ["a.tif", "m.tif", "train", "x;y", "z"])

    assert (patch.path, patch.mask, patch.split) == ("a.tif", "m.tif", "train")
    assert patch.labels == ("x", "y")


@pytest.mark.parametrize("name", ["t.csv", "t.parquet"])
@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("Mask", "mask"),
        ("label", "labels"),
        ("Split", "split"),
        ("spilt", "split"),
        ("Keys", "key"),
        ("lable", "labels"),
        ("masc", "mask"),
    ],
)
def test_a_name_that_is_nearly_right_is_refused_by_both_names(tmp_path, name, wrong, right):
    with pytest.raises(SourceError, match=rf"column '{wrong}', .* called '{right}'"):
        found(tmp_path / name, ["image", wrong], ["a.tif", "b"])


def test_a_table_whose_column_of_images_is_nearly_right_is_told_so(tmp_path):
    with pytest.raises(SourceError, match=r"column 'Image', .* called 'image'"):
        found(tmp_path / "t.csv", ["Image"], ["a.tif"])


@pytest.mark.parametrize("other", ["mask_id", "task", "monkey", "images", "", "unnamed: 0"])
def test_other_columns_are_passed_over(tmp_path, other):
    (patch,) = found(tmp_path / "t.csv", ["image", other, ""], ["a.tif", "b", "c"])

    assert (patch.path, patch.mask, patch.labels) == ("a.tif", None, None)


@pytest.mark.parametrize(
    "other",
    [
        *("split_0", "labels_en", "labels_1", "label_1", "mask_2", "mask2", "mask_a", "masked"),
        *("bmask", "pkey", "keyed", "labels_source", "image_mask"),
    ],
)
@pytest.mark.parametrize("name", ["t.csv", "t.parquet"])
def test_a_name_that_somebody_made_of_a_known_one_is_passed_over(tmp_path, name, other):
    (patch,) = found(tmp_path / name, ["image", other], ["a.tif", "b"])

    assert (patch.path, patch.key, patch.mask) == ("a.tif", "a", None)
    assert (patch.split, patch.labels) == (None, None)


@pytest.mark.parametrize("name", ["t.csv", "t.parquet"])
def test_a_column_that_nobody_reads_may_be_there_twice(tmp_path, name):
    header = ["image", "note", "note", "split"]
    (patch,) = found(tmp_path / name, header, ["a.tif", "b", "c", "train"])

    assert (patch.path, patch.split) == ("a.tif", "train")


@pytest.mark.parametrize(
    "kind",
    [
        pa.list_(pa.string(), 2),
        pa.list_(pa.dictionary(pa.int32(), pa.string())),
        pa.large_list(pa.string()),
        *([pa.list_view(pa.string())] if hasattr(pa, "list_view") else []),
        *([pa.large_list_view(pa.string())] if hasattr(pa, "large_list_view") else []),
    ],
    ids=str,
)
def test_lists_of_any_kind_are_labels(tmp_path, kind):
    columns = {"image": pa.array(["a.tif"]), " labels": pa.array([["sea", "wood"]], kind)}
    pq.write_table(pa.table(columns), tmp_path / "t.parquet")
    (patch,) = find_patches(generic(csv=str(tmp_path / "t.parquet")), {})

    assert patch.labels == ("sea", "wood")


def test_lists_of_lists_are_no_labels(tmp_path):
    columns = {"image": ["a.tif"], "labels": [[["sea"]]]}
    pq.write_table(pa.table(columns), tmp_path / "t.parquet")
    with pytest.raises(SourceError, match=r"labels holds list<.*expected text or numbers"):
        find_patches(generic(csv=str(tmp_path / "t.parquet")), {})


@pytest.mark.parametrize("name", ["t.csv", "t.parquet"])
@pytest.mark.parametrize("second", ["image", "image ", "mask"])
def test_a_column_that_is_there_twice_is_refused(tmp_path, name, second):
    with pytest.raises(SourceError, match=f"column '{second.strip()}' twice"):
        found(tmp_path / name, ["image", "mask", second], ["a.tif", "m.tif", "b.tif"])


# Absolute paths


def test_absolute_paths_of_a_table_that_is_reached_by_dots_or_a_link_are_taken(tmp_path):
    (tmp_path / "real/sub").mkdir(parents=True)
    image = tmp_path / "real/sub/a.tif"
    table(tmp_path / "real/t.csv", ["image"], [image])
    (tmp_path / "link").symlink_to("real")

    for place in ("real", "real/sub/..", "link", "link/sub/.."):
        (patch,) = find_patches(generic(csv=str(tmp_path / place / "t.csv")), {})
        assert patch.path == "sub/a.tif"


def test_an_image_that_is_a_link_to_elsewhere_lies_where_the_link_does(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "real/a.tif").symlink_to(tmp_path / "far.tif")
    table(tmp_path / "real/t.csv", ["image"], [tmp_path / "real/a.tif"])
    (patch,) = find_patches(generic(csv=str(tmp_path / "link/t.csv")), {})

    assert patch.path == "a.tif"


def test_absolute_paths_that_lie_elsewhere_are_refused_still(tmp_path):
    with pytest.raises(SourceError, match="does not lie below the source folder"):
        found(tmp_path / "in/t.csv", ["image"], [tmp_path / "b.tif"])


# Two tables of one store


@pytest.fixture
def pair(tmp_path):
    """Two tables of images in one folder, and a store of both."""
    tables = []
    for at, split in enumerate(("train", "val")):
        for name in "ab":
            write_tiff(tmp_path / f"data/{split}_{name}.tif", np.full((3, 5), at, "u1"))
        rows = [[f"{split}_{name}.tif", split] for name in "ab"]
        tables.append(table(tmp_path / f"data/{split}.csv", ["image", "split"], *rows))
    store = str(tmp_path / "store")
    for number, path in enumerate(tables):
        convert(generic(csv=path), {}, store, workers=0, append=bool(number))
    return store, tables


def test_two_tables_make_one_store(pair):
    rows = pq.read_table(Path(pair[0], "manifest.parquet")).to_pylist()

    assert {row["key"]: row["split"] for row in rows} == {
        "train_a": "train", "train_b": "train", "val_a": "val", "val_b": "val",
    }  # fmt: skip


def test_a_store_of_two_tables_is_verified_by_both(pair):
    store, tables = pair
    whole = verify(store, tables)
    half = verify(store, tables[1:])

    assert (whole.ok, whole.patches) == (True, 4)
    assert (half.patches, half.faults) == (2, {"extra": 2})


def test_tables_of_one_name_in_two_folders_are_found_by_these(tmp_path):
    folders = []
    for name in ("one", "two"):
        write_tiff(tmp_path / name / f"{name}.tif", np.ones((3, 5), "u1"))
        path = table(tmp_path / name / "t.csv", ["image"], [f"{name}.tif"])
        convert(generic(csv=path), {}, str(tmp_path / "store"), workers=0, append=bool(folders))
        folders.append(str(tmp_path / name))
    found = verify(str(tmp_path / "store"), folders[::-1])

    assert (found.ok, found.patches) == (True, 2)
    assert sorted(found.sources["images"]) == folders


def test_a_folder_that_no_table_needs_is_refused(pair, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match="empty: no table names patches in this folder"):
        verify(pair[0], [str(tmp_path / "data"), str(tmp_path / "empty"), *pair[1]])
