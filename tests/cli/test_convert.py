"""`geoseg convert` as it is typed: layouts, failures, what is left behind."""

from __future__ import annotations

import io
import json
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import lmdb
import numpy as np
import pandas as pd
import pytest
import rasterio
import safetensors.numpy

from geoseg import StoreReader
from geoseg.cli.convert.progress import patch_bar
from geoseg.convert import Progress
from geoseg.convert.layouts import LAYOUTS
from tests.cli.datasets import CITIES, S1, S2, bigearthnet, cities
from tests.support.waiting import PATIENCE

MAPS = "--bigearthnet-reference-maps-dir"


def values(store):
    """{key: arrays} of a store, by the snippet of rico-hdl's README."""
    with lmdb.open(str(store), readonly=True, lock=False) as env, env.begin() as transaction:
        return {
            bytes(key).decode(): safetensors.numpy.load(bytes(value))
            for key, value in transaction.cursor()
        }


def tree(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in sorted(folder.rglob("*"))
    }


@pytest.fixture
def data(tmp_path, monkeypatch):
    """Two pairs of Sentinel-1 and -2 patches with a map of the first, in the working directory."""
    monkeypatch.chdir(tmp_path)
    bigearthnet(tmp_path)
    return tmp_path


def s2_dir(*more):
    return ("convert", "bigearthnet", "--bigearthnet-s2-dir", "s2", *more)


def test_without_a_layout_all_are_listed_with_what_they_are(geoseg):
    found = geoseg("convert", "--help")
    assert found.code == 0
    for name in (*LAYOUTS, "generic"):
        assert f"\n  {name}" in found.out
    assert geoseg("convert").out + geoseg("convert").err == found.out + found.err
    assert "  convert " in geoseg("--help").out


@pytest.mark.parametrize("name", LAYOUTS)
def test_each_layout_tells_its_flags_and_an_example(geoseg, name):
    found = geoseg("convert", name, "--help")
    assert found.code == 0
    assert f"Example: geoseg convert {name} " in found.out
    for group in LAYOUTS[name].groups:
        for flag in (group.flag, *group.aliases):
            assert flag in found.out
    assert ("--cloud-mask" in found.out) == (name == "major-tom-core")
    assert ("--rico-identical" in found.out) == LAYOUTS[name].rico


def test_the_example_of_a_layout_of_ones_own_is_a_call_that_works(geoseg, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cities(tmp_path / "images")
    Path("my own.yaml").write_text(CITIES)
    told = " ".join(geoseg("convert", "my own.yaml", "--help").out.split())
    words = shlex.split(told[told.index("Example: geoseg ") :])[2:]
    assert words[1] == "my own.yaml"
    assert geoseg(*words).code == 0
    back = " ".join(geoseg("convert", "./store", "--help").out.split())
    assert "one file KEY.tif with all its bands" in back
    assert geoseg(*shlex.split(back[back.index("Example: geoseg ") :])[2:]).code == 0
    assert len(list(Path("patches").glob("*.tif"))) == 2


def test_a_cloud_mask_needs_a_source_that_has_one(geoseg):
    words = ("convert", "major-tom-core", "--s1-dir", "s1", "--cloud-mask", "--target-dir", "o")
    found = geoseg(*words)
    assert (found.code, found.err.count("\n")) == (2, 1)
    assert "--cloud-mask: changes nothing without --s2-dir" in found.err


def test_a_store_tells_its_bounds_as_degrees(geoseg, data):
    assert geoseg(*s2_dir("--target-dir", "o")).code == 0
    told = json.loads(geoseg("info", "o", "--json").out)
    assert "bounds" not in told
    left, bottom, right, top = told["bounds_4326"]
    assert 14 < left < right < 16
    assert 45 < bottom < top < 46
    assert "bounds_4326" in geoseg("info", "o").out


def test_the_store_has_what_rasterio_reads_and_the_report_counts_it(geoseg, data):
    sources = ("--bigearthnet-s1-dir", "s1", "--bigearthnet-s2-dir", "s2", MAPS, "maps")
    found = geoseg("convert", "bigearthnet", *sources, "--target-dir", "deep/store", "--json")
    assert (found.code, found.err) == (0, "")
    report = json.loads(found.out)
    assert (report["patches"], report["written"], report["skipped"]) == (5, 5, [])
    assert [path.name for path in Path("deep").iterdir()] == ["store"]
    assert {"data.mdb", "manifest.parquet"} <= {path.name for path in Path("deep/store").iterdir()}
    read = values("deep/store")
    files = {path.stem: path for path in data.rglob("*.tif")}
    assert sum(map(len, read.values())) == len(files)
    for key, arrays in read.items():
        for band, array in arrays.items():
            with rasterio.open(files[key if band == "Data" else f"{key}_{band}"]) as file:
                np.testing.assert_array_equal(array, file.read(1))
                assert array.dtype == file.dtypes[0]


def test_an_alias_is_as_good_as_the_flag_and_people_get_lines(geoseg, data):
    found = geoseg(
        "convert", "bigearthnet", "--bigearthnet-reference-maps", "maps", "--target-dir", "o"
    )
    assert (found.code, found.err) == (0, "")
    assert "written" in found.out
    assert list(values("o")) == [f"{S2}_0_0_reference_map"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("hydro", "no source is given; give --dataset-dir"),
        ("ssl4eo-s12", "at least one of --s1-dir, --s2-l1c-dir, --s2-l2a-dir"),
    ],
)
def test_a_call_without_a_source_names_the_flags(geoseg, name, text):
    for more in ([], ["--check"], ["--target-dir", "o"]):
        found = geoseg("convert", name, *more)
        assert (found.code, found.out) == (2, "")
        assert text in found.err
        assert found.err.count("\n") == 1


