"""STACSource: the files of a STAC item as the bands of one source."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from geoseg.errors import ConfigError, SourceError
from geoseg.grid import Grid
from geoseg.sources.base import Chip, RasterSource, has_names
from geoseg.sources.cache import remember
from geoseg.sources.files.rasterfile import describe_file
from geoseg.sources.files.remote import apart
from geoseg.sources.geotiff import GeoTIFFSource
from geoseg.sources.handles import open_raster
from geoseg.sources.stack import StackSource
from geoseg.sources.stacks.stacasset import StacAsset, StacBand
from geoseg.sources.stacks.stacitem import StacItem, read_item
from geoseg.sources.stacks.together import Kernel, told_apart
from geoseg.sources.transformed import TransformedSource
from geoseg.spec import Uri
from geoseg.warn import warn
from geoseg.window import Window

_AS_FINE = 1.01
"""Pixels of UTM zones and the like that differ by less than this in area count as equally fine."""


class STACSource(TransformedSource):
    """Assets of one STAC item (a local JSON file or an http(s) URL), each a raster file, as one stack.

    Needs the extra `stac`. Relative hrefs are taken from where the item lies. Bands are called by
    their common names ("red") where no other chosen band has the same, else by their names in the
    item, else by the asset's key. The item's nodata counts where the file itself has none. Assets
    with `classification:classes` are resampled to the nearest.

    The pixels are the numbers in the files: scale and offset of `raster:bands` (1.1: `bands`) are not
    applied.

    Raises (when read or checked, not when made):
        ConfigError: The extra `stac` is not installed.
        SourceError: It is no item, or lacks an asset; an asset's file cannot be read.
    """

    type: Literal["stac"] = "stac"
    uri: Uri
    """The item."""
    assets: tuple[str, ...] | None = None
    """Keys of the assets, in the order wanted; None: all images with the role "data", as the item
    lists them."""
    like: str | None = None
    """The key of the asset whose grid is the source's; None: the first of those with the smallest
    pixels."""
    resampling: Kernel = "auto"
    """How assets off that grid are resampled, as in StackSource."""

    @property
    def time(self) -> str:
        """The item's datetime as ISO text; of a range its start."""
        return read_item(self.uri).time

    @property
    def grid(self) -> Grid:
        """That of the asset `like`."""
        return self._stack.grid

    @property
    def own_band_names(self) -> tuple[str, ...]:
        """As the item calls them."""
        return self._stack.band_names

    @property
    def own_dtype(self) -> np.dtype[Any]:
        """The smallest that holds all of the assets'."""
        return self._stack.dtype

    @property
    def own_categorical(self) -> bool:
        """Whether any asset holds numbers of classes, by the item or its file."""
        assets = _chosen(self, read_item(self.uri))
        return any(asset.classified for asset in assets) or self._stack.categorical

    @property
    def own_wholly_categorical(self) -> bool:
        """Whether all assets hold nothing else."""
        assets = _chosen(self, read_item(self.uri))
        return all(asset.classified for asset in assets) or self._stack.wholly_categorical

    @property
    def cache_bytes(self) -> float:
        """That of the asset with the smallest."""
        return self._stack.cache_bytes

    def read_own(self, window: Window) -> Chip:
        """The bands of all assets; see RasterSource."""
        return self._stack.read(window)

    def coarser(self, most: float) -> RasterSource:
        """The stack of assets at an overview; see StackSource."""
        stack = self._stack
        coarse = stack.coarser(most)
        if coarse is stack:
            return self
        return coarse.model_copy(update={"transforms": self.transforms})

    def check(self) -> None:
        """Check every asset, and that they meet; see RasterSource.

        Warns of an asset whose file has not the bands that the item lists.
        """
        self._stack.check()
        super().check()
        for asset in _chosen(self, read_item(self.uri)):
            file = _open(self.uri, asset)
            if asset.bands and not file.told:
                warn(
                    f"{self.uri}: lists {len(asset.bands)} bands for the asset {asset.key!r}, but "
                    f"{asset.href} has {len(file.bands)}; their names in the item are not used"
                )

    def uris_within(self) -> tuple[str, ...]:
        """The files of the assets; none where the item cannot be read."""
        try:
            return tuple(asset.href for asset in _chosen(self, read_item(self.uri)))
        except (SourceError, ConfigError):
            return ()

    @property
    def _stack(self) -> StackSource:
        hrefs = tuple(asset.href for asset in _chosen(self, read_item(self.uri)))
        return remember(
            ("stac stack", self),
            lambda: _stack_of(self),
            files=(self.uri, *hrefs),
            nbytes=lambda stack: 1000 * len(stack.sources),
        )


@dataclass(frozen=True)
class _File:
    """An asset, and what its file holds."""

    asset: StacAsset
    bands: tuple[int, ...]
    """Numbers from 1, without alpha."""
    names: tuple[str, ...]
    """As the file has them."""
    told: tuple[StacBand, ...]
    """What the item says of these bands; empty where it says nothing, or lists another number."""
    has_nodata: bool


