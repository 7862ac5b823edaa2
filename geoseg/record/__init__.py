"""What a run leaves behind about itself, so that it can be told and done again."""

from __future__ import annotations

from geoseg.record.run import FACTS, RESOLVED, recorded, refuse_own_file

__all__ = ["FACTS", "RESOLVED", "recorded", "refuse_own_file"]
