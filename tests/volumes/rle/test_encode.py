import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from geoseg.errors import ConfigError, LabelError
from geoseg.volumes.rle import Rle
from geoseg.volumes.rle import encoding as encoding_module
from tests.volumes.rle.documented import (
    documented_decoder,
    documented_encoder,
    masks,
    orders,
    position,
    shapes,
)

SHAPE = 4, 3, 2
"""(depth, height, width) of the worked examples."""


def voxels(*places):
    mask = np.zeros(SHAPE, bool)
    for place in places:
        mask[place] = True
    return mask


EXAMPLES = {
    "first": (voxels((0, 0, 0)), "1 1", "1 1"),
    "one deeper": (voxels((1, 0, 0)), "2 1", "7 1"),
    "one lower": (voxels((0, 1, 0)), "5 1", "2 1"),
    "end of a column": (voxels((3, 2, 0)), "12 1", "21 1"),
    "one to the right": (voxels((0, 0, 1)), "13 1", "4 1"),
    "last": (voxels((3, 2, 1)), "24 1", "24 1"),
    "box": (voxels(np.s_[1:3, 0:2, 1]), "14 2 18 2", "10 2 16 2"),
    "plane of depth": (voxels(np.s_[2]), "3 1 7 1 11 1 15 1 19 1 23 1", "13 6"),
    "plane of height": (
        voxels(np.s_[:, 1]),
        "5 4 17 4",
        "2 1 5 1 8 1 11 1 14 1 17 1 20 1 23 1",
    ),
    "plane of width": (voxels(np.s_[:, :, 1]), "13 12", "4 3 10 3 16 3 22 3"),
    "across a column's end": (voxels((3, 2, 0), (0, 0, 1)), "12 2", "4 1 21 1"),
    "full": (voxels(np.s_[:]), "1 24", "1 24"),
    "empty": (voxels(), "", ""),
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_worked_examples_are_written_and_read_in_both_orders(name):
    mask, dhw, hwd = EXAMPLES[name]

    assert Rle.encode(mask).to_string() == dhw
    assert Rle.encode(mask, order="hwd").to_string() == hwd
    np.testing.assert_array_equal(Rle.parse(dhw, shape=SHAPE).decode(), mask)
    np.testing.assert_array_equal(Rle.parse(hwd, shape=SHAPE, order="hwd").decode(), mask)


def test_an_image_is_a_volume_of_depth_1_in_both_orders():
    image = [[0, 1, 0], [1, 1, 0]]

    for order in ("dhw", "hwd"):
        mask = Rle.encode(image, order=order)
        assert mask.to_string() == "2 3"
        assert mask.shape == (1, 2, 3)
        assert mask == Rle.parse("2 3", shape=(2, 3), order=order)


@given(masks())
def test_the_documented_encoder_writes_what_dhw_writes_of_the_same_array(mask):
    assert Rle.encode(mask).to_string() == documented_encoder(mask)


@given(masks())
def test_the_documented_encoder_writes_what_hwd_writes_of_the_array_with_depth_last(mask):
    given_to_it = mask.transpose(1, 2, 0)

    assert Rle.encode(mask, order="hwd").to_string() == documented_encoder(given_to_it)


@given(masks())
def test_the_documented_encoder_writes_the_same_of_an_image(mask):
    image = mask[0]

    assert Rle.encode(image).to_string() == documented_encoder(image)


@given(masks())
def test_the_documented_decoder_reads_dhw_with_depth_last_in_its_shape(mask):
    depth, height, width = mask.shape
    found = documented_decoder(Rle.encode(mask).to_string(), (height, width, depth))

    np.testing.assert_array_equal(found, mask)


@given(shapes, orders, st.randoms(use_true_random=False))
def test_each_voxel_has_its_place_in_the_line(shape, order, random):
    voxel = tuple(random.randrange(side) for side in shape)
    mask = np.zeros(shape, bool)
    mask[voxel] = True

    assert Rle.encode(mask, order=order).starts.tolist() == [position(voxel, shape, order)]


@given(masks(), orders)
def test_masks_come_back_from_runs_and_from_text(mask, order):
    encoded = Rle.encode(mask, order=order)
    decoded = encoded.decode()

    np.testing.assert_array_equal(decoded, mask)
    assert decoded.dtype == np.bool_
    assert decoded.flags.c_contiguous
    assert Rle.parse(encoded.to_string(), shape=mask.shape, order=order) == encoded


@given(masks(), orders)
def test_runs_are_as_few_as_can_be(mask, order):
    encoded = Rle.encode(mask, order=order)
    axes = (2, 1, 0) if order == "dhw" else (0, 2, 1)
    line = mask.transpose(axes).ravel()
    rises = np.count_nonzero(line[1:] & ~line[:-1]) + line[0]

    assert len(encoded.starts) == rises


@pytest.mark.parametrize(
    "shape", [(1, 1, 1), (5, 1, 1), (1, 5, 1), (1, 1, 5), (2, 1, 5), (1, 4, 3)]
)
@given(st.data(), orders)
def test_thin_masks_come_back(shape, data, order):
    mask = data.draw(masks(st.just(shape)))

    np.testing.assert_array_equal(Rle.encode(mask, order=order).decode(), mask)


@given(masks(), orders, st.permutations(range(3)), st.tuples(*[st.booleans()] * 3))
def test_the_order_in_memory_does_not_matter(mask, order, axes, flips):
    back = np.argsort(axes)
    stored = np.ascontiguousarray(mask.transpose(axes)).transpose(back)
    turn = tuple(slice(None, None, -1 if flip else 1) for flip in flips)
    stored = np.ascontiguousarray(stored[turn])[turn]

    assert Rle.encode(stored, order=order) == Rle.encode(mask, order=order)


@given(masks(), orders, st.integers(1, 60))
def test_slabs_of_any_size_meet_without_a_seam(mask, order, slab):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(encoding_module, "_SLAB", slab)
        cut = [Rle.encode(stored, order=order) for stored in (mask, np.asfortranarray(mask))]
        counted = Rle.encode(mask.astype(np.uint8), order=order)

    assert cut == [Rle.encode(mask, order=order)] * 2
    assert counted == cut[0]


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.uint16, np.int64, np.uint64])
@given(masks(), orders, st.sampled_from([1, 2, 100, 127]))
def test_0_and_one_other_number_are_a_mask(dtype, mask, order, value):
    numbers = mask.astype(dtype) * dtype(value)

    assert Rle.encode(numbers, order=order) == Rle.encode(mask, order=order)


