import pickle
import re
import shutil
import subprocess
import sys
from pathlib import Path

import lmdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import safetensors.numpy
import torch
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from torch.nn.functional import interpolate

from geoseg.errors import SourceError
from geoseg.grid import Grid
from geoseg.sources.lmdb import LMDBSource
from geoseg.sources.store.environments import close_stores
from geoseg.sources.store.writer import StoreWriter
from geoseg.spec import Spec
from geoseg.window import Window

GRID = Grid(crs="EPSG:32633", transform=[10, 0, 5e5, 0, -10, 4e6], height=12, width=20)
RANDOM = np.random.default_rng(0)
PATCH = {
    name: RANDOM.integers(1, 9999, size).astype("uint16")
    for name, size in [("B10", (12, 20)), ("B2", (12, 20)), ("B8A", (6, 10)), ("B1", (3, 5))]
}
ALL = ["B1", "B2", "B8A", "B10"]
windows = st.builds(
    Window, st.integers(-9, 15), st.integers(-9, 23), st.integers(1, 25), st.integers(1, 30)
)


@pytest.fixture(autouse=True)
def nothing_open():
    yield
    close_stores()


def plain(path, values, **options):
    """A store without a manifest, written by LMDB and safetensors alone."""
    with lmdb.open(str(path), map_size=1 << 24, **options) as env, env.begin(write=True) as txn:
        for key, arrays in values.items():
            txn.put(key.encode(), safetensors.numpy.save(arrays))
    return str(path)


def told(path, arrays, **options):
    """A store with a manifest."""
    with StoreWriter(str(path)) as store:
        store.write("a", arrays, **options)
    return str(path)


@pytest.fixture(scope="module")
def patch_uri(tmp_path_factory):
    return plain(tmp_path_factory.mktemp("store") / "s", {"a": PATCH})


