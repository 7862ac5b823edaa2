"""torch Datasets over scenes."""

from geoseg.datasets.order import LocalSampler
from geoseg.datasets.random import RandomWindowGeoDataset
from geoseg.datasets.sliding import SlidingWindowGeoDataset
from geoseg.datasets.windows import collate

__all__ = ["LocalSampler", "RandomWindowGeoDataset", "SlidingWindowGeoDataset", "collate"]
