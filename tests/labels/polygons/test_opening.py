"""Opening row after row against scipy's opening of each class of the whole array."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import binary_opening

from geoseg.labels.polygons.opening import Opening, covered

IGNORE = 255


@st.composite
def examples(draw):
    height, width = draw(st.integers(1, 17)), draw(st.integers(1, 15))
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    cell = draw(st.integers(1, 4))
    shape = height // cell + 1, width // cell + 1
    coarse = rng.choice(np.array([0, 1, 1, 1, IGNORE], np.uint8), shape)
    ids = coarse.repeat(cell, axis=0).repeat(cell, axis=1)[:height, :width]
    return ids, draw(st.integers(1, 6)), draw(st.integers(1, height))


def opened_whole(ids, size):
    kept = np.zeros(ids.shape, bool)
    for class_id in (0, 1):
        kept |= binary_opening(ids == class_id, np.ones((size, size)))
    return np.where(kept, ids, IGNORE)


@given(examples())
def test_rows_pushed_a_few_at_a_time_are_opened_as_the_whole(example):
    ids, size, rows = example
    scores = np.arange(ids.size, dtype=np.float32).reshape(ids.shape)
    opening = Opening(size, width=ids.shape[1], ignore_id=IGNORE)
    found = [
        opening.push(ids[top : top + rows], scores[top : top + rows], last=top + rows >= len(ids))
        for top in range(0, len(ids), rows)
    ]
    expected = opened_whole(ids, size)
    np.testing.assert_array_equal(np.concatenate([part for part, _ in found]), expected)
    np.testing.assert_array_equal(np.concatenate([part for _, part in found]), scores)
    assert opening.left_out == (ids != expected).sum()


def test_the_buffer_stays_two_squares_high():
    opening = Opening(4, width=3, ignore_id=IGNORE)
    for _ in range(50):
        opening.push(np.ones((1, 3), np.uint8), None, last=False)
        assert len(opening._ids) <= 7


def test_a_square_larger_than_the_map_covers_nothing():
    assert not covered(np.ones((3, 9), np.uint8), 4).any()
