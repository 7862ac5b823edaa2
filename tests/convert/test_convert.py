"""Converting: what is written, what is refused, and what is left when it goes wrong."""

import csv
import json
import os
import resource
import shutil
import warnings
from pathlib import Path

import lmdb
import numpy as np
import pyarrow.parquet as pq
import pytest
import rasterio
import safetensors
import safetensors.numpy

from geoseg.convert.convert import convert
from geoseg.convert.layouts.generic import generic
from geoseg.convert.restore import to_geotiff
from geoseg.convert.summary import summary
from geoseg.convert.verify import verify
from geoseg.errors import ConfigError, SourceError, StoreError
from geoseg.sources.store.environments import close_stores
from geoseg.sources.store.reader import StoreReader
from geoseg.sources.store.sharding import shard_of_key
from tests.convert.making import S1, S2, by_rasterio, maps, radar, write_tiff


@pytest.fixture(autouse=True)
def nothing_open():
    yield
    close_stores()


@pytest.fixture
def sources(tmp_path):
    return {
        "s1": radar(tmp_path / "data/s1", range(6)),
        "map": maps(tmp_path / "data/map", range(3), height=3),
    }


def listed(folder):
    return sorted(path.name for path in Path(folder).iterdir())


def raw(uri):
    """What LMDB alone finds in a store."""
    with lmdb.open(str(uri), readonly=True, lock=False) as env, env.begin() as transaction:
        return {bytes(key).decode(): bytes(value) for key, value in transaction.cursor()}


def expected(sources):
    values = {}
    for folder in sources.values():
        values |= {key: safetensors.numpy.save(a) for key, a in by_rasterio(folder).items()}
    return values


def a_file(sources, number=2):
    """One file of a patch."""
    return sorted(Path(sources["s1"]).rglob("*_VV.tif"))[number]


# What is written


def test_a_store_holds_what_rasterio_reads_and_nothing_else_is_left(tmp_path, sources):
    target = tmp_path / "new/folder/out"
    told = []
    done = convert("bigearthnet", sources, str(target), progress=told.append)

    assert raw(target) == expected(sources)
    assert listed(target) == ["data.mdb", "manifest.parquet"]
    assert listed(target.parent) == ["out"]
    assert (done.patches, done.written, done.kept, done.skipped) == (9, 9, 0, ())
    assert done.bytes == (target / "data.mdb").stat().st_size
    assert [(p.done, p.total) for p in told] == [(i + 1, 9) for i in range(9)]
    assert told[-1].written_bytes == sum(map(len, raw(target).values()))
    json.dumps(done.to_dict())


def test_the_manifest_tells_where_each_patch_comes_from(tmp_path, sources):
    convert("bigearthnet", sources, str(tmp_path / "out"))
    path = tmp_path / "out/manifest.parquet"
    rows = {row["key"]: row for row in pq.read_table(path).to_pylist()}
    told = json.loads(pq.read_schema(path).metadata[b"geoseg"])
    key = f"{S1}_3_21"

    assert sorted(rows) == sorted(expected(sources))
    assert rows[key]["bands"] == ["VH", "VV"]
    assert rows[key]["shapes"] == [[5, 7], [5, 7]]
    assert (rows[key]["crs"], rows[key]["nodata"]) == ("EPSG:32633", [0, 0])
    assert rows[key]["bounds"] == [3e5, 59e5 - 50, 3e5 + 70, 59e5]
    assert (rows[key]["group"], rows[key]["source"]) == ("s1", f"{S1}/{key}")
    assert told["format"] == 1
    assert told["layout"]["name"] == "bigearthnet"
    assert told["roots"] == {"s1": 6, "map": 3}
    assert str(tmp_path) not in json.dumps([told, list(rows.values())])


