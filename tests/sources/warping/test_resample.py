import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geoseg.sources.base import Chip
from geoseg.sources.warping.resample import Patch, bilinear, cubic, nearest
from geoseg.sources.warping.resample_boxes import average, mode
from geoseg.window import Window

WINDOW = Window(5, -3, 23, 31)  # of a source; what lies left of it is padding


def patch_of(dtype="float32", seed=0, gaps=0.0, bands=2):
    rng = np.random.default_rng(seed)
    data = (rng.random((bands, *WINDOW.shape)) * 200 + 20).astype(dtype)
    valid = rng.random(WINDOW.shape) >= gaps
    if np.issubdtype(data.dtype, np.floating):
        data[:, ~valid] = np.nan
    return Patch(Chip(data, valid), WINDOW)


def places_in(shape, seed=1, margin=3.0):
    rng = np.random.default_rng(seed)
    cols = rng.uniform(WINDOW.col + margin, WINDOW.col_stop - margin, shape)
    rows = rng.uniform(WINDOW.row + margin, WINDOW.row_stop - margin, shape)
    return cols, rows


def pixel(patch, band, col, row):
    """Value and validity by column and row of the source."""
    at = row - patch.window.row, col - patch.window.col
    return float(patch.chip.data[(band, *at)]), bool(patch.chip.valid[at])


def keys(distance):
    """The cubic convolution kernel of Keys (1981), a = -0.5, as it is printed there."""
    x, a = abs(distance), -0.5
    if x <= 1:
        return (a + 2) * x**3 - (a + 3) * x**2 + 1
    return a * x**3 - 5 * a * x**2 + 8 * a * x - 4 * a if x < 2 else 0.0


def tent(distance):
    return max(1 - abs(distance), 0.0)


def blended(patch, band, place, kernel, reach, *, shared):
    """One value by the definition of a separable kernel; None where a pixel is missing."""
    col, row = place
    total = weights = 0.0
    for r in range(math.floor(row) - reach, math.floor(row) + reach + 1):
        for c in range(math.floor(col) - reach, math.floor(col) + reach + 1):
            weight = kernel(col - c - 0.5) * kernel(row - r - 0.5)
            if weight == 0:
                continue
            value, valid = pixel(patch, band, c, r)
            if not valid and not shared:
                return None
            total, weights = (
                total + weight * value * valid if valid else total,
                weights + weight * valid,
            )
    return total / weights


@pytest.mark.parametrize("gaps", [0.0, 0.2])
def test_bilinear_is_the_tent_kernel_over_the_valid_pixels(gaps):
    patch = patch_of(gaps=gaps)
    cols, rows = places_in((9, 14))
    chip = bilinear(patch, cols, rows)
    for at in np.ndindex(cols.shape):
        col, row = cols[at], rows[at]
        _, valid = pixel(patch, 0, math.floor(col), math.floor(row))
        assert chip.valid[at] == valid
        for band in range(2):
            expected = blended(patch, band, (col, row), tent, 1, shared=True) if valid else 0
            assert chip.data[(band, *at)] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("gaps", [0.0, 0.03])
def test_cubic_is_the_kernel_of_keys_and_bilinear_next_to_gaps(gaps):
    patch = patch_of(gaps=gaps)
    cols, rows = places_in((9, 14))
    chip = cubic(patch, cols, rows)
    seen = 0
    for at in np.ndindex(cols.shape):
        col, row = cols[at], rows[at]
        _, valid = pixel(patch, 0, math.floor(col), math.floor(row))
        assert chip.valid[at] == valid
        expected = blended(patch, 1, (col, row), keys, 2, shared=False) if valid else 0
        if expected is None:
            seen += 1
            expected = blended(patch, 1, (col, row), tent, 1, shared=True)
        assert chip.data[(1, *at)] == pytest.approx(expected, rel=1e-4)
    assert (seen > 0) == (gaps > 0)


@pytest.mark.parametrize("kernel", [nearest, bilinear, cubic])
def test_at_pixel_centres_the_pixels_come_back(kernel):
    patch = patch_of(dtype="uint16")
    rows, cols = np.mgrid[
        WINDOW.row + 2 : WINDOW.row_stop - 2, WINDOW.col + 2 : WINDOW.col_stop - 2
    ]
    chip = kernel(patch, cols + 0.5, rows + 0.5)
    np.testing.assert_array_equal(chip.data, patch.chip.data[:, 2:-2, 2:-2])
    assert chip.valid.all()


def test_nearest_takes_the_pixel_right_of_an_edge_whatever_rounding_did():
    patch = patch_of(dtype="uint8")
    cols = np.array([[4.0, 4.0 - 1e-9, 4.0 + 1e-9, 4.0 - 1e-5]])
    chip = nearest(patch, cols, np.full_like(cols, 9.5))
    row = patch.chip.data[0, 9 - WINDOW.row]
    assert chip.data[0, 0].tolist() == [row[4 + 3], row[4 + 3], row[4 + 3], row[3 + 3]]


@pytest.mark.parametrize(
    ("dtype", "value"), [("uint16", 60_001), ("int32", 2**30 + 1), ("uint32", 2**32 - 1)]
)
@pytest.mark.parametrize("kernel", [bilinear, cubic])
def test_large_integers_come_through(kernel, dtype, value):
    patch = Patch(
        Chip(np.full((1, *WINDOW.shape), value, dtype), np.ones(WINDOW.shape, bool)), WINDOW
    )
    chip = kernel(patch, *places_in((5, 5)))
    assert chip.data.dtype == dtype
    assert (chip.data == value).all()


