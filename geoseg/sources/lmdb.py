"""LMDBSource: one patch of an LMDB + safetensors store."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from pydantic import BeforeValidator, Field, ValidationError

from geoseg.errors import SourceError
from geoseg.grid import Grid, compose
from geoseg.sources.base import Chip, fill_around
from geoseg.sources.cache import remember
from geoseg.sources.files.nodata import nodata_in
from geoseg.sources.store.bands import (
    array_names,
    array_of,
    choose_bands,
    largest_size,
    patch_size,
    shapes_and_dtypes,
)
from geoseg.sources.store.bandsize import bilinear_into, nearest_into
from geoseg.sources.store.environments import DATA_FILE
from geoseg.sources.store.manifest import MANIFEST, manifest_path
from geoseg.sources.store.patch import Patch, find_patch
from geoseg.sources.store.reader import StoreReader
from geoseg.sources.store.safetensors_format import Layout, Tensor
from geoseg.sources.transformed import TransformedSource
from geoseg.spec import AlsoWritten, Uri
from geoseg.window import Window, pair

_Side = Annotated[int, Field(ge=1)]


@dataclass(frozen=True, eq=False)
class _Facts:
    """What is known of a patch without reading a pixel."""

    reader: StoreReader
    wanted: tuple[str, ...]
    """The bands to ask the store for."""
    names: tuple[str, ...]
    """The bands that come."""
    dtype: np.dtype[Any]
    nodata: tuple[float | None, ...]
    """The number that means "missing", for each of them."""
    grid: Grid


class LMDBSource(TransformedSource):
    """One patch of a store: its bands, brought to one size.

    A band is an array (height, width) or (1, height, width) of the patch; the channels of an array x of
    (channel, height, width) are the bands x_1, x_2, ... All bands cover the same ground, edge to edge.
    Where dtypes differ the chip has the one that holds all (`numpy.result_type`); bool comes as uint8.
    A pixel is valid where no band that is read holds nodata, NaN or infinity.

    The store's manifest tells CRS, transform and nodata. Without one the grid is the identity.

    Raises (when read or checked, not when made):
        SourceError: The store is missing, is none, or is damaged; there is no such key or band.
    """

    type: Literal["lmdb"] = "lmdb"
    uri: Uri
    """The folder that holds `data.mdb`, or a single LMDB file."""
    key: str
    """Which patch."""
    bands: tuple[str, ...] | None = None
    """Names in the order wanted; None: all, in the manifest's order, without one in natural order (B2
    before B10). The name of an array with channels stands for all of them."""
    size: Annotated[
        tuple[_Side, _Side] | None,
        BeforeValidator(lambda size: pair(size) if isinstance(size, int) else size),
        AlsoWritten({"type": "integer", "minimum": 1}),
    ] = None
    """(height, width) to bring all bands to, or one number for both; None: that of the largest that is
    read."""
    resampling: Literal["nearest", "bilinear"] = "nearest"
    """How: the pixel that holds the centre, or between the four nearest centres (past the outer centres
    their value). Neither averages where `size` is smaller than a band."""
    nodata: Annotated[float | None, Field(allow_inf_nan=False)] = None
    """The number that means "missing"; None: as the manifest says."""

    @property
    def grid(self) -> Grid:
        """The patch's extent in pixels of the common size."""
        return self._facts.grid

    @property
    def own_band_names(self) -> tuple[str, ...]:
        """The names of the bands that are read."""
        return self._facts.names

    @property
    def own_dtype(self) -> np.dtype[Any]:
        """The dtype that holds the values of all bands that are read."""
        return self._facts.dtype

    @property
    def own_blended(self) -> bool:
        """Whether bands of another size are brought to the common one by blending."""
        return self.resampling == "bilinear"

    def read_own(self, window: Window) -> Chip:
        """The pixels of a window as the store holds them; see RasterSource."""
        facts = self._facts
        if facts.grid.whole.contains(window):
            return self._read_inside(window)
        return fill_around(window, facts.grid, len(facts.names), facts.dtype, self._read_inside)

    def _read_inside(self, window: Window) -> Chip:
        facts = self._facts
        data = np.empty((len(facts.names), *window.shape), facts.dtype)
        valid = np.ones(window.shape, bool)
        with facts.reader.planes(self.key, facts.wanted) as planes:
            for out, band, missing in zip(data, planes, facts.nodata, strict=True):
                self._fill(out, valid, band, missing, size=facts.grid.shape, window=window)
        return Chip(data, valid)

    def _fill(
        self,
        out: NDArray[Any],
        valid: NDArray[np.bool_],
        band: NDArray[Any],
        missing: float | None,
        *,
        size: tuple[int, int],
        window: Window,
    ) -> None:
        """One band of a chip; what it lacks is cleared in `valid`."""
        if band.shape == size:  # only the window is touched
            band = band[window.slices]
            size, window = window.shape, Window(0, 0, *window.shape)
        measured = _measured(band, missing)
        if self.resampling == "nearest":
            nearest_into(out, band, size=size, window=window)
        else:
            bilinear_into(out, band, size=size, window=window, valid=measured)
        if measured is not None:
            part = np.empty(window.shape, bool)
            nearest_into(part, measured, size=size, window=window)
            valid &= part

    @property
    def _facts(self) -> _Facts:
        return remember(
            ("lmdb facts", self),
            lambda: _look_up(self),
            # Both forms of a store: what a path that is not there becomes is noticed too.
            files=(
                self.uri,
                os.path.join(self.uri, DATA_FILE),  # noqa: PTH118 - a Path costs more
                os.path.join(self.uri, MANIFEST),  # noqa: PTH118
                f"{self.uri}.{MANIFEST}",
            ),
            nbytes=lambda facts: 1000 + 100 * len(facts.names),
        )


