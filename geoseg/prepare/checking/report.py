"""CheckReport: what `check` found, as plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from geoseg.prepare.checking.findings import Finding
from geoseg.prepare.checking.kinds import SEVERITIES
from geoseg.prepare.checking.maskshares import MaskShare
from geoseg.prepare.checking.sample import EdgeSample
from geoseg.prepare.checking.shares import ClassShare, PartShare


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What a check of windows found."""

    uri: str | None
    """The file of the index; None: it was in memory."""
    rows: int
    """Of the index."""
    windows: int
    """Rows that could be looked at."""
    images: int
    """Windows whose image was looked at."""
    findings: tuple[Finding, ...]
    """Errors first."""
    classes: tuple[ClassShare, ...]
    """The histogram with suggested weights."""
    masks: Mapping[str, MaskShare]
    """{mask, or what patches were cut from as `source_mask_path` says: what its windows hold}."""
    parts: Mapping[str, PartShare]
    """{"split train", ... or "fold 0", ...}; empty where the index is not split."""
    edges: EdgeSample | None
    """Labels against edges of the image, on a sample; None without images."""
    settings: Mapping[str, Any]
    """What was asked for."""
    json_uri: str | None = None
    """The report as JSON, where it was written."""
    html_uri: str | None = None
    """The report as a page."""

    @property
    def ok(self) -> bool:
        """Whether there is no error; there may be warnings."""
        return not self.count("error")

    @property
    def exit_code(self) -> int:
        """What a command ends with: 1 where there is an error, else 0."""
        return 0 if self.ok else 1

    def count(self, severity: str) -> int:
        """How many findings there are of a severity."""
        return sum(finding.severity == severity for finding in self.findings)

    def finding(self, code: str) -> Finding | None:
        """The finding of a kind; None where there is none."""
        return next((finding for finding in self.findings if finding.code == code), None)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "ok": self.ok,
            "uri": self.uri,
            "rows": self.rows,
            "windows": self.windows,
            "images": self.images,
            "counts": {severity: self.count(severity) for severity in SEVERITIES},
            "findings": [finding.to_dict() for finding in self.findings],
            "classes": [share.to_dict() for share in self.classes],
            "masks": {mask: share.to_dict() for mask, share in self.masks.items()},
            "parts": {name: share.to_dict() for name, share in self.parts.items()},
            "edges": None if self.edges is None else self.edges.to_dict(),
            "settings": dict(self.settings),
        }