def _chosen(source: STACSource, item: StacItem) -> tuple[StacAsset, ...]:
    """The assets by key, or those that are data."""
    by_key = {asset.key: asset for asset in item.assets}
    known = ", ".join(by_key) or "none"
    if source.assets is None:
        found = tuple(asset for asset in item.assets if asset.is_data)
    else:
        missing = [key for key in source.assets if key not in by_key]
        if missing:
            raise SourceError(
                f"{source.uri}: has no asset {missing[0]!r}, expected keys among: {known}"
            )
        found = tuple(by_key[key] for key in source.assets)
    if not found:
        raise SourceError(
            f'{source.uri}: no asset is chosen: none has the role "data" and a media type of images; '
            f"name them with assets=..., it has: {known}"
        )
    return found


def _stack_of(source: STACSource) -> StackSource:
    """The assets as a stack, their bands named."""
    files = [_open(source.uri, asset) for asset in _chosen(source, read_item(source.uri))]
    parts = [_sources(source.uri, file) for file in files]
    kernels = tuple(
        "nearest" if file.asset.classified else source.resampling
        for file, part in zip(files, parts, strict=True)
        for _ in part
    )
    like = _number_of(source, files) if source.like is not None else _finest(parts)
    return StackSource(
        sources=tuple(one for part in parts for one in part),
        like=sum(len(part) for part in parts[:like]),
        resampling=kernels,
        band_names=_band_names(files),
    )


def _number_of(source: STACSource, files: list[_File]) -> int:
    keys = [file.asset.key for file in files]
    if source.like not in keys:
        raise SourceError(
            f"{source.uri}: like is {source.like!r}, expected one of the chosen assets: {', '.join(keys)}"
        )
    return keys.index(source.like)


def _finest(parts: list[tuple[GeoTIFFSource, ...]]) -> int:
    """The first asset of those with the smallest pixels on the ground."""
    grids = [part[0].grid for part in parts]
    areas = [math.prod(grid.ground_resolution or grid.resolution) for grid in grids]
    return next(i for i, area in enumerate(areas) if area <= min(areas) * _AS_FINE)


def _open(uri: str, asset: StacAsset) -> _File:
    """Look into the file of an asset.

    Raises:
        SourceError: It cannot be read; the text names item and asset.
    """
    try:
        _, file, names, _ = describe_file(asset.href)
        count = apart(asset.href, lambda: int(open_raster(asset.href).count))
    except SourceError as error:
        raise SourceError(f"{uri}, asset {asset.key!r}: {error}") from error
    told: tuple[StacBand, ...] = ()
    if len(asset.bands) == count:  # alpha is listed too
        told = tuple(asset.bands[band - 1] for band in file.bands)
    elif len(asset.bands) == len(file.bands):
        told = asset.bands
    has_nodata = any(value is not None for value in file.nodata)
    return _File(asset, file.bands, names, told, has_nodata)


def _sources(uri: str, file: _File) -> tuple[GeoTIFFSource, ...]:
    """The asset as one source, as one a band where the item gives each its own nodata."""
    asset = file.asset
    listed = [band.nodata if band.nodata is not None else asset.nodata for band in asset.bands]
    told = [_as_text(value) for value in listed or [asset.nodata]]
    if file.has_nodata or told == [None] * len(told):
        return (GeoTIFFSource(uri=asset.href),)
    if len({*told}) == 1:
        return (GeoTIFFSource(uri=asset.href, nodata=told[0]),)
    if not file.told:
        raise SourceError(
            f"{uri}: gives {len(told)} bands of the asset {asset.key!r} a nodata each, but "
            f"{asset.href} has {len(file.bands)} bands; mend the item, or read the file as a geotiff "
            "source with nodata=..."
        )
    each = zip(file.bands, file.told, strict=True)
    return tuple(
        GeoTIFFSource(
            uri=asset.href,
            bands=(number,),
            nodata=_as_text(asset.nodata if band.nodata is None else band.nodata),
        )
        for number, band in each
    )


def _as_text(nodata: float | None) -> float | Literal["nan"] | None:
    """NaN is not equal to itself, its text is."""
    return "nan" if nodata is not None and math.isnan(nodata) else nodata


def _band_names(files: list[_File]) -> tuple[str, ...]:
    """One name for each band of the stack."""
    common = Counter(band.common_name for file in files for band in file.told)
    return told_apart([_names_of(file, common) for file in files])


def _names_of(file: _File, common: Counter[str | None]) -> tuple[str, ...]:
    key = file.asset.key
    if len(file.bands) == 1:
        own: tuple[str, ...] = (key,)
    else:
        own = file.names if has_names(file.names) else tuple(f"{key}/{n}" for n in file.names)
    if not file.told:
        return own
    names = []
    for fallback, band in zip(own, file.told, strict=True):
        shared = band.common_name if common[band.common_name] == 1 else None
        names.append(shared or band.name or fallback)
    return tuple(names)
