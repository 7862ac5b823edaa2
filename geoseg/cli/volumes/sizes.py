"""`8,64,64` on a command line."""

from __future__ import annotations

from geoseg.errors import ConfigError


def size_of(text: str | None, option: str) -> tuple[int, int, int] | None:
    """`8,64,64`, or one number for all three, as (depth, height, width); None stays None.

    Raises:
        ConfigError: It is written in another way.
    """
    if text is None:
        return None
    parts = [part.strip() for part in text.split(",")]
    parts = parts * 3 if len(parts) == 1 else parts
    numbers = [int(part) for part in parts if part.isdecimal()]
    if len(parts) != 3 or len(numbers) != 3 or min(numbers) < 1:  # noqa: PLR2004 - depth, height, width
        raise ConfigError(
            f"{option} {text}: expected voxels as depth,height,width, such as 8,64,64, or one number"
        )
    depth, height, width = numbers
    return depth, height, width
