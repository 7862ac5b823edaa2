"""BigEarthNet's metadata.parquet: pairs, splits and labels."""

from __future__ import annotations

import csv
import warnings
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from geoseg.convert.layouts import layout_of
from geoseg.convert.patches import find_patches
from geoseg.errors import ConfigError, SourceError

S2 = "S2A_MSIL2A_20170613T101031_N9999_R022_T33UUP"
S1 = "S1A_IW_GRDH_1SDV_20170613T165043_33UUP"


def row(number, **changes):
    return {
        "patch_id": f"{S2}_{number}_1",
        "labels": ["Arable land", "Pastures"] if number % 2 else ["Inland waters"],
        "split": "train" if number % 2 else "test",
        "country": "Austria",
        "s1_name": f"{S1}_{number}_9",
        "s2v1_name": f"{S2}_{number}",
        "contains_seasonal_snow": False,
        "contains_cloud_or_shadow": False,
        **changes,
    }


@pytest.fixture
def table(tmp_path):
    def write(rows):
        pq.write_table(pa.Table.from_pylist(rows), tmp_path / "metadata.parquet")
        return str(tmp_path / "metadata.parquet")

    return write


@pytest.fixture
def sources(tmp_path):
    """Patches 1 and 2 of all three groups."""
    for number in (1, 2):
        (tmp_path / "s1" / f"{S1}_{number}_9").mkdir(parents=True)
        (tmp_path / "s2" / f"{S2}_{number}_1").mkdir(parents=True)
        (tmp_path / "map").mkdir(exist_ok=True)
        (tmp_path / "map" / f"{S2}_{number}_1_reference_map.tif").touch()
    return {name: str(tmp_path / name) for name in ("s1", "s2", "map")}


def found(sources, metadata):
    return find_patches(layout_of("bigearthnet"), sources, metadata=metadata)


def test_the_three_patches_of_a_row_have_its_sample_split_and_labels(sources, table):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        patches = found(sources, table([row(2), row(1)]))
    arable, water = ("Arable land", "Pastures"), ("Inland waters",)
    assert [(p.key, p.sample, p.split, p.labels) for p in patches] == [
        (f"{S1}_1_9", f"{S2}_1_1", "train", arable),
        (f"{S1}_2_9", f"{S2}_2_1", "test", water),
        (f"{S2}_1_1", f"{S2}_1_1", "train", arable),
        (f"{S2}_2_1", f"{S2}_2_1", "test", water),
        (f"{S2}_1_1_reference_map", f"{S2}_1_1", "train", arable),
        (f"{S2}_2_1_reference_map", f"{S2}_2_1", "test", water),
    ]


def test_without_the_table_maps_pair_and_sentinel_1_does_not(sources):
    samples = [patch.sample for patch in found(sources, None)]
    assert samples == [f"{S1}_1_9", f"{S1}_2_9", *[f"{S2}_1_1", f"{S2}_2_1"] * 2]


def test_patches_that_are_not_in_the_table_are_counted_and_stay(sources, table):
    with pytest.warns(
        UserWarning, match=rf"patches that are not in it: 3 of 6, for example {S1}_2_9"
    ):
        patches = found(sources, table([row(1)]))
    assert [(p.sample, p.split, p.labels) for p in patches if "_2_" in p.key] == [
        (f"{S1}_2_9", None, None),
        (f"{S2}_2_1", None, None),
        (f"{S2}_2_1", None, None),
    ]


def test_rows_without_a_patch_are_counted(sources, table):
    with pytest.warns(UserWarning, match=rf"rows without a patch: 2, for example {S2}_3_1"):
        found(sources, table([row(1), row(2), row(3), row(4)]))


def test_a_table_of_other_patches_is_an_error(sources, table):
    with pytest.raises(SourceError, match="none of the 6 patches is in it"):
        found(sources, table([row(7)]))


def test_a_row_without_split_and_labels_has_none(sources, table):
    bare = [{"patch_id": row(n)["patch_id"]} for n in (1, 2)]
    del sources["s1"]
    patches = found(sources, table(bare))
    assert {(p.split, p.labels) for p in patches} == {(None, None)}


def test_sentinel_1_needs_the_names_of_its_patches(sources, table):
    bare = [{"patch_id": row(1)["patch_id"], "split": "train"}]
    with pytest.raises(SourceError, match="has the columns patch_id, split, expected s1_name too"):
        found(sources, table(bare))


@pytest.mark.parametrize("column", ["patch_id", "s1_name"])
def test_a_name_that_is_there_twice_is_an_error(sources, table, column):
    rows = [row(1), row(2, **{column: row(1)[column]})]
    with pytest.raises(SourceError, match=f"rows with the {column} of another row, or none: 1"):
        found(sources, table(rows))


def test_a_table_that_cannot_be_read_is_told(sources, tmp_path):
    with pytest.raises(ConfigError, match=r"none\.parquet: there is no such file"):
        found(sources, str(tmp_path / "none.parquet"))
    (tmp_path / "m.parquet").write_text("no parquet")
    with pytest.raises(SourceError, match=r"m\.parquet: this table cannot be read"):
        found(sources, str(tmp_path / "m.parquet"))
    pq.write_table(pa.table({"id": ["a"]}), tmp_path / "other.parquet")
    with pytest.raises(SourceError, match=r"has the columns id, expected patch_id and s1_name too"):
        found(sources, str(tmp_path / "other.parquet"))


