"""Displacements in pixels: Fourier shifts, brute force and real pictures as oracles."""

import json
import math

import numpy as np
import pytest
import rasterio
from affine import Affine

from geoseg.errors import ConfigError, GridError
from geoseg.grid import Grid
from geoseg.prepare.correlate import shift_between
from geoseg.prepare.shift import estimate_shift, measure_shift
from geoseg.sample import image_uri, labels_uri
from geoseg.sources.array import ArraySource
from geoseg.sources.geotiff import GeoTIFFSource

UTM = Affine(10, 0, 500_000, 0, -10, 4_000_000)


def texture(height, width, *, seed=0, sigma=2.0):
    """A smooth random picture that goes round at its edges."""
    noise = np.random.default_rng(seed).normal(size=(height, width))
    rows, cols = np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width)
    low_pass = np.exp(-2 * (np.pi * sigma) ** 2 * (rows**2 + cols**2))
    values = np.fft.ifft2(np.fft.fft2(noise) * low_pass).real
    return 100 + 30 * values / values.std()


def moved(picture, row, col):
    """The picture displaced down and right, by the Fourier shift theorem."""
    rows = np.fft.fftfreq(picture.shape[0])[:, None]
    cols = np.fft.fftfreq(picture.shape[1])
    phase = np.exp(-2j * np.pi * (rows * row + cols * col))
    return np.fft.ifft2(np.fft.fft2(picture) * phase).real


@pytest.mark.parametrize(
    "shift", [(0.0, 0.0), (0.5, -0.25), (-3.3, 7.8), (11.45, 0.1), (-0.6, -14.9)]
)
@pytest.mark.parametrize("sigma", [1.0, 4.0])
def test_a_known_shift_is_found_to_a_twentieth_of_a_pixel(shift, sigma):
    picture = texture(211, 190, sigma=sigma)
    inner = slice(30, -30), slice(25, -24)  # what lies there did not come round the edges
    found = shift_between(moved(picture, *shift)[inner], picture[inner])
    assert (found.row, found.col) == pytest.approx(shift, abs=0.05)
    assert found.confidence > 0.9


def test_down_and_right_are_positive():
    reference = np.zeros((64, 80))
    reference[20:30, 30:45] = 200
    reference[40:44, 20:26] = 90
    source = np.roll(reference, (5, 3), axis=(0, 1))
    found = shift_between(source, reference)
    assert (found.row, found.col) == pytest.approx((5, 3), abs=0.05)


@pytest.mark.parametrize("shift", [(4, -6), (-8, 8), (0, 3)])
def test_whole_pixels_are_those_of_brute_force(shift):
    picture = texture(140, 133, seed=3, sigma=1.5)
    row, col = shift
    noise = np.random.default_rng(1).normal(scale=12, size=(100, 93))
    source = picture[20 - row : 120 - row, 20 - col : 113 - col] + noise
    errors = {
        (r, c): ((source - picture[20 - r : 120 - r, 20 - c : 113 - c]) ** 2).sum()
        for r in range(-10, 11)
        for c in range(-10, 11)
    }
    found = shift_between(source, picture[20:120, 20:113])
    assert (round(found.row), round(found.col)) == min(errors, key=errors.get) == shift


def test_contrast_may_be_inverted_and_bands_may_differ():
    picture = texture(180, 170)
    shifted = moved(picture, 2.4, -5.2)
    pair = np.stack([1000 - 4 * shifted, np.zeros_like(shifted)])
    found = shift_between(pair[:, 20:-20, 20:-20], picture[20:-20, 20:-20])
    assert (found.row, found.col) == pytest.approx((2.4, -5.2), abs=0.05)


def test_labels_are_compared_with_a_picture():
    picture = texture(200, 220, sigma=3)
    labels = np.digitize(np.roll(picture, (6, -3), axis=(0, 1)), [80, 110, 130]).astype(np.uint8)
    found = shift_between(labels[20:-20, 20:-20], picture[20:-20, 20:-20], a_kind="labels")
    assert (found.row, found.col) == pytest.approx((6, -3), abs=0.2)


def test_label_numbers_do_not_matter_only_their_edges():
    labels = np.digitize(texture(150, 150, sigma=3), [90, 110]).astype(np.uint8)
    other = np.array([200, 3, 77], np.uint8)[np.roll(labels, (2, 4), axis=(0, 1))]
    cut = slice(10, -10)
    found = shift_between(other[cut, cut], labels[cut, cut], a_kind="labels", b_kind="labels")
    assert (found.row, found.col) == pytest.approx((2, 4), abs=0.05)


def test_what_is_not_valid_does_not_pull_towards_no_shift():
    picture = texture(220, 220, seed=5)
    a, b = moved(picture, 7.3, -4.6)[20:200, 20:200], picture[20:200, 20:200].copy()
    valid = np.ones(a.shape, bool)
    valid[:, :50] = valid[90:105] = False
    a[~valid] = b[~valid] = 5000  # the same in both
    found = shift_between(a, b, valid)
    assert (found.row, found.col) == pytest.approx((7.3, -4.6), abs=0.1)
    naive = shift_between(a, b)
    assert (naive.row, naive.col) != pytest.approx((7.3, -4.6), abs=0.1)


def test_nan_is_not_valid():
    picture = texture(150, 150)
    a, b = np.roll(picture, (3, 1), axis=(0, 1))[10:-10, 10:-10], picture[10:-10, 10:-10].copy()
    b[30:60, 40:70] = np.nan
    found = shift_between(a, b)
    assert (found.row, found.col) == pytest.approx((3, 1), abs=0.05)


