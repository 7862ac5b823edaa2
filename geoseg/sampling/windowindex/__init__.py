"""Which windows of which masks: regular ones, or those of somebody's table, kept in a file."""

from geoseg.sampling.windowindex.coverage import Coverage
from geoseg.sampling.windowindex.index import WindowIndex
from geoseg.sampling.windowindex.item import IndexedWindow

__all__ = ["Coverage", "IndexedWindow", "WindowIndex"]
