"""TIFF stacks, read by rasterio: pages are slices, and their bands channels.

In a file of one page its bands are the slices. So the slices come first, whatever `image_axes` says.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.enums import ColorInterp
from rasterio.io import MemoryFile
from rasterio.windows import Window

from geoseg.errors import SourceError
from geoseg.rasterpath import georeference_optional
from geoseg.sources.handles import GDAL_ERRORS
from geoseg.volumes.zip.archive import Member, check_promise
from geoseg.volumes.zip.images.base import Header, Place
from geoseg.volumes.zip.images.tiffhead import alike_placed, starts, tiff_head
from geoseg.volumes.zip.images.tiffplanes import Layout, contradiction
from geoseg.volumes.zip.region import Region

_ALONE = {"GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR", "GDAL_PAM_ENABLED": "NO"}
"""GDAL looks at no other file than the one it is given."""
_MOST_BANDS = 4096
_DAMAGE: tuple[type[Exception], ...] = (*GDAL_ERRORS, ValueError)


@dataclass(frozen=True)
class _Pages:
    """What the first page tells of all."""

    directories: tuple[int, ...]
    """Of the pages, from 1, in the file: between them may lie masks and smaller copies, which are none."""
    places: tuple[int | None, ...]
    """Where these begin, as far as that is known: GDAL looks for a number from the first directory on."""
    bands: int
    height: int
    width: int
    dtype: np.dtype[Any]
    colours: bool
    """Whether the first page says that its bands are red, green and blue."""

    @property
    def count(self) -> int:
        """Pages."""
        return len(self.directories)

    @property
    def deep(self) -> bool:
        """Whether pages, and not bands, are the slices."""
        return self.count > 1

    @property
    def header(self) -> Header:
        channels, depth = (self.bands, self.count) if self.deep else (1, self.bands)
        shape = (channels, depth, self.height, self.width)
        return Header(shape, self.dtype, colours=self.colours and not self.deep)


@dataclass(frozen=True)
class TiffImage:
    """An image of a TIFF file."""

    member: Member
    """The file."""

    def header(self) -> Header:
        """What its first page tells."""
        with self._opened() as (path, data):
            return self._pages(path, data).header

    def read(self, region: Region | None) -> NDArray[Any]:
        """A part, or all; only the pages and bands of the part are read."""
        with self._opened() as (path, data):
            pages = self._pages(path, data)
            channels, depth, height, width = pages.header.shape
            planes, rows, columns = region or ((0, depth), (0, height), (0, width))
            part = Window.from_slices(rows, columns)
            if not pages.deep:
                chosen = list(range(planes[0] + 1, planes[1] + 1))
                with self._page(path, pages.directories[0], pages.places[0]) as page:
                    bands: NDArray[Any] = page.read(chosen, window=part)
                    return bands[np.newaxis]
            sides = (channels, planes[1] - planes[0], rows[1] - rows[0], columns[1] - columns[0])
            out = np.empty(sides, pages.dtype)
            for plane in range(*planes):
                with self._page(path, pages.directories[plane], pages.places[plane]) as page:
                    self._check_page(page, pages, plane + 1)
                    out[:, plane - planes[0]] = page.read(window=part)
            return out

    def check(self) -> None:
        """SourceError unless every page can be read."""
        self.member.check()
        with self._opened() as (path, data):
            pages = self._pages(path, data)
            for plane in range(pages.count):
                with self._page(path, pages.directories[plane], pages.places[plane]) as page:
                    self._check_page(page, pages, plane + 1)
                    for band in range(1, pages.bands + 1):
                        page.read(band)

    def place(self) -> Place:
        """The georeference that all pages tell alike; nothing where one tells another, or none."""
        with self._opened() as (path, data):
            found = self._pages(path, data).directories
            if not alike_placed(data, found):
                return Place()
            with self._page(path, found[0]) as first:
                return Place(first.crs, None if first.transform.is_identity else first.transform)

    @contextmanager
    def _opened(self) -> Iterator[tuple[str, Any]]:
        """The file's name for GDAL, and its bytes: where they lie in the zip as they are, or unpacked."""
        source = self.member.source()
        try:
            with rasterio.Env(**_ALONE):
                if source is None:
                    data = self.member.read()
                    with MemoryFile(data) as memory:
                        yield memory.name, data
                else:
                    uri, start = source
                    yield f"/vsisubfile/{start}_{self.member.size},{uri}", self.member.mapped()
        except _DAMAGE as error:
            raise SourceError(
                f"{self.member.where}: cannot be read as TIFF: {error}; it is damaged or of another kind"
            ) from error

    @contextmanager
    def _page(self, path: str, number: int, place: int | None = None) -> Iterator[Any]:
        """The page of a directory of the file, from 1, or sooner where it is known where that begins."""
        told = number if place is None else f"off:{place}"
        with georeference_optional():
            page = rasterio.open(f"GTIFF_DIR:{told}:{path}", driver="GTiff")
        with page:
            yield page

    def _pages(self, path: str, data: Any) -> _Pages:
        with georeference_optional():
            file = rasterio.open(path, driver="GTiff")
        with file:
            # Named GTIFF_DIR:NUMBER:PATH, by the place among all directories, masks and small copies too.
            directories = tuple(int(name.split(":")[1]) for name in file.subdatasets) or (1,)
        with self._page(path, directories[0]) as first:
            pages = _Pages(
                directories,
                starts(data, directories),
                first.count,
                first.height,
                first.width,
                np.dtype(first.dtypes[0]),
                ColorInterp.red in first.colorinterp,
            )
            same = set(first.dtypes) == {first.dtypes[0]}
        if pages.dtype.kind not in "buif" or not same:
            raise SourceError(
                f"{self.member.where}: holds {', '.join(sorted(set(first.dtypes)))}, expected whole or "
                "floating numbers of one type"
            )
        if pages.bands > _MOST_BANDS:
            raise SourceError(
                f"{self.member.where}: has {pages.bands} bands, expected at most {_MOST_BANDS}, since GDAL "
                "takes very long to read more; write slices as pages"
            )
        voxel = pages.dtype.itemsize
        layout = Layout(pages.count, pages.bands, pages.height, pages.width, voxel)
        if problem := contradiction(tiff_head(data), layout):
            raise SourceError(f"{self.member.where}: {problem}")
        size = prod(pages.header.shape) * voxel
        check_promise(self.member.where, size=size, packed=self.member.packed)
        return pages

    def _check_page(self, page: Any, pages: _Pages, number: int) -> None:
        """SourceError unless a page is as the first one."""
        got = (page.count, *page.shape, *map(np.dtype, set(page.dtypes)))
        expected = (pages.bands, pages.height, pages.width, pages.dtype)
        if got != expected:
            raise SourceError(
                f"{self.member.where}: page {number} has (bands, height, width, type) {_told(got)}, the "
                f"first one {_told(expected)}; expected pages alike"
            )


def _told(values: tuple[Any, ...]) -> str:
    return "(" + ", ".join(map(str, values)) + ")"
