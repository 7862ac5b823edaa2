"""Data sets of many patches into one store of LMDB + safetensors, and back."""

from geoseg.convert.conversion import Conversion, Progress
from geoseg.convert.convert import convert
from geoseg.convert.layout import Group, Layout
from geoseg.convert.layouts import LAYOUTS, layout_of
from geoseg.convert.layouts.generic import generic
from geoseg.convert.patches import find_patches, missing_files
from geoseg.convert.restore import to_geotiff
from geoseg.convert.scenes import convert_scenes
from geoseg.convert.summary import summary
from geoseg.convert.verify import verify

__all__ = [
    "LAYOUTS",
    "Conversion",
    "Group",
    "Layout",
    "Progress",
    "convert",
    "convert_scenes",
    "find_patches",
    "generic",
    "layout_of",
    "missing_files",
    "summary",
    "to_geotiff",
    "verify",
]