def test_a_source_given_twice_is_the_target(geoseg, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cities(tmp_path / "in")
    words = ("convert", "uc-merced", "--dataset-dir", "in", "--dataset-dir", "out")
    found = geoseg(*words, "--json")
    assert found.code == 0
    assert found.err == "warning: --dataset-dir: is given twice; out is taken as --target-dir\n"
    assert json.loads(found.out)["target"] == "out"
    assert geoseg(*words, "--dataset-dir", "third").code == 2
    found = geoseg(*words, "--target-dir", "other")
    assert found.code == 2
    assert "--dataset-dir: is given 2 times, with in, out" in found.err
    assert not Path("other").exists()


def test_a_wrong_layout_is_told_with_the_nearest_ones(geoseg):
    found = geoseg("convert", "big-earth-net", "--target-dir", "o")
    assert found.code == 2
    assert "'bigearthnet'" in found.err
    assert found.err.count("\n") == 1


def test_a_target_must_be_given(geoseg, data):
    found = geoseg(*s2_dir())
    assert (found.code, found.err.count("\n")) == (2, 1)
    assert "--target-dir" in found.err


PATCH = Path("s2") / S2 / f"{S2}_0_1"
BAND = PATCH / f"{S2}_0_1_B05.tif"
BAND_TOLD = (1, [f"{S2}_0_1", "B05"])


def replace_source(*, by):
    shutil.rmtree("s2")
    if by == "folder":
        Path("s2").mkdir()
    elif by == "file":
        Path("s2").write_text("x")


FAULTS = {
    "missing band": (BAND.unlink, *BAND_TOLD),
    "truncated": (lambda: BAND.write_bytes(BAND.read_bytes()[:-50]), *BAND_TOLD),
    "cut header": (lambda: BAND.write_bytes(BAND.read_bytes()[:100]), *BAND_TOLD),
    "zero bytes": (lambda: BAND.write_bytes(b""), *BAND_TOLD),
    "no raster": (lambda: BAND.write_bytes(b"II*\0" + b"no raster " * 40), *BAND_TOLD),
    "wrong extension": (lambda: BAND.rename(BAND.with_suffix(".tiff")), *BAND_TOLD),
    "empty source": (lambda: replace_source(by="folder"), 1, ["s2", "S2[AB]_MSIL2A_"]),
    "no source": (lambda: replace_source(by="nothing"), 2, ["s2: ", "--bigearthnet-s2-dir"]),
    "source is a file": (lambda: replace_source(by="file"), 2, ["s2: "]),
    "target is a file": (lambda: Path("o").write_text("x"), 2, ["o: "]),
    "same stem twice": (
        lambda: shutil.copytree(PATCH, Path("s2") / "other" / PATCH.name),
        1,
        [f"s2/other/{PATCH.name}", f"s2/{S2}/{PATCH.name}"],
    ),
}
"""{what: (what does it, exit code, what the error names)}"""


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_one_clear_error_and_no_store_is_left(geoseg, data, fault):
    spoil, code, told = FAULTS[fault]
    spoil()
    before = tree(data)
    found = geoseg(*s2_dir("--target-dir", "o"))
    assert (found.code, found.out) == (code, ""), found.err
    assert "Traceback" not in found.err
    assert 1 <= found.err.count("\n") <= 3
    for text in told:
        assert text in found.err
    assert tree(data) == before


def test_a_key_that_lmdb_does_not_take_is_told_before_writing(geoseg, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cities(tmp_path / "in", names=["a" * 240 + "_01"])
    Path("my.yaml").write_text(CITIES.replace('"{stem}"', '"{stem}_{stem}_{stem}"'))
    found = geoseg("convert", "my.yaml", "--dataset-dir", "in", "--target-dir", "o")
    assert (found.code, found.err.count("\n")) == (1, 1)
    assert "511" in found.err
    assert not Path("o").exists()


def test_a_store_with_the_same_keys_is_refused_unchanged(geoseg, data):
    assert geoseg(*s2_dir("--target-dir", "o")).code == 0
    before = tree(data)
    found = geoseg(*s2_dir("--target-dir", "o"))
    assert (found.code, found.err.count("\n")) == (2, 1)
    assert "--resume" in found.err
    assert tree(data) == before
    found = geoseg(*s2_dir("--target-dir", "o", "--resume", "--json"))
    assert found.code == 0
    assert json.loads(found.out)["kept"] == 2
    assert list(StoreReader("o").keys()) == [f"{S2}_0_0", f"{S2}_0_1"]


def test_other_keys_are_added_only_when_asked_for(geoseg, data):
    assert geoseg(*s2_dir("--target-dir", "o")).code == 0
    before = tree(data)
    words = ("convert", "bigearthnet", "--bigearthnet-s1-dir", "s1", "--target-dir", "o")
    found = geoseg(*words)
    assert (found.code, found.err.count("\n")) == (2, 1)
    assert "--append" in found.err
    assert tree(data) == before
    assert geoseg(*words, "--append").code == 0
    assert len(values("o")) == 4


def test_a_check_lists_what_is_missing_and_writes_nothing(geoseg, data):
    found = geoseg(*s2_dir("--check"))
    assert (found.code, found.out, found.err) == (0, "0 of 2 patches are incomplete\n", "")
    patch = data / "s2" / S2 / f"{S2}_0_1"
    (patch / f"{S2}_0_1_B05.tif").unlink()
    (patch / f"{S2}_0_1_B8A.tif").write_bytes(b"")
    before = tree(data)
    found = geoseg(*s2_dir("--check", "--target-dir", "o"))
    assert (found.code, found.err) == (1, "")
    first, last = found.out.splitlines()
    assert first.startswith(f"{S2}_0_1 ")
    assert "_B05.tif" in first
    assert "_B8A.tif" in first
    assert last == "1 of 2 patches are incomplete"
    found = geoseg(*s2_dir("--check", "--json"))
    assert found.code == 1
    told = json.loads(found.out)
    assert told["patches"] == 2
    [lacking] = told["incomplete"]
    assert (lacking["key"], lacking["group"], len(lacking["files"])) == (f"{S2}_0_1", "s2", 2)
    assert [Path(path).name for path in lacking["empty"]] == [f"{S2}_0_1_B8A.tif"]
    assert tree(data) == before


def test_patches_that_cannot_be_read_are_skipped_and_listed(geoseg, data):
    FAULTS["truncated"][0]()
    found = geoseg(*s2_dir("--target-dir", "o", "--on-error", "skip", "--json"))
    assert found.code == 0
    told = json.loads(found.out)
    assert (told["written"], [one["key"] for one in told["skipped"]]) == (1, [f"{S2}_0_1"])
    assert (
        found.err
        == "warning: 1 of 2 patches could not be read and is left out; o.skipped.csv tells why\n"
    )
    listed = pd.read_csv(told["report"])
    assert listed["key"].tolist() == [f"{S2}_0_1"]
    assert Path(told["report"]).parent == Path("o").parent
    assert list(values("o")) == [f"{S2}_0_0"]


def test_rico_identical_gives_the_map_of_100_tebibytes(geoseg, data):
    assert geoseg(*s2_dir("--target-dir", "o", "--rico-identical")).code == 0
    raw = Path("o/data.mdb").read_bytes()
    sizes = [int.from_bytes(raw[at : at + 8], "little") for at in (32, 4128)]
    assert sizes == [100 << 40, 100 << 40]
    for more in (["--zstd"], ["--embed-geo"], ["--append"], ["--shard", "0/2"]):
        found = geoseg(*s2_dir("--target-dir", "p", "--rico-identical", *more))
        assert (found.code, found.err.count("\n")) == (2, 1)
        assert more[0] in found.err
        assert not Path("p").exists()


def test_shards_share_the_patches(geoseg, data):
    found = []
    for number in range(2):
        words = (
            "--bigearthnet-s1-dir",
            "s1",
            "--target-dir",
            f"o{number}",
            "--shard",
            f"{number}/2",
        )
        told = geoseg(*s2_dir(*words))
        assert told.code == 0, told.err
        found += values(f"o{number}")
    assert len(found) == len(set(found)) == 4
    assert geoseg(*s2_dir("--target-dir", "p", "--shard", "2/2")).code == 2
    assert geoseg(*s2_dir("--target-dir", "p", "--shard", "half")).code == 2


@pytest.mark.parametrize("flag", ["--zstd", "--embed-geo"])
def test_the_values_can_be_compressed_or_tell_their_place(geoseg, data, flag):
    assert geoseg(*s2_dir("--target-dir", "plain")).code == 0
    assert geoseg(*s2_dir("--target-dir", "o", flag)).code == 0
    one, two = (pd.read_parquet(f"{name}/manifest.parquet")["sha256"] for name in ("plain", "o"))
    assert not (one == two).any()  # of the bytes as they are stored
    plain, other = StoreReader("plain"), StoreReader("o")
    for key in plain.keys():  # noqa: SIM118 - no mapping
        for name, array in plain.read(key).items():
            np.testing.assert_array_equal(other.read(key)[name], array)


@pytest.mark.parametrize("name", ["my.yaml", "my.json"])
def test_a_layout_of_ones_own_is_a_file(geoseg, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    cities(tmp_path / "in")
    from geoseg import yamltext

    plain = yamltext.load(CITIES, name="x")
    Path(name).write_text(CITIES if name.endswith("yaml") else json.dumps(plain))
    found = geoseg("convert", name, "--dataset-dir", "in", "--target-dir", "o")
    assert (found.code, found.err) == (0, "")
    assert values("o").keys() == {"roof_01", "roof_02"}
    assert "roofs" in geoseg("convert", name, "--help").out


def test_a_broken_layout_is_told_with_file_and_key(geoseg, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("my.yaml").write_text(CITIES.replace("pattern", "patern"))
    found = geoseg("convert", "my.yaml", "--dataset-dir", "in", "--target-dir", "o")
    assert found.code == 2
    assert "my.yaml: groups.0.patern: unknown key" in found.err
    found = geoseg("convert", "none.yaml", "--dataset-dir", "in", "--target-dir", "o")
    assert found.code == 2
    assert "none.yaml" in found.err


def test_bigearthnets_own_table_pairs_patches_and_has_their_splits_and_labels(geoseg, data):
    rows = [
        {
            "patch_id": f"{S2}_0_{i}",
            "s1_name": f"{S1}_33UUP_0_{1 - i}",  # by name they would be paired the other way
            "split": part,
            "labels": ["Pastures"],
        }
        for i, part in enumerate(("train", "test"))
    ]
    pd.DataFrame(rows).to_parquet("metadata.parquet")
    more = ("--bigearthnet-s1-dir", "s1", "--metadata", "metadata.parquet", "--target-dir", "o")
    found = geoseg(*s2_dir(*more))
    assert (found.code, found.err) == (0, "")
    manifest = pd.read_parquet("o/manifest.parquet").set_index("key")
    for row in rows:
        pair = manifest.loc[[row["patch_id"], row["s1_name"]]]
        assert pair["sample"].nunique() == 1
        assert pair["split"].tolist() == [row["split"]] * 2
        assert [list(labels) for labels in pair["labels"]] == [["Pastures"]] * 2
    for i, row in enumerate(rows):
        pd.DataFrame([row | {"labels": "Pastures"}]).to_csv(f"{i}.csv", index=False)
    halves = ("--metadata", "0.csv", "--metadata", "1.csv")
    found = geoseg(*s2_dir(*more[:2], *halves, "--target-dir", "q"))
    assert (found.code, found.err) == (0, "")
    pd.testing.assert_frame_equal(
        pd.read_parquet("q/manifest.parquet"), pd.read_parquet("o/manifest.parquet")
    )
    assert geoseg("verify", "q", "s1", "s2", *halves).code == 0
    found = geoseg(*s2_dir("--metadata", "none.parquet", "--target-dir", "p"))
    assert (found.code, found.err.count("\n")) == (2, 1)
    assert "none.parquet" in found.err


class _Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(("stream", "shown"), [(_Terminal, True), (io.StringIO, False)])
def test_the_bar_has_rate_and_time_left_on_a_terminal_alone(monkeypatch, stream, shown):
    monkeypatch.setattr(sys, "stderr", stream())
    with patch_bar("town") as seen:
        for done in (10, 20):
            time.sleep(0.12)
            seen(Progress(done, 40, 0, 0.0))
        told = sys.stderr.getvalue()
    assert ("20/40 [" in told and "patch/s" in told and "<" in told) == shown
    assert bool(told) == shown


HIT_AT = """
import os
from contextlib import contextmanager

from geoseg.cli.convert import perform
from geoseg.cli.main import run


@contextmanager
def bar(told):
    yield lambda progress: progress.done == 560 and os.kill(os.getpid(), {number})


perform.patch_bar = bar
run()
"""
"""The command, which is hit by a signal after a transaction of 512 patches and some more."""


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_run_that_was_stopped_goes_on(geoseg, tmp_path, monkeypatch, number):
    monkeypatch.chdir(tmp_path)
    cities(tmp_path / "in", names=["roof_0000"])
    whole = Path("in/town/roof_0000.tif").read_bytes()
    for i in range(1, 600):
        Path(f"in/town/roof_{i:04d}.tif").write_bytes(whole[:-2] + i.to_bytes(2, "big"))
    words = ["convert", "uc-merced", "--dataset-dir", "in", "--num-workers", "0", "--target-dir"]
    code = HIT_AT.format(number=int(number))
    run = [sys.executable, "-c", code, *words, "o"]
    done = subprocess.run(run, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert not Path("o").exists()
    if number == signal.SIGTERM:
        assert done.returncode == 1
        assert done.stderr.startswith("error: stopped by SIGTERM; ")
        assert "--resume" in done.stderr
        assert done.stderr.count("\n") == 1
    else:
        assert done.returncode == -number
    found = geoseg(*words, "o", "--resume", "--json")
    assert found.code == 0
    report = json.loads(found.out)
    assert report["kept"] >= 512
    assert report["kept"] + report["written"] == 600
    assert geoseg(*words, "p").code == 0
    with lmdb.open("p", readonly=True, lock=False) as env, env.begin() as transaction:
        expected = {bytes(key).decode(): bytes(value) for key, value in transaction.cursor()}
    there = StoreReader("o")
    assert {key: bytes(there.value(key)) for key in there} == expected
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []
