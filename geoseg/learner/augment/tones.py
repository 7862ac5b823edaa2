"""Changes of the values of valid pixels; where they are stays, and so does what is not valid."""

from __future__ import annotations

import torch
from torch import Tensor

from geoseg.learner.augment.batch import Batch, refuse_integers


def light(batch: Batch, generator: torch.Generator) -> Batch:
    """Brightness and contrast of each chip changed, all channels alike, by up to 0.2; see `relit`.

    Raises:
        ConfigError: The images are not floats: an integer would overflow.
    """
    refuse_integers(batch, name="light")
    return relit(batch, generator, brightness=0.2, contrast=0.2, per_band=False)


def relit(
    batch: Batch,
    generator: torch.Generator,
    *,
    brightness: float,
    contrast: float,
    per_band: bool,
) -> Batch:
    """Brightness and contrast of each chip changed.

    A channel `x` with mean m and standard deviation s over the chip's valid pixels becomes
    `m + c * (x - m) + b * s`: measured by the chip's own spread, so that it does the same to
    reflectances, digital numbers and normalised values. Pixels that are not valid stay.

    Args:
        batch: Chips with float images.
        generator: The only source of chance.
        brightness: b is drawn between this and its negative.
        contrast: c is drawn between 1 minus this and 1 plus this.
        per_band: Whether each channel has a c and a b of its own.
    """
    image: Tensor = batch["image"]
    channels = image.shape[1] if per_band else 1
    draws = torch.rand((2, len(image), channels, 1, 1), generator=generator) * 2 - 1
    factor, shift = (draws * torch.tensor([contrast, brightness]).view(2, 1, 1, 1, 1)).to(image)
    mean, offset, spread = _moments(batch)
    return _on_valid(batch, mean + (1 + factor) * offset + shift * spread)


def noisy(batch: Batch, generator: torch.Generator, *, amount: float) -> Batch:
    """Normal noise added to valid pixels.

    The deviation of the noise is, for each chip, a share drawn from 0 to `amount` of that of each
    channel over the chip's valid pixels.
    """
    image: Tensor = batch["image"]
    share = torch.rand((len(image), 1, 1, 1), generator=generator) * amount
    # Drawn on the CPU, so that a GPU gets the same.
    grain = torch.randn(image.shape, generator=generator).to(image)
    mean, offset, spread = _moments(batch)
    return _on_valid(batch, mean + offset + share.to(image) * spread * grain)


def bands_dropped(batch: Batch, generator: torch.Generator, *, share: float) -> Batch:
    """Channels set to 0, each with a probability of `share`; of a chip that would lose all, one stays."""
    image: Tensor = batch["image"]
    count, channels = image.shape[:2]
    lost = torch.rand((count, channels), generator=generator) < share
    spared = torch.randint(channels, (count,), generator=generator)
    lost[torch.arange(count), spared] &= ~lost.all(dim=1)
    return {
        **batch,
        "image": image.masked_fill(lost.to(image.device)[:, :, None, None], 0),
    }


def _moments(batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
    """Mean, offset from it (0 where not valid) and standard deviation of each channel of each chip."""
    image, valid = batch["image"], batch["valid"][:, None]
    # Half precision could not hold the sums.
    image = image if image.dtype == torch.float64 else image.float()
    count = valid.sum(dim=(2, 3), keepdim=True).clamp(min=1)
    mean = torch.where(valid, image, 0).sum(dim=(2, 3), keepdim=True) / count
    offset = torch.where(valid, image - mean, 0)
    spread = (offset.square().sum(dim=(2, 3), keepdim=True) / count).sqrt()
    return mean, offset, spread


def _on_valid(batch: Batch, changed: Tensor) -> Batch:
    """The batch with new values, in the dtype of the image, where it is valid."""
    image: Tensor = batch["image"]
    return {
        **batch,
        "image": torch.where(batch["valid"][:, None], changed.to(image.dtype), image),
    }
