"""Scaling with the numbers of a data set, and what holds for every kind of transform."""

from __future__ import annotations

import pickle
from typing import Any, Literal

import numpy as np
import pytest
import rasterio
from affine import Affine
from pydantic import ValidationError

from geoseg.errors import ConfigError, SourceError
from geoseg.sources.array import ArraySource
from geoseg.sources.base import Chip, RasterSource
from geoseg.sources.geotiff import GeoTIFFSource
from geoseg.sources.transformed import Transform
from geoseg.sources.transforms.cast import Cast, FillNaN
from geoseg.sources.transforms.recode import Reclass, RGBToClass
from geoseg.sources.transforms.scaling import Log, MinMax, Percentile, Standardize
from geoseg.window import Window, sliding

KINDS = [
    Standardize(mean=(1.5, -3), std=(2, 0)),
    MinMax(low=(0, 1e-3), high=(10, 1e-3)),
    Percentile(low=(-5.25,), high=(7,)),
    Log(offset=0.5),
    Reclass(mapping={7: 1, -2: 0}, default=255),
    RGBToClass(colors={3: "#ff0080", 0: (0, 0, 0)}, tolerance=2),
    FillNaN(value=-1),
    Cast(dtype="uint8", on_overflow="clip", on_fraction="round"),
]
DTYPES = ["uint8", "int8", "uint16", "int16", "int32", "uint32", "int64", "float32", "float64"]


class Ratio(Transform):
    """The example of the docs."""

    type: Literal["ratio-for-tests"] = "ratio-for-tests"
    plus: float = 1.0

    def __call__(self, chip: Chip) -> Chip:
        red, nir = chip.data.astype("float32")
        return Chip((nir / (red + np.float32(self.plus)))[None], chip.valid)

    def band_names_of(self, names: tuple[str, ...]) -> tuple[str, ...]:
        del names
        return ("ratio",)

    def dtype_of(self, dtype: np.dtype[Any]) -> np.dtype[Any]:
        del dtype
        return np.dtype("float32")


class Liar(Transform):
    type: Literal["liar-for-tests"] = "liar-for-tests"
    how: str

    def __call__(self, chip: Chip) -> Chip:
        data = {
            "dtype": chip.data.astype("float64"),
            "bands": chip.data[:1],
            "shape": chip.data[:, 1:],
        }
        return Chip(data[self.how], chip.valid)


def made(dtype="uint16", seed=0, shape=(2, 37, 53)):
    """(data, valid) of random pixels, a fifth of them not valid, those with wild content."""
    rng = np.random.default_rng(seed)
    low = 0 if np.dtype(dtype).kind == "u" else -90
    data = rng.integers(low, 120, shape).astype(dtype)
    valid = rng.random(shape[1:]) > 0.2
    if data.dtype.kind == "f":
        wild = rng.choice([np.nan, np.inf, -np.inf, np.finfo(dtype).max, -9999], shape)
    else:
        wild = rng.choice([np.iinfo(dtype).max, np.iinfo(dtype).min, 0], shape)
    return np.where(valid, data, wild.astype(dtype)), valid


def read(data, valid, *transforms):
    source = ArraySource(data=data, valid=valid, transforms=transforms)
    chip = source.read(source.grid.whole)
    assert chip.data.dtype == source.dtype
    assert len(chip.data) == len(source.band_names)
    return chip


@pytest.mark.parametrize("transform", KINDS, ids=lambda kind: kind.type)
def test_a_transform_survives_yaml_and_pickle_by_itself_and_in_a_source(transform):
    source = GeoTIFFSource(uri="a.tif", transforms=(transform, Ratio(plus=2)))
    for spec, head in ((transform, Transform), (source, RasterSource)):
        again = head.from_yaml(spec.to_yaml())
        assert again == spec
        assert type(again) is type(spec)
        assert hash(again) == hash(spec)
        assert again.to_yaml() == spec.to_yaml()
        assert pickle.loads(pickle.dumps(spec)) == spec


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("transform", KINDS, ids=lambda kind: kind.type)
def test_a_transform_does_not_hang_on_the_window_nor_on_what_is_not_valid(transform, dtype):
    dtype = "uint8" if isinstance(transform, RGBToClass) else dtype
    bands = {Percentile: 1, RGBToClass: 3}.get(type(transform), 2)
    data, valid = made(dtype, shape=(bands, 37, 53))
    if isinstance(transform, RGBToClass):
        colors = np.where(data[:1] < 60, 0, np.array([255, 0, 128], "uint8")[:, None, None])
        data = np.where(valid, colors, data).astype("uint8")
    if isinstance(transform, FillNaN):
        data = np.where(np.isnan(data), 3, data).astype(dtype)
    source = ArraySource(data=data, valid=valid, transforms=(transform,))
    whole = source.read(source.grid.whole)
    assert np.array_equal(whole.valid & valid, whole.valid)
    for window in sliding(source.grid, (16, 11), edge="pad"):
        chip = source.read(window)
        part = window.intersection(source.grid.whole)
        inside = part.relative_to(window).slices
        assert np.array_equal(chip.valid[inside], whole.valid[part.slices])
        both = chip.valid[inside]
        assert np.array_equal(
            chip.data[(slice(None), *inside)][:, both],
            whole.data[(slice(None), *part.slices)][:, both],
        )
        assert chip.valid.sum() == both.sum()
    other = np.where(valid, data, np.array(77, dtype))
    again = ArraySource(data=other, valid=valid, transforms=(transform,)).read(source.grid.whole)
    assert np.array_equal(again.data[:, whole.valid], whole.data[:, whole.valid])


