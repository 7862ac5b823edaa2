"""BigEarthNet's metadata.parquet: pairs, splits and labels."""

from __future__ import annotations

import warnings

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
    with pytest.raises(SourceError, match=r"m\.parquet: this Parquet file cannot be read"):
        found(sources, str(tmp_path / "m.parquet"))
    pq.write_table(pa.table({"id": ["a"]}), tmp_path / "other.parquet")
    with pytest.raises(SourceError, match=r"has the columns id, expected patch_id and s1_name too"):
        found(sources, str(tmp_path / "other.parquet"))
