"""The kinds of steps: each calls its function with the arguments of its fields."""

from __future__ import annotations

from typing import Literal

from geoseg.classes import ClassMap
from geoseg.grid import Grid
from geoseg.prepare.align import AlignReport, align
from geoseg.prepare.aligning.kernel import Method
from geoseg.prepare.aligning.writing import Compression
from geoseg.prepare.checking import CheckReport, check
from geoseg.prepare.checking.written import report_uris
from geoseg.prepare.pipeline.given import files_of_index
from geoseg.prepare.pipeline.step import Reports, Step
from geoseg.prepare.splitting.verb import SplitReport, split
from geoseg.prepare.vectormasks import MasksReport, masks
from geoseg.sources.base import RasterField, VectorField
from geoseg.spec import FrozenMap, Uri

_Number = int | str
"""A class by id or name."""


class AlignStep(Step):
    """`geoseg.prepare.align`."""

    type: Literal["align"] = "align"
    source: RasterField
    reference: RasterField | Grid
    out: Uri
    resampling: str = "auto"
    categorical: bool | None = None
    nodata: float | None = None
    compress: Compression = "auto"
    overviews: bool = False
    method: Method = "exact"
    measure: bool = True

    def outputs(self) -> tuple[str, ...]:
        """The raster."""
        return (self.out,)

    def run(self) -> AlignReport:
        """Align."""
        return align(
            self.source,
            self.reference,
            self.out,
            resampling=self.resampling,
            categorical=self.categorical,
            nodata=self.nodata,
            compress=self.compress,
            overviews=self.overviews,
            method=self.method,
            measure=self.measure,
        )


class MasksStep(Step):
    """`geoseg.prepare.masks`."""

    type: Literal["masks"] = "masks"
    vectors: VectorField
    reference: RasterField | Grid | None = None
    out: Uri
    class_by: str | None = None
    background: _Number | None = 0
    priority_by: str | None = None
    class_map: ClassMap | FrozenMap[_Number, int] | None = None
    default_class: _Number | None = None
    dtype: str | None = None
    frames: VectorField | None = None
    frame_id: str | None = None
    duplicate_frames: Literal["error", "number"] = "error"
    all_touched: bool | FrozenMap[_Number, bool] = False
    buffer_m: float | FrozenMap[_Number, float] = 0.0
    ignore_ring_px: int = 0
    ignore_id: int | None = None
    resolution: float | tuple[float, float] | None = None
    crs: str | None = None
    manifest: Literal["parquet", "csv"] = "parquet"

    def outputs(self) -> tuple[str, ...]:
        """The mask, or the folder of masks."""
        return (self.out,)

    def run(self) -> MasksReport:
        """Burn; masks of an earlier run are replaced."""
        return masks(
            self.vectors,
            self.reference,
            self.out,
            class_by=self.class_by,
            background=self.background,
            priority_by=self.priority_by,
            class_map=self.class_map,
            default_class=self.default_class,
            dtype=self.dtype,
            frames=self.frames,
            frame_id=self.frame_id,
            duplicate_frames=self.duplicate_frames,
            all_touched=self.all_touched,
            buffer_m=self.buffer_m,
            ignore_ring_px=self.ignore_ring_px,
            ignore_id=self.ignore_id,
            resolution=self.resolution,
            crs=self.crs,
            manifest=self.manifest,
            mode="overwrite",
        )


class SplitStep(Step):
    """`geoseg.prepare.split`."""

    type: Literal["split"] = "split"
    index: Uri
    out: Uri
    folds: int | None = None
    shares: FrozenMap[str, float] | None = None
    block_m: float | None = None
    blocks: VectorField | None = None
    buffer_m: float = 0.0
    balance: bool = True
    ignore_id: int | None = 255
    seed: int | None = None
    """None: the pipeline's."""
    map_png: Uri | None = None

    def outputs(self) -> tuple[str, ...]:
        """The index, and the map."""
        return (self.out,) if self.map_png is None else (self.out, self.map_png)

    def inputs(self) -> tuple[str, ...]:
        """The index with its masks, and the blocks."""
        return _with_index(self.index, super().inputs())

    def seeded(self, seed: int) -> SplitStep:
        """With the pipeline's seed, where it has none of its own."""
        return self if self.seed is not None else self.model_copy(update={"seed": seed})

    def run(self) -> SplitReport:
        """Split."""
        return split(
            self.index,
            self.out,
            folds=self.folds,
            shares=self.shares,
            block_m=self.block_m,
            blocks=self.blocks,
            buffer_m=self.buffer_m,
            balance=self.balance,
            ignore_id=self.ignore_id,
            seed=self.seed or 0,
            map_png=self.map_png,
        )


class CheckStep(Step):
    """`geoseg.prepare.check`; errors that it finds end the pipeline."""

    type: Literal["check"] = "check"
    index: Uri
    classes: ClassMap | tuple[int, ...] | None = None
    image: RasterField | None = None
    image_column: str = "image_path"
    ignore_id: int | None = 255
    buffer_m: float = 0.0
    shift_windows: int = 64
    image_windows: int | None = None
    report: Uri
    pictures: int = 12
    seed: int | None = None
    """None: the pipeline's."""

    def outputs(self) -> tuple[str, ...]:
        """The report."""
        return report_uris(self.report)

    def inputs(self) -> tuple[str, ...]:
        """The index with what it names, and the image."""
        return _with_index(self.index, super().inputs())

    def seeded(self, seed: int) -> CheckStep:
        """With the pipeline's seed, where it has none of its own."""
        return self if self.seed is not None else self.model_copy(update={"seed": seed})

    def run(self) -> CheckReport:
        """Check."""
        return check(
            self.index,
            classes=self.classes,
            image=self.image,
            image_column=self.image_column,
            ignore_id=self.ignore_id,
            buffer_m=self.buffer_m,
            shift_windows=self.shift_windows,
            image_windows=self.image_windows,
            report=self.report,
            pictures=self.pictures,
            seed=self.seed or 0,
        )

    def succeeded(self, report: Reports) -> bool:
        """Whether there was no error."""
        return isinstance(report, CheckReport) and report.ok


def _with_index(uri: str, others: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*files_of_index(uri), *others)))
