"""Many scenes in one entry: found by a pattern of file names, or listed in a table."""

from __future__ import annotations

from geoseg.scenes.field import SceneList
from geoseg.scenes.many import ManyScenes
from geoseg.scenes.pattern import ScenePattern
from geoseg.scenes.table import SceneTable

__all__ = ["ManyScenes", "SceneList", "ScenePattern", "SceneTable"]
