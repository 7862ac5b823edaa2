"""What became of features and masks, in numbers."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from geoseg.errors import StoreError
from geoseg.grid import Grid
from geoseg.window import Window

ManifestFormat = Literal["parquet", "csv"]


@dataclass(frozen=True)
class MaskFile:
    """One mask that was written."""

    path: str
    """Where it lies."""
    frame_id: str | None
    """The frame that it is of, as its column has it; None without frames."""
    grid: Grid
    """Its pixels."""
    window: Window
    """The same on the reference's grid."""
    burnt_pixels: int
    """Pixels in the frame that a feature fills, the ring counted in."""
    ring_pixels: int
    """Pixels that are ignored because a boundary of classes is near."""
    class_counts: dict[int, int]
    """{id: pixels} as written; ignored ones are left out."""

    @property
    def labelled_share(self) -> float:
        """The part of the pixels that is not ignored."""
        return sum(self.class_counts.values()) / (self.grid.height * self.grid.width)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "path": self.path,
            "frame_id": self.frame_id,
            "width": self.grid.width,
            "height": self.grid.height,
            "crs": None if self.grid.crs is None else self.grid.crs.to_string(),
            "transform": list(self.grid.transform[:6]),
            "reference_row_off": self.window.row,
            "reference_col_off": self.window.col,
            "burnt_pixels": self.burnt_pixels,
            "ring_pixels": self.ring_pixels,
            "labelled_share": self.labelled_share,
            "class_counts": {str(k): v for k, v in self.class_counts.items()},
        }


@dataclass(frozen=True)
class ClassBurnt:
    """How well a class was burned."""

    id: int
    """The number in the masks."""
    name: str | None
    """What it is called; None where nothing names it."""
    features: int
    """Features of the class with a part on a mask."""
    vector_area_m2: float | None
    """Square metres of those parts, each feature for itself, after its buffer; None where the CRS is not on the Earth."""
    burnt_area_m2: float | None
    """Square metres of the pixels that the class's features fill and that none of another class lies on,
    before the ring is taken out."""
    pixels: int
    """Pixels with this id in the masks, those without a feature counted in where it is the background."""

    @property
    def difference_percent(self) -> float | None:
        """How much more area was burned than drawn; None where nothing was drawn.

        Features under others, or over each other, make it less.
        """
        if not self.vector_area_m2 or self.burnt_area_m2 is None:
            return None
        return 100 * (self.burnt_area_m2 / self.vector_area_m2 - 1)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "id": self.id,
            "name": self.name,
            "features": self.features,
            "vector_area_m2": self.vector_area_m2,
            "burnt_area_m2": self.burnt_area_m2,
            "difference_percent": self.difference_percent,
            "pixels": self.pixels,
        }


@dataclass(frozen=True)
class MasksReport:
    """What `masks` did."""

    masks: tuple[MaskFile, ...]
    """The masks in the order of the frames."""
    manifest: str
    """The table of the masks."""
    grid: Grid
    """The reference's grid."""
    dtype: str
    """Of the masks."""
    ignore_id: int
    """The id of ignored pixels, and the nodata of the masks."""
    background: int | None
    """The id of pixels without a feature; None: they are ignored."""
    classes: tuple[ClassBurnt, ...]
    """One for each id that features or the background have, ascending."""
    features: int
    """Features that were read, those without a usable geometry not counted in."""
    features_outside: int
    """Polygons with no part on any mask."""
    features_no_polygon: int
    """Points and lines, which fill nothing; a buffer makes polygons of them."""
    features_vanished: int
    """Features that shrank to nothing by their buffer."""
    geometries_repaired: int
    """Features whose geometry was not valid and was made so."""
    geometries_dropped: int
    """Features without a usable geometry, which were left out."""
    frames_outside: tuple[str, ...] = ()
    """Ids of frames that do not meet the reference."""
    frames_without_pixel: tuple[str, ...] = ()
    """Ids of frames that hold no pixel's centre."""
    frames_cut: tuple[str, ...] = ()
    """Ids of frames that reach past the reference."""

    @property
    def ring_pixels(self) -> int:
        """Pixels of all masks that are ignored because a boundary of classes is near."""
        return sum(mask.ring_pixels for mask in self.masks)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "masks": [mask.to_dict() for mask in self.masks],
            "manifest": self.manifest,
            "grid": self.grid.model_dump(mode="json"),
            "ground_resolution_m": self.grid.ground_resolution,
            "dtype": self.dtype,
            "ignore_id": self.ignore_id,
            "background": self.background,
            "classes": [one.to_dict() for one in self.classes],
            "features": self.features,
            "features_outside": self.features_outside,
            "features_no_polygon": self.features_no_polygon,
            "features_vanished": self.features_vanished,
            "geometries_repaired": self.geometries_repaired,
            "geometries_dropped": self.geometries_dropped,
            "ring_pixels": self.ring_pixels,
            "frames_outside": list(self.frames_outside),
            "frames_without_pixel": list(self.frames_without_pixel),
            "frames_cut": list(self.frames_cut),
        }


def write_manifest(masks: tuple[MaskFile, ...], path: Path, uri: str, kind: ManifestFormat) -> None:
    """The table of the masks; each row is also a window over the whole of its mask.

    Raises:
        StoreError: It cannot be written.
    """
    import pandas as pd

    table = pd.DataFrame([_row(mask, Path(uri).parent) for mask in masks])
    table["frame_id"] = table["frame_id"].astype("object")
    try:
        if kind == "parquet":
            table.to_parquet(path, index=False)
        else:
            table.to_csv(path, index=False, lineterminator="\n")
    except OSError as error:
        raise StoreError(f"{uri}: cannot be written: {error}. Is the disk full?") from error


def _row(mask: MaskFile, folder: Path) -> dict[str, Any]:
    left, bottom, right, top = mask.grid.bounds
    return {
        "mask_path": Path(mask.path).relative_to(folder).as_posix(),
        "row_off": 0,
        "col_off": 0,
        "width": mask.grid.width,
        "height": mask.grid.height,
        "minx": left,
        "miny": bottom,
        "maxx": right,
        "maxy": top,
        "crs": None if mask.grid.crs is None else mask.grid.crs.to_string(),
        "labelled_share": mask.labelled_share,
        "class_counts": json.dumps({str(k): v for k, v in mask.class_counts.items()}),
        "frame_id": mask.frame_id,
        "transform": json.dumps(list(mask.grid.transform[:6])),
        "burnt_pixels": mask.burnt_pixels,
        "reference_row_off": mask.window.row,
        "reference_col_off": mask.window.col,
    }