def test_georeference_lies_in_the_values_where_it_is_asked_for(tmp_path, sources):
    convert("bigearthnet", sources, str(tmp_path / "out"), embed_geo=True)
    value = raw(tmp_path / "out")[f"{S1}_3_21"]
    (tmp_path / "value").write_bytes(value)
    with safetensors.safe_open(tmp_path / "value", "numpy") as file:
        notes = file.metadata()

    plain = by_rasterio(sources["s1"])[f"{S1}_3_21"]
    np.testing.assert_equal(safetensors.numpy.load(value), plain)
    assert notes["crs"] == "EPSG:32633"
    assert json.loads(notes["transform"]) == [10, 0, 3e5, 0, -10, 59e5]
    assert json.loads(notes["nodata"]) == {"VH": 0, "VV": 0}


def test_compressed_values_are_read_as_the_plain_ones(tmp_path, sources):
    convert("bigearthnet", sources, str(tmp_path / "out"), compression="zstd")
    reader = StoreReader(str(tmp_path / "out"))

    for key, arrays in by_rasterio(sources["s1"]).items():
        np.testing.assert_equal(reader.read(key), arrays)
    table = pq.read_table(tmp_path / "out/manifest.parquet")
    assert set(table["compression"].to_pylist()) == {"zstd"}


def test_shards_hold_each_patch_once(tmp_path, sources):
    found = {}
    for part in range(3):
        target = tmp_path / f"part{part}"
        convert("bigearthnet", sources, str(target), shard=(part, 3))
        values = raw(target)
        assert all(shard_of_key(key, 3) == part for key in values)
        assert not found.keys() & values.keys()
        found |= values

    assert found == expected(sources)


def test_a_patch_with_a_band_on_other_ground_is_an_error_that_may_be_skipped(tmp_path, sources):
    path = a_file(sources)
    with rasterio.open(path, "r+") as file:
        file.transform = rasterio.Affine(10, 0, 3e5 + 6, 0, -10, 59e5)
    with pytest.raises(
        SourceError, match=r"_VV\.tif: its corners lie 0\.6 pixels away .*on-error skip"
    ):
        convert("bigearthnet", sources, str(tmp_path / "out"), workers=0)
    done = convert("bigearthnet", sources, str(tmp_path / "out"), workers=0, on_error="skip")
    assert [key for key, _ in done.skipped] == [path.parent.name]


# What is refused


def test_a_target_with_the_same_keys_is_refused_and_unchanged(tmp_path, sources):
    convert("bigearthnet", sources, str(tmp_path / "out"))
    before = (tmp_path / "out/data.mdb").read_bytes()
    with pytest.raises(StoreError, match=r"holds 9 of these 9 patches already.*`--resume`"):
        convert("bigearthnet", sources, str(tmp_path / "out"))

    assert (tmp_path / "out/data.mdb").read_bytes() == before
    assert listed(tmp_path) == ["data", "out"]


def test_a_target_with_other_keys_is_added_to_only_where_that_is_asked_for(tmp_path, sources):
    s1, other = {"s1": sources["s1"]}, {"map": sources["map"]}
    convert("bigearthnet", s1, str(tmp_path / "out"))
    with pytest.raises(StoreError, match=r"holds 6 other patches.*`--append`"):
        convert("bigearthnet", other, str(tmp_path / "out"))
    assert raw(tmp_path / "out") == expected(s1)
    (tmp_path / "out/notes.txt").write_text("mine")
    done = convert("bigearthnet", other, str(tmp_path / "out"), append=True)

    assert (done.patches, done.written) == (3, 3)
    assert raw(tmp_path / "out") == expected(sources)
    assert pq.read_table(tmp_path / "out/manifest.parquet").num_rows == 9
    assert listed(tmp_path / "out") == ["data.mdb", "manifest.parquet", "notes.txt"]
    assert listed(tmp_path) == ["data", "out"]


def test_the_same_keys_are_refused_when_adding_too(tmp_path, sources):
    convert("bigearthnet", {"s1": sources["s1"]}, str(tmp_path / "out"))
    before = (tmp_path / "out/data.mdb").read_bytes()
    with pytest.raises(StoreError, match="holds 6 of these 9 patches already"):
        convert("bigearthnet", sources, str(tmp_path / "out"), append=True)

    assert (tmp_path / "out/data.mdb").read_bytes() == before


