"""torch Datasets over scenes, over windows of masks, over patches of stores, and over volumes."""

from geoseg.datasets.csvwindows import CSVWindowedSegmentationDataset
from geoseg.datasets.epochs import EpochSampler
from geoseg.datasets.folder import ImageFolderDataset
from geoseg.datasets.lmdb import LMDBDataset
from geoseg.datasets.loader import EpochLoader
from geoseg.datasets.masked import MBTilesMaskWindowedDataset
from geoseg.datasets.order import LocalSampler
from geoseg.datasets.patches import RasterPatchDataset
from geoseg.datasets.random import RandomWindowGeoDataset
from geoseg.datasets.sliding import SlidingWindowGeoDataset
from geoseg.datasets.volume import VolumeDataset
from geoseg.datasets.windows import collate

__all__ = [
    "CSVWindowedSegmentationDataset",
    "EpochLoader",
    "EpochSampler",
    "ImageFolderDataset",
    "LMDBDataset",
    "LocalSampler",
    "MBTilesMaskWindowedDataset",
    "RandomWindowGeoDataset",
    "RasterPatchDataset",
    "SlidingWindowGeoDataset",
    "VolumeDataset",
    "collate",
]
