"""The CSV file that tells of patches that were skipped."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence

from geoseg.convert.running.encode import Failed
from geoseg.convert.running.target import Target
from geoseg.errors import StoreError
from geoseg.outputs import written_whole

_COLUMNS = ("key", "source", "error")


def earlier_rows(target: Target) -> list[list[str]]:
    """The rows that an earlier run has written; none where there is no report of one.

    Raises:
        StoreError: The file cannot be read.
    """
    try:
        with target.report.open(newline="", encoding="utf-8") as file:
            rows = list(csv.reader(file))
    except FileNotFoundError:
        return []
    except (OSError, ValueError, csv.Error) as error:
        raise StoreError(
            f"{target.report}: the report of an earlier run cannot be read: {error}; move it away"
        ) from error
    if rows[:1] != [[*_COLUMNS]]:
        return []
    return [row for row in rows[1:] if len(row) == len(_COLUMNS)]


def write_report(
    target: Target, skipped: Iterable[Failed], *, earlier: Iterable[Sequence[str]] = ()
) -> str:
    """Write it.

    Args:
        target: The store beside which it is written.
        skipped: What it tells of.
        earlier: Rows of an earlier run that hold still, which come first.

    Returns:
        Its path.

    Raises:
        StoreError: It cannot be written.
    """
    uri = str(target.report)
    with written_whole(uri) as path, path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(_COLUMNS)
        rows.writerows(earlier)
        rows.writerows((f.patch.key, f.patch.full_path, f.error) for f in skipped)
    return uri
