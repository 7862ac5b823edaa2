import pickle
from datetime import UTC, date, datetime
from typing import Literal

import numpy as np
import pytest
import rasterio
from affine import Affine
from pydantic import ValidationError

from geoseg.errors import ConfigError, GridError, SourceError
from geoseg.grid import Grid
from geoseg.learner.facts import facts_of
from geoseg.scene import Scene
from geoseg.sources.array import ArraySource
from geoseg.sources.base import Chip, RasterSource
from geoseg.sources.geotiff import GeoTIFFSource
from geoseg.sources.stack import StackSource
from geoseg.sources.statistics import Statistics
from geoseg.sources.timestack import TimeStackSource
from geoseg.sources.transformed import Transform
from geoseg.sources.transforms import MinMax, Percentile, Standardize
from geoseg.sources.warp import WarpedSource
from geoseg.spec import uris_of
from geoseg.window import Window

AT = Affine(10, 0, 300_000, 0, -10, 4_100_000)
DAYS = ("2020-06-01", "2020-06-08", "2020-07-03")
RNG = np.random.default_rng(7)


class Twice(Transform):
    type: Literal["test-timestack-twice"] = "test-timestack-twice"

    def __call__(self, chip):
        return Chip(chip.data * 2, chip.valid)


@pytest.fixture
def series(write_raster):
    """Three dates of two bands on 13 x 19 pixels: (uris, data, valid); each lacks one other pixel."""
    data = RNG.integers(1, 5000, (3, 2, 13, 19)).astype(np.uint16)
    valid = np.ones((3, 13, 19), bool)
    for i in range(3):
        data[i, i % 2, 4 + i, 6] = 0
        valid[i, 4 + i, 6] = False
    uris = tuple(
        write_raster(f"{i}.tif", data[i], transform=AT, nodata=0, descriptions=("red", "nir"))
        for i in range(3)
    )
    return uris, data, valid


def test_bands_are_time_major_and_valid_where_all_dates_are(series):
    uris, data, valid = series
    stack = TimeStackSource(sources=uris, times=DAYS)
    chip = stack.read(stack.grid.whole)

    assert stack.band_names == tuple(f"{day}/{band}" for day in DAYS for band in ("red", "nir"))
    assert (chip.data.shape, chip.data.dtype, stack.dtype) == ((6, 13, 19), np.uint16, np.uint16)
    np.testing.assert_array_equal(chip.valid, valid.all(axis=0))
    np.testing.assert_array_equal(chip.data[:, chip.valid], data.reshape(6, 13, 19)[:, chip.valid])


def test_read_stack_has_a_time_axis_and_says_what_each_date_lacks(series):
    uris, data, valid = series
    chip = TimeStackSource(sources=uris, times=DAYS).read_stack(Window(3, 5, 7, 9))

    rows, cols = slice(3, 10), slice(5, 14)
    np.testing.assert_array_equal(chip.valid, valid[:, rows, cols])
    expected = data[:, :, rows, cols] * valid[:, None, rows, cols]
    np.testing.assert_array_equal(chip.data, expected)


def test_a_date_without_image_is_masked(series):
    uris, data, valid = series
    stack = TimeStackSource(sources=(None, uris[0], uris[1]), times=DAYS, like=1, require="any")
    times, flat = stack.read_stack(stack.grid.whole), stack.read(stack.grid.whole)

    assert len(stack.band_names) == 6
    assert not times.data[0].any()
    assert not times.valid[0].any()
    np.testing.assert_array_equal(times.valid[1:], valid[:2])
    np.testing.assert_array_equal(flat.valid, valid[:2].any(axis=0))
    np.testing.assert_array_equal(flat.data, times.data.reshape(6, 13, 19))
    np.testing.assert_array_equal(flat.data[2:4, 4, 6], 0)  # what the first image lacks
    np.testing.assert_array_equal(flat.data[4:, 4, 6], data[1, :, 4, 6])


def test_a_date_without_image_cannot_be_required():
    with pytest.raises(ValidationError, match=r'2020-06-08 has no image, .* give require="any"'):
        TimeStackSource(sources=("a.tif", None, "b.tif"), times=DAYS)


def test_dates_of_other_extent_dtype_and_resolution_come_onto_one_grid(write_raster, series):
    uris, _, _ = series
    half = write_raster(
        "half.tif", np.full((2, 7, 6), 300, np.int16), transform=AT @ Affine.scale(2)
    )
    stack = TimeStackSource(sources=(uris[0], half), times=DAYS[:2])
    chip = stack.read_stack(Window(0, 0, 13, 19))

    covered = np.zeros((13, 19), bool)
    covered[:, :12] = True
    np.testing.assert_array_equal(chip.valid[1], covered)
    np.testing.assert_array_equal(chip.data[1], np.stack([covered * 300] * 2))
    assert chip.data.dtype == np.int32
    far = stack.read_stack(Window(2, 13, 5, 4))
    assert far.valid[0].all()
    assert not far.valid[1].any()
    assert not far.data[1].any()


