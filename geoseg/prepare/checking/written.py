"""The report on disk: JSON for programs and a page for people, both at once or none."""

from __future__ import annotations

import json
from os import PathLike, fspath
from pathlib import Path

from geoseg.errors import ConfigError
from geoseg.outputs import refuse_inputs, written_together
from geoseg.prepare.checking.looked import Looked
from geoseg.prepare.checking.pages import page_of
from geoseg.prepare.checking.report import CheckReport
from geoseg.urimask import masked, masked_values

_NAME = "check"


def report_uris(report: str | PathLike[str]) -> tuple[str, str]:
    """(JSON, HTML): in a folder, or the page itself with the JSON beside it.

    Raises:
        ConfigError: It ends in another suffix, as a file would.
    """
    path = Path(fspath(report))
    suffix = path.suffix.lower()
    if suffix in (".html", ".htm"):
        return str(path.with_suffix(".json")), str(path)
    if path.is_file() or suffix in (".json", ".csv", ".parquet", ".txt", ".pdf"):
        raise ConfigError(
            f"{path}: the report of a check is a page; give a folder, or a name that ends in .html"
        )
    return str(path / f"{_NAME}.json"), str(path / f"{_NAME}.html")


def write_report(
    report: CheckReport,
    looked: Looked,
    *,
    pictures: int,
    seed: int,
) -> None:
    """Write both files under the names that the report tells, without the secrets of uris.

    Raises:
        ConfigError: One of them is read as an input.
        StoreError: They cannot be written.
    """
    if report.json_uri is None or report.html_uri is None:
        return
    uris = report.json_uri, report.html_uri
    files = [] if report.uri is None else [report.uri]
    refuse_inputs(uris, [*files, *looked.opened.index.masks, *looked.images.files])
    html = masked(page_of(report, looked, pictures=pictures, seed=seed))
    told = masked_values(report.to_dict(), keys=True)
    text = json.dumps(told, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    with written_together(uris) as (json_path, html_path):
        json_path.write_text(text, encoding="utf-8")
        html_path.write_text(html, encoding="utf-8")
