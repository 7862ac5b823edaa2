"""What a run tells of its patches when it is over: warnings, the report, an error where none was read."""

from __future__ import annotations

from collections.abc import Sequence

from geoseg.convert.patch import Patch
from geoseg.convert.running.report import earlier_rows, write_report
from geoseg.convert.running.run import Counts
from geoseg.convert.running.target import Target
from geoseg.errors import SourceError
from geoseg.warn import warn

_SHOWN = 3


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
        warn(
            f"{len(counts.unplaced)} patches have files that do not tell where they lie, though others of the "
            "patch do, or that tell a CRS without a transform, which is left out; all bands of a patch are "
            f"taken to cover the same ground: {keys}"
        )


def warn_of_lost(place: Target, counts: Counts) -> None:
    """Warn of patches that were stored before and cannot be read any more."""
    if counts.lost:
        warn(
            f"{place.uri}: {len(counts.lost)} patches cannot be read any more and were removed from the store: "
            f"{', '.join(counts.lost[:_SHOWN])}"
        )


def warn_of_retold(place: Target, counts: Counts) -> None:
    """Warn of patches whose values stay and of which the manifest tells something else now."""
    if counts.retold:
        warn(
            f"{place.uri}: of {len(counts.retold)} patches with unchanged values the manifest tells something else than "
            f"before, such as another split, labels, sample or place: {', '.join(counts.retold[:_SHOWN])}"
        )


def report_of(
    place: Target, counts: Counts, patches: Sequence[Patch], *, append: bool
) -> str | None:
    """The file that tells of skipped patches; None: there are none.

    What an earlier run has told goes, unless the store is added to: then what it tells of others than the
    patches of this run holds still.
    """
    earlier = earlier_rows(place) if append else []
    now = {patch.key for patch in patches}
    earlier = [row for row in earlier if row[0] not in now]
    if earlier or counts.skipped:
        return write_report(place, counts.skipped, earlier=earlier)
    place.report.unlink(missing_ok=True)
    return None
