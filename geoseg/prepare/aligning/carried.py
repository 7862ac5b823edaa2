"""What a raster file tells beside its pixels, to be carried over to the aligned one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
from rasterio.enums import ColorInterp

from geoseg.classes import ClassMap
from geoseg.errors import ConfigError
from geoseg.labels.tiff import CLASSES_TAG
from geoseg.outputs import local_path
from geoseg.placed import is_path
from geoseg.sources.base import RasterSource
from geoseg.sources.files.nodata import nodata_in
from geoseg.sources.files.rasterfile import describe_file
from geoseg.sources.geotiff import GeoTIFFSource
from geoseg.sources.handles import open_raster
from geoseg.sources.mbtiles import MBTilesSource

_RGB = (ColorInterp.red, ColorInterp.green, ColorInterp.blue)
_EXACT = float(1 << 53)
"""Below this every whole number is a float."""
_BESIDE = ("CategoryNames", "GDALRasterAttributeTable")
"""What of a band in an `.aux.xml` tells the meaning of its numbers."""


@dataclass(frozen=True)
class Carried:
    """What is written with the pixels of an aligned file."""

    nodata: float | None = None
    """The number of what is not valid; NaN may be."""
    alpha: bool = False
    """Whether an alpha band tells instead."""
    alpha_source: RasterSource | None = None
    """Where its values come from; None: opaque where valid."""
    colors: dict[int, tuple[int, ...]] | None = None
    """The colour table of a single band."""
    classes: str | None = None
    """The class map, as JSON."""
    beside: tuple[str, ...] = ()
    """XML of what tells the meaning of numbers: category names, attribute table."""
    interpretation: tuple[ColorInterp, ...] = ()
    """The colour of each band, empty: nothing told."""
    scales: tuple[float, ...] = ()
    """Of each band, empty: nothing told."""
    offsets: tuple[float, ...] = ()
    """Of each band, likewise."""
    units: tuple[str, ...] = ()
    """Of each band, likewise; empty text where there is none."""
    tells_missing: bool = True
    """Whether the source tells by anything what is missing."""


def carried_of(source: RasterSource) -> Carried:
    """What the file behind a source tells, as far as its pixels are still those of the file.

    Raises:
        SourceError: The file cannot be read.
    """
    if isinstance(source, MBTilesSource) and not source.transforms:
        return Carried(alpha=True, interpretation=_RGB)
    if not isinstance(source, GeoTIFFSource):
        return Carried(nodata=_nan_of(source))
    _, file, _, _ = describe_file(
        source.uris[0],
        bands=source.bands,
        nodata=float(source.nodata) if source.nodata is not None else None,
        overview=source.overview,
    )
    number = file.nodata[0] if _all_alike(file.nodata) else _wide_number(source)
    if number is not None and not fits(source.dtype, number):
        number = None
    told = bool(file.masks) or file.alpha is not None or any(n is not None for n in file.nodata)
    alpha = file.alpha is not None and number is None and source.dtype in ("u1", "u2")
    missing = Carried(
        nodata=_nan_of(source) if number is None and not alpha else number,
        alpha=alpha,
        alpha_source=_alpha_of(source, file.alpha) if alpha else None,
        tells_missing=told,
    )
    return missing if source.transforms else _with_meaning(missing, source, file.bands)


def with_nodata(carried: Carried, given: float, source: RasterSource) -> Carried:
    """The same with a number of the caller's for what is not valid.

    Raises:
        ConfigError: The dtype has no such number.
    """
    if not fits(source.dtype, given):
        raise ConfigError(
            f"nodata={given} is no number of {source.dtype}; give one that its pixels can hold"
        )
    return replace(carried, nodata=float(given), alpha=False, alpha_source=None)


def fits(dtype: np.dtype[Any], number: float) -> bool:
    """Whether a number can mark what is not valid in pixels of a dtype; NaN can where they hold it."""
    return nodata_in(dtype, number) is not None or (bool(np.isnan(number)) and dtype.kind == "f")


def beside_xml(carried: Carried) -> bytes | None:
    """The `.aux.xml` of an aligned label file; None where it needs none."""
    if not carried.beside:
        return None
    root = ET.Element("PAMDataset")
    band = ET.SubElement(root, "PAMRasterBand", band="1")
    for text in carried.beside:
        band.append(ET.fromstring(text))
    ET.indent(root)
    xml: bytes = ET.tostring(root, encoding="utf-8")
    return xml + b"\n"


def _with_meaning(missing: Carried, source: GeoTIFFSource, bands: tuple[int, ...]) -> Carried:
    """What the bands' numbers mean: colours, class names, scales, units."""
    dataset = open_raster(source.uris[0])
    single = bands[0] if len(bands) == 1 else None
    palette = single is not None and dataset.colorinterp[single - 1] == ColorInterp.palette
    classes = dataset.tags().get(CLASSES_TAG) if single is not None else None
    beside = _names_of(classes) if classes else _beside(source.uris[0], single)
    return replace(
        missing,
        colors=dataset.colormap(single) if palette else None,
        classes=classes,
        beside=beside,
        interpretation=tuple(_plain(dataset.colorinterp[band - 1]) for band in bands),
        scales=tuple(dataset.scales[band - 1] for band in bands),
        offsets=tuple(dataset.offsets[band - 1] for band in bands),
        units=tuple(dataset.units[band - 1] or "" for band in bands),
    )


