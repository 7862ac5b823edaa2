"""torch Datasets over scenes."""

from geoseg.datasets.epochs import EpochSampler
from geoseg.datasets.folder import ImageFolderDataset
from geoseg.datasets.loader import EpochLoader
from geoseg.datasets.order import LocalSampler
from geoseg.datasets.random import RandomWindowGeoDataset
from geoseg.datasets.sliding import SlidingWindowGeoDataset
from geoseg.datasets.windows import collate

__all__ = [
    "EpochLoader",
    "EpochSampler",
    "ImageFolderDataset",
    "LocalSampler",
    "RandomWindowGeoDataset",
    "SlidingWindowGeoDataset",
    "collate",
]
