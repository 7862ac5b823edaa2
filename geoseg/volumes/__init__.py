"""Volumes: three-dimensional masks and the data sets that hold them as run-length text."""

from __future__ import annotations

from geoseg.volumes.arrays import ArrayVolume
from geoseg.volumes.diagnose import Diagnosis
from geoseg.volumes.exporting import VolumeFolderWriter
from geoseg.volumes.exporting.copying import VolumeStore
from geoseg.volumes.folders import folder_to_zip
from geoseg.volumes.rle import Rle
from geoseg.volumes.scenes import scenes_to_zip, zip_to_scenes
from geoseg.volumes.scores import read_scores
from geoseg.volumes.validate import VolumeReport
from geoseg.volumes.volume import Volume
from geoseg.volumes.writing import VolumeZipWriter
from geoseg.volumes.zip import VolumeRow, VolumeZip

__all__ = [
    "ArrayVolume",
    "Diagnosis",
    "Rle",
    "Volume",
    "VolumeFolderWriter",
    "VolumeReport",
    "VolumeRow",
    "VolumeStore",
    "VolumeZip",
    "VolumeZipWriter",
    "folder_to_zip",
    "read_scores",
    "scenes_to_zip",
    "zip_to_scenes",
]
