import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.functional import interpolate

from geoseg.sources.store.bandsize import bilinear_into, nearest_index, nearest_into
from geoseg.window import Window

sides = st.integers(1, 23)
sizes = st.tuples(sides, sides)


def noise(shape, dtype="float64"):
    random = np.random.default_rng(0)
    if np.issubdtype(dtype, np.integer):
        return random.integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)
    return random.normal(size=shape).astype(dtype)


def resized(function, band, size, window=None, **options):
    window = window or Window(0, 0, *size)
    out = np.full(window.shape, 77, band.dtype)
    function(out, band, size=size, window=window, **options)
    return out


def by_torch(band, size, **options):
    planes = torch.from_numpy(np.asarray(band, float))[None, None]
    return interpolate(planes, size=size, **options)[0, 0].numpy()


@given(sizes, sizes)
def test_nearest_is_the_pixel_that_holds_the_centre(small, size):
    band = np.arange(small[0] * small[1], dtype="int32").reshape(small)
    expected = np.empty(size, "int32")
    for row in range(size[0]):
        for col in range(size[1]):
            # In whole numbers: (row + 1/2) / height of the target, times the height of the band.
            at = (
                (2 * row + 1) * small[0] // (2 * size[0]),
                (2 * col + 1) * small[1] // (2 * size[1]),
            )
            expected[row, col] = band[at]

    np.testing.assert_array_equal(resized(nearest_into, band, size), expected)


@pytest.mark.parametrize(("small", "size"), [((20, 60), (120, 120)), ((7, 5), (12, 31))])
def test_nearest_is_that_of_torch(small, size):
    band = noise(small)

    np.testing.assert_array_equal(
        resized(nearest_into, band, size), by_torch(band, size, mode="nearest-exact")
    )


def test_nearest_repeats_pixels_where_the_size_is_a_multiple():
    band = noise((3, 5), "uint16")

    np.testing.assert_array_equal(
        resized(nearest_into, band, (12, 10)), np.kron(band, np.ones((4, 2), "uint16"))
    )


def test_an_edge_under_a_centre_gives_the_pixel_after_it():
    assert nearest_index(4, 2, 0, 2).tolist() == [1, 3]
    assert nearest_index(2, 3, 0, 3).tolist() == [0, 1, 1]


@given(sizes, sizes)
def test_bilinear_is_that_of_torch(small, size):
    band = noise(small)
    expected = by_torch(band, size, mode="bilinear", align_corners=False)

    np.testing.assert_allclose(resized(bilinear_into, band, size), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("function", [nearest_into, bilinear_into])
@given(sizes, sizes, st.data())
def test_a_window_is_the_crop_of_the_whole(function, small, size, data):
    band = noise(small, "int16")
    row, col = data.draw(st.integers(0, size[0] - 1)), data.draw(st.integers(0, size[1] - 1))
    height = data.draw(st.integers(1, size[0] - row))
    window = Window(row, col, height, data.draw(st.integers(1, size[1] - col)))
    valid = None if function is nearest_into else np.random.default_rng(1).random(small) > 0.4
    options = {} if valid is None else {"valid": valid}
    whole = resized(function, band, size, **options)

    np.testing.assert_array_equal(
        resized(function, band, size, window, **options), whole[window.slices]
    )


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "int32", "uint32"])
def test_integers_are_rounded_and_stay_in_their_range(dtype):
    band = noise((5, 7), dtype)
    band[0, 0], band[4, 6] = np.iinfo(dtype).max, np.iinfo(dtype).min
    found = resized(bilinear_into, band, (13, 29))
    expected = by_torch(band, (13, 29), mode="bilinear", align_corners=False)

    assert abs(found - expected).max() <= (0.5 + 1e-6 if band.itemsize == 4 else 0.51)
    assert found.min() >= band.min()
    assert found.max() <= band.max()


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_equal_pixels_stay_equal(dtype):
    band = np.full((3, 4), 117, dtype)
    valid = np.array([[1, 1, 0, 1], [1, 0, 0, 1], [1, 1, 1, 1]], bool)
    near = resized(nearest_into, valid, (8, 9))

    assert (resized(bilinear_into, band, (8, 9)) == 117).all()
    np.testing.assert_allclose(resized(bilinear_into, band, (8, 9), valid=valid)[near], 117)


@given(sizes, sizes, st.integers(0, 99))
def test_pixels_that_are_not_valid_have_no_weight(small, size, seed):
    band = noise(small)
    valid = np.random.default_rng(seed).random(small) > 0.3
    band[~valid] = np.nan
    found = resized(bilinear_into, band, size, valid=valid)
    near = resized(nearest_into, valid, size)
    for row, col in np.argwhere(near).tolist():
        y, x = (row + 0.5) * small[0] / size[0] - 0.5, (col + 0.5) * small[1] / size[1] - 0.5
        total = weight = 0.0
        for i in (int(np.floor(y)), int(np.floor(y)) + 1):
            for j in (int(np.floor(x)), int(np.floor(x)) + 1):
                at = min(max(i, 0), small[0] - 1), min(max(j, 0), small[1] - 1)
                if valid[at]:
                    share = (1 - abs(y - i)) * (1 - abs(x - j))
                    total, weight = total + share * band[at], weight + share
        assert found[row, col] == pytest.approx(total / weight, abs=1e-9)


def test_a_part_of_a_larger_array_is_filled():
    band, batch = noise((2, 3), "uint8"), np.zeros((9, 4, 2), "float32")
    nearest_into(batch[:6, :, 1].T, band, size=(4, 6), window=Window(0, 0, 4, 6))

    np.testing.assert_array_equal(batch[:6, :, 1].T, np.kron(band, np.ones((2, 2))))
    assert not batch[6:].any()
    assert not batch[..., 0].any()
