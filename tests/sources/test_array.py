import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from geoseg.grid import Grid
from geoseg.sources.array import ArraySource
from geoseg.window import Window

DATA = np.arange(2 * 5 * 7, dtype="int16").reshape(2, 5, 7)
VALID = np.random.default_rng(0).random((5, 7)) > 0.3
GRID = Grid(crs="EPSG:32619", transform=[10, 0, 5e5, 0, -10, 4e6], height=5, width=7)

windows = st.builds(
    Window, st.integers(-9, 9), st.integers(-9, 9), st.integers(1, 15), st.integers(1, 15)
)


@given(windows)
def test_any_window_is_that_of_the_array_in_a_sea_of_zeros(window):
    chip = ArraySource(data=DATA, valid=VALID).read(window)
    margin = 20
    around = ((margin, margin), (margin, margin))
    part = Window(window.row + margin, window.col + margin, *window.shape).slices

    np.testing.assert_array_equal(chip.data, np.pad(DATA, ((0, 0), *around))[(slice(None), *part)])
    np.testing.assert_array_equal(chip.valid, np.pad(VALID, around)[part])
    assert chip.data.dtype == DATA.dtype


def test_a_flat_array_is_one_band():
    source = ArraySource(data=DATA[0])

    assert source.band_names == ("1",)
    assert source.grid == Grid(height=5, width=7)
    np.testing.assert_array_equal(source.read(source.grid.whole).data, DATA[:1])


def test_grid_and_names_are_those_given():
    source = ArraySource(data=DATA, grid=GRID, band_names=("a", "b"))

    assert source.grid == GRID
    assert source.band_names == ("a", "b")
    assert source.dtype == np.int16
    assert ArraySource(data=DATA).band_names == ("1", "2")


def test_nan_and_infinity_in_any_band_are_not_valid():
    data = DATA.astype("float32")
    data[0, 1, 2] = data[1, 4, 6] = np.nan
    data[0, 0, 0], data[1, 3, 5] = np.inf, -np.inf
    chip = ArraySource(data=data, valid=VALID).read(Window(0, 0, 5, 7))

    np.testing.assert_array_equal(chip.valid, VALID & (abs(data) < 1e9).all(axis=0))


def test_what_is_read_is_a_copy():
    source = ArraySource(data=DATA.copy(), valid=VALID.copy())
    chip = source.read(Window(0, 0, 5, 7))
    chip.data[:], chip.valid[:] = -1, False

    assert source == ArraySource(data=DATA, valid=VALID)


def test_sources_are_equal_where_arrays_grid_and_names_are():
    source = ArraySource(data=DATA, valid=VALID)
    others = [
        ArraySource(data=DATA),
        ArraySource(data=DATA + 1, valid=VALID),
        ArraySource(data=DATA.astype("int32"), valid=VALID),
        ArraySource(data=DATA, valid=~VALID),
        ArraySource(data=DATA, valid=VALID, grid=GRID),
        ArraySource(data=DATA, valid=VALID, band_names=("a", "b")),
    ]
    same = ArraySource(data=DATA.copy(), valid=VALID.copy(), grid=Grid(height=5, width=7))

    assert source == same == pickle.loads(pickle.dumps(source))
    assert hash(source) == hash(same)
    assert all(source != other for other in others)
    nan = ArraySource(data=np.full((2, 2), np.nan))
    assert nan == pickle.loads(pickle.dumps(nan))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"data": DATA[0, 0]}, r"data has shape \(7,\), expected \(band, height, width\)"),
        ({"data": DATA[:, :0]}, r"data has shape \(2, 0, 7\)"),
        ({"data": DATA.tolist()}, "instance of ndarray"),
        ({"valid": VALID[:4]}, r"valid is bool \(4, 7\), expected bool \(5, 7\)"),
        ({"valid": VALID.astype("uint8")}, r"valid is uint8 \(5, 7\), expected bool"),
        ({"grid": Grid(height=7, width=5)}, r"grid is \(7, 5\), expected \(5, 7\) like the data"),
        ({"band_names": ("a",)}, "1 band names for 2 bands"),
        ({"name": "x"}, "unknown key; nearest known key: band_names"),
    ],
)
def test_parts_that_do_not_fit_are_refused(fields, message):
    with pytest.raises(ValidationError, match=message):
        ArraySource(**({"data": DATA} | fields))
