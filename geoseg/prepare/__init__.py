"""Training data from raw layers: align, burn masks, tile, split, check."""

from geoseg.prepare.align import AlignReport, align
from geoseg.prepare.checking import CheckReport, check
from geoseg.prepare.correlate import Shift, shift_between
from geoseg.prepare.export import ExportReport, export
from geoseg.prepare.pipeline import Pipeline, PipelineReport, run
from geoseg.prepare.shift import estimate_shift, measure_shift
from geoseg.prepare.splitting.leakage import Leakage, find_leaks
from geoseg.prepare.splitting.verb import SplitReport, split
from geoseg.prepare.tile import TileReport, tile
from geoseg.prepare.vectormasks import MasksReport, masks

__all__ = [
    "AlignReport",
    "CheckReport",
    "ExportReport",
    "Leakage",
    "MasksReport",
    "Pipeline",
    "PipelineReport",
    "Shift",
    "SplitReport",
    "TileReport",
    "align",
    "check",
    "estimate_shift",
    "export",
    "find_leaks",
    "masks",
    "measure_shift",
    "run",
    "shift_between",
    "split",
    "tile",
]