def test_a_target_that_is_something_else_is_refused(tmp_path, sources):
    (tmp_path / "file").write_text("text")
    (tmp_path / "full").mkdir()
    (tmp_path / "full/mine").touch()
    (tmp_path / "empty").mkdir()
    for target, text in (
        ("file", "file: is a file, expected a folder"),
        ("full", "that is no store"),
    ):
        with pytest.raises(StoreError, match=text):
            convert("bigearthnet", sources, str(tmp_path / target))
    with pytest.raises(StoreError, match="local paths only"):
        convert("bigearthnet", sources, "s3://bucket/out")
    convert("bigearthnet", sources, str(tmp_path / "empty") + "/")

    assert (tmp_path / "file").read_text() == "text"
    assert listed(tmp_path / "empty") == ["data.mdb", "manifest.parquet"]


@pytest.mark.parametrize("target", ["data/s1", "data"])
def test_a_source_in_the_target_is_refused(tmp_path, sources, target):
    folder = tmp_path / "link"
    folder.symlink_to(tmp_path / "data")
    (tmp_path / "data/data.mdb").touch()
    (tmp_path / "data/s1/data.mdb").touch()
    with pytest.raises(ConfigError, match="lies in the target"):
        convert("bigearthnet", {"s1": str(folder / "s1")}, str(tmp_path / target))


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"workers": -1}, "`workers` is -1"),
        ({"on_error": "go"}, "`on_error` is 'go'"),
        ({"shard": (3, 3)}, "shard is 3 of 3, expected 0 to 2"),
        ({"shard": "0/2"}, r"`shard` is '0/2', expected its number from 0 and their count"),
        ({"shard": (0, 2, 4)}, r"`shard` is \(0, 2, 4\)"),
        (
            {"sources": "data/s1"},
            r"`sources` is 'data/s1', expected \{name of a group: its folder\}",
        ),
        ({"sources": {"s1": None}}, r"`sources\['s1'\]` is None, expected a path"),
        ({"target": 3}, "`target` is 3, expected a path as text or pathlib.Path"),
        ({"metadata": [b"m.csv"]}, "`metadata` is b'm.csv', expected a path"),
    ],
)
def test_a_call_that_makes_no_sense_is_an_error(tmp_path, sources, options, text):
    with pytest.raises(ConfigError, match=text):
        convert("bigearthnet", **({"sources": sources, "target": str(tmp_path / "out")} | options))
    assert listed(tmp_path) == ["data"]


def test_paths_may_be_those_of_pathlib(tmp_path, sources):
    folders = {group: Path(folder) for group, folder in sources.items()}
    target = tmp_path / "out"
    done = convert("bigearthnet", folders, target, workers=0)
    assert (done.target, done.written) == (str(target), len(expected(sources)))
    assert verify(target, folders).ok
    assert verify(target, list(folders.values())).ok
    assert summary(target)["patches"] == done.written
    assert to_geotiff(target, tmp_path / "back").patches == done.written


# What goes wrong


def test_the_first_patch_is_skipped_as_others_are_where_no_bands_are_named(tmp_path):
    folder = tmp_path / "images"
    arrays = {name: np.full((4, 5), number, "u1") for number, name in enumerate("abc")}
    for name, array in arrays.items():
        write_tiff(folder / f"{name}.tif", array)
    layout, call = generic(), {"workers": 0, "on_error": "skip"}
    convert(layout, {"images": folder}, tmp_path / "out", **call)
    (folder / "a.tif").write_bytes(b"junk")
    with pytest.warns(UserWarning, match="1 patches cannot be read any more and were removed"):
        done = convert(layout, {"images": folder}, tmp_path / "out", resume=True, **call)

    # Each patch counts once: the one that is skipped is not among those that are removed.
    assert [key for key, _ in done.skipped] == ["a"]
    assert (done.patches, done.kept, done.removed, done.redone) == (3, 2, 0, 0)
    assert raw(tmp_path / "out") == {
        name: safetensors.numpy.save({"1": arrays[name]}) for name in "bc"
    }


def missing(path):
    path.unlink()


def empty(path):
    path.write_bytes(b"")


