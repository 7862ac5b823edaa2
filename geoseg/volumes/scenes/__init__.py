"""Scenes as volumes of a zip, and volumes as scenes."""

from __future__ import annotations

from geoseg.volumes.scenes.back import zip_to_scenes
from geoseg.volumes.scenes.into import scenes_to_zip

__all__ = ["scenes_to_zip", "zip_to_scenes"]
