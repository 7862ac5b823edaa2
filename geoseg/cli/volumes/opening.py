"""A zip of volumes as the options of a command describe it."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from enum import StrEnum
from math import prod
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from geoseg.volumes import VolumeZip

_NAMES = {"train": "train.pq", "validation": "validation.pq", "test": "test.pq"}
"""What frames are called where nobody says otherwise."""
_NONE = "none"
_TABLES = (".pq", ".parquet")


class Axes(StrEnum):
    """Axes of stored arrays."""

    hwd = "HWD"
    dhw = "DHW"


class RunOrder(StrEnum):
    """Axes of the run-length text, from the fastest to the slowest."""

    dhw = "dhw"
    hwd = "hwd"


class FrameName(StrEnum):
    """The tables of a zip."""

    train = "train"
    validation = "validation"
    test = "test"


Zip = Annotated[str, typer.Argument(metavar="ZIP", help="A zip of volumes.")]
Train = Annotated[
    str | None,
    typer.Option(
        "--train",
        metavar="FILE",
        help="Parquet file of the training rows in the zip, or none; left out: train.pq, if there.",
    ),
]
Validation = Annotated[
    str | None,
    typer.Option(
        "--validation", metavar="FILE", help="The same of validation; left out: validation.pq."
    ),
]
Test = Annotated[
    str | None,
    typer.Option("--test", metavar="FILE", help="The same of test rows; left out: test.pq."),
]
Folder = Annotated[
    str | None,
    typer.Option("--folder", help="Folder of the images in the zip; left out: the one there is."),
]
ImageAxes = Annotated[
    Axes | None,
    typer.Option(
        "--image-axes",
        help="Axes of the stored images; left out: as geoseg's metadata in the zip say, else HWD.",
    ),
]
RleOrder = Annotated[
    RunOrder | None,
    typer.Option(
        "--rle-order",
        help="Axes of the run-length text, fastest first; left out: as the metadata say, else dhw.",
    ),
]


@dataclass(frozen=True)
class Opening:
    """What a command was told of a zip."""

    train: str | None = None
    validation: str | None = None
    test: str | None = None
    folder: str | None = None
    image_axes: Axes | None = None
    rle_order: RunOrder | None = None

    def open(self, uri: str) -> VolumeZip:
        """The zip.

        Raises:
            SourceError: It is no such zip, damaged or unsafe.
            ConfigError: An option contradicts it.
        """
        from geoseg.volumes import VolumeZip

        frames = self._frames(uri)
        return VolumeZip(
            uri,
            **frames,
            folder=self.folder,
            image_axes=None if self.image_axes is None else self.image_axes.value,
            rle_order=None if self.rle_order is None else self.rle_order.value,
        )

    def _frames(self, uri: str) -> dict[str, str | None]:
        """The file of each frame: as told, else by its usual name where that is there."""
        given = {"train": self.train, "validation": self.validation, "test": self.test}
        there = tables_in(uri)
        found = {
            split: (name if name in there else None)
            if (told := given[split]) is None
            else (None if told == _NONE else told)
            for split, name in _NAMES.items()
        }
        if not any(found.values()) and given["train"] is None:
            found["train"] = _NAMES["train"]  # the error tells which tables there are
        return found


def tables_in(path: str) -> list[str]:
    """Names of the Parquet files of a zip; none of what cannot be read as one."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (OSError, zipfile.BadZipFile):  # told by what opens it for good
        return []
    return [name for name in names if name.lower().endswith(_TABLES)]


def facts_of(found: VolumeZip) -> dict[str, Any]:
    """What a zip is, as plain values: axes, classes, and of each frame counts, sizes and dtypes.

    Raises:
        SourceError: An image, or a table, cannot be read.
        LabelError: A mask cannot.
    """
    return {
        "kind": "volumes",
        "image_axes": found.image_axes,
        "rle_order": found.rle_order,
        "classes": list(found.classes),
        "folder": found.folder.rstrip("/") or None,
        **{split: _frame_facts(found, split) for split in found.files},
    }


def _frame_facts(found: VolumeZip, split: Any) -> dict[str, Any]:
    frame = found.frame(split)
    rows = list(frame)
    shapes = [row.shape for row in rows]
    folds: dict[str, int] = {}
    voxels = dict.fromkeys(found.classes, 0)
    for row in rows:
        if row.fold is not None:
            folds[str(row.fold)] = folds.get(str(row.fold), 0) + 1
        for name, mask in zip(row.classes, row.rles() or (), strict=False):
            voxels[name] += mask.area
    facts: dict[str, Any] = {
        "file": found.files[split],
        "volumes": len(rows),
        "smallest": list(min(shapes, key=prod)) if shapes else None,
        "largest": list(max(shapes, key=prod)) if shapes else None,
        "voxels": sum(map(prod, shapes)),
        "channels": sorted({row.channels for row in rows}),
        "dtype": sorted({str(row.dtype) for row in rows}),
        "with a place": sum(row.crs is not None for row in rows),
        "with times": sum(row.times is not None for row in rows),
    }
    if split != "test":
        facts |= {"folds": folds or None, "class voxels": voxels}
    return facts
