"""With which kernel a source is aligned: images are blended, numbers of classes are not."""

from __future__ import annotations

from typing import Literal

from geoseg.errors import ConfigError
from geoseg.grid import Grid
from geoseg.prepare.classlike import distinct_values
from geoseg.sources.base import RasterSource
from geoseg.sources.warp import WarpedSource
from geoseg.sources.warping.plan import CATEGORICAL_KERNELS, make_plan
from geoseg.warn import warn

Method = Literal["exact", "gdal"]


def warped_for(
    source: RasterSource,
    onto: Grid | RasterSource,
    *,
    categorical: bool,
    resampling: str = "auto",
    method: Method = "exact",
) -> WarpedSource:
    """A source on a grid; with "auto", classes take the nearest, or where they are finer the most frequent.

    Args:
        source: What is warped.
        onto: The grid wanted, or a source whose grid it is.
        categorical: Whether it holds numbers of classes, whatever the file says.
        resampling: A kernel, or "auto".
        method: Who resamples, see WarpedSource.

    Raises:
        GridError: One of the two has no CRS.
        SourceError: The source cannot be read, or holds numbers of classes that the kernel blends.
    """
    warped = WarpedSource(source=source, onto=onto, resampling=resampling, method=method)
    if resampling != "auto" or not categorical or source.categorical:
        return warped
    plan = warped.model_copy(update={"resampling": "nearest"}).plan
    kernel = make_plan(
        source,
        (plan.ratio, plan.ratio),
        resampling="auto",
        overviews=False,
        categorical=True,
        wholly=True,
    ).resampling
    return warped.model_copy(update={"resampling": kernel})


def settle_categorical(source: RasterSource, *, given: bool | None, resampling: str) -> bool:
    """Whether a source holds numbers of classes: as given, as the file says, or as it looks.

    Args:
        source: What is aligned.
        given: What the caller says; None: nothing.
        resampling: The kernel that is asked for.

    Raises:
        ConfigError: The caller's word does not fit the file, the kernel, or the number of bands.
    """
    blends = resampling not in ("auto", *CATEGORICAL_KERNELS)
    name = name_of(source)
    if given is False and source.categorical:
        raise ConfigError(
            f"{name}: categorical=False, but it holds numbers of classes or of a colour table, between "
            "which nothing can be blended; leave out categorical, or convert the file to colours first"
        )
    if given and blends:
        raise ConfigError(
            f'{name}: categorical=True, but resampling="{resampling}" makes up numbers between those of '
            'classes; use "nearest", "mode" or "auto"'
        )
    if given and len(source.band_names) > 1:
        raise ConfigError(
            f"{name}: categorical=True, but it has {len(source.band_names)} bands "
            f"({', '.join(source.band_names)}), expected a mask of one; choose it by "
            'GeoTIFFSource(uri=..., bands=(1,)), or keep all with resampling="nearest" and no categorical'
        )
    if given is not None or source.categorical:
        return given is True or source.wholly_categorical
    return _looks_so(source, resampling, blends=blends)


def _looks_so(source: RasterSource, resampling: str, *, blends: bool) -> bool:
    """Whether a source looks like classes; said aloud where that matters."""
    if resampling in CATEGORICAL_KERNELS:
        return len(source.band_names) == 1 and source.dtype.kind in "iu"
    found = distinct_values(source)
    if found is None:
        return False
    what = f"{name_of(source)}: so few whole numbers ({found} distinct in one band) look like classes; "
    if blends:
        warn(
            f'{what}resampling="{resampling}" makes up numbers between them; give categorical=True and '
            'resampling="auto" if it is a mask, categorical=False if it is not'
        )
        return False
    warn(
        f"{what}it is aligned as a mask, without blending; say so by categorical=True, or "
        "categorical=False if these are measurements"
    )
    return True


def name_of(side: Grid | RasterSource) -> str:
    """A file to point at, else the kind of source, else the grid in words."""
    if isinstance(side, Grid):
        return f"grid ({side.describe()})"
    uri = getattr(side, "uri", None)
    return uri if isinstance(uri, str) else type(side).__name__