@pytest.mark.parametrize("dtype", DTYPES)
def test_standardize_is_numpys_z_score_over_valid_pixels(dtype):
    data, valid = made(dtype)
    source = ArraySource(data=data, valid=valid)
    chip = read(data, valid, Standardize.of(source))
    pixels = data[:, valid].astype(float)
    expected = (pixels - pixels.mean(axis=1)[:, None]) / pixels.std(axis=1)[:, None]
    assert chip.data.dtype == np.float32
    np.testing.assert_allclose(chip.data[:, valid], expected, atol=2e-5)


def test_a_constant_band_is_not_divided_and_a_large_offset_keeps_its_digits():
    data = np.stack([np.full((5, 7), 9), 2_000_000_000 + np.arange(35).reshape(5, 7)])
    source = ArraySource(data=data.astype("int32"))
    chip = read(data.astype("int32"), None, Standardize.of(source))
    assert np.array_equal(chip.data[0], np.zeros((5, 7)))
    places = np.arange(35).reshape(5, 7)
    np.testing.assert_allclose(
        chip.data[1], (places - places.mean()) / places.std(), rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize("dtype", DTYPES)
def test_min_max_is_of_the_data_set_and_clips(dtype):
    first, second = made(dtype, 1), made(dtype, 2, (2, 3, 401))
    sources = [ArraySource(data=data, valid=valid) for data, valid in (first, second)]
    transform = MinMax.of(sources)
    pixels = np.concatenate([data[:, valid] for data, valid in (first, second)], axis=1)
    pixels = pixels.astype(float)
    low, high = pixels.min(axis=1)[:, None], pixels.max(axis=1)[:, None]
    assert transform == MinMax(low=tuple(low[:, 0]), high=tuple(high[:, 0]))
    data, valid = first
    expected = (data[:, valid].astype(float) - low) / (high - low)
    np.testing.assert_allclose(read(data, valid, transform).data[:, valid], expected, atol=1e-6)
    narrow = MinMax(low=(10, 10), high=(20, 20))
    clipped = np.clip((data[:, valid].astype(float) - 10) / 10, 0, 1)
    np.testing.assert_allclose(read(data, valid, narrow).data[:, valid], clipped, atol=1e-6)


def test_neighbouring_windows_are_scaled_alike_and_a_valid_0_is_not_nodata():
    data = np.arange(600, dtype="uint16").reshape(1, 20, 30)
    data[0, 3, 4] = 5000
    source = ArraySource(data=data, valid=data[0] != 5000)
    chip = source.model_copy(update={"transforms": (MinMax.of(source),)})
    left, right = chip.read(Window(0, 0, 20, 15)), chip.read(Window(0, 15, 20, 15))
    whole = np.concatenate([left.data[0], right.data[0]], axis=1)
    valid = np.concatenate([left.valid, right.valid], axis=1)
    assert valid[0, 0]
    assert whole[0, 0] == 0
    assert not valid[3, 4]
    np.testing.assert_allclose(whole[valid], data[0][valid] / 599, atol=1e-6)


def test_a_band_of_one_value_becomes_0():
    data = np.full((1, 3, 5), 7, "uint8")
    for kind in (MinMax, Percentile):
        chip = read(data, None, kind.of(ArraySource(data=data)))
        assert np.array_equal(chip.data, np.zeros((1, 3, 5), "float32"))


@pytest.mark.parametrize("offset", [1.0, 0.0, 20.5])
@pytest.mark.parametrize("dtype", DTYPES)
def test_log_is_numpys_and_marks_what_has_no_logarithm(dtype, offset):
    data, valid = made(dtype)
    chip = read(data, valid, Log(offset=offset))
    has_log = valid & (data.astype("float64") + offset > 0).all(axis=0)
    assert np.array_equal(chip.valid, has_log)
    assert np.dtype(dtype).kind == "u" or has_log.sum() < valid.sum()
    expected = np.log(data[:, has_log].astype("float64") + offset)
    np.testing.assert_allclose(chip.data[:, has_log], expected, atol=1e-6, rtol=1e-6)
    assert not chip.data[:, ~has_log].any()


def test_what_has_no_logarithm_is_not_filled_as_nan_of_the_file():
    data = np.array([[[3.0, -9999, np.nan]]], "float32")
    chip = read(data, np.array([[True, False, False]]), Log(), FillNaN(value=0))
    assert chip.valid.tolist() == [[True, False, False]]


@pytest.mark.parametrize(
    "transform",
    [
        Standardize(mean=(1, 2), std=(1, 1)),
        MinMax(low=(0, 0), high=(1, 1)),
        Percentile(low=(0, 0), high=(1, 1)),
    ],
)
def test_another_number_of_bands_is_told(transform):
    data = np.zeros((3, 4, 5), "uint8")
    source = ArraySource(data=data, transforms=(transform,))
    with pytest.raises(SourceError, match=r"got 3 bands \(1, 2, 3\), expected 2"):
        _ = source.band_names
    with pytest.raises(SourceError, match="expected 2"):
        source.read(source.grid.whole)
    with pytest.raises(SourceError, match="expected 2"):
        transform(Chip(data[:1], np.ones((4, 5), bool)))


@pytest.mark.parametrize(
    ("kind", "fields", "text"),
    [
        (Standardize, {"mean": [1], "std": [1, 2]}, "mean has 1 numbers and std 2"),
        (Standardize, {"mean": [1], "std": [-1]}, "greater than or equal to 0"),
        (Standardize, {"mean": [float("nan")], "std": [1]}, "finite"),
        (Standardize, {"mean": [], "std": []}, "at least 1 item"),
        (MinMax, {"low": [1, 2], "high": [2]}, "low has 2 numbers and high 1"),
        (MinMax, {"low": [0, 3], "high": [1, 2]}, "band 2: low is 3.0, above high, 2.0"),
        (Percentile, {"low": [3], "high": [2]}, "band 1: low is 3.0"),
        (Log, {"offset": float("inf")}, "finite"),
    ],
)
def test_numbers_that_do_not_fit_are_refused(kind, fields, text):
    with pytest.raises(ValidationError, match=text):
        kind(**fields)


def test_pixels_that_are_no_numbers_are_refused():
    source = ArraySource(data=np.ones((1, 2, 2), "complex64"), transforms=(Log(),))
    with pytest.raises(SourceError, match="complex64, expected whole or floating"):
        _ = source.dtype
    with pytest.raises(SourceError, match="source 1: pixels are complex64"):
        MinMax.of(ArraySource(data=np.ones((1, 2, 2), "complex64")))


def test_a_transform_of_ones_own_works_in_python_and_in_yaml(tmp_path):
    rng = np.random.default_rng(0)
    data = rng.integers(0, 200, (2, 13, 29)).astype("uint8")
    path = tmp_path / "a.tif"
    profile = {"driver": "GTiff", "count": 2, "height": 13, "width": 29, "dtype": "uint8"}
    with rasterio.open(
        path, "w", **profile, crs="EPSG:32619", transform=Affine(1, 0, 0, 0, -1, 13)
    ) as file:
        file.write(data)
    text = (
        "type: geotiff\nuri: a.tif\ntransforms: [{type: ratio-for-tests, plus: 3}, {type: log}]\n"
    )
    (tmp_path / "source.yaml").write_text(text)
    source = RasterSource.from_yaml(tmp_path / "source.yaml")
    assert source == GeoTIFFSource(uri=str(path), transforms=(Ratio(plus=3), Log()))
    assert (source.band_names, source.dtype) == (("ratio",), np.dtype("float32"))
    chip = source.read(Window(-1, 2, 9, 30))
    ratio = data[1].astype(float) / (data[0].astype(float) + 3)
    np.testing.assert_allclose(chip.data[0, 1:, :27], np.log1p(ratio)[:8, 2:], rtol=1e-5)
    assert not chip.valid[0].any()
    assert chip.valid[1:, :27].all()


@pytest.mark.parametrize("how", ["dtype", "bands", "shape"])
def test_a_transform_that_gives_other_than_it_says_is_told(how):
    source = ArraySource(data=np.zeros((2, 4, 5), "uint8"), transforms=(Liar(how=how),))
    with pytest.raises(SourceError, match=r"Liar: gave .* but says uint8 \(2, 4, 5\)"):
        source.read(source.grid.whole)


def test_an_unknown_transform_and_an_unknown_key_are_told():
    with pytest.raises(ValidationError, match="type is 'nothing'"):
        RasterSource.from_yaml("{type: geotiff, uri: a.tif, transforms: [{type: nothing}]}")
    with pytest.raises(ValidationError, match="nearest known key: offset"):
        RasterSource.from_yaml("{type: geotiff, uri: a.tif, transforms: [{type: log, ofset: 1}]}")


def test_no_source_and_sources_of_other_bands_are_told():
    with pytest.raises(ConfigError, match="empty list"):
        Standardize.of([])
    one, two = (ArraySource(data=np.zeros((n, 2, 3), "uint8")) for n in (1, 2))
    with pytest.raises(ConfigError, match=r"source 2 has the bands \(1, 2\), but the first"):
        Standardize.of([one, two])
    named = [
        ArraySource(data=np.zeros((2, 2, 3), "uint8"), band_names=names)
        for names in (("red", "nir"), ("nir", "red"))
    ]
    with pytest.raises(ConfigError, match=r"\(nir, red\), but the first one has \(red, nir\)"):
        MinMax.of(named)
