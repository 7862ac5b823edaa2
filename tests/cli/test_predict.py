"""geoseg predict: a map, or a refusal that leaves nothing behind."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import rasterio

from geoseg.labels.geotiff import GeoTIFFLabelStore
from geoseg.learner import Learner
from geoseg.runlock import RunLock
from geoseg.scene import Scene
from tests.support.waiting import PATIENCE, wait_until

NAMES = ("red", "green", "nir")


@pytest.fixture
def out(tmp_path):
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


def test_the_map_is_what_the_learner_predicts(geoseg, files, out):
    found = geoseg("predict", files.bundle, files.image, out / "map.tif")
    assert (found.code, found.out, found.err) == (0, f"{out / 'map.tif'}\n", "")
    written = GeoTIFFLabelStore(uri=str(out / "map.tif")).read()
    expected = Learner.load(files.bundle).predict(Scene.of(files.image)).to_array()
    assert (written.to_array() == expected).all()
    assert set(np.unique(expected)) == {0, 1, 255}
    with rasterio.open(out / "map.tif") as labels, rasterio.open(files.image) as image:
        assert (labels.crs, labels.transform, labels.shape) == (
            image.crs,
            image.transform,
            image.shape,
        )
    assert sorted(p.name for p in out.iterdir()) == ["map.tif", "map.tif.aux.xml"]


def test_flags_reach_the_prediction(geoseg, files, out):
    flags = [
        "--size",
        "24",
        "--stride",
        "7",
        "--blend",
        "center",
        "--batch-size",
        "3",
        "--aoi",
        files.area,
    ]
    assert geoseg("predict", files.bundle, files.image, out / "map.tif", *flags).code == 0
    expected = Learner.load(files.bundle).predict(
        Scene.of(files.image, aoi=files.area), size=24, stride=7, blend="center", batch_size=3
    )
    written = GeoTIFFLabelStore(uri=str(out / "map.tif")).read().to_array()
    assert (written == expected.to_array()).all()
    assert (written[:10] == 255).all()


def test_bands_are_chosen_by_name(geoseg, files, out, write_raster):
    with rasterio.open(files.image) as file:
        data = file.read()
    mixed = write_raster(
        "mixed.tif", data[[2, 0, 1]], nodata=0, descriptions=("nir", "red", "green")
    )
    found = geoseg("predict", files.bundle, mixed, out / "map.tif", "--bands", "red,green,3")
    assert found.code == 1  # the third is called green
    found = geoseg("predict", files.bundle, mixed, out / "map.tif", "--bands", "red,green,nir")
    assert found.code == 0
    expected = Learner.load(files.bundle).predict(Scene.of(files.image)).to_array()
    assert (GeoTIFFLabelStore(uri=str(out / "map.tif")).read().to_array() == expected).all()


@pytest.fixture
def bad_images(files, tmp_path, write_raster):
    """Images beside the good one, each wrong in one way."""
    with rasterio.open(files.image) as file:
        data = file.read()
    write_raster("two.tif", data[:2], descriptions=NAMES[:2])
    write_raster("wide.tif", data.astype("uint16"), descriptions=NAMES)
    write_raster("other.tif", data, descriptions=("red", "green", "blue"))
    (tmp_path / "text.tif").write_text("no raster")
    (tmp_path / "empty.tif").write_bytes(b"")
    whole = Path(write_raster("cut.tif", data))  # names would put the header at the end
    whole.write_bytes(whole.read_bytes()[:8000])
    return tmp_path


@pytest.mark.parametrize(
    ("image", "texts"),
    [
        ("missing.tif", ["missing.tif: no such file", "check the path"]),
        ("text.tif", ["text.tif: is no raster", "try gdalinfo"]),
        ("empty.tif", ["empty.tif: is empty", "download it again"]),
        ("cut.tif", ["cut.tif: cannot read rows", "truncated or damaged, copy it again"]),
        (
            "two.tif",
            ["two.tif", "has 2 bands (red, green)", "trained on 3", "choose them with bands"],
        ),
        (
            "other.tif",
            ["other.tif", "(red, green, blue)", "(red, green, nir)", "choose them by name"],
        ),
        ("wide.tif", ["wide.tif", "uint16", "uint8", "convert the image"]),
    ],
)
def test_an_image_that_does_not_fit_is_refused(geoseg, files, bad_images, out, *, image, texts):
    found = geoseg("predict", files.bundle, bad_images / image, out / "map.tif")
    assert found.code == 1
    assert found.err.count("\n") <= 3
    for text in ["error: ", *texts]:
        assert text in found.err
    assert list(out.iterdir()) == []


def test_an_aoi_elsewhere_is_refused(geoseg, files, out, write_box):
    far = write_box("far.geojson", 1e5, 1e6, 2e5, 2e6)
    found = geoseg("predict", files.bundle, files.image, out / "map.tif", "--aoi", far)
    assert found.code == 1
    assert "far.geojson: the AOI misses the image" in found.err
    assert list(out.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (
            ["no.zip", "{image}", "{out}/m.tif"],
            1,
            "no.zip: no such bundle; `geoseg train` writes one",
        ),
        (["{image}", "{image}", "{out}/m.tif"], 1, "image.tif: is no geoseg bundle"),
        (["{bundle}", "{image}", "{image}"], 2, "image.tif: is read as an input too"),
        (
            ["{bundle}", "{image}", "{out}/m.png"],
            2,
            "m.png: is named neither as a map (.tif) nor as polygons",
        ),
        (["{bundle}", "{image}", "{bundle}/m.tif"], 2, "nothing can be written to the folder"),
        (
            ["{bundle}", "{image}", "{out}/m.tif", "--size", "0"],
            2,
            "predict: size: got 0, expected at least 1",
        ),
        (
            ["{bundle}", "{image}", "{out}/m.tif", "--blend", "no"],
            2,
            "predict: blend: got 'no', expected 'center', ",
        ),
        (
            ["{bundle}", "{image}", "{out}/m.tif", "--stride", "99"],
            2,
            "stride 99 is larger than size 32",
        ),
        (
            ["no.zip", "{image}", "{out}/m.tif", "--resume", "--no-keep"],
            2,
            "--resume goes on from finished rows that are kept, and with --no-keep none are",
        ),
        (["no.zip", "{image}", ""], 2, "'': is no name of a file to write"),
        (["no.zip", "{image}", "{out}"], 2, "is a folder, expected the path of a file"),
        (
            ["no.zip", "{image}", "{out}/" + "m" * 240 + ".tif"],
            2,
            "has 244 bytes, expected at most 239",
        ),
    ],
)
def test_a_call_that_cannot_work_is_refused(geoseg, files, out, *, arguments, code, text):
    places = {"image": files.image, "bundle": files.bundle, "out": out}
    before = Path(files.image).read_bytes()
    found = geoseg("predict", *(part.format(**places) for part in arguments))
    assert found.code == code
    assert text in found.err
    assert found.err.count("\n") <= 3
    assert list(out.iterdir()) == []
    assert Path(files.image).read_bytes() == before


def test_a_refusal_leaves_the_map_of_before(geoseg, files, bad_images, out):
    (out / "map.tif").write_text("mine")
    assert geoseg("predict", files.bundle, bad_images / "cut.tif", out / "map.tif").code == 1
    assert (out / "map.tif").read_text() == "mine"
    assert len(list(out.iterdir())) == 1


def _started(arguments):
    """The command in a process of its own."""
    code = "from geoseg.cli.main import run; run()"
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )


@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_prediction_that_is_stopped_leaves_nothing_but_its_finished_rows(
    files, out, write_raster, number, workers
):
    data = np.full((3, 4000, 4000), 9, "uint8")
    big = write_raster("big.tif", data, descriptions=NAMES, compress="deflate")
    arguments = ["predict", files.bundle, big, out / "map.tif", "--workers", workers, "--stride", 4]
    process = _started(arguments)
    try:
        wait_until(lambda: any(out.iterdir()), process)
        time.sleep(1)
        assert any(out.iterdir())
        process.send_signal(number)
        _, told = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
        process.communicate()  # ends it and closes its pipe
    assert process.returncode == 1
    if "finished bands" in told:  # a fast machine
        assert [path.name for path in out.iterdir()] == [".map.tif.resume"]
    else:
        assert told == f"error: stopped by {number.name}; what was not whole yet has been removed\n"
        assert list(out.iterdir()) == []


@pytest.fixture
def tall(write_raster):
    """An image of four bands of rows, as the bundle wants it."""
    rng = np.random.default_rng(0)
    data = rng.integers(1, 255, (3, 220, 5), np.uint8).repeat(8, axis=1).repeat(8, axis=2)
    return write_raster("tall.tif", data, nodata=0, descriptions=NAMES)


@pytest.mark.slow
def test_shards_are_merged_to_the_map_of_one_run(geoseg, files, tall, out):
    options = ("--stride", 32, "--tta", "flips")
    assert geoseg("predict", files.bundle, tall, out / "whole.tif", *options).code == 0
    for i in range(2):
        found = geoseg(
            "predict", files.bundle, tall, out / f"{i}.tif", "--shard", f"{i}/2", *options
        )
        assert (found.code, found.err) == (0, "")
    found = geoseg("merge", out / "1.tif", out / "0.tif", out / "map.tif")
    assert (found.code, found.out, found.err) == (0, f"{out / 'map.tif'}\n", "")
    assert (out / "map.tif").read_bytes() == (out / "whole.tif").read_bytes()
    found = geoseg("merge", out / "1.tif", out / "new.tif")
    assert found.code == 2
    assert "no part holds rows 0 to 1023 of 1760" in found.err
    found = geoseg("merge", out / "whole.tif", out / "new.tif")
    assert "whole.tif: is no part of a map" in found.err
    assert geoseg("merge", out / "1.tif", out / "0.tif", out / "map.png").code == 2
    assert not (out / "new.tif").exists()


@pytest.mark.parametrize(
    ("flags", "text"),
    [
        (["--shard", "1"], "--shard 1: expected the shard's number from 0 and their count"),
        (["--shard", "2/2"], "shard is 2 of 2, expected a number from 0"),
        (["--shard", "0/9"], "4 bands of 512 rows; use 4 shards at most"),
        (
            ["--shard", "0/2", "--confidence"],
            "--confidence: a part of a map holds ids and scores only",
        ),
        (["--shard", "0/2", "--scores", "--entropy"], "give --entropy to `geoseg merge`"),
        (["--max-memory", "much"], "--max-memory much: expected bytes, as 500MB"),
        (["--tta", "d5"], "predict: tta: got 'd5', expected 'flips' or 'd4'"),
        (["--tta", "d4", "--size", "32"], None),
    ],
)
def test_flags_of_shards_and_positions_are_checked(geoseg, files, tall, *, flags, text):
    found = geoseg("predict", files.bundle, tall, Path(tall).with_name("map.tif"), *flags)
    assert found.code == (0 if text is None else 2)
    assert text is None or text in found.err


def test_a_part_is_a_geotiff_whatever_is_made_of_it(geoseg, files, tall, out):
    found = geoseg("predict", files.bundle, tall, out / "0.gpkg", "--shard", "0/2")
    assert found.code == 2
    assert "0.gpkg: a part of a map is a GeoTIFF; give it a name that ends with .tif" in found.err
    assert list(out.iterdir()) == []


@pytest.mark.slow
def test_of_parts_with_scores_all_is_made_that_one_run_makes(geoseg, files, tall, out):
    flags = ("--stride", 32, "--scores")
    wanted = ("--scores", "--confidence", "--entropy")
    assert geoseg("predict", files.bundle, tall, out / "whole.tif", *flags, *wanted[1:]).code == 0
    parts = [out / f"{i}.tif" for i in range(2)]
    for i, part in enumerate(parts):
        assert geoseg("predict", files.bundle, tall, part, *flags, "--shard", f"{i}/2").code == 0
    assert geoseg("merge", *parts, out / "map.tif", *wanted).code == 0
    for quantity in ("scores", "confidence", "entropy"):
        one, merged = (out / f"{stem}.{quantity}.tif" for stem in ("whole", "map"))
        assert merged.read_bytes() == one.read_bytes()
    found = geoseg("merge", *parts, out / "confidence.tif", "--confidence")
    assert found.code == 0
    with (
        rasterio.open(out / "confidence.confidence.tif") as alone,
        rasterio.open(out / "whole.confidence.tif") as whole,
    ):
        np.testing.assert_array_equal(alone.read(), whole.read())


def test_while_a_map_is_written_another_run_is_refused_in_a_line(geoseg, files, tall, out):
    lock = RunLock(out / ".map.tif.resume", "map.tif")
    for flags in ([], ["--resume"]):
        found = geoseg("predict", files.bundle, tall, out / "map.tif", "--stride", 32, *flags)
        assert found.code == 2
        assert "map.tif: another run is writing this map" in found.err
        assert found.err.count("\n") == 1
    lock.release()
    assert [path.name for path in out.iterdir()] == [".map.tif.resume"]


@pytest.mark.slow
def test_a_stopped_prediction_keeps_its_rows_and_says_how_to_go_on(geoseg, files, tall, out):
    assert geoseg("predict", files.bundle, tall, out / "ref.tif", "--stride", 2).code == 0
    arguments = ["predict", files.bundle, tall, out / "map.tif", "--stride", 2]
    process = _started(arguments)
    kept = out / ".map.tif.resume"
    try:
        wait_until((kept / "band-000000.npy").exists, process)
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
        process.communicate()  # ends it and closes its pipe
    assert process.returncode == 1
    assert re.fullmatch(
        r"error: stopped by SIGINT; \d finished bands of rows are kept in .*\.map\.tif\.resume: run it "
        r"again with resume \(--resume\) to go on, or remove the folder\n",
        told,
    )
    assert sorted(p.name for p in out.iterdir()) == [
        ".map.tif.resume",
        "ref.tif",
        "ref.tif.aux.xml",
    ]
    changed = geoseg(*arguments[:-1], 4, "--resume")
    assert changed.code == 2
    assert "stride is [4, 4], was [2, 2]" in changed.err
    assert geoseg(*arguments, "--resume").code == 0
    assert (out / "map.tif").read_bytes() == (out / "ref.tif").read_bytes()
    assert not kept.exists()


def test_other_bands_than_a_bundle_of_a_data_set_takes_are_one_line(geoseg, files, out):
    learner = Learner.load(files.bundle)
    learner.data = None  # as in bundles that know nothing but the number of channels
    learner.save(str(out / "own.zip"))
    with rasterio.open(files.image) as image:
        profile, data = image.profile, image.read()
    with rasterio.open(out / "two.tif", "w", **(profile | {"count": 2})) as two:
        two.write(data[:2])
    found = geoseg("predict", out / "own.zip", out / "two.tif", out / "map.tif")
    assert (found.code, found.out) == (1, "")
    assert re.fullmatch(
        r"error: scene '.*two.tif': the image has 2 bands .*takes 3.*bands=\.\.\.\n", found.err
    )
