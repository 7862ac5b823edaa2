"""Pixels and features: every kind of source and transform is known once this package is imported."""

from geoseg.sources.array import ArraySource
from geoseg.sources.base import (
    Chip,
    RasterField,
    RasterSource,
    VectorField,
    VectorSource,
    read_clipped,
)
from geoseg.sources.features.inferclass import InferClass
from geoseg.sources.features.reshape import Buffer, OnlyValid, Shift
from geoseg.sources.geotiff import GeoTIFFSource
from geoseg.sources.lmdb import LMDBSource
from geoseg.sources.mbtiles import MBTilesSource
from geoseg.sources.npy import NpySource
from geoseg.sources.prewarp import materialize
from geoseg.sources.stac import STACSource
from geoseg.sources.stack import StackSource
from geoseg.sources.statistics import Statistics
from geoseg.sources.store import ShardedStore, StoreReader, StoreWriter
from geoseg.sources.tiles.report import TileReport
from geoseg.sources.timestack import TimeChip, TimeStackSource
from geoseg.sources.transformed import Transform, TransformedSource
from geoseg.sources.transformedvector import VectorTransform
from geoseg.sources.transforms.cast import Cast, FillNaN
from geoseg.sources.transforms.recode import Reclass, RGBToClass
from geoseg.sources.transforms.scaling import Log, MinMax, Percentile, Standardize
from geoseg.sources.vector import FileVectorSource, FrameSource
from geoseg.sources.warp import WarpedSource
from geoseg.sources.warping.plan import WarpPlan

__all__ = [
    "ArraySource",
    "Buffer",
    "Cast",
    "Chip",
    "FileVectorSource",
    "FillNaN",
    "FrameSource",
    "GeoTIFFSource",
    "InferClass",
    "LMDBSource",
    "Log",
    "MBTilesSource",
    "MinMax",
    "NpySource",
    "OnlyValid",
    "Percentile",
    "RGBToClass",
    "RasterField",
    "RasterSource",
    "Reclass",
    "STACSource",
    "ShardedStore",
    "Shift",
    "StackSource",
    "Standardize",
    "Statistics",
    "StoreReader",
    "StoreWriter",
    "TileReport",
    "TimeChip",
    "TimeStackSource",
    "Transform",
    "TransformedSource",
    "VectorField",
    "VectorSource",
    "VectorTransform",
    "WarpPlan",
    "WarpedSource",
    "materialize",
    "read_clipped",
]
