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


def test_hashes_differ_where_only_pixels_do():
    sources = [ArraySource(data=np.full((3, 5, 7), i, "uint8")) for i in range(200)]

    assert len({hash(source) for source in sources}) == 200
    masks = [ArraySource(data=DATA, valid=valid) for valid in (None, VALID, ~VALID)]
    assert len({hash(source) for source in masks}) == 3


def test_many_sources_are_looked_up_without_comparing_them_all(monkeypatch):
    calls = []
    compare = ArraySource.__eq__

    def counted(self, other):
        calls.append(1)
        return compare(self, other)

    monkeypatch.setattr(ArraySource, "__eq__", counted)
    table = {ArraySource(data=np.full((4, 3), i, "float32")): i for i in range(300)}
    assert not calls
    found = [table[ArraySource(data=np.full((4, 3), i, "float32"))] for i in range(300)]
    assert found == list(range(300))
    assert len(calls) == 300


@pytest.mark.parametrize("dtype", ["float16", "float32", ">f8", "longdouble", "complex64"])
def test_equal_floats_hash_equal_whatever_their_zeros_nans_and_layout(dtype):
    data = np.arange(2 * 5 * 7).reshape(2, 5, 7).astype(dtype)
    data[1, 2, 3] = np.nan
    other = np.asfortranarray(data)
    other[0, 0, 0] = -other[0, 0, 0]
    other[1, 2, 3] = -other[1, 2, 3]
    assert np.signbit(other[0, 0, 0].real)
    one, two = ArraySource(data=data), ArraySource(data=other)

    assert one == two
    assert hash(one) == hash(two)
    assert ArraySource(data=data + 1) != one


def test_a_changed_copy_has_a_hash_of_its_own():
    source = ArraySource(data=DATA)
    before = hash(source)
    changed = source.model_copy(update={"data": DATA + 1})

    assert hash(changed) == hash(ArraySource(data=DATA + 1)) != before
    assert hash(source.model_copy()) == hash(pickle.loads(pickle.dumps(source))) == before


def test_the_grid_of_a_size_is_made_once():
    one, two = (ArraySource(data=np.full((5, 7), i)) for i in range(2))
    assert one.grid is two.grid
