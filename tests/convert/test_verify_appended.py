"""Stores that several calls have made: verified against all of their folders."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from geoseg.convert.convert import convert
from geoseg.convert.layouts.generic import generic
from geoseg.convert.verify import verify
from geoseg.errors import ConfigError
from tests.convert.making import maps, maps_arrays, radar, write_tiff


@pytest.fixture
def appended(tmp_path):
    """A store of BigEarthNet: Sentinel-1 from two folders, maps from one."""
    folders = [radar(tmp_path / "a", range(3)), radar(tmp_path / "b", range(3, 5), seed=1)]
    folders.append(maps(tmp_path / "maps", range(2)))
    store = str(tmp_path / "store")
    convert("bigearthnet", {"s1": folders[0], "map": folders[2]}, store, workers=0)
    convert("bigearthnet", {"s1": folders[1]}, store, workers=0, append=True)
    return store, folders


def test_several_folders_of_one_group_are_compared(appended):
    store, (one, two, of_maps) = appended
    found = verify(store, [two, of_maps, one])

    assert (found.ok, found.patches, found.tensors) == (True, 7, 12)
    assert found.sources == {"s1": (two, one), "map": of_maps}
    assert found.to_dict()["sources"]["map"] == of_maps


def test_what_the_folder_that_is_left_out_gave_is_told(appended):
    store, (one, _, of_maps) = appended
    found = verify(store, [one, of_maps])

    assert (found.patches, found.faults, found.unchecked) == (5, {"extra": 2}, {})


def test_a_change_in_the_second_folder_is_found(appended, tmp_path):
    store, folders = appended
    path = min((tmp_path / "b").rglob("*_VV.tif"))
    path.write_bytes(path.read_bytes()[:-4] + b"\x00\x00\x80\x3f")
    found = verify(store, folders)

    assert found.faults == {"values": 1}
    assert found.errors[0].file == str(path)


def test_two_folders_that_give_the_same_key_are_refused(tmp_path):
    for name in ("a", "b"):
        write_tiff(tmp_path / name / "x.tif", np.ones((3, 5), "u1"))
    folders = [str(tmp_path / name) for name in ("a", "b")]
    convert(generic(), {"images": folders[0]}, str(tmp_path / "store"), workers=0)

    with pytest.raises(
        ConfigError, match=r"x \(.*a/x.tif\) and x \(.*b/x.tif\): have the same key"
    ):
        verify(str(tmp_path / "store"), folders)


def test_a_folder_that_is_named_twice_is_refused(appended):
    store, (one, _, _) = appended
    with pytest.raises(ConfigError, match="is named twice"):
        verify(store, [one, one])


@pytest.fixture
def tables(tmp_path):
    """By name: a table of the maps of these numbers."""

    def write(name, numbers):
        keys = [key.removesuffix("_reference_map") for key in maps_arrays(numbers)]
        rows = {"patch_id": keys, "split": ["train"] * len(keys), "labels": [["sea"]] * len(keys)}
        pq.write_table(pa.table(rows), tmp_path / name)
        return str(tmp_path / name)

    return write


def test_a_store_is_verified_of_which_one_call_alone_had_metadata(tmp_path, tables):
    folders = [maps(tmp_path / "a", [0]), maps(tmp_path / "b", [1, 2])]
    store, table = str(tmp_path / "store"), tables("b.parquet", [1, 2])
    convert("bigearthnet", {"map": folders[0]}, store, workers=0)
    convert("bigearthnet", {"map": folders[1]}, store, workers=0, append=True, metadata=table)
    with pytest.warns(UserWarning, match="patches that are not in it: 1 of 3") as told:
        found = verify(store, folders, metadata=table)

    assert (found.ok, found.patches, found.without_metadata) == (True, 3, 0)
    assert len(told) == 1


def test_a_store_is_verified_without_a_warning_where_one_table_names_the_patches_of_all_calls(
    tmp_path, tables
):
    folders = [maps(tmp_path / "a", [0]), maps(tmp_path / "b", [1, 2])]
    parts = [tables("a.parquet", [0]), tables("b.parquet", [1, 2])]
    store = str(tmp_path / "store")
    convert("bigearthnet", {"map": folders[0]}, store, workers=0, metadata=parts[0])
    convert("bigearthnet", {"map": folders[1]}, store, workers=0, append=True, metadata=parts[1])

    assert verify(store, folders, metadata=tables("all.parquet", range(3))).ok
    assert verify(store, folders, metadata=parts).ok


def test_metadata_of_a_layout_that_knows_none_is_refused_by_verify(tmp_path, tables):
    write_tiff(tmp_path / "a/x.tif", np.ones((3, 5), "u1"))
    convert(generic(), {"images": str(tmp_path / "a")}, str(tmp_path / "store"), workers=0)
    with pytest.raises(ConfigError, match="layout 'generic' takes no metadata"):
        verify(str(tmp_path / "store"), [str(tmp_path / "a")], metadata=tables("t.parquet", [0]))
