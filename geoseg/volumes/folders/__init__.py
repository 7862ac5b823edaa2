"""Folders of images and masks as volumes."""

from __future__ import annotations

from geoseg.volumes.folders.into import folder_to_zip

__all__ = ["folder_to_zip"]
