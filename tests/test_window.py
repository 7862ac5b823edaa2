import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rasterio.windows import Window as RasterioWindow
from rasterio.windows import intersect, intersection

from geoseg.errors import ConfigError, GridError
from geoseg.window import Window, WindowSequence, pair, sliding, starts

sides = st.integers(1, 60)
spans = st.integers(1, 20)
windows = st.builds(
    Window, st.integers(-9, 9), st.integers(-9, 9), st.integers(1, 9), st.integers(1, 9)
)


def pixels(window):
    """The set of (row, column) in a window: the plainest idea of a rectangle."""
    return {
        (row, col)
        for row in range(window.row, window.row + window.height)
        for col in range(window.col, window.col + window.width)
    }


# starts


@given(sides, spans, spans)
def test_flush_spans_cover_every_pixel_and_none_outside_unless_the_side_is_shorter(
    length, size, stride
):
    stride = min(stride, size)
    found = starts(length, size, stride)
    covered = {pixel for start in found for pixel in range(start, start + size)}

    assert covered == set(range(max(length, size)))
    assert found[:-1] == [i * stride for i in range(len(found) - 1)]
    assert found[-1] == max(length - size, 0)
    assert len(found) == len(set(found))


@given(sides, spans, spans)
def test_pad_takes_regular_steps_and_no_more_than_it_needs(length, size, stride):
    found = starts(length, size, stride, edge="pad")

    assert found == [i * stride for i in range(len(found))]
    assert len(found) == int(np.ceil(max(length - size, 0) / stride)) + 1
    assert found[-1] + size >= length
    assert len(found) == 1 or found[-2] + size < length


@given(sides, spans, spans)
def test_drop_keeps_every_whole_regular_span_and_no_other(length, size, stride):
    wanted = [start for start in range(0, length, stride) if start + size <= length]

    assert starts(length, size, stride, edge="drop") == wanted


def test_a_flush_stride_larger_than_the_size_is_refused():
    with pytest.raises(ConfigError, match=r"stride 5 is larger than size 4: .* edge=\"pad\""):
        starts(20, 4, 5)
    assert starts(19, 4, 5, edge="pad") == [0, 5, 10, 15]


@pytest.mark.parametrize("numbers", [(0, 4, 2), (9, 0, 2), (9, 4, 0), (9, 4, -1)])
def test_numbers_below_one_are_refused(numbers):
    with pytest.raises(ConfigError, match="are at least 1 pixel, got"):
        starts(*numbers)


def test_an_unknown_edge_is_refused_with_the_known_ones():
    with pytest.raises(ConfigError, match=r"edge is 'wrap', expected one of: drop, flush, pad"):
        starts(9, 4, 2, edge="wrap")


# sliding


@given(st.tuples(sides, sides), st.tuples(spans, spans), st.tuples(spans, spans), st.booleans())
def test_flush_windows_cover_a_raster_of_any_shape(shape, size, stride, as_list):
    stride = min(stride[0], size[0]), min(stride[1], size[1])
    seen = np.zeros((max(shape[0], size[0]), max(shape[1], size[1])), int)
    windows = sliding(list(shape) if as_list else shape, size, stride)
    for window in windows:
        assert window.shape == size
        seen[window.slices] += 1

    assert (seen > 0).all()
    assert len(windows) == len(set(windows)) == len(list(windows))


@given(st.tuples(sides, sides), spans, spans, st.sampled_from(["pad", "drop"]))
def test_sliding_is_the_product_of_both_sides_row_by_row(shape, size, stride, edge):
    wanted = [
        Window(row, col, size, size)
        for row in starts(shape[0], size, stride, edge)
        for col in starts(shape[1], size, stride, edge)
    ]

    assert list(sliding(shape, size, stride, edge)) == wanted


def test_stride_is_the_size_unless_said():
    assert list(sliding((4, 6), size=(2, 3))) == [
        Window(0, 0, 2, 3),
        Window(0, 3, 2, 3),
        Window(2, 0, 2, 3),
        Window(2, 3, 2, 3),
    ]


def test_a_raster_smaller_than_the_window_gives_one_window_of_full_size():
    assert list(sliding((3, 50), size=(8, 50))) == [Window(0, 0, 8, 50)]


def test_no_whole_window_in_a_small_raster_is_an_empty_sequence():
    assert list(sliding((3, 50), size=8, edge="drop")) == []
    assert len(sliding((3, 50), size=8, edge="drop")) == 0


