"""Networks that need multiples of a stride, for images of any size."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from geoseg.errors import ConfigError


class AnySize(nn.Module):
    """A network whose images may have any size.

    They are padded at the right and the bottom to a multiple of the stride, by repeating the edge, and
    the logits are cut back. Repeating goes for any size, where reflecting needs an image wider than the
    padding.
    """

    def __init__(self, network: nn.Module, *, stride: int, least: int) -> None:
        """Take a network.

        Args:
            network: (batch, channel, height, width) to logits (batch, class, height, width), for
                heights and widths that are multiples of the stride.
            stride: Pixels.
            least: The smallest height and width that the network takes, a multiple of the stride.
        """
        super().__init__()
        self.network = network
        self.stride, self.least = stride, least

    def forward(self, image: Tensor) -> Tensor:
        """Logits of a batch.

        Args:
            image: (batch, channel, height, width), floats.

        Returns:
            (batch, class, height, width).

        Raises:
            ConfigError: The network trains, normalises what it pools over a whole image, and got a
                single image.
        """
        height, width = image.shape[-2:]
        # Numbers below 0 are divided in another way in ONNX.
        wanted = ((n + self.stride - 1) // self.stride * self.stride for n in (height, width))
        rows, cols = (
            max(n, self.least) - now for n, now in zip(wanted, (height, width), strict=True)
        )
        padded = functional.pad(image, (0, cols, 0, rows), mode="replicate")
        logits = self._of_many(padded) if self.training else self.network(padded)
        return logits[..., :height, :width]

    def _of_many(self, image: Tensor) -> Tensor:
        """Logits while training, where batch normalisation needs more than one value a channel."""
        try:
            logits: Tensor = self.network(image)
        except ValueError as error:
            if "more than 1 value per channel" not in str(error):
                raise
            raise ConfigError(
                f"a batch of {len(image)} cannot train this network: it pools over the whole image and "
                "normalises that over the batch; use a batch size of 2 or more, and no last batch of 1"
            ) from error
        return logits
