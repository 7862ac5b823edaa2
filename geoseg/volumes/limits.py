"""How much a row of a table may hold: the writer writes no more, and the reader takes as much."""

from __future__ import annotations

MOST_CLASSES = 4096
"""Classes, so items that a list of a row may have."""
GROUP_ITEMS = 2**24
"""Items that the lists of a group of rows may have together: they are a few bytes each while they are read."""
GROUP_BYTES = 2**24
"""Bytes of texts from which a group of rows is written."""
ROW_BYTES = 2**31 - 1 - GROUP_BYTES
"""Bytes of texts that a row may hold: offsets in a column have 32 bits, and a group may be begun before it."""
