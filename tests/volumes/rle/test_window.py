import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geoseg.errors import GridError
from geoseg.volumes.rle import Rle
from geoseg.volumes.rle import painting as painting_module
from tests.volumes.rle.documented import masks, orders

HUGE = 10_000, 10_001, 10_002
"""About 10**12 voxels: more than fit in memory."""
spans = st.tuples(st.integers(-3, 5), st.integers(1, 10)).map(lambda s: slice(s[0], s[0] + s[1]))
boxes = st.tuples(spans, spans, spans)


def padded(mask, box):
    """The box of a mask with False around it."""
    room = 30
    wide = np.pad(mask, room)
    return wide[tuple(slice(part.start + room, part.stop + room) for part in box)]


@given(masks(), orders, boxes)
def test_a_window_is_that_of_the_decoded_mask_and_false_outside(mask, order, box):
    found = Rle.encode(mask, order=order).window(box)

    np.testing.assert_array_equal(found, padded(mask, box))
    assert found.dtype == np.bool_
    assert found.flags.c_contiguous


@given(masks(), orders, boxes, st.sampled_from([1, 2, 5, 30]))
def test_parts_of_a_window_meet_without_a_seam(mask, order, box, columns):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(painting_module, "_COLUMNS", columns)
        patch.setattr(painting_module, "_FEW", columns)
        found = Rle.encode(mask, order=order).window(box)

    np.testing.assert_array_equal(found, padded(mask, box))


@pytest.mark.parametrize("order", ["dhw", "hwd"])
@pytest.mark.parametrize(
    "shape", [(9, 40, 41), (40, 41, 9), (2, 300, 301), (2000, 3, 1), (1, 1, 999)]
)
def test_larger_masks_come_back_whole_and_in_parts(shape, order):
    mask = np.random.default_rng(0).random(shape) < 0.7
    encoded = Rle.encode(mask, order=order)
    box = tuple(slice(side // 3 - 1, side + 1) for side in shape)

    np.testing.assert_array_equal(encoded.decode(), mask)
    np.testing.assert_array_equal(encoded.window(box), padded(mask, box))


@given(masks(), orders)
def test_open_slices_reach_to_the_edge(mask, order):
    encoded = Rle.encode(mask, order=order)

    np.testing.assert_array_equal(encoded.window(np.s_[:, :, :]), mask)
    np.testing.assert_array_equal(
        encoded.window(np.s_[-2:, :1, 0:]), np.pad(mask[:, :1], ((2, 0), (0, 0), (0, 0)))
    )


def test_a_window_wholly_outside_is_false():
    full = Rle.parse("1 24", shape=(4, 3, 2))

    for box in (np.s_[4:6, :, :], np.s_[:, -3:0, :], np.s_[:, :, 2:9]):
        assert not full.window(box).any()


@pytest.mark.parametrize(
    ("box", "problem"),
    [
        (np.s_[::2, :, :], "the slice of depth has the step 2, expected none"),
        (np.s_[:, ::-1, :], "the slice of height has the step -1"),
        (np.s_[:, :, 1:1], "the slice of width is 1 to 1, expected at least one voxel"),
        (np.s_[:, 2:-1, :], "the slice of height is 2 to -1, .* negative numbers lie before"),
        (np.s_[9:, :, :], "the slice of depth is 9 to 4, expected at least one voxel"),
        (np.s_[:, :], "the box has 2 slices, expected depth, height and width"),
    ],
)
def test_boxes_without_a_voxel_and_steps_are_refused(box, problem):
    with pytest.raises(GridError, match=problem):
        Rle.parse("1 24", shape=(4, 3, 2)).window(box)


@given(masks(), orders)
def test_voxels_are_those_of_the_mask_in_the_order_of_the_line(mask, order):
    encoded = Rle.encode(mask, order=order)
    axes = (2, 1, 0) if order == "dhw" else (0, 2, 1)
    # numpy lists them with the last axis fastest.
    along = np.argwhere(mask.transpose(axes))[:, np.argsort(axes)]

    assert [encoded.voxel(i) for i in range(encoded.area)] == list(map(tuple, along.tolist()))


def test_a_voxel_that_is_not_there_is_an_index_error():
    mask = Rle.parse("5 2", shape=(4, 3, 2))

    assert mask.voxel(np.int64(1)) == (1, 1, 0)
    for index in (-1, 2):
        with pytest.raises(IndexError, match=f"voxel {index} of 2"):
            mask.voxel(index)
    with pytest.raises(IndexError, match="voxel 0 of 0"):
        Rle.parse("", shape=(4, 3, 2)).voxel(0)


@given(masks(), orders)
def test_the_box_is_the_smallest_around_the_mask(mask, order):
    found = Rle.encode(mask, order=order).box
    if not mask.any():
        assert found is None
        return
    wanted = [(int(at.min()), int(at.max()) + 1) for at in np.nonzero(mask)]

    assert [(part.start, part.stop) for part in found] == wanted


@pytest.mark.parametrize("order", ["dhw", "hwd"])
def test_volumes_too_large_to_decode_give_windows_boxes_and_voxels(order):
    size = HUGE[0] * HUGE[1] * HUGE[2]
    last = 9_999, 10_000, 10_001
    ends = Rle.parse(f"1 1 {size} 1", shape=HUGE, order=order)
    full = Rle.parse(f"1 {size}", shape=HUGE, order=order)

    assert ends.voxel(1) == full.voxel(size - 1) == last
    assert ends.box == tuple(slice(0, side) for side in HUGE)
    corner = ends.window(tuple(slice(place - 3, place + 2) for place in last))
    assert np.argwhere(corner).tolist() == [[3, 3, 3]]
    box = np.s_[5_000:5_003, -1:4, 10_000:10_009]
    np.testing.assert_array_equal(
        full.window(box), np.pad(np.ones((3, 4, 2), bool), ((0, 0), (1, 0), (0, 7)))
    )