def test_of_a_window_half_over_the_corner_a_quarter_is_kept(write_raster, series):
    uris, _, _ = series
    coarse = write_raster(
        "coarse.tif", np.ones((2, 9, 9), np.uint16), transform=AT @ Affine.scale(3)
    )
    stack = TimeStackSource(sources=(uris[0], coarse), times=DAYS[:2])
    chip = stack.read_stack(Window(9, 14, 8, 10))

    expected = np.zeros((8, 10), bool)
    expected[:4, :5] = True
    np.testing.assert_array_equal(chip.valid, [expected] * 2)
    assert not chip.data[:, :, ~expected].any()
    np.testing.assert_array_equal(stack.read(Window(9, 14, 8, 10)).valid, expected)


def test_dates_and_datetimes_are_kept_as_text(series):
    uris, _, _ = series
    stack = TimeStackSource(
        sources=uris,
        times=(date(2020, 6, 1), datetime(2020, 6, 8, 10, tzinfo=UTC), "2020-07-03T01:00:00+02:00"),
    )

    assert stack.times == ("2020-06-01", "2020-06-08T10:00:00Z", "2020-07-02T23:00:00Z")
    assert stack.band_names[2] == "2020-06-08T10:00:00Z/red"


def test_bands_named_by_step_are_the_same_for_other_dates(series):
    uris, _, _ = series
    one = TimeStackSource(sources=uris[:2], times=DAYS[:2], named_by="step")
    other = TimeStackSource(sources=uris[1:], times=("1999-01-01", "2000-01-01"), named_by="step")

    assert one.band_names == other.band_names == ("0/red", "0/nir", "1/red", "1/nir")


@pytest.mark.parametrize(
    ("times", "text"),
    [
        (DAYS[:2], "2 times for 3 sources"),
        (("2020-06-01", "2020-06-01", "2020-07-03"), "each later than the one before"),
        (("2020-06-08", "2020-06-01", "2020-07-03"), r"2020-06-01 follows 2020-06-08"),
        (("2020-06-01", "2020-06-01T00:00:00Z", "2020-07-03"), "each later than the one before"),
        (("2020-06-01", "June", "2020-07-03"), "'June' is no time"),
    ],
)
def test_times_are_one_for_each_source_and_ascend(times, text):
    with pytest.raises(ValidationError, match=text):
        TimeStackSource(sources=("a.tif", "b.tif", "c.tif"), times=times)


def test_like_names_a_date_with_an_image():
    for like in (0, 2, -1):
        with pytest.raises(ValidationError, match=rf"like is {like}, expected .* that is not None"):
            TimeStackSource(sources=(None, "b.tif"), times=DAYS[:2], like=like, require="any")
    with pytest.raises(ValidationError, match="without sources"):
        TimeStackSource(sources=(), times=())


def test_a_date_with_other_bands_is_named(write_raster, series):
    uris, _, _ = series
    three = write_raster("three.tif", np.ones((3, 13, 19), np.uint16), transform=AT)
    turned = GeoTIFFSource(uri=uris[1], bands=("nir", "red"))
    unnamed = write_raster("unnamed.tif", np.ones((2, 13, 19), np.uint16), transform=AT)

    with pytest.raises(
        SourceError,
        match=r"three\.tif: at 2020-06-08 it has the bands \(1, 2, 3\).*0\.tif of 2020-06-01",
    ):
        TimeStackSource(sources=(uris[0], three), times=DAYS[:2]).check()
    with pytest.raises(SourceError, match=r"at 2020-06-08 it has the bands \(nir, red\)"):
        TimeStackSource(sources=(uris[0], turned), times=DAYS[:2]).read(Window(0, 0, 3, 5))
    names = TimeStackSource(sources=(uris[0], unnamed), times=DAYS[:2]).band_names
    assert names == ("2020-06-01/red", "2020-06-01/nir", "2020-06-08/red", "2020-06-08/nir")


def test_transforms_of_the_stack_are_for_its_bands_those_of_a_date_for_both(series):
    uris, data, valid = series
    whole = Window(0, 0, 13, 19)
    each = TimeStackSource(
        sources=[GeoTIFFSource(uri=uri, transforms=(Twice(),)) for uri in uris], times=DAYS
    )
    own = TimeStackSource(sources=uris, times=DAYS, transforms=(Twice(),))

    np.testing.assert_array_equal(each.read_stack(whole).data, data * valid[:, None] * 2)
    np.testing.assert_array_equal(own.read(whole).data, each.read(whole).data)
    with pytest.raises(ConfigError, match=r"transforms of its own.*source of each date"):
        own.read_stack(whole)


