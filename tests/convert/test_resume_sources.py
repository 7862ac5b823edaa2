"""Going on where pixels lie in other files than the one that is named, and where other sources are named."""

import csv
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import rasterio
import rasterio.shutil
from affine import Affine

from geoseg.convert.convert import convert
from geoseg.convert.layouts.generic import generic
from geoseg.convert.running import writing
from geoseg.convert.running.target import Target
from geoseg.errors import ConfigError, SourceError, StoreError
from geoseg.sources.store.environments import close_stores
from tests.convert.killing import expected, killed, raw, resumed
from tests.convert.making import S1, maps, radar, write_tiff

PLACE = {"crs": "EPSG:32633", "transform": Affine(10, 0, 3e5, 0, -10, 59e5)}


@pytest.fixture(autouse=True)
def nothing_open():
    yield
    close_stores()


@pytest.fixture(autouse=True)
def short_transactions(monkeypatch):
    monkeypatch.setattr(writing, "PUTS", 1)


def stopped_and_gone_on_with(folder, between):
    """A run that the file `z.tif` stops, something in between, and the run that goes on; what it did."""
    layout, store = generic(bands=("x",)), str(folder.parent / "store")
    (folder / "z.tif").write_bytes(b"no image")
    with pytest.raises(SourceError, match=r"z.tif.*1 patches that were written before are kept"):
        convert(layout, {"images": str(folder)}, store, workers=0)
    between()
    write_tiff(folder / "z.tif", np.ones((5, 7), "f4"))
    return convert(layout, {"images": str(folder)}, store, workers=0, resume=True), raw(store)


def test_a_change_in_the_file_to_which_a_vrt_points_is_seen(tmp_path):
    old, new = np.zeros((5, 7), "f4"), np.full((5, 7), 2.5, "f4")
    write_tiff(tmp_path / "far/a.tif", old)
    (tmp_path / "data").mkdir()
    with rasterio.open(tmp_path / "far/a.tif") as file:
        rasterio.shutil.copy(file, tmp_path / "data/a.vrt", driver="VRT")
    done, values = stopped_and_gone_on_with(
        tmp_path / "data", lambda: write_tiff(tmp_path / "far/a.tif", new)
    )

    assert (done.kept, done.redone, done.written) == (0, 1, 1)
    assert values["a"].endswith(new.tobytes())


def test_a_change_in_the_header_beside_an_envi_image_is_seen(tmp_path):
    (tmp_path / "data").mkdir()
    shape = {"driver": "ENVI", "count": 1, "height": 5, "width": 7, "dtype": "int16", **PLACE}
    with rasterio.open(tmp_path / "data/a.img", "w", **shape) as file:
        file.write(np.arange(35, dtype="i2").reshape(1, 5, 7))
    header = tmp_path / "data/a.hdr"
    changed = header.read_text().replace("lines   = 5", "lines   = 4")
    assert changed != header.read_text()
    done, values = stopped_and_gone_on_with(tmp_path / "data", lambda: header.write_text(changed))

    assert (done.kept, done.redone) == (0, 1)
    assert values["a"].endswith(np.arange(28, dtype="i2").tobytes())


def test_a_vrt_that_has_not_changed_is_kept_once_it_is_read_again(tmp_path):
    write_tiff(tmp_path / "far/a.tif", np.ones((5, 7), "f4"))
    (tmp_path / "data").mkdir()
    with rasterio.open(tmp_path / "far/a.tif") as file:
        rasterio.shutil.copy(file, tmp_path / "data/a.vrt", driver="VRT")
    done, _ = stopped_and_gone_on_with(tmp_path / "data", lambda: None)

    assert (done.kept, done.redone, done.written) == (1, 0, 1)


# Other sources


@pytest.fixture
def both(tmp_path):
    return {"s1": radar(tmp_path / "a", range(6)), "map": maps(tmp_path / "m", range(6))}


def test_a_group_that_is_not_named_again_loses_nothing(tmp_path, both):
    store = tmp_path / "store"
    killed(both, store, after=9)
    with pytest.raises(
        StoreError, match=rf"written 6 patches .* not in these sources \({S1}.*they were left"
    ):
        resumed({"map": both["map"]}, store)
    done = resumed(both, store)

    assert (done.kept, done.removed, done.written) == (9, 0, 3)
    assert raw(store) == expected(*both.values())


def test_a_group_that_is_not_named_again_is_kept_by_append(tmp_path, both):
    store = tmp_path / "store"
    killed(both, store, after=9)
    done = resumed({"map": both["map"]}, store, append=True)

    assert (done.patches, done.removed) == (6, 0)
    assert raw(store) == expected(*both.values())


