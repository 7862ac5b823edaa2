"""What is measured over the valid pixels of whole sources, and kept."""

from geoseg.sources.statistics.running import RunningStatistics, Statistics

__all__ = ["RunningStatistics", "Statistics"]
