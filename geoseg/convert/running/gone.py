"""Patches that a killed run had written, and that the sources of the run that goes on do not give."""

from __future__ import annotations

from collections.abc import Sequence

from geoseg.convert.patch import Patch
from geoseg.convert.running.journal import Journal
from geoseg.errors import StoreError
from geoseg.shortlist import some
from geoseg.warn import warn

_SHOWN = 3


def gone_keys(journal: Journal, patches: Sequence[Patch], *, uri: str) -> list[str]:
    """Their keys, which are to be removed.

    Args:
        journal: What was written.
        patches: What the sources give.
        uri: The store.

    Raises:
        StoreError: They are of a group that was not named this time, or they are all that was written: this is
            not the call that is gone on with.

    Warns:
        UserWarning: There are some.
    """
    wanted, groups = {patch.key for patch in patches}, {patch.group for patch in patches}
    gone = [key for key in journal.noted if key not in wanted]
    if not gone:
        return []
    there, shown = {*gone}, some(gone, _SHOWN, counted=False)
    others = [row for row in journal.rows() if row["key"] in there and row["group"] not in groups]
    if others or len(gone) == len(journal.noted):
        raise StoreError(
            f"{uri}: a killed run had written {len(gone)} patches that are not in these sources ({shown}), and "
            "they were left as they are; name the sources of that run, keep them by `--append`, or leave "
            "`--resume` out to start over"
        )
    warn(
        f"{uri}: {len(gone)} patches that a killed run had written are not in the sources any more and were removed: "
        f"{shown}"
    )
    return gone