def test_the_overview_keeps_dates_and_names(series):
    uris, _, _ = series
    for uri in uris[:2]:
        with rasterio.open(uri, "r+") as file:
            file.build_overviews([2], rasterio.enums.Resampling.average)
    stack = TimeStackSource(sources=(None, *uris[:2]), times=DAYS, like=2, require="any")
    coarse = stack.coarser(2.5)

    assert coarse.grid.shape == (7, 10)
    assert coarse.band_names == stack.band_names
    for i, uri in enumerate(uris[:2]):
        with rasterio.open(uri, OVERVIEW_LEVEL=0) as file:
            np.testing.assert_array_equal(
                coarse.read_stack(coarse.grid.whole).data[i + 1], file.read()
            )
    assert stack.coarser(1) is stack


def test_check_tells_dates_that_lie_elsewhere(write_raster, series):
    uris, _, _ = series
    far = write_raster(
        "far.tif", np.ones((2, 13, 19), np.uint16), transform=AT @ Affine.translation(0, 13)
    )
    TimeStackSource(sources=uris, times=DAYS).check()
    with pytest.raises(
        GridError, match=r"1 of 2 dates .* outside .* the first is 2020-06-08 \(.*far"
    ):
        TimeStackSource(sources=(uris[0], far), times=DAYS[:2]).check()
    with pytest.warns(UserWarning, match=r"1 of 2 dates .* read as missing"):
        TimeStackSource(sources=(uris[0], far), times=DAYS[:2], require="any").check()
    with pytest.raises(SourceError, match=r"gone\.tif"):
        TimeStackSource(sources=(uris[0], "gone.tif"), times=DAYS[:2]).check()


def test_yaml_with_plain_dates_pickle_and_files_within(series, tmp_path):
    uris, _, _ = series
    path = tmp_path / "series.yaml"
    path.write_text(
        "type: timestack\nsources: [0.tif, null, 2.tif]\ntimes: [2020-06-01, 2020-06-08, 2020-07-03]\n"
        "require: any"
    )
    stack = RasterSource.from_yaml(path)
    again = pickle.loads(pickle.dumps(stack))

    assert stack.times == DAYS
    assert uris_of(stack) == (uris[0], uris[2])
    assert RasterSource.from_yaml(stack.to_yaml()) == again == stack
    assert hash(again) == hash(stack)
    np.testing.assert_array_equal(
        again.read(Window(1, 2, 9, 3)).data, stack.read(Window(1, 2, 9, 3)).data
    )


def test_arrays_make_a_time_stack_too():
    arrays = [ArraySource(data=np.full((3, 5), n, np.float32)) for n in (1, np.nan, 3)]
    stack = TimeStackSource(sources=arrays, times=DAYS, require="any")
    chip = stack.read(Window(0, 0, 3, 5))

    assert chip.valid.all()
    np.testing.assert_array_equal(chip.data[:, 1, 1], [1, 0, 3])
    assert not stack.categorical


def test_missing_dates_are_no_zeros_in_statistics():
    grid = Grid(crs="EPSG:32619", transform=[10, 0, 5e5, 0, -10, 4e6], height=30, width=44)
    rng = np.random.default_rng(4)
    one, two = rng.integers(900, 1100, (2, 30, 44)).astype(np.uint16)
    seen = np.zeros((30, 44), bool)
    seen[:9, 5:21] = True
    stack = TimeStackSource(
        sources=(ArraySource(data=one, grid=grid), ArraySource(data=two, valid=seen, grid=grid)),
        times=("2020-01-01", "2020-02-01"),
        require="any",
    )
    both = StackSource(sources=(stack, ArraySource(data=one, grid=grid)))
    for source, bands in ((stack, 2), (both, 3)):
        expected = [one.ravel(), two[seen], one.ravel()][:bands]
        found, extremes = Statistics.of(source), MinMax.of(source)
        np.testing.assert_allclose(found.mean, [pixels.mean() for pixels in expected])
        np.testing.assert_allclose(found.std, [pixels.std() for pixels in expected])
        assert extremes.low == tuple(pixels.min() for pixels in expected)
        percents = Percentile.of(source, lower=10, upper=75)
        np.testing.assert_allclose(percents.low, [np.percentile(p, 10) for p in expected])
        np.testing.assert_allclose(percents.high, [np.percentile(p, 75) for p in expected])
    facts = facts_of([Scene(id="s", image=stack)])
    np.testing.assert_allclose(facts.statistics.mean, [one.mean(), two[seen].mean()])


def test_missing_dates_are_not_blended_or_transformed():
    grid = Grid(crs="EPSG:32619", transform=[10, 0, 5e5, 0, -10, 4e6], height=3, width=4)
    image = ArraySource(data=np.ones((3, 4), np.uint8), grid=grid)
    dates = {"sources": (image, None), "times": ("2020-01-01", "2020-02-01"), "require": "any"}
    onto = grid.model_copy(update={"height": 2, "transform": Affine(9, 0, 5e5, 0, -9, 4e6)})
    with pytest.raises(SourceError, match="warp the source of each date"):
        WarpedSource(source=TimeStackSource(**dates), onto=onto).read(onto.whole)
    with pytest.raises(ValidationError, match="would take missing dates for pixels"):
        TimeStackSource(**dates, transforms=(Standardize(mean=(1, 1), std=(1, 1)),))
