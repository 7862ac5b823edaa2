"""JSON Schemas of what is written in YAML, for editors that complete and check while one types.

`experiment.json` here is that of an experiment with the kinds of geoseg itself; `geoseg schema` makes it.
"""

from __future__ import annotations

from geoseg.schema.make import schema_of
from geoseg.schema.nouns import nouns, schema_text

__all__ = ["nouns", "schema_of", "schema_text"]
