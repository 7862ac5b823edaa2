"""Pixels and features: every kind of source is known once this package is imported."""

from geoseg.sources.array import ArraySource
from geoseg.sources.base import (
    Chip,
    RasterField,
    RasterSource,
    VectorField,
    VectorSource,
    read_clipped,
)
from geoseg.sources.geotiff import GeoTIFFSource
from geoseg.sources.transformed import Transform, TransformedSource
from geoseg.sources.vector import FileVectorSource, FrameSource
from geoseg.sources.warp import WarpedSource

__all__ = [
    "ArraySource",
    "Chip",
    "FileVectorSource",
    "FrameSource",
    "GeoTIFFSource",
    "RasterField",
    "RasterSource",
    "Transform",
    "TransformedSource",
    "VectorField",
    "VectorSource",
    "WarpedSource",
    "read_clipped",
]
