"""What every place for volumes asks of a call, so that all of them refuse the same."""

from __future__ import annotations

from typing import Any

from geoseg.choices import one_of
from geoseg.errors import StoreError
from geoseg.volumes.writing.frames import Split


def check_split(split: Any) -> None:
    """See that a split is one.

    Raises:
        ConfigError: It is not.
    """
    one_of(split, Split, name="split")


def check_unscored(name: str, *, written: bool, scored: bool) -> None:
    """See that the scores of a volume may be written.

    Raises:
        StoreError: The volume was not written, or its scores are there already.
    """
    if not written or scored:
        problem = "has scores already" if written else "was not written"
        raise StoreError(f"{name}: {problem}; write each volume first, then its scores once")
