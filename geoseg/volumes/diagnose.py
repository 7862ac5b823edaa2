"""Which dialect the masks of a zip look like: their text alone does not tell.

Masks are made of things, so a voxel is mostly like its neighbours. Read along the wrong axes they fall
apart: the count of faces between voxels that differ, the total variation, is lowest for the right reading.

No documented reader takes slices first together with the order "hwd": that is neither dialect, and a zip that
is read so is called ambiguous, since both may be wrong and one of them still smoother than the other.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import LabelError, SourceError
from geoseg.volumes.rle import Rle, Shape, parse_with_notes

if TYPE_CHECKING:
    from geoseg.volumes.zip.labels import Cells
    from geoseg.volumes.zip.row import VolumeRow
    from geoseg.volumes.zip.volumezip import VolumeZip

Dialect = Literal["literal", "dhw or hfast"]
"""How the voxels of a stored array follow each other along the line of the text.

"literal": the last axis is the fastest, then the first, then the second; so reads H2O's own 3D decoder an
array (height, width, depth). "dhw or hfast": Fortran order of the stored array, be it (depth, height,
width) with `rle_order="dhw"`, or (height, width, depth) with `rle_order="hwd"`: no file can tell these
two apart.
"""
_LITERAL: Dialect = "literal"
_FORTRAN: Dialect = "dhw or hfast"
_CLEAR = 0.8
"""Up to which share of the other's variation a reading is the right one."""


@dataclass(frozen=True)
class Diagnosis:
    """What the masks look like."""

    dialect: Literal["literal", "dhw or hfast", "ambiguous"]
    """The likely one; "ambiguous" where both make about as smooth masks, or no volume can tell, or the zip is
    read as neither of the two."""
    variation: dict[Dialect, int]
    """Faces between voxels that differ, for each dialect, over all volumes looked at."""
    volumes: int
    """Looked at: labelled, and of sides for which the dialects differ."""
    undecided: int
    """Cubes and flat volumes, for which both dialects give the same masks, up to a turn, and empty ones."""
    unread: int
    """Passed over because image or masks cannot be read."""
    read_as: Dialect | None
    """What the zip's `image_axes` and `rle_order` make of it; None: neither of the two."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "dialect": self.dialect,
            "variation": dict(self.variation),
            "volumes": self.volumes,
            "undecided": self.undecided,
            "unread": self.unread,
            "read_as": self.read_as,
        }


def diagnose_zip(volumes: VolumeZip, *, most: int = 20, rows: int | None = None) -> Diagnosis:
    """Compare the dialects on masks of a zip; nothing of how it is read changes.

    Args:
        volumes: The zip.
        most: Volumes that are looked at, the first ones that can tell.
        rows: Rows of a frame among which they are looked for; None: all.

    Raises:
        SourceError: A frame cannot be read.
    """
    total = {_LITERAL: 0, _FORTRAN: 0}
    used = undecided = unread = 0
    for split in volumes.files:
        table = volumes.table(split)
        if table.problems or not table.labelled:
            continue
        cells_of_rows = islice(table.all_cells(volumes.archive), rows)
        for row, cells in zip(volumes.frame(split), cells_of_rows, strict=False):
            try:
                shape = _stored_shape(row)
                found = _variation(cells, shape) if _decides(shape) else None
            except (SourceError, LabelError):
                unread += 1
                continue
            if found is None:
                undecided += 1
                continue
            used += 1
            total = {dialect: total[dialect] + found[dialect] for dialect in total}
            if used == most:
                break
        if used == most:
            break
    read_as = _read_as(volumes)
    dialect = _likely(total) if read_as else "ambiguous"
    return Diagnosis(dialect, total, used, undecided, unread, read_as)


def doubt_of(volumes: VolumeZip, found: Diagnosis) -> str | None:
    """A warning where masks look as if they were read along the wrong axes; None where they do not."""
    if found.dialect in ("ambiguous", found.read_as):
        return None
    cure = "image_axes='HWD', rle_order='dhw'"
    if found.dialect == _FORTRAN:
        cure = "image_axes='HWD', rle_order='hwd', or image_axes='DHW', rle_order='dhw'"
    counts = ", ".join(f"{name} {count}" for name, count in found.variation.items())
    return (
        f"masks are read with image_axes={volumes.image_axes!r} and rle_order={volumes.rle_order!r}, but look "
        f"smoother in the dialect {found.dialect} (faces of {found.volumes} volumes: {counts}); look at a "
        f"picture, and try VolumeZip(..., {cure})"
    )


def _likely(total: dict[Dialect, int]) -> Literal["literal", "dhw or hfast", "ambiguous"]:
    best, second = sorted(total, key=lambda dialect: total[dialect])
    return best if total[best] < _CLEAR * total[second] else "ambiguous"


def _read_as(volumes: VolumeZip) -> Dialect | None:
    if volumes.rle_order == "dhw":
        return _LITERAL if volumes.image_axes == "HWD" else _FORTRAN
    return _FORTRAN if volumes.image_axes == "HWD" else None


def _stored_shape(row: VolumeRow) -> Shape:
    """Of the array as it is stored, channels left out."""
    depth, height, width = row.shape
    return (height, width, depth) if row.zip.image_axes == "HWD" else (depth, height, width)


def _decides(shape: Shape) -> bool:
    """Whether the dialects give masks that are not the same up to a turn."""
    a, b, c = shape
    return [side for side in (c, a, b) if side > 1] != [side for side in shape if side > 1]


def _variation(cells: Cells, shape: Shape) -> dict[Dialect, int] | None:
    """That of all masks of a volume in each dialect; None where all are empty."""
    a, b, c = shape
    total = {_LITERAL: 0, _FORTRAN: 0}
    some = False
    for text in cells.rle_mask or ():
        rle, _ = parse_with_notes(text, shape=shape)
        if rle.area:
            some = True
            total[_FORTRAN] += _faces(rle.decode())
            total[_LITERAL] += _faces(Rle(rle.starts, rle.lengths, (c, a, b)).decode())
    return total if some else None


def _faces(mask: NDArray[np.bool_]) -> int:
    """Pairs of neighbours that differ."""
    return sum(
        int(np.count_nonzero(mask[1:] != mask[:-1]))
        for mask in (mask, mask.swapaxes(0, 1), mask.swapaxes(0, 2))
    )
