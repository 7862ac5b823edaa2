"""Other dtypes, and numbers in place of NaN."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import rasterio
from affine import Affine
from pydantic import ValidationError

from geoseg.errors import SourceError
from geoseg.sources.array import ArraySource
from geoseg.sources.geotiff import GeoTIFFSource
from geoseg.sources.transforms.cast import Cast, FillNaN

DTYPES = [
    *("uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64"),
    *("float16", "float32", "float64"),
]


def read(data, transform, valid=None):
    data = np.asarray(data)
    shape = data.shape[-2:]
    source = ArraySource(
        data=data, valid=np.ones(shape, bool) if valid is None else valid, transforms=(transform,)
    )
    return source.read(source.grid.whole)


def ends(dtype):
    limits = np.finfo(dtype) if np.dtype(dtype).kind == "f" else np.iinfo(dtype)
    return limits.min, limits.max


@pytest.mark.parametrize(("source", "target"), list(itertools.product(DTYPES, DTYPES)))
def test_numbers_keep_their_value_or_are_held_to_the_range(source, target):
    (low, high), (least, most) = ends(source), ends(target)
    values = np.array([low, high, 0, 1, 100, 127], source)
    expected = [int(min(max(int(value), int(least)), int(most))) for value in values]
    chip = read(values[None, None], Cast(dtype=target, on_overflow="clip"))
    assert chip.data.dtype == target
    exact = np.dtype(target).kind != "f"
    for found, value in zip(chip.data.ravel(), expected, strict=True):
        assert int(found) == value or (
            not exact and float(found) == pytest.approx(float(value), rel=1e-3)
        )
    fits = all(int(least) <= int(value) <= int(most) for value in values)
    if fits:
        assert np.array_equal(read(values[None, None], Cast(dtype=target)).data, chip.data)
    else:
        with pytest.raises(SourceError, match=rf"Cast: {target} does not hold .* on_overflow="):
            read(values[None, None], Cast(dtype=target))


def test_numbers_that_do_not_fit_are_told_with_count_and_cure():
    data = np.array([[[300, 300, -1, 255]]], "int16")
    with pytest.raises(
        SourceError,
        match=r"uint8 does not hold 300 \(2 pixels\), -1 \(1 pixel\); they are outside 0..255",
    ):
        read(data, Cast(dtype="uint8"))


def test_fractions_are_told_or_rounded_half_to_even():
    data = np.array([[[0.5, 1.5, 2.5, -0.4, 254.6, 3]]])
    with pytest.raises(SourceError, match=r"0\.5 \(1 pixel\).*on_fraction=\"round\""):
        read(data, Cast(dtype="uint8"))
    rounded = read(data, Cast(dtype="uint8", on_fraction="round")).data
    assert rounded.tolist() == [[[0, 2, 2, 0, 255, 3]]]
    with pytest.raises(SourceError, match=r"outside 0..255"):
        read(np.array([[[255.5]]]), Cast(dtype="uint8", on_fraction="round"))
    assert (
        read(
            np.array([[[255.5]]]), Cast(dtype="uint8", on_fraction="round", on_overflow="clip")
        ).data
        == 255
    )


def test_nan_that_is_said_to_be_valid_has_no_whole_number():
    data = np.array([[[1, np.nan]]])
    source = ArraySource(data=data, transforms=(Cast(dtype="int16"),))
    assert source.read(source.grid.whole).valid.tolist() == [[True, False]]
    with pytest.raises(
        SourceError, match=r"int16 does not hold nan \(1 pixel\); fill them with FillNaN"
    ):
        Cast(dtype="int16", on_overflow="clip", on_fraction="round")(
            type(source.read(source.grid.whole))(data, np.ones((1, 2), bool))
        )


@pytest.mark.parametrize("wild", [np.nan, np.inf, -np.inf, 1e300, 0.5])
def test_what_is_not_valid_becomes_0_whatever_it_was(wild):
    data = np.array([[[1, wild]]])
    chip = read(data, Cast(dtype="int8"), np.array([[True, False]]))
    assert chip.data.tolist() == [[[1, 0]]]
    assert chip.valid.tolist() == [[True, False]]


@pytest.mark.parametrize(
    ("given", "name"),
    [("uint8", "uint8"), (np.int16, "int16"), (">f4", "float32"), (float, "float64")],
)
def test_a_dtype_is_written_as_numpy_calls_it(given, name):
    assert Cast(dtype=given).dtype == name


@pytest.mark.parametrize("given", ["byte8", "complex64", "bool", "U3", None, "longdouble"])
def test_what_is_no_dtype_of_pixels_is_refused(given):
    with pytest.raises(ValidationError, match=r"is no dtype|there is no dtype"):
        Cast(dtype=given)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_nan_becomes_the_value_and_only_what_was_nan_becomes_valid(dtype):
    rng = np.random.default_rng(0)
    data = rng.normal(0, 1, (2, 21, 17)).astype(dtype)
    nan = rng.random((2, 21, 17)) < 0.2
    infinite = rng.random((21, 17)) < 0.1
    hidden = rng.random((21, 17)) < 0.1
    data[nan] = np.nan
    data[1][infinite & ~nan[1]] = np.inf
    source = ArraySource(data=data, valid=~hidden, transforms=(FillNaN(value=-7),))
    chip = source.read(source.grid.whole)
    assert chip.data.dtype == dtype
    assert np.array_equal(chip.data, np.where(nan, np.dtype(dtype).type(-7), data))
    finite = np.isfinite(np.where(nan, 0, data)).all(axis=0)
    assert np.array_equal(chip.valid, finite & (~hidden | nan.any(axis=0)))


def test_nan_of_a_file_is_filled_but_not_what_lies_outside(tmp_path):
    data = np.arange(35, dtype="float32").reshape(1, 5, 7)
    data[0, 2, 3] = np.nan
    path = tmp_path / "a.tif"
    profile = {"driver": "GTiff", "count": 1, "height": 5, "width": 7, "dtype": "float32"}
    with rasterio.open(
        path, "w", **profile, crs="EPSG:32619", transform=Affine(1, 0, 0, 0, -1, 5), nodata=4
    ) as file:
        file.write(data)
    source = GeoTIFFSource(uri=str(path), transforms=(FillNaN(value=0),))
    chip = source.read(source.grid.whole)
    assert chip.data[0, 2, 3] == 0
    assert np.array_equal(chip.valid, data[0] != 4)
    around = source.read(type(source.grid.whole)(-1, -1, 8, 9))
    assert around.valid.sum() == 34
    whole = GeoTIFFSource(uri=str(path), transforms=(FillNaN(value=9), Cast(dtype="uint8")))
    assert whole.read(whole.grid.whole).data[0, 2].tolist() == [14, 15, 16, 9, 18, 19, 20]


def test_whole_numbers_know_no_nan_and_a_value_must_fit():
    data = np.arange(6, dtype="int16").reshape(1, 2, 3)
    assert np.array_equal(read(data, FillNaN(value=-1)).data, data)
    with pytest.raises(SourceError, match=r"float16 does not hold 70000"):
        read(data.astype("float16"), FillNaN(value=70000))
    with pytest.raises(ValidationError, match="finite"):
        FillNaN(value=float("nan"))
