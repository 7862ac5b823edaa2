"""Pretrained first layers for other bands than they were trained on: one rule for every network."""

from __future__ import annotations

from torch import Tensor

RGB = 3
"""Bands of the pictures that encoders are trained on."""


def adapted(kernel: Tensor, *, bands: int, given: int = RGB) -> Tensor:
    """The kernel of a first layer, for another number of bands.

    With more bands than the kernel was trained on, the first ones keep their kernels in their order (of
    three: red, green, blue), and each further band gets the mean of them. With fewer, every band gets the
    mean. Then all are scaled by `given / bands`, so that activations keep their size: an image whose
    bands are all alike gives exactly what it gave in the trained network. The bias needs no change.

    Args:
        kernel: (out, group x given, height, width); layers that first turn blocks of pixels into
            channels have a group for each pixel of a block, within which the bands follow one another.
        bands: Bands of the images to come.
        given: Bands that the kernel was trained on.

    Returns:
        (out, group x bands, height, width) in the kernel's own dtype.
    """
    if bands == given:
        return kernel
    out, channels, height, width = kernel.shape
    grouped = kernel.float().reshape(out, channels // given, given, height, width)
    wide = grouped.mean(dim=2, keepdim=True).repeat(1, 1, bands, 1, 1)
    if bands > given:
        wide[:, :, :given] = grouped
    return (wide * (given / bands)).flatten(1, 2).to(kernel.dtype)
