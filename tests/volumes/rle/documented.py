"""What H2O's documentation says of its two helper functions, in the plainest numpy, and masks to try."""

import numpy as np
from hypothesis import strategies as st


def documented_encoder(array):
    """Pairs start and length over the array in Fortran order, starts from 1."""
    line = np.asarray(array).flatten(order="F").tolist()
    tokens, start = [], None
    for place, value in enumerate([*line, 0]):
        if value and start is None:
            start = place
        elif not value and start is not None:
            tokens += [str(start + 1), str(place - start)]
            start = None
    return " ".join(tokens)


def documented_decoder(text, shape):
    """A (c, a, b) array for the shape (a, b, c)."""
    a, b, c = shape
    line = np.zeros(a * b * c, np.uint8)
    numbers = [int(token) for token in text.split()]
    for start, length in zip(numbers[::2], numbers[1::2], strict=True):
        line[start - 1 : start - 1 + length] = 1
    return line.reshape((c, a, b), order="F")


def position(voxel, shape, order):
    """Where a voxel lies in the line, counted one axis at a time."""
    d, h, w = voxel
    depth, height, _ = shape
    return (
        d + depth * (h + height * w) if order == "dhw" else h + height * w + d * height * shape[2]
    )


orders = st.sampled_from(["dhw", "hwd"])
sides = st.integers(1, 7)
shapes = st.tuples(sides, sides, sides)


@st.composite
def masks(draw, shape=shapes):
    """Bool volumes: scattered voxels, boxes, full and empty ones."""
    depth, height, width = draw(shape)
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    share = draw(st.sampled_from([0, 0.1, 0.5, 0.9, 1]))
    mask = rng.random((depth, height, width)) < share
    if draw(st.booleans()):
        spans = [sorted(rng.integers(0, side + 1, 2)) for side in mask.shape]
        mask[tuple(slice(*span) for span in spans)] ^= True
    return mask


@st.composite
def pairs_of_masks(draw):
    """Two masks of one shape."""
    shape = draw(shapes)
    return draw(masks(st.just(shape))), draw(masks(st.just(shape)))