def _plain(color: ColorInterp) -> ColorInterp:
    """The colour of a band of data: one that was asked for hides nothing, whatever it is called."""
    apart = (ColorInterp.alpha, ColorInterp.palette)
    return ColorInterp.undefined if color in apart else color


def _wide_number(source: GeoTIFFSource) -> float | None:
    """The nodata of 64-bit whole numbers where a float tells it exactly; GDAL's mask is read for it."""
    if source.dtype not in ("i8", "u8"):
        return None
    number: float | None = open_raster(source.uris[0]).nodata
    return number if number is not None and abs(number) < _EXACT else None


def _all_alike(numbers: tuple[float | None, ...]) -> bool:
    """Whether all bands have one number for what is missing."""
    found = [number for number in numbers if number is not None]
    same = bool(found) and np.array_equal(found, found[:1] * len(found), equal_nan=True)
    return same and len(found) == len(numbers)


def _nan_of(source: RasterSource) -> float | None:
    """NaN where pixels can hold it: no mask is needed then."""
    return float("nan") if np.issubdtype(source.dtype, np.floating) else None


def _alpha_of(source: GeoTIFFSource, band: int | None) -> RasterSource | None:
    """The alpha band of a single file as pixels of its own."""
    if band is None or len(source.uris) > 1:
        return None
    update = {"bands": (band,), "transforms": (), "nodata": None}
    return source.model_copy(update=update)


def _names_of(classes: str) -> tuple[str, ...]:
    """The category names of a class map."""
    known = ClassMap.model_validate_json(classes)
    names = dict(zip(known.ids, known.names, strict=True))
    categories = ET.Element("CategoryNames")
    for i in range(max(names) + 1):
        ET.SubElement(categories, "Category").text = names.get(i, "")
    return (ET.tostring(categories, encoding="unicode"),)


def _beside(uri: str, band: int | None) -> tuple[str, ...]:
    """What a local `.aux.xml` tells about the numbers of a band."""
    if band is None or not is_path(uri):
        return ()
    try:
        root = ET.fromstring(local_path(uri + ".aux.xml").read_bytes())
    except (OSError, ET.ParseError):
        return ()
    path = f"PAMRasterBand[@band='{band}']"
    found: list[Any] = [root.find(f"{path}/{name}") for name in _BESIDE]
    return tuple(ET.tostring(part, encoding="unicode") for part in found if part is not None)
