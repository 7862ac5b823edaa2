"""What a STAC item tells of one of its files: where it is, its bands, nodata and classes."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin
from urllib.request import url2pathname

from geoseg.errors import SourceError

_LISTS = ("eo:bands", "raster:bands", "bands")
"""STAC 1.0 tells of bands in the first two, 1.1 in the last."""
_CLASSES = "classification:classes"
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:")
"""Of a URL, or a driver's name before a path; one letter is a Windows drive."""
_FILE = re.compile(r"file://(localhost(?=/))?", re.IGNORECASE)
_SHOWN = 80
"""Characters of an odd value that an error shows."""


@dataclass(frozen=True)
class StacBand:
    """One band of an asset as the item describes it."""

    name: str | None
    common_name: str | None
    """The name it shares with like bands of other sensors, such as "red"."""
    nodata: float | None


@dataclass(frozen=True)
class StacAsset:
    """One file of an item."""

    key: str
    href: str
    """Absolute: a path or a URL."""
    media_type: str
    roles: tuple[str, ...]
    bands: tuple[StacBand, ...]
    """Empty where the item lists none."""
    nodata: float | None
    """For all bands, where the item gives it so."""
    classified: bool
    """Whether its pixels are numbers of classes."""

    @property
    def is_data(self) -> bool:
        """Whether it has the role "data" and is an image."""
        return "data" in self.roles and self.media_type.startswith("image/")


def asset_of(uri: str, key: str, fields: Any) -> StacAsset:
    """An asset from its JSON.

    Args:
        uri: The item, against which a relative href is taken.
        key: The asset's.
        fields: What the item tells of it.

    Raises:
        SourceError: A field that is used is of another type than STAC has; the text names it.
    """
    where = f"{uri}, asset {key!r}"
    if not isinstance(fields, dict):
        raise _odd(where, fields, "an object with an `href`")
    href = _text(fields, "href", where)
    if not href:
        raise _odd(f"{where}: `href`", href, "a path or a URL")
    merged = _merged(*(_bands(fields, name, where) for name in _LISTS))
    return StacAsset(
        key=key,
        href=_absolute(href, uri),
        media_type=_text(fields, "type", where) or "",
        roles=tuple(_list(fields, "roles", where, of=str)),
        bands=tuple(
            StacBand(
                name=band.get("name"),
                common_name=band.get("eo:common_name") or band.get("common_name"),
                nodata=_nodata(band, where),
            )
            for band in merged
        ),
        nodata=_nodata(fields, where),
        classified=bool(
            _list(fields, _CLASSES, where, of=dict) or any(band.get(_CLASSES) for band in merged)
        ),
    )


def _bands(fields: dict[str, Any], name: str, where: str) -> list[dict[str, Any]]:
    """A list of bands, what is used of each checked."""
    found = _list(fields, name, where, of=dict)
    for number, band in enumerate(found):
        at = f"{where}: `{name}` {number}"
        for text in ("name", "common_name", "eo:common_name"):
            _text(band, text, at)
        _nodata(band, at)
        _list(band, _CLASSES, at, of=dict)
    return found


def _merged(*lists: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Band by band what several lists of one length tell; a list of another length is left out."""
    found: list[dict[str, Any]] = []
    for told in lists:
        if told and not found:
            found = [dict(band) for band in told]
        elif told and len(told) == len(found):
            found = [{**band, **more} for band, more in zip(found, told, strict=True)]
    return found


def _text(fields: dict[str, Any], name: str, where: str) -> str | None:
    value = fields.get(name)
    if value is None or isinstance(value, str):
        return value
    raise _odd(f"{where}: `{name}`", value, "text")


def _list(fields: dict[str, Any], name: str, where: str, *, of: type) -> list[Any]:
    """A list of texts or of objects; empty where there is none."""
    value = fields.get(name)
    if value is None:
        return []
    if isinstance(value, list) and all(isinstance(part, of) for part in value):
        return value
    raise _odd(f"{where}: `{name}`", value, f"a list of {'texts' if of is str else 'objects'}")


def _nodata(fields: dict[str, Any], where: str) -> float | None:
    """A nodata value, which may be the text "nan", "inf" or "-inf"."""
    value = fields.get("nodata")
    if value is None:
        return None
    try:
        number = None if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = None
    if number is None:
        raise _odd(f"{where}: `nodata`", value, 'a number, "nan", "inf" or "-inf"')
    return number


def _absolute(href: str, uri: str) -> str:
    """Where an href leads; of a path beside the item every character counts, `#` and `?` too."""
    if file := _FILE.match(href):
        return url2pathname(href[file.end() :])
    if href.startswith("/vsi") or _SCHEME.match(href):
        return href
    if uri.startswith(("http://", "https://")):
        return urljoin(uri, href)
    return os.path.abspath(os.path.join(os.path.dirname(uri), href))  # noqa: PTH100, PTH118, PTH120 - as text


def _odd(what: str, value: Any, expected: str) -> SourceError:
    shown = repr(value)
    shown = shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}..."
    return SourceError(f"{what} is {shown}, expected {expected}; mend the item")