# Kinds of tables and cells


def as_csv(rows, path):
    """As spreadsheets write it, labels with `;` between them."""
    columns = list(rows[0])
    with path.open("w", newline="", encoding="utf-8-sig") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(
            one | {"labels": ";".join(map(str, one["labels"]))} if "labels" in one else one
            for one in rows
        )
    return str(path)


@pytest.mark.parametrize(
    "changes",
    [{}, {"split": 0}, {"split": 3}, {"labels": [0, 7]}, {"labels": ["one"]}, {"split": None}],
)
def test_csv_tells_what_parquet_tells_and_numbers_are_text(sources, table, tmp_path, changes):
    rows = [row(1, **changes), row(2, **changes)]
    patches = found(sources, table(rows))
    assert found(sources, as_csv(rows, tmp_path / "m.csv")) == patches
    one = row(1, **changes)
    split = None if one["split"] is None else str(one["split"])
    assert (patches[0].split, patches[0].labels) == (split, tuple(map(str, one["labels"])))


def test_labels_in_a_text_have_a_semicolon_between_them(sources, table):
    rows = [row(1, labels="Arable land, irrigated; Pastures"), row(2, labels="")]
    patches = found(sources, table(rows))
    assert [p.labels for p in patches[:2]] == [("Arable land, irrigated", "Pastures"), None]


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_a_list_that_was_written_as_text_is_an_error(sources, table, tmp_path, ending):
    rows = [row(n, labels=str(["Arable land", "Pastures"])) for n in (1, 2)]
    path = table(rows)
    if ending == "csv":
        path = str(tmp_path / "m.csv")
        pd.DataFrame(rows).to_csv(path, index=False)
    with pytest.raises(SourceError, match=r"\['Arable land', 'Pastures'\].*a list written as text"):
        found(sources, path)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"split": b"train"}, "the column split holds binary, expected text or numbers;"),
        ({"split": ["train"]}, "the column split holds list<"),
        ({"labels": [b"sea"]}, r"the column labels holds list<.*\(or lists of such\)"),
        ({"labels": [["sea"]]}, "the column labels holds list<"),
        ({"patch_id": b"x"}, "the column patch_id holds binary"),
    ],
)
def test_a_column_of_another_kind_is_an_error(sources, table, changes, text):
    with pytest.raises(SourceError, match=text):
        found(sources, table([row(1, **changes)]))


def test_categories_are_text(sources, tmp_path):
    frame = pd.DataFrame([row(1), row(2)]).astype({"split": "category"})
    frame.to_parquet(tmp_path / "m.parquet")
    assert {p.split for p in found(sources, str(tmp_path / "m.parquet"))} == {"train", "test"}


def test_an_empty_csv_file_is_told(sources, tmp_path):
    (tmp_path / "m.csv").write_text("")
    with pytest.raises(SourceError, match="expected patch_id and s1_name too"):
        found(sources, str(tmp_path / "m.csv"))


# Several tables


def test_several_tables_are_one_and_may_name_a_patch_alike(sources, table, tmp_path):
    second = as_csv([row(1), row(2)], tmp_path / "snow.csv")
    patches = found(sources, [table([row(1)]), Path(second)])
    assert patches == found(sources, second)
    assert {p.split for p in patches} == {"train", "test"}


@pytest.mark.parametrize("changes", [{"split": "test"}, {"labels": []}, {"s1_name": f"{S1}_5_5"}])
def test_tables_that_tell_different_things_of_a_patch_are_an_error(
    sources, table, tmp_path, changes
):
    second = as_csv([row(2), row(1, **changes)], tmp_path / "snow.csv")
    with pytest.raises(
        SourceError, match=rf"snow\.csv: tells of 1 patches something else .* {S2}_1_1; leave"
    ):
        found(sources, [table([row(1)]), second])


def test_tables_that_give_one_sentinel_1_patch_to_two_are_an_error(sources, table, tmp_path):
    second = as_csv([row(2, s1_name=row(1)["s1_name"])], tmp_path / "snow.csv")
    with pytest.raises(SourceError, match="rows with the s1_name of another row, or none: 1"):
        found(sources, [table([row(1)]), second])


@pytest.mark.parametrize("ending", ["parquet", "csv"])
def test_bigearthnets_other_column_of_names_is_no_slip_of_the_one_that_is_read(
    tmp_path, sources, ending
):
    """Without `s1_name`, which maps do not need, `s2v1_name` holds other names."""
    rows = pd.DataFrame([row(1), row(2)]).drop(columns=["s1_name", "labels"])
    path = tmp_path / f"t.{ending}"
    rows.to_parquet(path) if ending == "parquet" else rows.to_csv(path, index=False)
    patches = found({"map": sources["map"]}, str(path))
    assert [patch.split for patch in patches] == ["train", "test"]

    with pytest.raises(SourceError, match="expected s1_name too"):
        found(sources, str(path))