def test_a_wrong_folder_of_the_same_group_removes_nothing(tmp_path, both):
    store, other = tmp_path / "store", radar(tmp_path / "b", range(20, 24))
    killed(both["s1"], store, after=4)
    with pytest.raises(StoreError, match="name the sources of that run"):
        resumed(other, store)

    assert resumed(both["s1"], store).kept == 4


# The report


def test_the_report_of_an_earlier_run_stays_where_a_store_is_added_to(tmp_path, both):
    def rows(done):
        with Path(done.report).open(newline="") as file:
            return {row["key"]: row["error"] for row in csv.DictReader(file)}

    def broken(folder):
        path = min(Path(folder).rglob("*.tif"))
        whole = path.read_bytes()
        path.write_bytes(b"no image")
        return path, whole

    store, (first, whole), _ = str(tmp_path / "store"), broken(both["s1"]), broken(both["map"])
    options = {"workers": 0, "on_error": "skip"}
    one = rows(convert("bigearthnet", {"s1": both["s1"]}, store, **options))
    two = rows(convert("bigearthnet", {"map": both["map"]}, store, append=True, **options))
    first.write_bytes(whole)
    again = {"append": True, "resume": True}
    three = rows(convert("bigearthnet", {"s1": both["s1"]}, store, **again, **options))

    assert len(one) == 1
    assert len(two) == 2
    assert two | one == two
    assert three == {key: error for key, error in two.items() if key not in one}


def test_the_report_of_an_earlier_run_goes_with_the_next_that_does_not_add(tmp_path, both):
    store, path = str(tmp_path / "store"), min(Path(both["s1"]).rglob("*.tif"))
    whole = path.read_bytes()
    path.write_bytes(b"no image")
    first = convert("bigearthnet", {"s1": both["s1"]}, store, workers=0, on_error="skip")
    path.write_bytes(whole)
    second = resumed(both["s1"], store)

    assert second.report is None
    assert not Path(first.report).exists()


def test_a_store_of_an_earlier_version_is_added_to(tmp_path, both, monkeypatch):
    """Its manifest does not know every field of a group."""
    store = tmp_path / "store"
    convert("bigearthnet", {"s1": both["s1"]}, str(store), workers=0)
    told = Target.told

    def older(self):
        found = told(self)
        for group in found["layout"]["groups"]:
            del group["more_bands"]
        return found

    monkeypatch.setattr(Target, "told", older)
    convert("bigearthnet", {"map": both["map"]}, str(store), workers=0, append=True)
    others = maps(tmp_path / "others", [30])
    with pytest.raises(ConfigError, match="was begun with layout"):
        convert(generic(), {"images": others}, str(store), workers=0, append=True)

    assert raw(store) == expected(*both.values())


def test_a_store_whose_bands_were_named_for_an_earlier_version_is_gone_on_with(
    tmp_path, monkeypatch
):
    write_tiff(tmp_path / "data/a.tif", np.ones((3, 5), "u1"))
    layout, store = generic(bands=("grey",)), str(tmp_path / "store")
    convert(layout, {"images": str(tmp_path / "data")}, store, workers=0)
    told = Target.told

    def older(self):
        found = told(self)
        for group in found["layout"]["groups"]:
            del group["more_bands"]
        return found

    monkeypatch.setattr(Target, "told", older)
    again = convert(layout, {"images": str(tmp_path / "data")}, store, workers=0, resume=True)
    with pytest.raises(ConfigError, match="was begun with layout"):
        convert(
            generic(bands=("red",)),
            {"images": str(tmp_path / "data")},
            store,
            workers=0,
            resume=True,
        )
    write_tiff(tmp_path / "more/b.tif", np.ones((3, 5), "u1"))
    more = convert(layout, {"images": str(tmp_path / "more")}, store, workers=0, append=True)

    assert (again.kept, more.written) == (1, 1)


def test_bands_that_were_read_from_the_first_image_may_be_named_later(tmp_path):
    for name in ("one/a", "two/b"):
        write_tiff(tmp_path / f"{name}.tif", np.ones((3, 5), "u1"))
    store = str(tmp_path / "store")
    convert(generic(), {"images": str(tmp_path / "one")}, store, workers=0)
    (bands,) = {*pq.read_table(Path(store, "manifest.parquet")).to_pylist()[0]["bands"]}
    more = convert(
        generic(bands=(bands,)), {"images": str(tmp_path / "two")}, store, workers=0, append=True
    )

    assert more.written == 1