def _look_up(source: LMDBSource) -> _Facts:
    where = f"{source.uri}: {source.key}"
    reader = StoreReader(source.uri)
    layout = reader.layout(source.key)
    patch = find_patch(manifest_path(reader.path), source.key)
    if patch is not None:
        _check_patch(patch, layout, where)
    wanted = source.bands if source.bands is not None else _all_bands(layout, patch)
    planes = choose_bands(layout, wanted, where)
    kept = [np.dtype(np.uint8) if plane.dtype.kind == "b" else plane.dtype for plane in planes]
    return _Facts(
        reader=reader,
        wanted=wanted,
        names=tuple(plane.name for plane in planes),
        dtype=np.result_type(*kept),
        nodata=tuple(_nodata_of(source, layout, patch, plane) for plane in planes),
        grid=_grid(layout, patch, source.size or largest_size(planes), where),
    )


def _check_patch(patch: Patch, layout: Layout, where: str) -> None:
    """See that the manifest tells of this value: what another tells would be a wrong place."""
    if patch.bands is None:
        return
    names = array_names(layout)
    if sorted(patch.bands) != sorted(names):
        raise _of_another(where, "bands", ", ".join(patch.bands), ", ".join(names))
    shapes, dtypes = shapes_and_dtypes(layout, patch.bands)
    if patch.shapes not in (None, shapes):
        raise _of_another(where, "shapes", patch.shapes, shapes)
    if patch.dtypes not in (None, dtypes):
        raise _of_another(where, "dtypes", patch.dtypes, dtypes)


def _of_another(where: str, column: str, told: Any, held: Any) -> SourceError:
    return SourceError(
        f"{where}: the manifest tells of the {column} {told}, the store holds {held}; the manifest is "
        "of another store: remove it or write the store again"
    )


def _all_bands(layout: Layout, patch: Patch | None) -> tuple[str, ...]:
    """The names of all arrays, in the order in which they were given if that is known."""
    return array_names(layout) if patch is None or patch.bands is None else patch.bands


def _nodata_of(
    source: LMDBSource, layout: Layout, patch: Patch | None, plane: Tensor
) -> float | None:
    if source.nodata is not None:
        return source.nodata
    if patch is None or patch.bands is None or patch.nodata is None:
        return None
    return dict(zip(patch.bands, patch.nodata, strict=True)).get(array_of(layout, plane))


def _grid(layout: Layout, patch: Patch | None, size: tuple[int, int], where: str) -> Grid:
    """The patch's extent in pixels of this size."""
    height, width = size
    largest = patch_size(layout)
    if patch is None or patch.transform is None or largest is None:
        return Grid(height=height, width=width)
    scale = Affine.scale(largest[1] / width, largest[0] / height)
    try:
        return Grid(
            crs=patch.crs, transform=compose(patch.transform, scale), height=height, width=width
        )
    except ValidationError as error:
        raise SourceError(
            f"{where}: the manifest's CRS and transform are no grid: {error.errors()[0]['msg']}; mend "
            "the manifest, or remove it to read without georeference"
        ) from error


def _measured(band: NDArray[Any], missing: float | None) -> NDArray[np.bool_] | None:
    """Where a band holds measurements; None: everywhere."""
    found: NDArray[np.bool_] | None = None
    if band.dtype.kind in "fc":
        found = np.isfinite(band)
    marked = None if missing is None else nodata_in(band.dtype, missing)
    if marked is not None:
        told = band != marked
        found = told if found is None else found & told
    return found
