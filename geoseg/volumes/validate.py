"""What is wrong with a zip of volumes: every problem in one pass, one row in memory at a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from geoseg.errors import SourceError
from geoseg.volumes.diagnose import diagnose_zip, doubt_of
from geoseg.volumes.validate_folds import fold_problems
from geoseg.volumes.validate_frame import FrameCheck
from geoseg.volumes.zip.classlists import agreed_classes
from geoseg.volumes.zip.folder import images_in

if TYPE_CHECKING:
    from geoseg.volumes.zip.volumezip import VolumeZip

_VOLUMES, _ROWS = 5, 50
"""Volumes that tell of the axes, and rows of a frame among which they are looked for."""


@dataclass(frozen=True)
class VolumeReport:
    """What was found; each text names the frame's file, the image, the class and the token at fault."""

    uri: str
    """The zip."""
    rows: dict[str, int] = field(default_factory=dict)
    """How many rows each frame has, by split."""
    errors: tuple[str, ...] = ()
    """What must be mended before training."""
    warnings: tuple[str, ...] = ()
    """What can be read, but may not be meant."""

    @property
    def ok(self) -> bool:
        """Whether there are no errors."""
        return not self.errors

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "uri": self.uri,
            "rows": dict(self.rows),
            "errors": list(self.errors),
            "warnings": list(self.warnings),
        }


def validate_zip(
    volumes: VolumeZip, *, axes: bool = True, progress: Callable[[int, int], None] | None = None
) -> VolumeReport:
    """Check all frames, images and masks of a zip.

    Args:
        volumes: The zip.
        axes: Whether to warn where the masks of the first volumes look as if they were read along the wrong
            axes; a zip whose own metadata tell them is not doubted.
        progress: Called after each row with how many are done, and how many there are.

    Raises:
        SourceError: The zip has changed since it was opened.
    """
    errors: list[str] = []
    warnings: list[str] = []
    rows: dict[str, int] = {}
    places: dict[str, list[str]] = {}
    classes = volumes.told_classes or agreed_classes(volumes.archive, _labelled_files(volumes))
    total = sum(len(volumes.table(split).names) for split in volumes.files)
    for split, file in volumes.files.items():
        check = FrameCheck(volumes, split, classes)
        for row in check.run():
            if progress is not None:
                progress(sum(rows.values()) + row, total)
        errors += check.errors
        warnings += check.warnings
        rows[split] = len(check.table.names)
        for name in dict.fromkeys(check.table.names):
            if name is not None:
                places.setdefault(name, []).append(file)
    wrong, doubtful = fold_problems([volumes.table(split) for split in volumes.files])
    errors += wrong
    errors += _in_two_frames(places)
    warnings += doubtful
    warnings += _axes(volumes) if axes else []
    warnings += _unnamed(volumes, set(places))
    prefix = f"{volumes.uri}: "
    return VolumeReport(
        volumes.uri,
        rows,
        tuple(text.replace(prefix, "") for text in errors),
        tuple(text.replace(prefix, "") for text in warnings),
    )


def _labelled_files(volumes: VolumeZip) -> list[str]:
    """Of the frames whose labels can be read."""
    return [file for split, file in volumes.files.items() if volumes.table(split).labelled]


def _axes(volumes: VolumeZip) -> list[str]:
    """What the first volumes tell of axes that nothing but the caller, or nobody, has named."""
    if any(volumes.table(split).metadata for split in volumes.files):
        return []
    try:
        doubt = doubt_of(volumes, diagnose_zip(volumes, most=_VOLUMES, rows=_ROWS))
    except SourceError:  # a frame that cannot be read, which is told already
        return []
    return [doubt] if doubt else []


def _in_two_frames(places: dict[str, list[str]]) -> list[str]:
    return [
        f"{' and '.join(files)}: image {name!r}: is in more than one frame; expected it in one"
        for name, files in places.items()
        if len(files) > 1
    ]


def _unnamed(volumes: VolumeZip, named: set[str]) -> list[str]:
    """Images that no row names, and Parquet files that are no frame."""
    archive = volumes.archive
    members = {archive.find(volumes.folder + name) for name in named}
    found = [
        f"{volumes.folder}{name}: no row names this image"
        for name in images_in(archive, volumes.folder)
        if volumes.folder + name not in members
    ]
    files = Counter(volumes.files.values())
    found += [
        f"{file}: is the file of {count} frames; expected one for each"
        for file, count in files.items()
        if count > 1
    ]
    return found + [
        f"{name}: a Parquet file that no frame names; pass train=, validation= or test= to read it"
        for name in archive.names
        if name.endswith((".pq", ".parquet")) and name not in files and "__MACOSX" not in name
    ]
