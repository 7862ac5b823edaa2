"""YAML files that include others, and changes to them from a command line; plain values, no Specs."""

from __future__ import annotations

from geoseg.yamlfile.changes import with_changes
from geoseg.yamlfile.includes import INCLUDE, read_whole

__all__ = ["INCLUDE", "read_whole", "with_changes"]
