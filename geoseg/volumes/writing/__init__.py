"""Volumes into a zip: images, tables of run-length text, and scores."""

from __future__ import annotations

from geoseg.volumes.writing.frames import Split
from geoseg.volumes.writing.writer import VolumeZipWriter

__all__ = ["Split", "VolumeZipWriter"]