def cut(path):
    path.write_bytes(path.read_bytes()[:-20])


def no_tiff(path):
    path.write_text("no image at all")


def other_ending(path):
    path.rename(path.with_suffix(".png"))


@pytest.mark.parametrize("spoil", [missing, empty, cut, no_tiff, other_ending])
def test_a_patch_that_is_not_whole_is_one_error_and_no_store(tmp_path, sources, spoil):
    path = a_file(sources)
    spoil(path)
    with pytest.raises(SourceError, match=f"(?s){path.parent.name}.*{path.name}.*skip"):
        convert("bigearthnet", sources, str(tmp_path / "out"))
    assert listed(tmp_path) == ["data"]


@pytest.mark.parametrize("spoil", [missing, cut])
def test_a_patch_that_is_not_whole_is_skipped_and_told(tmp_path, sources, spoil):
    path = a_file(sources)
    key = path.parent.name
    spoil(path)
    done = convert("bigearthnet", sources, str(tmp_path / "out"), on_error="skip")
    with Path(done.report).open(newline="") as file:
        rows = list(csv.DictReader(file))
    shutil.rmtree(path.parent)

    assert raw(tmp_path / "out") == expected(sources)
    assert pq.read_table(tmp_path / "out/manifest.parquet").num_rows == 8
    assert (done.patches, done.written) == (9, 8)
    assert [skipped for skipped, _ in done.skipped] == [key]
    assert done.report == str(tmp_path / "out.skipped.csv")
    assert [(row["key"], row["source"]) for row in rows] == [(key, str(path.parent))]
    assert path.name in rows[0]["error"]


def test_a_report_of_an_earlier_run_does_not_stay(tmp_path, sources):
    path = a_file(sources)
    text = path.read_bytes()
    cut(path)
    convert("bigearthnet", sources, str(tmp_path / "out"), on_error="skip")
    path.write_bytes(text)
    done = convert("bigearthnet", sources, str(tmp_path / "out"), on_error="skip", resume=True)

    assert (done.written, done.kept, done.report) == (1, 8, None)
    assert raw(tmp_path / "out") == expected(sources)
    assert listed(tmp_path) == ["data", "out"]


def test_no_store_is_made_where_all_patches_are_skipped(tmp_path):
    folder = radar(tmp_path / "data", range(2))
    for path in Path(folder).rglob("*_VH.tif"):
        cut(path)
    with pytest.raises(SourceError, match=r"none of 2 patches could be read.*skipped\.csv"):
        convert("bigearthnet", {"s1": folder}, str(tmp_path / "out"), on_error="skip")
    assert listed(tmp_path) == ["data", "out.skipped.csv"]


def test_a_dtype_that_cannot_be_stored_is_the_datas_fault(tmp_path):
    write_tiff(tmp_path / "data" / f"{S2}_1_1_reference_map.tif", np.zeros((4, 5), "c16"))
    with pytest.raises(SourceError, match=r"_1_1_reference_map: .*complex128"):
        convert("bigearthnet", {"map": str(tmp_path / "data")}, str(tmp_path / "out"))


@pytest.mark.skipif(not hasattr(resource, "RLIMIT_FSIZE"), reason="no limit of file sizes here")
def test_a_full_disk_is_a_clear_error_and_a_later_run_goes_on(tmp_path, monkeypatch):
    folder = radar(tmp_path / "data", range(12), height=60, width=80)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forks beside threads
        child = os.fork()
    if not child:
        status = 1
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, (300_000,) * 2)
            monkeypatch.setattr("geoseg.convert.running.writing.PUTS", 3)
            try:
                convert("bigearthnet", {"s1": folder}, str(tmp_path / "out"), workers=0)
            except StoreError as error:
                text = str(error)
                status = 0 if "cannot be written" in text and "`--resume`" in text else 2
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert not (tmp_path / "out").exists()
    done = convert("bigearthnet", {"s1": folder}, str(tmp_path / "out"), resume=True)

    assert done.kept > 0
    assert done.kept + done.written == 12
    assert raw(tmp_path / "out") == expected({"s1": folder})
