"""CutMix: every pixel of a chip comes from one place of one other chip."""

from __future__ import annotations

import pytest
import torch

from geoseg.learner.augments import CutMix
from tests.learner.chips import assert_same, changed, generator, random_batch


def numbered(count, height, width, *, dtype=torch.float32):
    """Image, mask and valid all tell the chip; the image also the pixel."""
    chips = torch.arange(count).view(-1, 1, 1).expand(-1, height, width)
    places = torch.arange(height * width).view(height, width).expand(count, -1, -1)
    return {
        "image": torch.stack([chips, places], dim=1).to(dtype),
        "mask": chips.to(torch.uint8),
        "valid": chips % 2 == 0,
    }


@pytest.mark.parametrize("dtype", [torch.float32, torch.uint16, torch.int32], ids=str)
@pytest.mark.parametrize(("height", "width"), [(8, 8), (11, 5), (3, 16)])
def test_a_rectangle_of_another_chip_comes_with_its_mask_and_valid(height, width, dtype):
    batch = numbered(12, height, width, dtype=dtype)
    got = CutMix(p=1, share=(0.2, 0.6))(batch, generator())
    source = got["image"][:, 0].long()
    assert got["image"].dtype == dtype
    assert torch.equal(got["image"][:, 1].long(), batch["image"][:, 1].long())
    assert torch.equal(got["mask"], source.to(torch.uint8))
    assert torch.equal(got["valid"], source % 2 == 0)
    for chip in range(12):
        cut = source[chip] != chip
        rows, cols = cut.any(dim=1).nonzero().flatten(), cut.any(dim=0).nonzero().flatten()
        assert cut.sum() == len(rows) * len(cols)
        assert rows[-1] - rows[0] + 1 == len(rows)
        assert cols[-1] - cols[0] + 1 == len(cols)
        assert len(source[chip][cut].unique()) == 1
        sides = [(0.2**0.5 * n - 0.5, 0.6**0.5 * n + 0.5) for n in (height, width)]
        assert sides[0][0] <= len(rows) <= sides[0][1]
        assert sides[1][0] <= len(cols) <= sides[1][1]


def test_partners_places_and_areas_are_drawn_evenly():
    batch = numbered(4, 16, 16)
    counts, cut_at, area = torch.zeros(4, 4), torch.zeros(16, 16), []
    for seed in range(600):
        source = CutMix(p=1, share=(0.1, 0.5))(batch, generator(seed))["image"][:, 0].long()
        for chip in range(4):
            cut = source[chip] != chip
            counts[chip, source[chip][cut][0]] += 1
            cut_at += cut
            area.append(cut.double().mean().item())
    assert (counts.diagonal() == 0).all()
    others = counts[~torch.eye(4, dtype=torch.bool)]
    assert (others - 200).abs().max() < 50
    assert sum(area) / len(area) == pytest.approx(0.3, abs=0.01)
    torch.testing.assert_close(cut_at, cut_at.flip(0), rtol=0.2, atol=20)
    torch.testing.assert_close(cut_at, cut_at.T, rtol=0.2, atol=20)


@pytest.mark.parametrize("p", [0.0, 0.3, 1.0])
def test_as_many_chips_are_mixed_as_p_says(p):
    batch = random_batch(1500, 1, 6, 6)
    got = CutMix(p=p, share=(0.3, 0.6))(batch, generator(1))
    assert changed(batch, got).double().mean().item() == pytest.approx(p, abs=0.035)


def test_a_batch_of_one_chip_stays_as_it_is():
    batch = random_batch(1)
    assert_same(CutMix(p=1)(batch, generator()), batch)


def test_a_share_of_0_takes_nothing_and_of_1_takes_all():
    batch = numbered(3, 5, 7)
    assert_same(CutMix(p=1, share=(0, 0))(batch, generator()), batch)
    whole = CutMix(p=1, share=(1, 1))(batch, generator())
    assert (whole["mask"] != batch["mask"]).all()


def test_chips_are_mixed_with_chips_as_they_were_handed_in():
    batch = numbered(3, 9, 9)
    for seed in range(50):
        got = CutMix(p=1, share=(0.4, 0.7))(batch, generator(seed))
        assert all(len(chip.unique()) == 2 for chip in got["mask"])
