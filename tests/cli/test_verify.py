"""`geoseg verify` and `geoseg info` on stores that `geoseg convert` made."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import rasterio

from tests.cli.datasets import S1, S2, bigearthnet


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A data set of two sources, and its store."""
    from geoseg.convert import convert

    folder = tmp_path_factory.mktemp("made")
    bigearthnet(folder)
    sources = {name: str(folder / name) for name in ("s1", "s2")}
    convert("bigearthnet", sources, str(folder / "store"))
    return folder


@pytest.fixture
def data(made, tmp_path, monkeypatch):
    """A copy of it in the working directory."""
    for name in ("s1", "s2", "store"):
        shutil.copytree(made / name, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_store_that_is_right_is_told_in_numbers(geoseg, data):
    for sources in (["s1", "s2"], ["s2", "s1"]):
        found = geoseg("verify", "store", *sources, "--json")
        assert (found.code, found.err) == (0, "")
        told = json.loads(found.out)
        assert (told["ok"], told["patches"], told["tensors"], told["errors"]) == (True, 4, 28, [])
    found = geoseg("verify", "store", "s1", "s2", "--layout", "bigearthnet")
    assert (found.code, found.err) == (0, "")
    assert "tensors" in found.out


def test_a_pixel_that_differs_is_told_with_patch_and_band_and_code_1(geoseg, data):
    path = data / "s2" / S2 / f"{S2}_0_1" / f"{S2}_0_1_B05.tif"
    with rasterio.open(path, "r+") as file:
        band = file.read()
        band[0, 3, 4] += 1
        file.write(band)
    shutil.rmtree(data / "s1" / S1 / f"{S1}_33UUP_0_0")
    found = geoseg("verify", "store", "s1", "s2")
    assert found.code == 1
    first, second = found.out.splitlines()[:2]
    lines = {line.split(":")[0]: line for line in (first, second)}
    assert "B05" in lines[f"{S2}_0_1"]
    assert f"{S1}_33UUP_0_0" in lines
    told = json.loads(geoseg("verify", "store", "s1", "s2", "--json").out)
    assert told["faults"] == {"extra": 1, "values": 1}
    [wrong] = [fault for fault in told["errors"] if fault["kind"] == "values"]
    assert (wrong["tensor"], wrong["row"], wrong["col"], wrong["count"]) == ("B05", 3, 4, 1)


def test_tables_are_named_by_flags(geoseg, data):
    shutil.copytree(data / "s1", data / "data" / "s1")
    first, *_ = sorted((data / "data").rglob("*_VV.tif"))
    (data / "t.csv").write_text(f"image\n{first.relative_to(data / 'data').as_posix()}\n")
    words = ("convert", "generic", "--csv", "t.csv", "--dataset-dir", "data", "--target-dir", "own")
    assert geoseg(*words).code == 0
    found = geoseg("verify", "own", "data")
    assert (found.code, "--csv" in found.err) == (2, True)
    assert geoseg("verify", "own", "data", "--csv", "t.csv").code == 0
    assert geoseg("verify", "own", "data", "t.csv").code == 0
    found = geoseg("verify", "store", "s1", "s2", "--metadata", "none.parquet")
    assert (found.code, "none.parquet" in found.err) == (2, True)


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (["none", "s1"], 1, "none"),
        (["store", "none"], 1, "none"),
        (["store", "s1", "--layout", "bigearth"], 2, "bigearthnet"),
        (["store", "s1", "--layout", "hydro"], 1, "s1"),
        (["s1", "s2"], 1, "s1"),
    ],
)
def test_what_cannot_be_compared_is_one_error(geoseg, data, words, code, text):
    found = geoseg("verify", *words)
    assert (found.code, found.out) == (code, ""), found.err
    assert text in found.err
    assert 1 <= found.err.count("\n") <= 3


def test_without_a_source_the_call_is_wrong(geoseg, data):
    assert geoseg("verify", "store").code == 2


def test_a_store_becomes_files_again(geoseg, data):
    found = geoseg("convert", "./store", "--to", "geotiff", "--target-dir", "back")
    assert (found.code, found.err) == (0, "")
    originals = {path.stem: path for name in ("s1", "s2") for path in Path(name).rglob("*.tif")}
    seen = 0
    for path in Path("back").rglob("*.tif"):
        key = path.stem if path.parent.name == "back" else path.parent.name
        with rasterio.open(path) as file:
            for number, band in enumerate(file.descriptions, start=1):
                with rasterio.open(originals[f"{key}_{band}"]) as original:
                    np.testing.assert_array_equal(file.read(number), original.read(1))
                    assert (file.crs, file.transform) == (original.crs, original.transform)
                seen += 1
    assert seen == len(originals)
    again = geoseg("convert", "store", "--to", "geotiff", "--target-dir", "back")
    assert again.code == 2
    assert again.err.count("\n") <= 3


def test_a_store_may_stand_behind_the_options_that_turn_it_back(geoseg, data):
    for words in (
        ["--to", "geotiff", "store", "--target-dir", "one"],
        ["--target-dir", "two", "--json", "--to=geotiff", "store"],
    ):
        found = geoseg("convert", *words)
        assert (found.code, found.err) == (0, "")
    assert sorted(p.name for p in Path("one").iterdir()) == sorted(
        p.name for p in Path("two").iterdir()
    )


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (["./store", "--target-dir", "back"], 2, "--to geotiff"),
        (["./store", "--to", "geotiff"], 2, "--target-dir"),
        (["./none", "--to", "geotiff", "--target-dir", "back"], 1, "none"),
        (["s1", "--to", "geotiff", "--target-dir", "back"], 1, "s1"),
        (["store", "--to", "geotiff", "--target-dir", "back", "--key", "x"], 1, "'x'"),
    ],
)
def test_what_cannot_be_turned_back_is_one_error(geoseg, data, words, code, text):
    found = geoseg("convert", *words)
    assert (found.code, found.out) == (code, ""), found.err
    assert text in found.err
    assert 1 <= found.err.count("\n") <= 3
    assert not Path("back").exists()


def test_info_tells_what_a_store_holds(geoseg, data):
    found = geoseg("info", "store", "--json")
    assert (found.code, found.err) == (0, "")
    told = json.loads(found.out)
    assert (told["kind"], told["patches"]) == ("store", 4)
    assert told["layout"] == "bigearthnet"
    assert "EPSG:32633" in json.dumps(told)
    assert "B05, B06, B07, B8A, B11, B12  uint16 6x6 (patches: 2)" in geoseg("info", "store").out


def test_info_takes_the_shards_of_a_store_together(geoseg, data):
    for number in range(2):
        words = ("--bigearthnet-s1-dir", "s1", "--shard", f"{number}/2")
        assert geoseg("convert", "bigearthnet", *words, "--target-dir", f"o{number}").code == 0
    found = geoseg("info", "o0", "o1", "--json")
    assert found.code == 0
    assert json.loads(found.out)["patches"] == 2
    found = geoseg("info", "o0", "s1")
    assert found.code == 2
    assert "s1" in found.err
