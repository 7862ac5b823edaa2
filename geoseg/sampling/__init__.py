"""Which windows of which scenes are looked at: all of them in order, or random ones by rules."""

from geoseg.sampling.boxes import Boxes
from geoseg.sampling.histogram import ClassHistogram, class_counts
from geoseg.sampling.random import RandomWindows
from geoseg.sampling.rules import Sampling
from geoseg.sampling.sliding import SlidingWindows
from geoseg.sampling.windowindex import IndexedWindow, WindowIndex

__all__ = [
    "Boxes",
    "ClassHistogram",
    "IndexedWindow",
    "RandomWindows",
    "Sampling",
    "SlidingWindows",
    "WindowIndex",
    "class_counts",
]
