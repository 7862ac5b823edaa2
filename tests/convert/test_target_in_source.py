"""A store that is written into the folder of its own data set."""

from pathlib import Path

import pytest

from geoseg.convert.convert import convert
from geoseg.convert.layouts.generic import generic
from geoseg.convert.verify import verify
from geoseg.sources.store.environments import close_stores
from tests.convert.killing import expected, raw, resumed
from tests.convert.making import S1, S2, maps, radar, radar_arrays, write_tiff


@pytest.fixture(autouse=True)
def nothing_open():
    yield
    close_stores()


@pytest.fixture
def array():
    (arrays,) = radar_arrays([1]).values()
    return arrays["VV"]


def test_a_store_in_a_folder_of_files_is_no_part_of_it(tmp_path, array):
    source, target = {"map": maps(tmp_path, range(3))}, tmp_path / "store"
    done = convert("bigearthnet", source, str(target))
    write_tiff(target / f"{S2}_77_7_reference_map.tif", array)
    again = resumed(source, target)

    assert (done.written, again.kept, again.patches) == (3, 3, 3)


@pytest.mark.parametrize("target", [f"{S1}/{S1}_77_7", f"./{S1}/../{S1}/{S1}_77_7"])
def test_a_store_in_a_folder_of_patch_folders_is_no_part_of_it(tmp_path, monkeypatch, target):
    radar(tmp_path, range(3))
    monkeypatch.chdir(tmp_path)
    before = expected(tmp_path)
    convert("bigearthnet", {"s1": "."}, target)
    again = resumed(".", target)

    assert (again.kept, again.patches) == (3, 3)
    assert raw(target) == before


@pytest.mark.parametrize("target", ["store", "0000000/store", "0000000/link"])
def test_a_store_in_a_folder_of_ssl4eo_is_no_patch(tmp_path, array, target):
    source = tmp_path / "s1"
    for patch in ("0000000", "0000001"):
        for band in ("VH", "VV"):
            write_tiff(source / patch / "S1A_1" / f"{band}.tif", array)
    if target == "0000000/link":
        (source / "0000000/real").mkdir()
        (source / target).symlink_to("real")
    call = ("ssl4eo-s12", {"s1": str(source)}, str(source / target))
    done = convert(*call)
    again = convert(*call, resume=True)

    assert (done.written, again.kept, again.patches) == (2, 2, 2)
    assert verify(call[2], [str(source)]).ok
    assert (Path(source) / target).is_symlink() is (target == "0000000/link")


def test_masks_in_a_store_are_no_part_of_its_source(tmp_path, array):
    layout = generic(images="{split}/{key}_image.tif", masks="{split}/{key}_mask.tif")
    pixels = (array * 9).astype("u1")
    for name in ("train/a_image", "train/a_mask"):
        write_tiff(tmp_path / f"{name}.tif", pixels)
    call = (layout, {"images": str(tmp_path)}, str(tmp_path / "store"))
    convert(*call)
    write_tiff(tmp_path / "store/b_mask.tif", pixels)
    again = convert(*call, resume=True)

    assert (again.kept, again.patches) == (1, 1)
