import numpy as np
import pytest
from hypothesis import given

from geoseg.errors import GridError
from geoseg.volumes.rle import Rle
from tests.volumes.rle.documented import masks, orders, pairs_of_masks

HUGE = 10_000, 10_001, 10_002
"""About 10**12 voxels: more than fit in memory."""


@given(pairs_of_masks(), orders)
def test_unions_intersections_and_differences_are_those_of_the_voxels(pair, order):
    one, other = (Rle.encode(mask, order=order) for mask in pair)

    assert one | other == Rle.encode(pair[0] | pair[1], order=order)
    assert one & other == Rle.encode(pair[0] & pair[1], order=order)
    assert one - other == Rle.encode(pair[0] & ~pair[1], order=order)


@given(pairs_of_masks(), orders)
def test_iou_is_that_of_the_voxels(pair, order):
    one, other = (Rle.encode(mask, order=order) for mask in pair)
    either = np.count_nonzero(pair[0] | pair[1])
    wanted = np.count_nonzero(pair[0] & pair[1]) / either if either else 1

    assert one.iou(other) == wanted


def test_two_empty_masks_are_equal_and_one_empty_mask_has_nothing_in_common():
    empty, full = Rle.parse("", shape=(4, 3, 2)), Rle.parse("1 24", shape=(4, 3, 2))

    assert empty.iou(empty) == 1
    assert empty.iou(full) == full.iou(empty) == 0
    assert full.iou(full) == 1


@given(masks(), orders)
def test_area_counts_the_voxels(mask, order):
    assert Rle.encode(mask, order=order).area == np.count_nonzero(mask)


@given(masks(), orders, orders)
def test_a_mask_can_be_brought_along_another_line(mask, order, other):
    assert Rle.encode(mask, order=order).reordered(other) == Rle.encode(mask, order=other)


def test_masks_of_other_shapes_or_orders_do_not_meet():
    one = Rle.parse("1 2", shape=(4, 3, 2))
    turned, across = (
        Rle.parse("1 2", shape=(3, 4, 2)),
        Rle.parse("1 2", shape=(4, 3, 2), order="hwd"),
    )
    for meet in (Rle.__or__, Rle.__and__, Rle.__sub__, Rle.iou):
        with pytest.raises(GridError, match=r"shapes \(4, 3, 2\) and \(3, 4, 2\) do not fit"):
            meet(one, turned)
        with pytest.raises(GridError, match=r"'dhw', .* 'hwd'; .* reordered\('dhw'\)"):
            meet(one, across)
    assert (one | across.reordered("dhw")).to_string() == "1 2 5 1"


@pytest.mark.parametrize("order", ["dhw", "hwd"])
def test_masks_too_large_to_decode_still_meet(order):
    size = HUGE[0] * HUGE[1] * HUGE[2]
    half = size // 2
    one = Rle.parse(f"1 {half}", shape=HUGE, order=order)
    other = Rle.parse(f"{half - 9} {size - half + 10}", shape=HUGE, order=order)

    assert (one.area, other.area) == (half, size - half + 10)
    assert (one & other).to_string() == f"{half - 9} 10"
    assert (one | other).to_string() == f"1 {size}"
    assert (one - other).to_string() == f"1 {half - 10}"
    assert one.iou(other) == 10 / size