@pytest.mark.parametrize(
    ("a", "b", "reason"),
    [
        (np.full((60, 70), 9), texture(60, 70), "first is flat"),
        (texture(60, 70), np.full((60, 70), 0.1), "second is flat"),
        (texture(60, 70), np.full((60, 70), np.nan), "hardly a pixel"),
        (texture(12, 70), texture(12, 70), "too few"),
        (texture(128, 128, seed=1), texture(128, 128, seed=2), "nothing in common"),
        (np.indices((96, 96))[1] % 8, np.indices((96, 96))[1] % 8, "repeat"),
    ],
)
def test_where_nothing_can_be_measured_it_is_nan_with_a_reason(a, b, reason):
    found = shift_between(a, b)
    assert math.isnan(found.row)
    assert math.isnan(found.col)
    assert reason in (found.reason or "")
    assert not found.measured
    assert json.loads(json.dumps(found.to_dict()))["row"] is None


def test_arrays_of_different_windows_are_refused():
    with pytest.raises(ConfigError, match=r"\(60, 70\).*\(60, 71\)"):
        shift_between(np.zeros((60, 70)), np.zeros((60, 71)))
    with pytest.raises(ConfigError, match="expected"):
        shift_between(np.zeros(60), np.zeros(60))


def source_of(data, *, transform=UTM, crs="EPSG:32619", valid=None):
    data = np.atleast_3d(data.T).T if data.ndim == 2 else data
    grid = Grid(crs=crs, transform=transform, height=data.shape[1], width=data.shape[2])
    return ArraySource(data=data, grid=grid, valid=valid)


def test_rasters_are_measured_in_pixels_of_the_reference():
    picture = texture(400, 360, sigma=3)
    reference = source_of(picture.astype(np.float32))
    # The same pixels, said to lie 12 m farther south and 31 m farther east.
    source = source_of(picture.astype(np.float32), transform=Affine.translation(31, -12) * UTM)
    assert measure_shift(source, reference) == pytest.approx((1.2, 3.1), abs=0.05)
    assert measure_shift(reference, source) == pytest.approx((-1.2, -3.1), abs=0.05)


def test_a_finer_source_in_another_place_is_measured_too():
    picture = texture(600, 640, sigma=6)
    coarse = picture.reshape(200, 3, 640 // 2, 2)[:, :, :318].mean(axis=(1, 3))
    reference = source_of(
        coarse.astype(np.float32), transform=Affine(20, 0, 500_000, 0, -30, 4_000_000)
    )
    at = Affine(10, 0, 500_000 + 50, 0, -10, 4_000_000 + 60)
    source = source_of(picture.astype(np.float32), transform=at)
    assert measure_shift(source, reference) == pytest.approx((-2, 2.5), abs=0.05)


def test_a_raster_that_is_empty_but_for_a_corner_is_measured_there():
    picture = texture(900, 900, seed=4).astype(np.float32)
    valid = np.zeros((900, 900), bool)
    valid[700:, :260] = True
    source = source_of(np.roll(picture, (2, -3), axis=(0, 1)), valid=valid)
    found = estimate_shift(source, source_of(picture), size=128)
    assert (found.row, found.col) == pytest.approx((2, -3), abs=0.05)
    assert 1 <= found.places <= 9


def test_one_wrong_place_does_not_matter():
    picture = texture(512, 512, seed=7)
    source = np.roll(picture, (4, 1), axis=(0, 1))
    source[:128, :128] = np.roll(picture, (-9, 9), axis=(0, 1))[:128, :128]
    found = estimate_shift(source_of(source), source_of(picture), size=128, places=16)
    assert (found.row, found.col) == pytest.approx((4, 1), abs=0.05)
    assert found.places == 15


@pytest.mark.parametrize(("row", "col"), [(0, 0), (9, -5), (-3, 12)])
def test_near_infrared_of_the_sample_lies_on_red_where_it_was_put(row, col):
    with rasterio.open(image_uri()) as file:
        red, nir = file.read([3, 4])
    nir = nir[120 - row : 376 - row, 150 - col : 420 - col]
    found = shift_between(nir, red[120:376, 150:420])
    assert (found.row, found.col) == pytest.approx((row, col), abs=0.12)


def test_land_cover_of_the_sample_follows_when_it_is_moved():
    image, labels = GeoTIFFSource(uri=image_uri()), GeoTIFFSource(uri=labels_uri())
    here = estimate_shift(labels, image, source_kind="labels")
    grid = labels.grid
    away = Affine.translation(4 * 28.5, -7 * 28.5) * grid.transform
    chip = labels.read(grid.whole)
    there = ArraySource(
        data=chip.data, valid=chip.valid, grid=grid.model_copy(update={"transform": away})
    )
    found = estimate_shift(there, image, source_kind="labels")
    assert (found.row - here.row, found.col - here.col) == pytest.approx((7, 4), abs=0.15)


def test_labels_are_known_by_themselves():
    named = estimate_shift(labels_uri(), image_uri(), source_kind="labels", reference_kind="image")
    assert estimate_shift(labels_uri(), image_uri()) == named


def test_nan_comes_with_a_warning():
    flat = source_of(np.full((100, 100), 7.5, np.float32))
    with pytest.warns(UserWarning, match="cannot be measured: the first is flat"):
        row, col = measure_shift(flat, source_of(texture(100, 100)))
    assert math.isnan(row)
    assert math.isnan(col)


def test_rasters_apart_and_without_crs_are_told():
    here = source_of(texture(50, 50))
    there = source_of(texture(50, 50), transform=Affine.translation(1e5, 0) * UTM)
    assert estimate_shift(there, here).reason == "the two do not overlap"
    with pytest.raises(GridError, match="no CRS"):
        measure_shift(source_of(texture(50, 50), crs=None), here)
