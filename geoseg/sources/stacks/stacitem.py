"""STAC items: a time and files of one place."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

from geoseg.errors import ConfigError, SourceError
from geoseg.sources.cache import remember
from geoseg.sources.stacks.stacasset import StacAsset, asset_of
from geoseg.sources.stacks.times import to_iso

_PATIENCE_S = 60
_BYTES = 100_000
"""What an item may take in memory, about."""
_ERRORS = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError)
"""What pystac raises, besides its own errors, of fields that are of another type than STAC has."""


@dataclass(frozen=True)
class StacItem:
    """One item: a time and files of one place."""

    time: str
    """ISO text; of a range its start."""
    assets: tuple[StacAsset, ...]
    """In the item's order."""


def read_item(uri: str) -> StacItem:
    """The item of a local JSON file or an http(s) URL, read once.

    Raises:
        ConfigError: The extra `stac` is not installed.
        SourceError: There is nothing to read, it is not JSON, or not one STAC item.
    """
    return remember(("stac item", uri), lambda: _read(uri), files=(uri,), nbytes=lambda _: _BYTES)


def _read(uri: str) -> StacItem:
    try:
        import pystac
    except ImportError as error:
        raise ConfigError(
            f'{uri}: STAC items need pystac, which is not installed; pip install "geoseg[stac]"'
        ) from error
    content = _load(uri)
    try:
        item = pystac.Item.from_dict(content, href=uri, migrate=True)
        time = to_iso(item.datetime or item.common_metadata.start_datetime)
    except (pystac.STACError, *_ERRORS) as error:
        _assets(uri, content["assets"])  # tells of an odd field by its name
        raise SourceError(
            f"{uri}: is no valid STAC item ({type(error).__name__}: {error}); mend it, a STAC validator "
            "tells where"
        ) from error
    told = {key: asset.to_dict() for key, asset in item.assets.items()}
    return StacItem(time, _assets(uri, told))


def _assets(uri: str, told: dict[str, Any]) -> tuple[StacAsset, ...]:
    return tuple(asset_of(uri, key, fields) for key, fields in told.items())


def _load(uri: str) -> dict[str, Any]:
    """The JSON of one item, told apart from what else STAC has."""
    try:
        if uri.startswith(("http://", "https://")):
            with urlopen(uri, timeout=_PATIENCE_S) as response:
                text = response.read().decode("utf-8")
        else:
            text = Path(uri).read_text(encoding="utf-8")
        content = json.loads(text)
    except OSError as error:
        if isinstance(error, HTTPError):
            error.close()
        reason = getattr(error, "strerror", None) or error
        raise SourceError(
            f"{uri}: this STAC item cannot be read: {reason}; expected a local JSON file or an http(s) "
            "URL"
        ) from error
    except (ValueError, RecursionError) as error:  # not UTF-8, not JSON
        raise SourceError(
            f"{uri}: is no JSON ({error}), expected a STAC item; give a raster to a geotiff source"
        ) from error
    kind = _kind(content)
    if kind is not None:
        raise SourceError(
            f"{uri}: is {kind}, expected one STAC item; name the JSON file of an item, of several give "
            "each its own source"
        )
    loaded: dict[str, Any] = content
    return loaded


def _kind(content: Any) -> str | None:
    """What a JSON text is, where it is no item."""
    tag = content.get("type") if isinstance(content, dict) else None
    if tag == "Feature":
        is_stac = "stac_version" in content and isinstance(content.get("assets"), dict)
        return None if is_stac else "a GeoJSON feature without `stac_version` and `assets`"
    if tag == "FeatureCollection":
        items = content.get("features")
        count = len(items) if isinstance(items, list) else 0
        return f"a collection of {count} items (ItemCollection)"
    return {"Collection": "a STAC Collection", "Catalog": "a STAC Catalog"}.get(
        str(tag), "JSON of another kind"
    )
