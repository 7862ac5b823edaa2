"""Whether a PNG is all there."""

from __future__ import annotations

import os

from geoseg.errors import SourceError

_END = b"IEND\xaeB`\x82"
"""The last chunk of every PNG, with its checksum."""
_TAIL = 1 << 16


def refuse_cut_png(uri: str) -> None:
    """See that a local PNG has its end: GDAL reads one that was cut short as black, without a word.

    Raises:
        SourceError: It has none.
    """
    try:
        with open(uri, "rb") as file:  # noqa: PTH123 - a uri is no Path
            size = file.seek(0, os.SEEK_END)
            file.seek(max(size - _TAIL, 0))
            whole = _END in file.read()
            if not whole:  # something may be appended
                file.seek(0)
                whole = _END in file.read()
    except OSError:
        return  # no local file: in an archive or on a server
    if not whole:
        raise SourceError(
            f"{uri}: the PNG is damaged: it breaks off after {size} bytes; copy or download it again"
        )
