"""Rotation, zoom and elastic deformation against torch.rot90 and arithmetic pixel by pixel."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from geoseg.learner import augment
from geoseg.learner.augment import moves
from geoseg.learner.augment.resample import resampled
from geoseg.learner.augments import Elastic, Rotate, Zoom
from tests.learner.chips import assert_same, changed, generator, random_batch

DTYPES = [
    torch.float32,
    torch.float16,
    torch.float64,
    torch.uint8,
    torch.int16,
    torch.uint16,
    torch.int32,
    torch.uint32,
    torch.int64,
]
KINDS = [Rotate(p=1), Zoom(p=1, scale=(0.5, 2)), Elastic(p=1, shift=3, cell=7)]


def turn_by(degrees):
    return Rotate(p=1, degrees=(degrees, degrees))


def grid(count, height, width):
    rows, cols = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return torch.stack([rows, cols], dim=-1).float().expand(count, -1, -1, -1)


def by_hand(image, mask, valid, where):
    """One chip pixel by pixel; `where` tells where the pixel (row, col) comes from.

    Also gives where the nearest pixel hangs on the last digit.
    """
    height, width = valid.shape
    out, ids = np.zeros(image.shape), np.full(mask.shape, -1)
    ok, close = np.zeros(valid.shape, bool), np.zeros(valid.shape, bool)
    for r in range(height):
        for c in range(width):
            y, x = where(r, c)
            ny, nx = math.floor(y + 0.5), math.floor(x + 0.5)
            close[r, c] = min(abs((v + 0.5) - round(v + 0.5)) for v in (y, x)) < 2e-3
            if not (0 <= ny < height and 0 <= nx < width):
                continue
            ids[r, c], ok[r, c] = mask[ny, nx], valid[ny, nx]
            if not valid[ny, nx]:
                out[:, r, c] = image[:, ny, nx]
                continue
            parts = [
                ((1 - abs(y - i)) * (1 - abs(x - j)), image[:, i, j])
                for i in range(height)
                for j in range(width)
                if abs(y - i) < 1 and abs(x - j) < 1 and valid[i, j]
            ]
            out[:, r, c] = sum(w * v for w, v in parts) / sum(w for w, _ in parts)
    return out, ids, ok, close


def compare(batch, got, where, *, tolerance=5e-3):
    for chip in range(len(batch["image"])):
        before = (batch[key][chip].numpy() for key in ("image", "mask", "valid"))
        image, ids, ok, close = by_hand(*before, where)
        sure = ~close
        assert sure.mean() > 0.5
        after = {key: got[key][chip].numpy() for key in ("image", "mask", "valid")}
        np.testing.assert_array_equal(after["valid"][sure], ok[sure])
        np.testing.assert_allclose(
            after["image"][:, sure].astype(float), image[:, sure], atol=tolerance
        )
        inside = sure & (ids >= 0)
        np.testing.assert_array_equal(after["mask"][inside], ids[inside])


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize(("side", "bands"), [(7, 1), (8, 4), (5, 13)])
@pytest.mark.parametrize("turns", [1, 2, 3, -1])
def test_a_rotation_by_quarter_turns_is_rot90(dtype, side, bands, turns):
    batch = random_batch(3, bands, side, side, dtype=dtype)
    got = turn_by(90 * turns)(batch, generator())
    for key in ("image", "mask", "valid"):
        expected = np.rot90(batch[key].numpy(), turns, axes=(-2, -1))
        np.testing.assert_array_equal(got[key].numpy(), expected)
        assert got[key].dtype == batch[key].dtype


def test_a_large_chip_is_turned_without_a_shift():
    batch = random_batch(1, 1, 601, 601, valid=1.1)
    assert torch.equal(
        turn_by(90)(batch, generator())["image"], torch.rot90(batch["image"], 1, (-2, -1))
    )


@pytest.mark.parametrize(("height", "width"), [(5, 9), (9, 5), (4, 8), (3, 3)])
def test_a_quarter_turn_of_a_long_chip_is_the_middle_of_the_turned_square(height, width):
    batch = random_batch(2, 2, height, width)
    got = turn_by(90)(batch, generator())
    side = max(height, width)
    top, left = (side - height) // 2, (side - width) // 2
    here = (..., slice(top, top + height), slice(left, left + width))
    for key in ("image", "valid"):
        square = np.zeros((*batch[key].shape[:-2], side, side), batch[key].numpy().dtype)
        square[here] = batch[key].numpy()
        np.testing.assert_array_equal(
            got[key].numpy(), np.rot90(square, axes=(-2, -1))[here], err_msg=key
        )


@pytest.mark.parametrize("valid", [1.1, 0.7, 0.2])
@pytest.mark.parametrize(("height", "width"), [(9, 7), (6, 11), (1, 5)])
@pytest.mark.parametrize("degrees", [30, -7.3, 121])
def test_a_rotation_by_any_angle_is_that_of_complex_numbers(degrees, height, width, valid):
    batch = random_batch(2, 3, height, width, valid=valid)
    middle = complex((width - 1) / 2, -(height - 1) / 2)
    back = np.exp(-1j * np.deg2rad(degrees))

    def where(r, c):
        source = (complex(c, -r) - middle) * back + middle
        return -source.imag, source.real

    compare(batch, turn_by(degrees)(batch, generator()), where)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int16, torch.uint16, torch.int64], ids=str)
def test_integers_are_blended_and_rounded(dtype):
    batch = random_batch(2, 2, 8, 9, dtype=dtype)
    got = turn_by(33)(batch, generator())
    angle = math.radians(33)

    def where(r, c):
        y, x = r - 3.5, c - 4
        return (
            y * math.cos(angle) + x * math.sin(angle) + 3.5,
            x * math.cos(angle) - y * math.sin(angle) + 4,
        )

    assert got["image"].dtype == dtype
    compare(batch, got, where, tolerance=0.9)
    exact = turn_by(33)({**batch, "image": batch["image"].double()}, generator())["image"]
    assert torch.equal(got["image"].double(), exact.round())


@pytest.mark.parametrize("scale", [0.55, 0.8, 1.3, 2.0])
@pytest.mark.parametrize("place", [(0.0, 0.0), (1.0, 1.0), (0.3, 0.8)])
def test_a_zoom_acts_on_the_corners_of_pixels(scale, place):
    batch = random_batch(2, 3, 9, 6)
    move = moves.zoom(
        torch.tensor([scale] * 2).double(), torch.tensor([place] * 2).double(), size=(9, 6)
    )

    def where(r, c):
        ends = []
        for at, length, share in ((r, 9, place[0]), (c, 6, place[1])):
            first = share * (length - length / scale)
            near, far = first + at / scale, first + (at + 1) / scale
            ends.append((near + far) / 2 - 0.5)
        return tuple(ends)

    compare(batch, resampled(batch, move(grid(2, 9, 6))), where)


def test_a_chip_at_half_its_size_lies_whole_in_the_new_one():
    batch = random_batch(1, 1, 8, 8, valid=1.1)
    batch["image"] = batch["image"].repeat_interleave(2, -1).repeat_interleave(2, -2)[..., :8, :8]
    seen = []
    for seed in range(30):
        got = Zoom(p=1, scale=(0.5, 0.5))(batch, generator(seed))
        rows, cols = (got["valid"][0].any(dim=axis).sum().item() for axis in (1, 0))
        assert (rows, cols) == (4, 4)
        seen.append(tuple(got["valid"][0].nonzero()[0].tolist()))
    assert len(set(seen)) > 10


def spline(x):
    """The cubic B-spline with knots at -2..2, by recursion."""

    def basis(x, order):
        if order == 1:
            return 1.0 if -0.5 <= x < 0.5 else 0.0
        half = order / 2
        return ((x + half) * basis(x + 0.5, order - 1) + (half - x) * basis(x - 0.5, order - 1)) / (
            order - 1
        )

    return basis(x, 4)


@pytest.mark.parametrize(("height", "width", "cell"), [(9, 14, 4.0), (7, 5, 3.3), (6, 6, 50.0)])
def test_an_elastic_deformation_is_a_cubic_spline_over_shifted_nodes(height, width, cell):
    shift = 0.4 * cell
    move = moves.elastic(2, generator(5), size=(height, width), shift=shift, cell=cell)
    shape = (2, 2, *(int((n - 1) // cell) + 4 for n in (height, width)))
    nodes = ((torch.rand(shape, generator=generator(5)) * 2 - 1) * shift).numpy()
    at = grid(2, height, width)
    got = (move(at) - at).numpy()
    for r in range(height):
        for c in range(width):
            # The first node lies one cell before the first pixel.
            down = [spline(r / cell + 1 - i) for i in range(shape[2])]
            right = [spline(c / cell + 1 - j) for j in range(shape[3])]
            expected = np.einsum("nkij,i,j->nk", nodes, down, right)
            np.testing.assert_allclose(got[:, r, c], expected, atol=1e-4 * cell)


@given(cell=st.floats(2, 40), share=st.floats(0, 0.48), seed=st.integers(0, 1000))
def test_an_elastic_deformation_stays_below_its_shift_and_never_folds(cell, share, seed):
    shift = share * cell
    move = moves.elastic(1, generator(seed), size=(21, 13), shift=shift, cell=cell)
    at = grid(1, 21, 13)
    moved = move(at).double()
    assert (moved - at).abs().max() <= shift + 1e-4
    down, right = moved.diff(dim=1)[:, :, :-1], moved.diff(dim=2)[:, :-1]
    area = down[..., 0] * right[..., 1] - down[..., 1] * right[..., 0]
    assert (area > 0).all()


def test_a_folding_elastic_deformation_is_refused():
    with pytest.raises(ValueError, match=r"a shift of 9 pixels folds .* at most 7.68"):
        Elastic(shift=9, cell=16)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("size", [(9, 7), (8, 8), (1, 4)])
@pytest.mark.parametrize(
    "kind",
    [turn_by(0), Zoom(p=1, scale=(1, 1)), Elastic(p=1, shift=0)],
    ids=lambda kind: kind.type,
)
def test_no_strength_changes_no_byte(kind, size, dtype):
    batch = random_batch(2, 3, *size, dtype=dtype)
    if dtype.is_floating_point:
        odd = torch.tensor([torch.nan, torch.inf, -0.0], dtype=dtype)
        batch["image"][:, :, 0, :3] = odd
    if dtype == torch.int64:
        batch["image"] += (1 << 62) + 1
    assert_same(kind(batch, generator()), batch)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.type)
@pytest.mark.parametrize("fill", [torch.nan, torch.inf, 1e30, -9999.0])
def test_nodata_does_not_bleed(kind, fill):
    batch = random_batch(6, 2, 20, 15)
    clean = kind(batch, generator(1))
    spoilt = {**batch, "image": batch["image"].masked_fill(~batch["valid"][:, None], fill)}
    got = kind(spoilt, generator(1))
    valid = clean["valid"][:, None].expand_as(clean["image"])
    assert 0.2 < valid.float().mean() < 0.9
    assert torch.equal(got["valid"], clean["valid"])
    assert torch.equal(got["image"][valid], clean["image"][valid])
    assert not torch.equal(clean["image"], batch["image"])


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.type)
def test_a_constant_stays_constant_up_to_the_edge_of_the_valid_pixels(kind):
    batch = random_batch(6, 1, 20, 15, valid=0.5)
    batch["image"] = torch.where(batch["valid"][:, None], 0.3, 77.0)
    got = kind(batch, generator(2))
    torch.testing.assert_close(
        got["image"][:, 0][got["valid"]], torch.tensor(0.3).expand(int(got["valid"].sum()))
    )


def test_what_comes_from_outside_is_0_and_not_valid_with_an_id_of_the_chip():
    batch = random_batch(2, 2, 20, 20, valid=1.1)
    batch["mask"][:] = 8
    batch["image"] += 1
    got = turn_by(45)(batch, generator())
    outside = ~got["valid"]
    assert outside[:, 0, 0].all()
    assert outside.float().mean() == pytest.approx(3 - 2 * math.sqrt(2), abs=0.03)
    assert (got["image"].movedim(1, -1)[outside] == 0).all()
    assert (got["image"].movedim(1, -1)[~outside] >= 1).all()
    assert (got["mask"] == 8).all()


def test_neighbours_in_a_list_blend_pixels_only_once():
    batch = random_batch(2, 3, 15, 15, valid=1.1)
    there_and_back = augment.build([turn_by(31), turn_by(-31)])(batch, generator())
    torch.testing.assert_close(there_and_back["image"], batch["image"])
    assert there_and_back["valid"].all()
    twice = turn_by(-31)(turn_by(31)(batch, generator()), generator())
    assert (twice["image"] - batch["image"]).abs().max() > 0.1


@pytest.mark.parametrize("kind", KINDS[1:], ids=lambda kind: kind.type)
def test_a_list_is_applied_in_its_order(kind):
    batch = random_batch(3, 2, 12, 12)
    turn = turn_by(90)  # exact, so that two resamplings give what one gives
    state = generator(9)
    expected = turn(kind(batch, state), state)
    assert_same(augment.build([kind, turn])(batch, generator(9)), expected)
    state = generator(9)
    other_order = kind(turn(batch, state), state)
    assert not torch.equal(other_order["image"], expected["image"])
    assert_close_batch(augment.build([turn, kind])(batch, generator(9)), other_order)


def assert_close_batch(got, expected):
    same = (got["mask"] == expected["mask"]) & (got["valid"] == expected["valid"])
    assert same.float().mean() > 0.99
    difference = (got["image"] - expected["image"]).abs().amax(dim=1)
    assert difference[same].max() < 5e-3


def test_chips_that_are_not_drawn_stay_as_they_are_also_beside_others():
    batch = random_batch(40, 2, 8, 9)
    got = augment.build([Rotate(p=0.3, degrees=(20, 40)), Zoom(p=0.3, scale=(1.5, 2))])(
        batch, generator(4)
    )
    moved = changed(batch, got)
    assert 10 < moved.sum() < 31  # 1 - 0.7 ** 2 of 40
    still = {key: batch[key][~moved] for key in ("image", "mask", "valid")}
    assert_same({key: got[key][~moved] for key in still}, still)
    assert got["row"] is batch["row"]


def test_half_precision_around_does_not_move_pixels():
    batch = random_batch(3, 2, 40, 40)
    every = augment.build([kind.model_copy() for kind in KINDS])
    expected = every(batch, generator(6))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert_same(every(batch, generator(6)), expected)


def test_angles_scales_and_places_are_drawn_evenly():
    angles = moves.uniform((-30, 60), 4000, generator())
    assert (angles.min() >= -30, angles.max() <= 60) == (True, True)
    assert angles.mean().item() == pytest.approx(15, abs=4 * 90 / math.sqrt(12 * 4000))
    scales = moves.log_uniform((0.5, 2), 4000, generator())
    assert (scales.min() >= 0.5, scales.max() <= 2) == (True, True)
    assert (scales > 1).double().mean().item() == pytest.approx(0.5, abs=0.04)
    assert moves.place(4000, generator()).mean(dim=0).tolist() == pytest.approx([0.5] * 2, abs=0.02)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("dtype", [torch.float32, torch.uint16], ids=str)
def test_a_gpu_gives_what_the_cpu_gives(dtype):
    batch = random_batch(4, 4, 64, 48, dtype=dtype)
    names = "d4+rotate+zoom+elastic+cutmix"
    names += "+light+brightness+noise+band_dropout" if dtype.is_floating_point else ""
    change = augment.build(names)
    expected = change(batch, generator(1))
    there = {key: value.cuda() for key, value in batch.items()}
    got = {key: value.cpu() for key, value in change(there, generator(1)).items()}
    assert (got["mask"] == expected["mask"]).float().mean() > 0.999
    close = (got["image"].float() - expected["image"].float()).abs() < 1e-2
    assert close.float().mean() > 0.999
