"""What a run tells of its patches when it is over: warnings, the report, an error where none was read."""

from __future__ import annotations

import warnings

from geoseg.convert.running.report import write_report
from geoseg.convert.running.run import Counts
from geoseg.convert.running.target import Target
from geoseg.errors import SourceError

_SHOWN = 3
_LEVEL = 4
"""Calls between who calls `convert` and a warning of this file."""


def nothing_read(place: Target, counts: Counts) -> SourceError:
    """The error of a run that could read no patch; all are told in the report."""
    report = write_report(place, counts.skipped)
    return SourceError(
        f"{place.uri}: none of {len(counts.skipped)} patches could be read, and no store was made; the first: "
        f"{counts.skipped[0].error}; {report} tells of all"
    )


def warn_of_unplaced(counts: Counts) -> None:
    """Warn of patches with files that do not tell where they lie."""
    if counts.unplaced:
        keys = ", ".join(patch.key for patch in counts.unplaced[:_SHOWN])
        warnings.warn(
            f"{len(counts.unplaced)} patches have files that do not tell where they lie, though others of the "
            "patch do, or that tell a CRS without a transform, which is left out; all bands of a patch are "
            f"taken to cover the same ground: {keys}",
            stacklevel=_LEVEL,
        )


def warn_of_lost(place: Target, counts: Counts) -> None:
    """Warn of patches that were stored before and cannot be read any more."""
    if counts.lost:
        warnings.warn(
            f"{place.uri}: {len(counts.lost)} patches cannot be read any more and were removed from the store: "
            f"{', '.join(counts.lost[:_SHOWN])}",
            stacklevel=_LEVEL,
        )


def report_of(place: Target, counts: Counts) -> str | None:
    """The file that tells of skipped patches; that of an earlier run is removed."""
    if counts.skipped:
        return write_report(place, counts.skipped)
    place.report.unlink(missing_ok=True)
    return None