def repeated(array, size=(12, 20)):
    return np.kron(array, np.ones((size[0] // array.shape[0], size[1] // array.shape[1])))


def whole(source):
    return source.read(source.grid.whole)


# Bands and sizes


def test_all_bands_come_in_natural_order_at_the_largest_size(patch_uri):
    source = LMDBSource(uri=patch_uri, key="a")
    chip = whole(source)

    assert source.band_names == ("B1", "B2", "B8A", "B10")
    assert source.grid == Grid(height=12, width=20)
    assert chip.data.dtype == source.dtype == np.uint16
    np.testing.assert_array_equal(chip.data, [repeated(PATCH[name]) for name in source.band_names])
    assert chip.valid.all()


@given(windows)
def test_any_window_is_the_crop_of_the_whole_in_a_sea_of_zeros(patch_uri, window):
    source = LMDBSource(uri=patch_uri, key="a", bands=("B8A", "B10", "B1"))
    expected = np.pad(
        [repeated(PATCH[n]) for n in ("B8A", "B10", "B1")], ((0, 0), (40, 40), (40, 40))
    )
    part = Window(window.row + 40, window.col + 40, *window.shape).slices
    chip = source.read(window)

    np.testing.assert_array_equal(chip.data, expected[(slice(None), *part)])
    np.testing.assert_array_equal(chip.valid, expected[0][part] > 0)


def test_the_largest_size_is_that_of_the_bands_asked_for(patch_uri):
    source = LMDBSource(uri=patch_uri, key="a", bands=("B1", "B8A", "B1"))

    assert source.band_names == ("B1", "B8A", "B1")
    assert source.grid.shape == (6, 10)
    np.testing.assert_array_equal(
        whole(source).data,
        [repeated(PATCH["B1"], (6, 10)), PATCH["B8A"], repeated(PATCH["B1"], (6, 10))],
    )


@pytest.mark.parametrize(
    ("resampling", "mode"), [("nearest", "nearest-exact"), ("bilinear", "bilinear")]
)
@pytest.mark.parametrize("size", [(12, 20), (7, 31), (24, 40), (5, 3)])
def test_any_size_is_that_of_torch(tmp_path, resampling, mode, size):
    arrays = {name: RANDOM.normal(size=PATCH[name].shape) for name in PATCH}
    uri = plain(tmp_path / "s", {"a": arrays})
    source = LMDBSource(uri=uri, key="a", size=size, resampling=resampling)
    corners = {} if mode == "nearest-exact" else {"align_corners": False}
    expected = [
        interpolate(torch.from_numpy(arrays[name])[None, None], size, mode=mode, **corners)[0, 0]
        for name in source.band_names
    ]

    assert source.grid.shape == size
    np.testing.assert_allclose(whole(source).data, np.stack(expected), rtol=0, atol=1e-12)
    window = Window(1, 2, 3, 1)
    np.testing.assert_array_equal(
        source.read(window).data, whole(source).data[(slice(None), *window.slices)]
    )


def test_one_number_is_a_square_size(patch_uri):
    source = LMDBSource(uri=patch_uri, key="a", size=9)

    assert source.grid.shape == (9, 9)
    assert source == LMDBSource(uri=patch_uri, key="a", size=(9, 9))


def test_sides_are_the_largest_each_for_itself(tmp_path):
    uri = plain(tmp_path / "s", {"a": {"tall": np.ones((9, 2)), "wide": np.ones((3, 8))}})

    assert LMDBSource(uri=uri, key="a").grid.shape == (9, 8)


def test_the_channels_of_an_array_are_bands(tmp_path):
    image = np.arange(60, dtype="u1").reshape(3, 4, 5)
    uri = plain(
        tmp_path / "s", {"a": {"img": image, "nir": image[:1] + 1, "x_1": image[0, :2, :1]}}
    )
    source = LMDBSource(uri=uri, key="a")

    assert source.band_names == ("img_1", "img_2", "img_3", "nir", "x_1")
    np.testing.assert_array_equal(whole(source).data[:3], image)
    chosen = LMDBSource(uri=uri, key="a", bands=("img_2", "nir", "img"))
    assert chosen.band_names == ("img_2", "nir", "img_1", "img_2", "img_3")
    np.testing.assert_array_equal(whole(chosen).data, [image[1], image[0] + 1, *image])


@pytest.mark.parametrize(
    "dtype", ["float32", "float64"]
)  # which of the two lies first in the value
def test_an_array_comes_before_a_channel_of_the_same_name(tmp_path, dtype):
    arrays = {"x": np.arange(8, dtype=dtype).reshape(2, 2, 2), "x_1": np.full((2, 2), 77.0)}
    source = LMDBSource(uri=plain(tmp_path / "s", {"a": arrays}), key="a", bands=("x_1", "x_2"))

    np.testing.assert_array_equal(whole(source).data, [arrays["x_1"], arrays["x"][1]])


@pytest.mark.parametrize(
    ("dtypes", "common"),
    [
        (("uint16", "float32"), "float32"),
        (("uint8", "int16"), "int16"),
        (("bool", "bool"), "uint8"),
        (("bool", "int16"), "int16"),
        (("int32", "float32"), "float64"),
    ],
)
@pytest.mark.parametrize("resampling", ["nearest", "bilinear"])
def test_bands_of_several_dtypes_come_in_one_that_holds_all(tmp_path, dtypes, common, resampling):
    arrays = {
        "x": RANDOM.integers(0, 2, (4, 6)).astype(dtypes[0]),
        "y": RANDOM.integers(0, 2, (2, 3)).astype(dtypes[1]),
    }
    source = LMDBSource(uri=plain(tmp_path / "s", {"a": arrays}), key="a", resampling=resampling)
    chip = whole(source)

    assert chip.data.dtype == source.dtype == np.dtype(common)
    np.testing.assert_array_equal(chip.data[0], arrays["x"])
    if resampling == "nearest":
        np.testing.assert_array_equal(chip.data[1], repeated(arrays["y"], (4, 6)))


# Validity


def test_nan_and_infinity_in_any_band_are_not_valid(tmp_path):
    fine, coarse = np.ones((4, 6), "float32"), np.ones((2, 3), "float32")
    fine[0, 1], coarse[1, 2] = np.nan, -np.inf
    uri = plain(tmp_path / "s", {"a": {"x": fine, "y": coarse}})
    expected = np.ones((4, 6), bool)
    expected[0, 1] = expected[2:, 4:] = False
    for resampling in ("nearest", "bilinear"):
        chip = whole(LMDBSource(uri=uri, key="a", resampling=resampling))
        np.testing.assert_array_equal(chip.valid, expected)
        np.testing.assert_array_equal(chip.data[:, chip.valid], 1)


def test_nodata_of_the_manifest_is_not_valid_band_by_band(tmp_path):
    arrays = {"x": np.array([[0, 7, 9]], "i2"), "y": np.array([[7, 0, 9]], "i2")}
    uri = told(tmp_path / "s", arrays, nodata={"x": 7, "y": -32768.0})

    assert whole(LMDBSource(uri=uri, key="a")).valid.tolist() == [[True, False, True]]
    assert whole(LMDBSource(uri=uri, key="a", bands=("y",))).valid.all()
    mine = LMDBSource(uri=uri, key="a", nodata=0)
    assert whole(mine).valid.tolist() == [[False, False, True]]


def test_nodata_of_an_array_counts_for_its_channels(tmp_path):
    arrays = {"x": np.array([[[0, 1, 2]], [[2, 1, 1]]], "u1"), "y": np.zeros((1, 3), "u1")}
    uri = told(tmp_path / "s", arrays, nodata={"x": 2})

    assert whole(LMDBSource(uri=uri, key="a")).valid.tolist() == [[False, True, False]]
    assert whole(LMDBSource(uri=uri, key="a", bands=("x_2",))).valid.tolist() == [
        [False, True, True]
    ]


@pytest.mark.parametrize("number", [-9999, 300, 0.5, 1e300])
def test_nodata_that_the_dtype_cannot_hold_marks_nothing(tmp_path, number):
    uri = told(tmp_path / "s", {"x": np.arange(256, dtype="u1").reshape(16, 16)}, nodata=number)

    assert whole(LMDBSource(uri=uri, key="a")).valid.all()


@pytest.mark.parametrize(("dtype", "digits"), [("f4", 15), ("f4", 17), ("f8", 17), ("f2", 6)])
def test_the_largest_number_of_a_dtype_marks_as_people_write_it(tmp_path, dtype, digits):
    lowest = np.finfo(dtype).min
    data = np.array([[1, lowest, np.nextafter(lowest, np.array(0, dtype))]], dtype)
    uri = told(tmp_path / "s", {"x": data}, nodata=float(f"{float(lowest):.{digits}g}"))

    assert whole(LMDBSource(uri=uri, key="a")).valid.tolist() == [[True, False, True]]


def test_nodata_does_not_bleed_into_its_neighbours(tmp_path):
    coarse = np.full((3, 4), 100, "uint16")
    coarse[1, 2] = 65535
    uri = told(tmp_path / "s", {"x": coarse}, nodata=65535)
    chip = whole(LMDBSource(uri=uri, key="a", size=(12, 16), resampling="bilinear"))
    expected = np.ones((12, 16), bool)
    expected[4:8, 8:12] = False

    np.testing.assert_array_equal(chip.valid, expected)
    assert (chip.data[:, chip.valid] == 100).all()


# Georeference


def test_the_manifest_tells_grid_and_order_of_bands(tmp_path):
    source = LMDBSource(uri=told(tmp_path / "s", PATCH, grid=GRID), key="a")

    assert source.grid == GRID
    assert source.band_names == ("B10", "B2", "B8A", "B1")
    np.testing.assert_array_equal(whole(source).data, [repeated(PATCH[n]) for n in PATCH])


@pytest.mark.parametrize(
    ("options", "shape"),
    [({"bands": ("B1", "B8A")}, (6, 10)), ({"size": (24, 10)}, (24, 10)), ({"size": 7}, (7, 7))],
)
def test_the_grid_of_another_size_covers_the_same_ground(tmp_path, options, shape):
    rotated = Affine(8, 6, 5e5, 6, -8, 4e6)
    for transform in (GRID.transform, rotated):
        grid = Grid(crs=GRID.crs, transform=transform, height=12, width=20)
        uri = told(tmp_path / f"{transform.b}", PATCH, grid=grid)
        found = LMDBSource(uri=uri, key="a", **options).grid

        assert found.shape == shape
        assert found.crs == grid.crs
        assert found.bounds == pytest.approx(grid.bounds, abs=1e-6)


def test_a_manifest_beside_a_single_file_is_read(tmp_path):
    uri = plain(tmp_path / "one.lmdb", {"a": PATCH}, subdir=False)
    assert LMDBSource(uri=uri, key="a").grid.crs is None
    made = told(tmp_path / "s", PATCH, grid=GRID)
    table = pq.read_table(f"{made}/manifest.parquet")
    pq.write_table(table, f"{uri}.manifest.parquet", write_statistics=False)

    assert LMDBSource(uri=uri, key="a").grid == GRID


def test_a_manifest_that_tells_less_is_enough(tmp_path):
    uri = plain(tmp_path / "s", {"a": PATCH, "b": PATCH})
    pq.write_table(pa.table({"split": ["train"], "key": ["a"]}), f"{uri}/manifest.parquet")
    for key in "ab":
        source = LMDBSource(uri=uri, key=key)
        assert source.grid == Grid(height=12, width=20)
        assert source.band_names == ("B1", "B2", "B8A", "B10")


@pytest.mark.parametrize(
    ("columns", "text"),
    [
        (
            {"bands": [["B1", "B3"]]},
            "manifest tells of the bands B1, B3, the store holds B1, B2, B8A",
        ),
        ({"transform": [[1.0, 0.0]]}, "expected 6 numbers"),
        ({"transform": [[0.0] * 6]}, "the manifest's CRS and transform are no grid"),
        ({"transform": [list(GRID.transform[:6])], "crs": ["EPSG:x"]}, "are no grid"),
        ({"nodata": [[0.0]]}, "expected a number"),
        ({"bands": [ALL], "nodata": [["0", "0", "0", "0"]]}, r"'a': the column `nodata` is \['0'"),
        ({"bands": [ALL], "nodata": [[True] * 4]}, "column `nodata` is .*True"),
        ({"bands": [ALL], "nodata": ["four"]}, "column `nodata` is 'four'"),
        ({"bands": [[1, 2, 3, 4]]}, r"column `bands` is \[1, 2, 3, 4\], expected names"),
        ({"bands": ["B10"]}, "column `bands` is 'B10', expected names"),
        ({"bands": [["B1", "B1"]]}, "expected each name once"),
        ({"transform": [["1"] * 6]}, "column `transform` is .*expected 6 numbers"),
        ({"transform": [[np.nan] * 6]}, "column `transform` is .*expected 6 numbers"),
        ({"crs": [4326]}, "column `crs` is 4326, expected text"),
        ({"bands": [ALL], "shapes": [["12x20"] * 4]}, "column `shapes` is"),
        ({"bands": [ALL], "dtypes": [[16] * 4]}, "column `dtypes` is"),
        ({"key": [7]}, "column `key` is int64, expected text"),
    ],
)
def test_a_manifest_that_makes_no_sense_is_an_error(tmp_path, columns, text):
    uri = plain(tmp_path / "s", {"a": PATCH})
    pq.write_table(pa.table({"key": ["a"], **columns}), f"{uri}/manifest.parquet")
    with pytest.raises(SourceError, match=text) as told:
        LMDBSource(uri=uri, key="a").check()
    assert uri in str(told.value)


@pytest.mark.parametrize("bands", [None, ("B2",)])
@pytest.mark.parametrize(
    ("other", "text"),
    [
        (
            {**PATCH, "B1": np.ones((6, 10), "uint16")},
            r"shapes .*\(3, 5\)\), the store holds .*\(6, 10\)\)",
        ),
        (
            {**PATCH, "B1": np.ones((3, 5), "f4")},
            r"dtypes .*'uint16'\), the store holds .*'float32'\)",
        ),
        ({"B2": PATCH["B2"]}, "bands B10, B2, B8A, B1, the store holds B2"),
    ],
)
def test_the_manifest_of_another_store_is_refused(tmp_path, other, text, bands):
    made, found = told(tmp_path / "s", PATCH, grid=GRID), plain(tmp_path / "t", {"a": other})
    shutil.copy(f"{made}/manifest.parquet", found)
    with pytest.raises(
        SourceError, match=rf"t: a: the manifest tells of the {text}; .*another store"
    ):
        LMDBSource(uri=found, key="a", bands=bands).check()


# As a Spec


def test_it_survives_yaml_and_pickle(patch_uri):
    source = LMDBSource(
        uri=patch_uri, key="a", bands=("B2", "B1"), size=(4, 6), resampling="bilinear", nodata=3
    )
    before = pickle.dumps(source)
    source.read(Window(0, 0, 1, 1))

    assert LMDBSource.from_yaml(source.to_yaml()) == source
    assert pickle.dumps(source) == before
    assert len(before) < 1000
    assert pickle.loads(before) == source
    assert set(source.__dict__) == set(LMDBSource.model_fields)
    assert isinstance(source, Spec)


@pytest.mark.parametrize(
    "wrong",
    [{"size": 0}, {"size": (4, -1)}, {"size": (1, 2, 3)}, {"resampling": "cubic"}, {"nodata": "x"}],
)
def test_wrong_values_are_refused_when_it_is_made(patch_uri, wrong):
    with pytest.raises(ValidationError):
        LMDBSource(uri=patch_uri, key="a", **wrong)


def test_a_store_or_manifest_that_changes_is_read_anew(tmp_path):
    uri = plain(tmp_path / "s", {"a": {"x": np.zeros((2, 3), "u1")}})
    source = LMDBSource(uri=uri, key="a")
    assert source.grid == Grid(height=2, width=3)
    close_stores()
    plain(uri, {"a": {"x": np.ones((12, 20), "f4")}})
    assert source.dtype == np.float32
    assert whole(source).data.all()
    for i, grid in enumerate((GRID, GRID.model_copy(update={"crs": None}), GRID)):
        other = told(tmp_path / f"{i}", {"x": np.ones((12, 20), "f4")}, grid=grid)
        manifest = Path(other, "manifest.parquet").read_bytes()
        Path(uri, "manifest.parquet").write_bytes(manifest)  # in place
        assert source.grid == grid


# Errors


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"key": "b"}, "has no patch 'b'; near keys: a"),
        ({"bands": ("B3",)}, "s: a: has no band 'B3', expected one of: B1, B2, B8A, B10"),
        ({"bands": ("B2_1",)}, "has no band 'B2_1'"),
        ({"bands": ()}, "s: a: `bands` is empty; choose one of: B1"),
    ],
)
def test_what_is_not_there_is_an_error_that_lists_what_is(patch_uri, options, text):
    with pytest.raises(SourceError, match=text):
        LMDBSource(**{"uri": patch_uri, "key": "a", **options}).check()


