"""What it takes to read several sources as one: a common grid, an overview for all, names without doubles."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import count
from typing import Annotated

from pydantic import AfterValidator

from geoseg.sources.base import RasterSource, has_names
from geoseg.sources.warp import WarpedSource
from geoseg.sources.warping.exact import KERNELS
from geoseg.sources.warping.pixelmap import PixelMap
from geoseg.sources.warping.plan import CATEGORICAL_KERNELS, meet
from geoseg.spec import uris_of

_KNOWN = ("auto", *KERNELS)


def _known(given: str | tuple[str, ...]) -> str | tuple[str, ...]:
    for name in (given,) if isinstance(given, str) else given:
        if name not in _KNOWN:
            raise ValueError(
                f"no resampling {name!r}, expected one of: {', '.join(_KNOWN)}; for another of GDAL's "
                'wrap the source in a WarpedSource with method="gdal"'
            )
    return given


Kernel = Annotated[str, AfterValidator(_known)]
"""A field for the name of a kernel of WarpedSource's exact method."""
Kernels = Annotated[str | tuple[str, ...], AfterValidator(_known)]
"""A field for one such name, or for one of each source."""


def onto(source: RasterSource, target: RasterSource, kernel: str) -> RasterSource:
    """A source on the grid of another; where the two align, its pixels themselves.

    Args:
        source: The pixels.
        target: Whose grid is wanted.
        kernel: How to resample. For numbers of classes "auto" stands in for one that blends them.
    """
    if source is target or source.grid == target.grid:
        return source
    blends = kernel not in CATEGORICAL_KERNELS
    resampling = "auto" if blends and source.categorical else kernel
    return WarpedSource(source=source, onto=target, resampling=resampling)


def coarser_together(
    sources: Sequence[RasterSource],
    *,
    like: int,
    kernels: Sequence[str],
    most: float,
) -> tuple[RasterSource, ...] | None:
    """The sources with that one at its overview whose grid counts, and those that follow it.

    A source follows where it has an overview on the same lattice and holds no numbers of classes; the
    others stay as they are, to be warped.

    Returns:
        As many sources, or None where the one numbered `like` has no overview to read.
    """

    def holds_classes(number: int) -> bool:
        return sources[number].categorical or kernels[number] in CATEGORICAL_KERNELS

    leader = sources[like] if holds_classes(like) else sources[like].coarser(most)
    if leader == sources[like]:
        return None
    found = []
    for number, source in enumerate(sources):
        coarse = source if holds_classes(number) else source.coarser(most)
        found.append(coarse if coarse.grid.aligned_with(leader.grid) else source)
    found[like] = leader
    return tuple(found)


def meets(source: RasterSource, target: RasterSource) -> bool:
    """Whether the two share ground.

    Raises:
        GridError: One of the two grids has no CRS.
    """
    pixels = PixelMap.between(target.grid, source.grid)
    return meet(pixels, source.grid, target.grid)


def told_apart(names: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """Band names of several sources in one row, each of them once.

    Names that do not repeat are kept. Where bands have numbers only and these repeat, all are numbered
    through; a name that repeats gets the source's number (from 0) in front, and if it repeats within
    one source, a number behind. File names play no part, so that scenes of one kind agree.

    >>> told_apart([("red", "nir"), ("red",)])
    ('0/red', 'nir', '1/red')
    >>> told_apart([("1", "2"), ("1",)])
    ('1', '2', '3')
    >>> told_apart([("red", "red", "nir")])
    ('0/red', '0/red#2', 'nir')
    """
    flat = tuple(name for part in names for name in part)
    times = Counter(flat)
    if len(times) == len(flat):
        return flat
    if not has_names(flat):
        return tuple(str(i + 1) for i in range(len(flat)))
    found: list[str] = []
    taken = {name for name in times if times[name] == 1}
    for number, part in enumerate(names):
        for name in part:
            found.append(name if times[name] == 1 else _free(f"{number}/{name}", taken))
            taken.add(found[-1])
    return tuple(found)


def named(source: RasterSource) -> str:
    """What errors call a source: its first file, or its kind."""
    return next(iter(uris_of(source)), type(source).__name__)


def _free(name: str, taken: set[str]) -> str:
    """The name, or with the first number behind it that nobody has."""
    if name not in taken:
        return name
    return next(made for i in count(2) if (made := f"{name}#{i}") not in taken)
