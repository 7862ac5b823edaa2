import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geoseg.sources.files.nodata import nodata_in
from geoseg.sources.geotiff import GeoTIFFSource


@pytest.mark.parametrize(
    "number", [-3.40282346638529e38, -3.402823466e38, -3.4028235e38, float(np.finfo("f4").min)]
)
def test_float32s_lowest_marks_however_it_is_rounded(write_raster, number):
    data = np.full((1, 3, 4), 5, "f4")
    data[0, 1, 2] = np.finfo("f4").min
    source = GeoTIFFSource(uri=write_raster("a.tif", data), nodata=number)

    np.testing.assert_array_equal(source.read(source.grid.whole).valid, data[0] == 5)


@given(st.sampled_from(["u1", "i2", "u8", "i8"]), st.data())
def test_whole_numbers_are_marked_by_themselves_only(dtype, data):
    limits = np.iinfo(dtype)
    number = data.draw(st.integers(int(limits.min) - 9, int(limits.max) + 9))
    marked = nodata_in(np.dtype(dtype), number)

    assert marked is None if not limits.min <= number <= limits.max else int(marked) == number


@pytest.mark.parametrize("dtype", ["u1", "i8", "f2", "f4", "f8", "c8", "?"])
@pytest.mark.parametrize(
    "number",
    [float("nan"), float("inf"), -float("inf"), pytest.param(10**400, id="past floats")],
)
def test_what_no_pixel_can_be_marks_nothing(dtype, number):
    assert nodata_in(np.dtype(dtype), number) is None


@pytest.mark.parametrize(
    ("dtype", "number"), [("f4", 3.41e38), ("f2", 65520), ("u1", 0.5), ("?", 1)]
)
def test_a_number_well_past_the_largest_marks_nothing(dtype, number):
    assert nodata_in(np.dtype(dtype), number) is None
