"""What the counts of cells tell of windows."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geoseg.sampling.cells import CellChoice, Cells

KINDS = 4
QUANTITIES = ((0,), (1, 2), (0, 1, 2))


def counted(kinds, side):
    """(row, column, kind) by brute force."""
    rows, cols = (-(-length // side) for length in kinds.shape)
    counts = np.zeros((rows, cols, KINDS), np.uint16)
    for row in range(rows):
        for col in range(cols):
            part = kinds[row * side : (row + 1) * side, col * side : (col + 1) * side]
            counts[row, col] = [(part == kind).sum() for kind in range(KINDS)]
    return counts


def cells_of(planes, side):
    return Cells(
        [counted(plane, side) for plane in planes],
        [plane.shape for plane in planes],
        side,
        QUANTITIES,
    )


def blotches(shape, seed, grain):
    """Pixels of some kinds in patches of `grain` pixels."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, KINDS, [-(-length // grain) for length in shape])
    return np.kron(coarse, np.ones((grain, grain), int))[: shape[0], : shape[1]]


@settings(max_examples=30, deadline=None)
@given(
    shapes=st.lists(st.tuples(st.integers(1, 50), st.integers(1, 50)), min_size=1, max_size=3),
    size=st.tuples(st.integers(1, 60), st.integers(1, 60)),
    side=st.sampled_from([1, 2, 4, 8, 16]),
    grain=st.sampled_from([1, 5, 20]),
    seed=st.integers(0, 99),
)
def test_the_pixels_of_a_window_lie_between_the_two_bounds(shapes, size, side, grain, seed):
    planes = [blotches(shape, seed + i, grain) for i, shape in enumerate(shapes)]
    cells = cells_of(planes, side)
    rng = np.random.default_rng(seed)
    boxes = []
    for _ in range(20):
        scene = int(rng.integers(len(planes)))
        row, col = (int(rng.integers(length)) for length in planes[scene].shape)
        boxes.append((scene, row, col, *size))
    boxes = np.array(boxes)
    for quantity in QUANTITIES:
        least, most = cells.least(quantity, boxes), cells.most(quantity, boxes)
        for (scene, row, col, height, width), low, high in zip(boxes, least, most, strict=True):
            part = planes[scene][row : row + height, col : col + width]
            exact = np.isin(part, quantity).sum()
            assert low <= exact <= high
            assert low >= 0
            assert high <= part.size
            stop = (row + height, col + width)
            aligned = all(
                start % side == 0 and (end % side == 0 or end >= length)
                for start, end, length in zip((row, col), stop, planes[scene].shape, strict=True)
            )
            if aligned:
                assert low == high


def test_an_edge_of_whole_cells_costs_the_bounds_nothing():
    # Missing rows above, as a collar of nodata: a window whose edge cuts their cells is still told.
    kinds = np.zeros((64, 64), int)
    kinds[:16] = 3
    cells = cells_of([kinds], 16)
    box = np.array([[0, 10, 16, 32, 32]])
    assert cells.least((0,), box)[0] == cells.most((0,), box)[0] == 26 * 32


def test_cells_and_their_numbers_lead_to_each_other():
    planes = [blotches(shape, 0, 3) for shape in ((10, 21), (8, 8), (17, 5))]
    cells = cells_of(planes, 8)
    boxes = cells.boxes_at(np.arange(cells.first[-1]))
    seen = [np.zeros(plane.shape, int) for plane in planes]
    for scene, row, col, height, width in boxes.tolist():
        assert row % 8 == col % 8 == 0
        seen[scene][row : row + height, col : col + width] += 1
    assert all((plane == 1).all() for plane in seen)
    np.testing.assert_array_equal(cells.first, [0, 6, 7, 10])
    held = cells.counts((1, 2))
    for (scene, row, col, height, width), count in zip(boxes.tolist(), held, strict=True):
        part = planes[scene][row : row + height, col : col + width]
        assert count == np.isin(part, (1, 2)).sum()


@pytest.mark.parametrize("equal", [False, True])
def test_cells_are_chosen_by_what_they_hold(equal):
    one, other = np.full((8, 8), 3), np.full((8, 24), 3)
    one[:2] = 0  # 16 pixels in one cell
    other[:6, :8], other[0, 16:] = 0, 0  # 48 and 8, and a cell of none between
    cells = cells_of([one, other], 8)
    choice = CellChoice(cells, (0,), equal_scenes=equal)
    numbers = (np.arange(3000) + 0.5) / 3000
    found = np.bincount(choice.draw(numbers), minlength=4) / 3000
    expected = [1 / 2, 48 / 112, 0, 8 / 112] if equal else [16 / 72, 48 / 72, 0, 8 / 72]
    np.testing.assert_allclose(found, expected, atol=1e-3)


def test_pickled_cells_tell_the_same_and_carry_no_sums():
    cells = cells_of([blotches((90, 70), 1, 7)], 4)
    again = pickle.loads(pickle.dumps(cells))
    boxes = np.array([[0, 3, 5, 41, 33], [0, 50, 40, 90, 90]])
    for quantity in QUANTITIES:
        np.testing.assert_array_equal(cells.least(quantity, boxes), again.least(quantity, boxes))
    assert len(pickle.dumps(cells)) < 2 * cells.counts((0,)).nbytes * len(QUANTITIES)
