"""Scenes as rows of a table."""

from __future__ import annotations

import pyarrow as pa
import pytest
from pyarrow import parquet

from geoseg.errors import SceneError, SourceError
from geoseg.labels.sources import RasterLabels, VectorLabels
from geoseg.scenes import SceneTable

TEXT = """id,image,labels,aoi,class_by,mapping,split
one,a.tif,a_mask.tif,,,"1:0, 2:1",train
,sub/b.tif,b.gpkg,area.geojson,kind,,valid
two,/vsicurl/c.tif,s3://masks/c.tif,,,,train
"""


@pytest.fixture
def table(tmp_path):
    """Writes a table beside empty files; gives the SceneTable."""
    for name in ("a.tif", "a_mask.tif", "sub/b.tif", "b.gpkg", "area.geojson"):
        (tmp_path / "data" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "data" / name).touch()

    def write(text=TEXT, **keys):
        path = tmp_path / "data" / "scenes.csv"
        path.write_text(text, encoding="utf-8-sig")
        return SceneTable(table=str(path), **keys)

    return write


def test_rows_of_a_part_become_scenes_with_paths_from_the_folder_of_the_table(table, tmp_path):
    one, two = table(split="train").scenes()
    folder = tmp_path / "data"
    assert (one.id, one.image.uri) == ("one", str(folder / "a.tif"))
    assert one.labels == RasterLabels(source=str(folder / "a_mask.tif"), mapping={1: 0, 2: 1})
    assert (two.id, two.image.uri) == ("two", "/vsicurl/c.tif")
    assert two.labels.source.uri == "s3://masks/c.tif"
    (b,) = table(split="valid").scenes()
    assert (b.id, b.aoi.uri) == ("b", str(folder / "area.geojson"))
    assert b.labels == VectorLabels(source=str(folder / "b.gpkg"), class_by="kind")


def test_what_a_row_leaves_empty_comes_from_the_entry(table):
    text = TEXT.replace('"1:0, 2:1"', "").replace("kind", "").replace("valid", "train")
    one, b, two = table(text, split="train", mapping={3: 0}, class_by="use").scenes()
    assert (one.labels.mapping, two.labels.mapping) == ({3: 0}, {3: 0})
    assert b.labels.class_by == "use"


def test_parquet_holds_the_same(table, tmp_path):
    wanted = table(split="train").scenes()
    path = tmp_path / "data" / "scenes.parquet"
    columns = {
        "id": ["one", None, "two"],
        "image": ["a.tif", "sub/b.tif", "/vsicurl/c.tif"],
        "labels": ["a_mask.tif", "b.gpkg", "s3://masks/c.tif"],
        "mapping": ["1:0 2:1", "", None],
        "split": ["train", "valid", "train"],
    }
    parquet.write_table(pa.table(columns), path)
    assert SceneTable(table=str(path), split="train").scenes() == wanted


def test_shares_deal_the_rows_of_a_table_without_splits(table):
    text = "image\n" + "a.tif\n"
    with pytest.raises(SceneError, match="1 scenes are too few"):
        table(text, split="train", shares={"train": 0.5, "test": 0.5}).scenes()
    text = "id,image\n" + "".join(f"{i},a.tif\n" for i in range(8))
    parts = [
        [s.id for s in table(text, split=part, shares={"train": 0.75, "test": 0.25}).scenes()]
        for part in ("train", "test")
    ]
    assert [len(part) for part in parts] == [6, 2]
    assert sorted(parts[0] + parts[1]) == [str(i) for i in range(8)]


@pytest.mark.parametrize(
    ("text", "keys", "message"),
    [
        ("picture,labels\na,b\n", {}, r"has no column 'image', but 'picture', 'labels'"),
        ("", {}, "has no column 'image', but none at all"),
        ("image\n", {}, "holds no row"),
        (TEXT, {}, "has a column 'split'; say which of its rows are meant, such as split: train"),
        (TEXT, {"split": "test"}, "no row has the split 'test'; there are: train, valid"),
        (TEXT, {"split": "a", "shares": {"a": 1}}, "and `shares` are given too"),
        ("image\na.tif\n", {"split": "train"}, "has no column 'split' that could tell"),
        ("image\na.tif\na.tif\n", {}, "1 scene ids are given twice: a; give each scene an `id`"),
        ("image,labels\na.tif,no.tif\n", {}, "of 1 scenes 1 lack the file of their labels"),
        ("image,labels\n,no.tif\n", {}, "row 1: names no image"),
        (
            "image,labels,mapping\na.tif,a_mask.tif,1=2\n",
            {},
            "row 1: mapping '1=2': expected pairs",
        ),
        (
            "image,labels,mapping\na.tif,a_mask.tif,1:2 1:3\n",
            {},
            "row 1: mapping .*each value once",
        ),
        (
            "image,labels,class_by\na.tif,a_mask.tif,x\n",
            {},
            "row 1: .*`class_by` is for vector labels",
        ),
    ],
)
def test_a_table_that_is_wrong_is_told(table, text, keys, message):
    with pytest.raises(SceneError, match=message):
        table(text, **keys).scenes()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("image,image\na,b\n", "the column 'image' is there twice"),
        ("image\na,b\n", "line 2: 2 cells for 1 columns"),
    ],
)
def test_a_file_that_is_no_table_is_told(table, text, message):
    with pytest.raises(SourceError, match=message):
        table(text).scenes()


def test_a_table_that_cannot_be_read_is_told(tmp_path):
    with pytest.raises(SourceError, match="cannot read this table: No such file"):
        SceneTable(table=str(tmp_path / "no.csv")).scenes()
    (tmp_path / "bad.parquet").write_bytes(b"no parquet")
    with pytest.raises(SourceError, match=r"bad\.parquet: cannot read this table: ArrowInvalid"):
        SceneTable(table=str(tmp_path / "bad.parquet")).scenes()
    (tmp_path / "bad.csv").write_bytes(b"image\n\xff\xfe\n")
    with pytest.raises(SourceError, match=r"bad\.csv: cannot read this table: UnicodeDecodeError"):
        SceneTable(table=str(tmp_path / "bad.csv")).scenes()


def test_columns_that_mean_nothing_and_rows_of_no_part_are_counted(table):
    with pytest.warns(UserWarning, match=r"2 columns mean nothing here: lables, city; is 'lables'"):
        table("image,lables,city\na.tif,x,y\n").scenes()
    with pytest.warns(UserWarning, match="1 of 2 rows have no `split` and are left out"):
        assert len(table("image,split\na.tif,\nsub/b.tif,train\n", split="train").scenes()) == 1