def test_anything_with_height_and_width_can_be_covered():
    class Raster:
        height, width = 5, 7

    assert sliding(Raster(), size=4) == sliding((5, 7), size=4)


@given(st.tuples(sides, sides), spans, st.slices(40))
def test_a_window_sequence_is_indexed_like_a_list(shape, size, part):
    sequence = sliding(shape, size)
    plain = list(sequence)

    assert isinstance(sequence, WindowSequence)
    assert [sequence[i] for i in range(-len(plain), len(plain))] == plain * 2
    assert list(sequence[part]) == plain[part]
    assert sequence[np.int64(0)] == plain[0]
    for index in (len(plain), -len(plain) - 1):
        with pytest.raises(IndexError, match=f"window {index} of {len(plain)}"):
            sequence[index]


def test_a_window_sequence_is_small_in_a_pickle_and_equal_after_it():
    sequence = sliding((100_000, 100_000), size=256, stride=128)

    assert len(sequence) == 781**2
    assert pickle.loads(pickle.dumps(sequence)) == sequence
    assert len(pickle.dumps(sequence)) < 10_000


def test_a_size_is_one_number_or_height_and_width():
    assert pair(7) == (7, 7)
    assert pair((3, 5)) == pair([3, 5]) == (3, 5)
    assert pair(np.int16(4)) == (4, 4)
    for wrong in (2.5, "8", (1, 2.0)):
        with pytest.raises(TypeError):
            pair(wrong)


# Window


@given(windows, windows)
def test_intersection_and_contains_are_those_of_pixel_sets(one, other):
    common = one.intersection(other)

    assert (pixels(common) if common else set()) == pixels(one) & pixels(other)
    assert common == other.intersection(one)
    assert one.contains(other) == (pixels(one) >= pixels(other))


@given(windows, windows)
def test_intersection_is_that_of_rasterio(one, other):
    a, b = one.to_rasterio(), other.to_rasterio()
    common = one.intersection(other)

    assert (common is not None) == intersect(a, b)
    if common is not None:
        assert Window.from_rasterio(intersection(a, b)) == common


@given(windows, windows)
def test_relative_to_counts_from_the_other_windows_first_pixel(one, other):
    moved = one.relative_to(other)

    assert pixels(moved) == {(row - other.row, col - other.col) for row, col in pixels(one)}
    assert moved.relative_to(Window(-other.row, -other.col, 1, 1)) == one


@given(windows)
def test_a_window_goes_to_rasterio_and_back(window):
    there = window.to_rasterio()

    assert (there.row_off, there.col_off) == (window.row, window.col)
    assert (there.height, there.width) == window.shape
    assert Window.from_rasterio(there) == window
    assert window.bounds_px == (window.col, window.row, window.col_stop, window.row_stop)


def test_slices_cut_the_windows_pixels_out_of_an_array():
    rows, cols = np.indices((9, 11))
    window = Window(2, 3, 4, 5)

    assert set(zip(rows[window.slices].flat, cols[window.slices].flat, strict=True)) == pixels(
        window
    )


@pytest.mark.parametrize("window", [Window(-1, 0, 3, 3), Window(0, -2, 3, 3)])
def test_slices_of_a_window_that_begins_outside_are_refused(window):
    with pytest.raises(GridError, match="begins outside the raster; intersect it"):
        _ = window.slices


@pytest.mark.parametrize("size", [(0, 5), (5, 0), (-1, 5)])
def test_a_window_without_a_pixel_is_refused(size):
    with pytest.raises(GridError, match=f"at least 1 x 1 pixel, got {size[0]} x {size[1]}"):
        Window(0, 0, *size)


def test_parts_of_pixels_are_refused():
    with pytest.raises(TypeError):
        Window(0.5, 0, 1, 1)
    with pytest.raises(GridError, match="not made of whole pixels; round it first"):
        Window.from_rasterio(RasterioWindow(0, 0.5, 3, 3))


def test_a_window_is_a_value():
    window = Window(np.int64(1), np.uint8(2), 3, 4)

    assert window == Window(1, 2, 3, 4)
    assert hash(window) == hash(Window(1, 2, 3, 4))
    assert type(window.row) is int
    assert pickle.loads(pickle.dumps(window)) == window
    assert sorted([Window(1, 0, 1, 1), Window(0, 9, 1, 1)])[0].row == 0
    with pytest.raises(AttributeError):
        window.row = 3
