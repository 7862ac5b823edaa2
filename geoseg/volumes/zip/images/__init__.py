"""Image formats of a zip: what each holds as a volume (channel, depth, height, width)."""

from __future__ import annotations

from geoseg.volumes.zip.images.base import Header, ImageFile, Place
from geoseg.volumes.zip.images.kinds import SUFFIXES, image_file

__all__ = ["SUFFIXES", "Header", "ImageFile", "Place", "image_file"]