def test_a_missing_store_an_empty_folder_and_a_damaged_file_differ(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "text").write_text("key,band\n" * 1000)
    texts = set()
    for name in ("nothing", "folder", "text"):
        with pytest.raises(SourceError) as told:
            LMDBSource(uri=str(tmp_path / name), key="a").check()
        assert str(tmp_path / name) in str(told.value)
        texts.add(re.sub(".*: ", "", str(told.value).split(";")[0]))

    assert len(texts) == 3


@pytest.mark.parametrize(
    "array", [np.array(3), np.arange(4), np.zeros((1, 2, 3, 4)), np.zeros((0, 3))]
)
def test_an_array_that_is_no_band_is_an_error_unless_left_out(tmp_path, array):
    uri = plain(tmp_path / "s", {"a": {"x": np.ones((2, 3)), "odd": array}})
    with pytest.raises(SourceError, match=r"'odd' has shape .*leave it out of `bands`"):
        LMDBSource(uri=uri, key="a").check()

    assert LMDBSource(uri=uri, key="a", bands=("x",)).grid.shape == (2, 3)


def test_importing_it_imports_neither_lmdb_nor_pyarrow():
    code = "import sys, geoseg, geoseg.sources.lmdb, geoseg.sources.store.writer; "
    code += "sys.exit(', '.join({'lmdb', 'pyarrow', 'safetensors'} & set(sys.modules)) or 0)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