def test_255_and_the_largest_of_64_bits_are_inside():
    for dtype in (np.uint8, np.uint64):
        numbers = np.full((2, 3), np.iinfo(dtype).max, dtype)
        assert Rle.encode(numbers).to_string() == "1 6"


@given(masks(), orders, st.sampled_from([1, 3]))
def test_a_third_value_is_refused_wherever_it_is(mask, order, other):
    numbers = mask.astype(np.uint8) * 2
    assume(numbers.any())
    numbers.flat[np.random.default_rng(mask.sum()).integers(mask.size)] = other
    assume((numbers == 2).any())

    with pytest.raises(LabelError, match=rf"holds the values .*\b{other}\b.* beside 0"):
        Rle.encode(numbers, order=order)


def test_a_map_of_classes_is_refused_with_the_cure():
    with pytest.raises(LabelError, match=r"values 1, 2 beside 0, expected .* such as mask == 1"):
        Rle.encode([[0, 1, 1], [2, 2, 0]])
    with pytest.raises(LabelError, match=r"values 1, 2 beside 0"):
        Rle.encode([[2, 1]])
    with pytest.raises(LabelError, match=r"values 1, 2, 3, 4, 5, 6, 7, 8, \.\.\. beside 0"):
        Rle.encode([range(40)])


@pytest.mark.parametrize(
    "mask",
    [
        np.zeros((2, 3, 4)),
        np.full((2, 3), np.nan),
        np.ones((2, 3), np.float32),
        np.array([["a", "b"]]),
        np.array([[None, 1]]),
        np.ones((2, 3), np.complex64),
        np.zeros((2, 3), "datetime64[D]"),
    ],
)
def test_masks_that_are_not_whole_numbers_are_refused(mask):
    with pytest.raises(LabelError, match="expected bool, or integers 0 and one other; say what"):
        Rle.encode(mask)


def test_negative_numbers_are_refused():
    with pytest.raises(LabelError, match="the mask holds -1, expected"):
        Rle.encode([[0, -1]])


@pytest.mark.parametrize("shape", [(), (4,), (2, 0, 3), (1, 2, 3, 4)])
def test_other_axes_are_refused(shape):
    with pytest.raises(LabelError, match=r"shape \(.*\), expected \(depth, height, width\) or"):
        Rle.encode(np.zeros(shape, bool))


def test_an_unknown_order_is_refused_with_the_known_ones():
    with pytest.raises(ConfigError, match=r"order is 'whd', expected .* one of: dhw, hwd"):
        Rle.encode([[1]], order="whd")


def test_a_mask_is_not_changed_by_encoding():
    mask = np.array([[0, 5], [5, 0]])
    mask.flags.writeable = False

    assert Rle.encode(mask).area == 2
