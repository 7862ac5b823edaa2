"""What the windows of each mask hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from geoseg.prepare.checking.findings import Finding
from geoseg.prepare.checking.opening import Opened
from geoseg.prepare.checking.origins import Origins
from geoseg.prepare.checking.pairing import Images
from geoseg.prepare.checking.scan import Scan


@dataclass(frozen=True, slots=True)
class MaskShare:
    """What the windows of one mask hold, or all patches that were cut from it."""

    windows: int
    files: int
    """Files of masks: 1, or as many as patches were cut from it."""
    flagged: int
    """Windows with an error or a warning."""
    labelled_share: float
    """Pixels of classes, of all pixels of its windows."""
    valid_share: float | None
    """Valid pixels of the image, of the windows whose image was looked at; None where none was."""
    told: str
    """The grid in one line; of patches that of the first."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "windows": self.windows,
            "files": self.files,
            "flagged": self.flagged,
            "labelled_share": self.labelled_share,
            "valid_share": self.valid_share,
            "grid": self.told,
        }


def mask_shares(
    opened: Opened,
    scan: Scan,
    images: Images,
    origins: Origins,
    findings: Sequence[Finding],
) -> dict[str, MaskShare]:
    """{mask, or what patches were cut from: what its windows hold}, in the order of the index."""
    index = opened.index
    area = index.boxes[:, 2] * index.boxes[:, 3]
    bad = {row for finding in findings if finding.severity != "note" for row in finding.rows}
    flagged = np.isin(opened.rows, np.array(sorted(bad), np.int64))
    shares = {}
    for name, rows in origins.groups().items():
        seen = np.array(rows)[scan.seen[rows]]
        shown = images.there and len(seen) > 0
        files = {index.mask_paths[row] for row in rows}
        told = index.grid_of(index.mask_paths[rows[0]]).describe()
        shares[name] = MaskShare(
            windows=len(rows),
            files=len(files),
            flagged=int(flagged[rows].sum()),
            labelled_share=float(scan.labelled[rows].sum() / area[rows].sum()),
            valid_share=float(scan.valid[seen].sum() / area[seen].sum()) if shown else None,
            told=told if len(files) == 1 else f"{len(files):,} patches, the first {told}",
        )
    return shares


def worst_first(
    shares: Mapping[str, MaskShare], findings: Sequence[Finding]
) -> list[tuple[str, MaskShare]]:
    """Masks that an error or warning names, then those with the most flagged and the fewest labelled pixels."""
    named = {file for f in findings if f.severity != "note" for file in f.files}

    def order(item: tuple[str, MaskShare]) -> tuple[bool, float, float]:
        name, share = item
        return name not in named, -share.flagged / share.windows, share.labelled_share

    return sorted(shares.items(), key=order)
