"""Light of each band, noise, dropped bands: against numpy, and by how often they happen."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from geoseg.errors import ConfigError
from geoseg.learner import augment
from geoseg.learner.augments import BandDropout, Brightness, Light, Noise
from tests.learner.chips import assert_same, changed, generator, random_batch

KINDS = [Light(p=1), Brightness(p=1), Noise(p=1), BandDropout(p=1, share=0.5)]
by_type = {"argvalues": KINDS, "ids": lambda kind: kind.type}


@pytest.mark.parametrize("bands", [1, 4, 13])
def test_brightness_is_a_linear_change_of_each_band_by_its_own_spread(bands):
    batch = random_batch(30, bands, 7, 6)
    got = Brightness(p=1, brightness=0.3, contrast=0.1)(batch, generator())
    found = []
    for chip in range(30):
        valid = batch["valid"][chip].numpy()
        for band in range(bands):
            x, y = (b["image"][chip, band].double().numpy()[valid] for b in (batch, got))
            slope, start = np.polyfit(x, y, 1)
            np.testing.assert_allclose(y, slope * x + start, atol=1e-5)
            found.append((slope - 1, (y.mean() - x.mean()) / x.std()))
    contrast, brightness = np.array(found).reshape(30, bands, 2).T
    assert (np.abs(contrast) < 0.1 + 1e-4).all()
    assert (np.abs(brightness) < 0.3 + 1e-4).all()
    assert contrast.std() > 0.04
    assert brightness.std() > 0.12
    if bands > 1:
        assert brightness.std(axis=0).mean() > 0.1


def test_light_is_the_change_of_old_with_options():
    batch = random_batch()
    assert_same(Light()(batch, generator(3)), augment.light(batch, generator(3)))
    still = Light(brightness=0, contrast=0)(batch, generator(3))
    torch.testing.assert_close(still["image"], batch["image"])


def test_noise_is_normal_and_as_strong_as_asked_for_in_units_of_each_band():
    batch = random_batch(200, 2, 20, 20, valid=0.6)
    batch["image"] = torch.randn(200, 2, 20, 20, generator=generator()) * torch.tensor(
        [1.0, 50.0]
    ).view(1, 2, 1, 1)
    got = Noise(p=1, amount=0.4)(batch, generator(1))
    grain = (got["image"] - batch["image"]).double() / torch.tensor([1.0, 50.0]).view(1, 2, 1, 1)
    strength = torch.stack(
        [chip[:, valid].std(dim=1) for chip, valid in zip(grain, batch["valid"], strict=True)]
    )
    assert strength.max() < 0.4 * 1.2
    assert strength.mean(dim=0).tolist() == pytest.approx([0.2, 0.2], rel=0.15)
    torch.testing.assert_close(strength[:, 0], strength[:, 1], rtol=0.35, atol=0.01)
    one = grain[0, 0][batch["valid"][0]] / strength[0, 0]
    assert abs(one.mean()) < 0.3
    assert 0.55 < (one.abs() < 1).double().mean() < 0.8


def test_noise_of_pixels_and_bands_is_independent():
    batch = random_batch(1, 2, 60, 60, valid=1.1)
    grain = (Noise(p=1, amount=1)(batch, generator(2))["image"] - batch["image"])[0]
    pairs = [
        (grain[0], grain[1]),
        (grain[0, 1:], grain[0, :-1]),
        (grain[0, :, 1:], grain[0, :, :-1]),
    ]
    for one, two in pairs:
        assert abs(np.corrcoef(one.flatten(), two.flatten())[0, 1]) < 0.08


@pytest.mark.parametrize("bands", [1, 4, 13])
def test_band_dropout_sets_whole_bands_to_0_and_never_all(bands):
    batch = random_batch(600, bands, 3, 5)
    batch["image"] += 1
    lost = (BandDropout(p=1, share=0.7)(batch, generator())["image"] == 0).flatten(2)
    assert torch.equal(lost.any(dim=2), lost.all(dim=2))
    lost = lost.all(dim=2)
    assert not lost.all(dim=1).any()
    expected = 0.7 - 0.7**bands / bands
    assert lost.double().mean().item() == pytest.approx(expected, abs=0.05)
    share_of_each = lost.double().mean(dim=0)
    assert (share_of_each - expected).abs().max() < 0.1


def test_a_chip_that_would_lose_all_bands_keeps_any_of_them():
    batch = random_batch(300, 3, 2, 2)
    batch["image"] += 1
    got = BandDropout(p=1, share=1)(batch, generator())["image"]
    kept = (got != 0).all(dim=(2, 3)).sum(dim=0)
    assert kept.sum() == 300
    assert (kept > 70).all()


@pytest.mark.parametrize("kind", **by_type)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16], ids=str)
def test_only_the_image_is_changed_and_its_dtype_stays(kind, dtype):
    batch = random_batch(20, 4, dtype=dtype)
    got = kind(batch, generator())
    assert torch.equal(got["mask"], batch["mask"])
    assert torch.equal(got["valid"], batch["valid"])
    assert got["image"].dtype == dtype
    assert not torch.equal(got["image"], batch["image"])
    assert got["row"] is batch["row"]


@pytest.mark.parametrize("kind", KINDS[:3], ids=lambda kind: kind.type)
def test_nodata_stays_and_does_not_bleed(kind):
    batch = random_batch(8, 3)
    hidden = ~batch["valid"][:, None].expand_as(batch["image"])
    spoilt = {**batch, "image": batch["image"].masked_fill(hidden, torch.nan)}
    got = kind(spoilt, generator())["image"]
    assert got[hidden].isnan().all()
    assert torch.equal(got[~hidden], kind(batch, generator())["image"][~hidden])


@pytest.mark.parametrize("kind", **by_type)
def test_integers_are_refused_by_name_whoever_is_drawn(kind):
    batch = random_batch(dtype=torch.int16)
    rare = kind.model_copy(update={"p": 0})
    with pytest.raises(ConfigError, match=rf"'{kind.type}' needs float images, got torch.int16"):
        rare(batch, generator())


@pytest.mark.parametrize("kind", **by_type)
def test_large_half_precision_numbers_do_not_overflow(kind):
    batch = random_batch(5, 3, dtype=torch.float16)
    batch["image"] = batch["image"] * 5000
    assert kind(batch, generator())["image"].isfinite().all()


@pytest.mark.parametrize("p", [0.0, 0.25, 1.0])
@pytest.mark.parametrize("kind", **by_type)
def test_as_many_chips_are_changed_as_p_says(kind, p):
    batch = random_batch(1500, 6, 2, 2, valid=1.1)
    batch["image"] += 1
    sure = {"share": 0.999} if kind.type == "band_dropout" else {}
    got = kind.model_copy(update={"p": p, **sure})(batch, generator(6))
    assert changed(batch, got).double().mean().item() == pytest.approx(p, abs=0.035)
