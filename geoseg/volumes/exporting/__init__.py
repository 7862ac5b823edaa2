"""Masks of volumes as files that other programs open: arrays, stacks of pages, maps."""

from __future__ import annotations

from geoseg.volumes.exporting.folder import VolumeFolderWriter
from geoseg.volumes.exporting.layers import Kind, Layers

__all__ = ["Kind", "Layers", "VolumeFolderWriter"]
