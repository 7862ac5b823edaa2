"""What a STAC item tells of its files: where they are, their bands, nodata and classes."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

from geoseg.errors import ConfigError, SourceError
from geoseg.sources.cache import remember
from geoseg.sources.stacks.times import to_iso

_PATIENCE_S = 60
_BYTES = 100_000
"""What an item may take in memory, about."""


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
    except (pystac.STACError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise SourceError(
            f"{uri}: is no valid STAC item ({type(error).__name__}: {error}); mend it, a STAC validator "
            "tells where"
        ) from error
    assets = tuple(_asset(key, asset) for key, asset in item.assets.items())
    return StacItem(to_iso(time), assets)


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
    except ValueError as error:  # not UTF-8, not JSON
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
        return f"a collection of {len(content.get('features', ()))} items (ItemCollection)"
    return {"Collection": "a STAC Collection", "Catalog": "a STAC Catalog"}.get(
        str(tag), "JSON of another kind"
    )


def _asset(key: str, asset: Any) -> StacAsset:
    """What is used of an asset; STAC 1.0 says it in `eo:bands` and `raster:bands`, 1.1 in `bands`."""
    extra = asset.extra_fields
    merged = _merged(extra.get("eo:bands"), extra.get("raster:bands"), extra.get("bands"))
    classes = "classification:classes"
    return StacAsset(
        key=key,
        href=asset.get_absolute_href() or asset.href,
        media_type=asset.media_type or "",
        roles=tuple(asset.roles or ()),
        bands=tuple(
            StacBand(
                name=band.get("name"),
                common_name=band.get("eo:common_name") or band.get("common_name"),
                nodata=_number(band.get("nodata")),
            )
            for band in merged
        ),
        nodata=_number(extra.get("nodata")),
        classified=bool(extra.get(classes) or any(band.get(classes) for band in merged)),
    )


def _merged(*lists: Any) -> list[dict[str, Any]]:
    """Band by band what several lists of one length tell; a list of another length is left out."""
    found: list[dict[str, Any]] = []
    for told in lists:
        if told and not found:
            found = [dict(band) for band in told]
        elif told and len(told) == len(found):
            found = [{**band, **more} for band, more in zip(found, told, strict=True)]
    return found


def _number(value: Any) -> float | None:
    """A nodata value, which may be the text "nan", "inf" or "-inf"."""
    return None if value is None else float(value)
