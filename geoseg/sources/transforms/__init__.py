"""What may be done to pixels as they are read."""

from geoseg.sources.transforms.cast import Cast, FillNaN
from geoseg.sources.transforms.recode import Reclass, RGBToClass
from geoseg.sources.transforms.scaling import Log, MinMax, Percentile, Standardize

__all__ = [
    "Cast",
    "FillNaN",
    "Log",
    "MinMax",
    "Percentile",
    "RGBToClass",
    "Reclass",
    "Standardize",
]
