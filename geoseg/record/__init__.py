"""What a run leaves behind about itself, so that it can be told, done again and gone on with."""

from __future__ import annotations

from geoseg.record.earlier import differences, earlier_facts, parts_so_far
from geoseg.record.run import FACTS, RESOLVED, Record, recorded, refuse_own_file, resolved_text

__all__ = [
    "FACTS",
    "RESOLVED",
    "Record",
    "differences",
    "earlier_facts",
    "parts_so_far",
    "recorded",
    "refuse_own_file",
    "resolved_text",
]
