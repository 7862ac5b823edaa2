"""Reading a zip of volumes: members, image formats, frames and rows; nothing is extracted to disk."""

from __future__ import annotations

from geoseg.volumes.zip.frame import Frame
from geoseg.volumes.zip.row import VolumeRow
from geoseg.volumes.zip.volumezip import Split, VolumeZip

__all__ = ["Frame", "Split", "VolumeRow", "VolumeZip"]