@pytest.mark.parametrize(
    ("dtype", "low", "high"), [("uint8", 0, 255), ("int16", -(2**15), 2**15 - 1)]
)
def test_cubic_overshoot_is_held_to_the_dtype(dtype, low, high):
    data = np.full((1, *WINDOW.shape), low, dtype)
    data[:, :, 15:] = high
    patch = Patch(Chip(data, np.ones(WINDOW.shape, bool)), WINDOW)
    cols = np.linspace(WINDOW.col + 11, WINDOW.col + 19, 64)[None]
    line = cubic(patch, cols, np.full_like(cols, 15.5)).data[0, 0].astype(int)
    assert (np.diff(line[20:44]) >= 0).all()
    assert (line.min(), line.max()) == (low, high)
    assert set(line[:8]) == {low}
    assert set(line[-8:]) == {high}


def in_box(patch, band, place, size):
    """Valid values whose centres lie in a half-open box, else of the nearest pixel."""

    def axis(centre, size, first, stop):
        inside = [k for k in range(first, stop) if centre - size / 2 <= k + 0.5 < centre + size / 2]
        return inside or [math.floor(centre)]

    (col, row), (wide, high) = place, size
    pixels = [
        pixel(patch, band, c, r)
        for r in axis(row, high, WINDOW.row, WINDOW.row_stop)
        for c in axis(col, wide, WINDOW.col, WINDOW.col_stop)
    ]
    return [value for value, valid in pixels if valid]


@settings(max_examples=40, deadline=None)
@given(
    wide=st.floats(0.2, 9),
    high=st.floats(0.2, 9),
    gaps=st.sampled_from([0.0, 0.3, 0.9]),
    dtype=st.sampled_from(["uint8", "float32", "int16"]),
    seed=st.integers(0, 99),
)
def test_average_and_mode_look_at_the_valid_pixels_in_the_box(wide, high, gaps, dtype, seed):
    patch = patch_of(dtype=dtype, seed=seed, gaps=gaps)
    patch.chip.data[...] = np.floor(patch.chip.data / 60)  # few values, so that there are ties
    cols, rows = places_in((3, 5), seed=seed, margin=1.0)
    sizes = np.full(cols.shape, wide), np.full(cols.shape, high)
    means, modes = average(patch, cols, rows, *sizes), mode(patch, cols, rows, *sizes)
    for at in np.ndindex(cols.shape):
        values = in_box(patch, 1, (cols[at], rows[at]), (wide, high))
        assert means.valid[at] == modes.valid[at] == bool(values)
        mean = np.mean(values) if values else 0
        slack = 1e-5 if dtype == "float32" else 0.5 + 1e-9
        assert abs(float(means.data[(1, *at)]) - mean) <= slack
        often = min(set(values), key=lambda v: (-values.count(v), v)) if values else 0
        assert modes.data[(1, *at)] == often


def test_a_box_outside_what_is_measured_is_not_valid():
    patch = patch_of(dtype="uint8")
    patch.chip.valid[:, :3] = False  # the padding left of the source
    cols, rows = np.array([[-40.0, -2.0, 0.5]]), np.full((1, 3), 12.5)
    size = np.full((1, 3), 3.0)
    for kernel in (average, mode):
        chip = kernel(patch, cols, rows, size, size)
        assert chip.valid.tolist() == [[False, False, True]]
        assert (chip.data[:, 0, :2] == 0).all()


@pytest.mark.parametrize("kernel", [nearest, bilinear, cubic])
def test_what_is_not_valid_is_zero_and_never_nan(kernel):
    patch = patch_of(gaps=0.5)
    chip = kernel(patch, *places_in((40, 40)))
    assert 0 < chip.valid.mean() < 1
    assert np.isfinite(chip.data).all()
    assert (chip.data[:, ~chip.valid] == 0).all()
    assert (chip.data[:, chip.valid] >= 1).all()


@pytest.mark.parametrize("kernel", [bilinear, cubic, average])
@pytest.mark.parametrize("dtype", ["int64", "uint64", "int32", "uint32"])
def test_the_largest_integers_do_not_begin_anew(kernel, dtype):
    low, high = int(np.iinfo(dtype).min), int(np.iinfo(dtype).max)
    cols, rows = places_in((7, 9))
    sizes = (np.full(cols.shape, 3.0),) * 2 if kernel is average else ()
    valid = np.ones(WINDOW.shape, bool)
    stripes = np.where(np.arange(WINDOW.width) % 6 < 3, np.array(high, dtype), np.array(low, dtype))
    for line in (high, high // 2, low, 0, stripes):  # cubic goes past both limits at the stripes
        data = np.empty((1, *WINDOW.shape), dtype)
        data[...] = line
        found = kernel(Patch(Chip(data, valid), WINDOW), cols, rows, *sizes).data
        assert found.dtype == dtype
        floats = Patch(Chip(data.astype(float), valid), WINDOW)
        expected = kernel(floats, cols, rows, *sizes).data
        for value, real in zip(found.ravel(), expected.ravel(), strict=True):
            held = min(max(round(real), low), high)
            assert abs(int(value) - held) <= max(high >> 50, 1)


@pytest.mark.parametrize("dtype", ["int64", "uint64"])
def test_a_limit_of_64_bits_comes_through_an_average_as_it_is(dtype):
    high = np.iinfo(dtype).max
    data = np.full((1, *WINDOW.shape), high, dtype)
    cols, rows = places_in((5, 5))
    size = np.full(cols.shape, 4.0)
    patch = Patch(Chip(data, np.ones(WINDOW.shape, bool)), WINDOW)
    assert (average(patch, cols, rows, size, size).data == high).all()
