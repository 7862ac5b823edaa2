"""The CSV file that tells of patches that were skipped."""

from __future__ import annotations

import csv
from collections.abc import Iterable

from geoseg.convert.running.encode import Failed
from geoseg.convert.running.target import Target
from geoseg.outputs import written_whole

_COLUMNS = ("key", "source", "error")


def write_report(target: Target, skipped: Iterable[Failed]) -> str:
    """Write it.

    Returns:
        Its path.

    Raises:
        StoreError: It cannot be written.
    """
    uri = str(target.report)
    with written_whole(uri) as path, path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(_COLUMNS)
        rows.writerows((f.patch.key, f.patch.full_path, f.error) for f in skipped)
    return uri
