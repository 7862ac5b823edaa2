"""The kinds of steps that cut images and masks: export and tile."""

from __future__ import annotations

from typing import Literal

from geoseg.prepare.export import ExportReport, export
from geoseg.prepare.pipeline.given import files_of_masks, masks_of
from geoseg.prepare.pipeline.step import Step
from geoseg.prepare.tile import TileReport, tile
from geoseg.prepare.tiling.pairs import Output
from geoseg.sources.base import RasterField
from geoseg.spec import Uri
from geoseg.window import Edge

_Masks = Uri | tuple[Uri, ...]
"""A mask, several, a folder of them, or an index of windows."""
_Size = int | tuple[int, int]


class ExportStep(Step):
    """`geoseg.prepare.export`; what an earlier run wrote is replaced where something changed."""

    type: Literal["export"] = "export"
    image: RasterField | None = None
    masks: _Masks
    out: Uri
    full_mask: bool = False
    patch_size: _Size | None = None
    stride: _Size | None = None
    edge: Edge = "flush"
    binary: bool = False
    previews: bool = True
    measure: bool = True
    ignore_id: int | None = 255
    resampling: str = "auto"
    index: str = "index.parquet"

    def outputs(self) -> tuple[str, ...]:
        """The folder."""
        return (self.out,)

    def inputs(self) -> tuple[str, ...]:
        """Image and masks."""
        return tuple(dict.fromkeys((*super().inputs(), *files_of_masks(self.masks))))

    def run(self) -> ExportReport:
        """Export, or go on from where a run was stopped."""
        return self.run_again(fresh=False, full_hash=False)

    def run_again(self, *, fresh: bool, full_hash: bool) -> ExportReport:
        """The same; what it knows of its own work is by the pipeline's measure.

        Args:
            fresh: Begin anew, whatever an earlier run has done.
            full_hash: Know inputs by their bytes.
        """
        return export(
            self.image,
            masks_of(self.masks),
            self.out,
            full_mask=self.full_mask,
            patch_size=self.patch_size,
            stride=self.stride,
            edge=self.edge,
            binary=self.binary,
            previews=self.previews,
            measure=self.measure,
            ignore_id=self.ignore_id,
            resampling=self.resampling,
            index=self.index,
            resume=not fresh,
            full_hash=full_hash,
            overwrite=True,
        )


class TileStep(Step):
    """`geoseg.prepare.tile`; what an earlier run wrote is replaced where something changed."""

    type: Literal["tile"] = "tile"
    image: RasterField | None = None
    masks: _Masks
    out: Uri
    patch_size: _Size | None = None
    stride: _Size | None = None
    edge: Edge = "flush"
    output: Output = "geotiff"
    min_valid: float = 0.0
    min_labelled: float = 0.0
    empty: Literal["keep", "drop"] | float = "keep"
    background: int | tuple[int, ...] = 0
    ignore_id: int | None = 255
    binary: bool = False
    resampling: str = "auto"
    seed: int | None = None
    """None: the pipeline's."""
    index: str = "index.parquet"

    def outputs(self) -> tuple[str, ...]:
        """The folder."""
        return (self.out,)

    def inputs(self) -> tuple[str, ...]:
        """Image and masks."""
        return tuple(dict.fromkeys((*super().inputs(), *files_of_masks(self.masks))))

    def seeded(self, seed: int) -> TileStep:
        """With the pipeline's seed, where it has none of its own."""
        return self if self.seed is not None else self.model_copy(update={"seed": seed})

    def run(self) -> TileReport:
        """Tile, or go on from where a run was stopped."""
        return self.run_again(fresh=False, full_hash=False)

    def run_again(self, *, fresh: bool, full_hash: bool) -> TileReport:
        """The same; what it knows of its own work is by the pipeline's measure.

        Args:
            fresh: Begin anew, whatever an earlier run has done.
            full_hash: Know inputs by their bytes.
        """
        return tile(
            self.image,
            masks_of(self.masks),
            self.out,
            patch_size=self.patch_size,
            stride=self.stride,
            edge=self.edge,
            output=self.output,
            min_valid=self.min_valid,
            min_labelled=self.min_labelled,
            empty=self.empty,
            background=self.background,
            ignore_id=self.ignore_id,
            binary=self.binary,
            resampling=self.resampling,
            seed=self.seed or 0,
            index=self.index,
            resume=not fresh,
            full_hash=full_hash,
            overwrite=True,
        )
