"""How written images and masks lie on each other, in numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from geoseg.grid import Grid
from geoseg.prepare.correlate import Shift, unmeasured
from geoseg.prepare.shift import estimate_shift
from geoseg.prepare.tiling.inputs import Inputs, described
from geoseg.prepare.tiling.pairs import IMAGES, MASKS, PairWriter
from geoseg.prepare.tiling.tally import Record
from geoseg.sources.warp import WarpedSource


@dataclass(frozen=True)
class PairAlignment:
    """One mask and its image."""

    mask: str
    image: str
    """Its file, or the kind of source."""
    windows: int
    """Pairs that were written."""
    grids_equal: bool
    """Whether all of their files read back on the grids of their windows: CRS, transform and size."""
    resampling: str
    """The kernel; "none" where pixels were copied because both have one lattice."""
    ratio: float
    """Image pixels along a side of a mask pixel; above 1 the image is finer."""
    valid_share: float
    """Of the pairs' pixels, valid in the image."""
    shift: Shift | None
    """Displacement of the image relative to the mask in pixels, positive down and right; None where it was
    not to be measured."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {**vars(self), "shift": None if self.shift is None else self.shift.to_dict()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> PairAlignment:
        """From these."""
        told = values["shift"]
        shift = None if told is None else _shift(told)
        return cls(**{**values, "shift": shift})


def alignments(
    inputs: Inputs, records: Sequence[Record], writer: PairWriter, *, measure: bool
) -> list[PairAlignment]:
    """Read back what was written, and compare image and mask.

    Args:
        inputs: What was cut.
        records: What became of each row.
        writer: Where pairs went.
        measure: Whether to measure shifts.
    """
    rows: dict[tuple[str, int], list[Record]] = {key: [] for key in inputs.pairings()}
    for record in records:
        if record.left is None:
            key = inputs.index.mask_paths[record.number], int(inputs.image_of[record.number])
            rows[key].append(record)
    return [_alignment(inputs, key, of, writer, measure=measure) for key, of in rows.items() if of]


def _alignment(
    inputs: Inputs,
    key: tuple[str, int],
    records: Sequence[Record],
    writer: PairWriter,
    *,
    measure: bool,
) -> PairAlignment:
    pair = inputs.pair(records[0].number)
    plan = pair.image.plan if isinstance(pair.image, WarpedSource) else None
    pixels = sum(record.pixels for record in records)
    shift = None
    if measure:
        shift = estimate_shift(pair.image, pair.mask, source_kind="image", reference_kind="labels")
    return PairAlignment(
        mask=key[0],
        image=described(inputs, key[1]),
        windows=len(records),
        grids_equal=all(_read_back(inputs, record.number, writer) for record in records),
        resampling="none" if plan is None else plan.resampling,
        ratio=1.0 if plan is None else float(plan.ratio),
        valid_share=sum(record.valid for record in records) / pixels,
        shift=shift,
    )


def _read_back(inputs: Inputs, row: int, writer: PairWriter) -> bool:
    """Whether both files of a pair have the grid of its window."""
    grid = inputs.pair(row).grid.crop(inputs.index.windows[row])
    name = inputs.names[row]
    files = [str(writer.folder / writer.file(kind, name)) for kind in (IMAGES, MASKS)]
    return all(Grid.of(file) == grid for file in files)


def _shift(told: Mapping[str, Any]) -> Shift:
    if told["reason"] is not None:
        return unmeasured(told["reason"], told["confidence"])
    return Shift(told["row"], told["col"], told["confidence"], told["places"])
