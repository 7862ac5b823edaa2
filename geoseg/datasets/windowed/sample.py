"""An item on its way: pixels as arrays until they are tensors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

Item = dict[str, Any]


@dataclass(frozen=True, eq=False)
class Sample:
    """One window as it was read."""

    image: NDArray[Any]
    """(band, height, width), 0 where not valid."""
    mask: NDArray[np.int64]
    """(height, width) class ids, the ignored one where not valid."""
    valid: NDArray[np.bool_]
    """(height, width)."""

    def with_missing_hidden(self, ignored_id: int) -> Sample:
        """The same with nothing where it is not valid: no pixels and no class."""
        if self.valid.all():
            return self
        return Sample(
            np.where(self.valid, self.image, self.image.dtype.type(0)),
            np.where(self.valid, self.mask, np.int64(ignored_id)),
            self.valid,
        )


def tensor(array: NDArray[Any]) -> torch.Tensor:
    """A tensor of an array of any strides, writable."""
    array = np.ascontiguousarray(array)
    return torch.from_numpy(array if array.flags.writeable else array.copy())
