"""Windows that several processes share: how many there must be, and which of them each looks at."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import distributed as dist
from torch.utils.data import Dataset, DistributedSampler

from geoseg.errors import ConfigError

_MORE = {
    "training": "a larger `length` or data set",
    "validation": "more or larger validation scenes, or a smaller `size`",
}


def sharing() -> int:
    """Processes that share the windows."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def check_enough(what: str, windows: int, *, ranks: int) -> None:
    """See that each process has a window; else the others wait for it for ever.

    Args:
        what: "training" or "validation".
        windows: How many there are.
        ranks: Processes.

    Raises:
        ConfigError: There are fewer windows than processes.
    """
    if ranks > 1 and windows < ranks:
        raise ConfigError(
            f"there are fewer windows for {what} ({windows}) than devices ({ranks}), each of which needs "
            f"one; use fewer devices, or {_MORE[what]}"
        )


class EachOnce(DistributedSampler[dict[str, Any]]):
    """Every number on exactly one rank; torch's own sampler repeats some to make ranks equal."""

    def __init__(self, windows: Dataset[dict[str, Any]]) -> None:
        """The process group must have begun."""
        super().__init__(windows, shuffle=False)

    def __iter__(self) -> Iterator[Any]:
        return iter(range(self.rank, self._total, self.num_replicas))

    def __len__(self) -> int:
        return len(range(self.rank, self._total, self.num_replicas))

    @property
    def _total(self) -> int:
        return len(self.dataset)  # type: ignore[arg-type]
