"""What is cut: the rows of an index, and for each the image and the mask."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import ConfigError
from geoseg.prepare.aligning.kernel import name_of
from geoseg.prepare.tiling.ids import IdRule
from geoseg.prepare.tiling.names import apart, mask_names, window_name
from geoseg.prepare.tiling.pairs import Output, check_pair
from geoseg.prepare.tiling.pixels import Pair, on_grid
from geoseg.sampling.windowindex import WindowIndex
from geoseg.sampling.windowindex.paths import as_paths
from geoseg.sources.base import RasterSource, raster_source
from geoseg.spec import files_of
from geoseg.window import Edge, Size

Path_ = str | os.PathLike[str]
Image = RasterSource | Path_
Images = Image | Sequence[Image] | None
Masks = Path_ | Sequence[Path_] | WindowIndex


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """Rows, and what is read for them."""

    index: WindowIndex
    names: tuple[str, ...]
    """Of the pairs, one a row."""
    images: tuple[RasterSource, ...]
    """Each once."""
    image_of: NDArray[np.int64]
    """(row,) which of them belongs to a row."""
    output: Output
    resampling: str
    ignore_id: int | None
    binary: bool
    _pairs: dict[tuple[str, int], Pair] = field(default_factory=dict)

    def pair(self, row: int) -> Pair:
        """Image and mask of a row; each mask is opened once.

        Raises:
            GeosegError: They cannot be read, or do not go into the output.
        """
        key = self.index.mask_paths[row], int(self.image_of[row])
        if key not in self._pairs:
            self._pairs[key] = self._opened(*key)
        return self._pairs[key]

    def pairings(self) -> list[tuple[str, int]]:
        """(mask, number of the image) of all rows, each once, in the order of the rows."""
        found = zip(self.index.mask_paths, self.image_of.tolist(), strict=True)
        return list(dict.fromkeys(found))

    @property
    def files(self) -> tuple[str, ...]:
        """All files that are read."""
        images = [uri for image in self.images for uri in files_of(image)]
        return tuple(dict.fromkeys([*self.index.masks, *images]))

    def _opened(self, path: str, number: int) -> Pair:
        mask = raster_source(path)
        rule = IdRule.of(mask, path, ignore_id=self.ignore_id, binary=self.binary)
        image = on_grid(self.images[number], mask.grid, resampling=self.resampling)
        if not any(key[1] == number for key in self._pairs):
            image.check()
        pair = Pair(path, mask, image, rule)
        check_pair(pair, self.output)
        return pair


def rows_of(
    masks: Masks,
    *,
    patch_size: Size | None,
    stride: Size | None,
    edge: Edge,
    full_mask: bool = False,
) -> WindowIndex:
    """The windows that are wanted.

    Raises:
        ConfigError: The arguments do not go together.
        GeosegError: As of `WindowIndex.build`.
    """
    if full_mask:
        if patch_size is not None or stride is not None:
            raise ConfigError(
                "full_mask (--full-mask) writes masks whole; leave out patch_size and stride"
            )
        return _whole(masks.masks if isinstance(masks, WindowIndex) else paths_of(masks))
    if isinstance(masks, WindowIndex):
        if patch_size is not None or stride is not None:
            raise ConfigError(
                "an index tells its windows; leave out patch_size and stride, or give the paths of masks"
            )
        return masks
    if patch_size is None:
        raise ConfigError(
            "expected patch_size (--patch-size) in pixels, or an index of windows in place of masks"
        )
    _check_size("patch_size", patch_size)
    _check_size("stride", patch_size if stride is None else stride)
    return WindowIndex.build(paths_of(masks), patch_size=patch_size, stride=stride, edge=edge)


def inputs_of(
    image: Images,
    index: WindowIndex,
    *,
    given: Masks,
    full_mask: bool = False,
    output: Output,
    resampling: str,
    ignore_id: int | None,
    binary: bool,
) -> Inputs:
    """Bring images and rows together.

    Args:
        image: One for all masks, one for each, or None: those of the index.
        index: The rows.
        given: What the caller gave as masks, whose order images follow.
        full_mask: Whether names need no place.
        output: What is written.
        resampling: The kernel for images on other grids.
        ignore_id: A value of masks that is no class.
        binary: Whether all classes become 1.

    Raises:
        ConfigError: There are not as many images as masks, or rows have none.
    """
    if image is None:
        images, numbers = _of_rows(index)
    elif isinstance(image, RasterSource | str | os.PathLike):
        images, numbers = [_source(image)], np.zeros(len(index), np.int64)
    else:
        images, numbers = _one_each(image, index, given)
    return Inputs(
        index=index,
        names=tuple(_names(index, full_mask=full_mask)),
        images=tuple(images),
        image_of=numbers,
        output=output,
        resampling=resampling,
        ignore_id=ignore_id,
        binary=binary,
    )


def _check_size(name: str, size: Size) -> None:
    """See that a size is one: whole numbers from 1."""
    sides = (size,) if isinstance(size, int) else tuple(size)
    if min(sides) < 1:
        shown = " x ".join(map(str, sides))
        raise ConfigError(
            f"{name} (--{name.replace('_', '-')}) is {shown}, expected at least 1 pixel"
        )


def paths_of(masks: Path_ | Sequence[Path_]) -> tuple[str, ...]:
    """Paths as texts, as an index has them."""
    given = (masks,) if isinstance(masks, str | os.PathLike) else masks
    return as_paths([os.fspath(mask) for mask in given])


def described(inputs: Inputs, number: int) -> str:
    """What an image is called in a report."""
    return name_of(inputs.images[number])


def _names(index: WindowIndex, *, full_mask: bool) -> list[str]:
    masks = mask_names(index.masks)
    found = zip(index.mask_paths, index.windows, strict=True)
    if full_mask:
        return apart([masks[mask] for mask, _ in found])
    return apart([window_name(masks[mask], window) for mask, window in found])


def _source(image: Image) -> RasterSource:
    return raster_source(image if isinstance(image, RasterSource) else os.fspath(image))


def _of_rows(index: WindowIndex) -> tuple[list[RasterSource], NDArray[np.int64]]:
    """The images that an index names."""
    paths = index.image_paths
    lacking = [i for i, path in enumerate(paths or ()) if path is None]
    if paths is None or lacking:
        what = "no column image_path" if paths is None else f"no image_path in row {lacking[0]}"
        raise ConfigError(f"no image is given, and the index has {what}; give an image")
    known = {path: number for number, path in enumerate(dict.fromkeys(map(str, paths)))}
    numbers = np.array([known[str(path)] for path in paths], np.int64)
    return [raster_source(path) for path in known], numbers


def _one_each(
    images: Sequence[Any], index: WindowIndex, given: Masks
) -> tuple[list[RasterSource], NDArray[np.int64]]:
    """An image for each mask, in the order in which these were given."""
    masks = given.masks if isinstance(given, WindowIndex) else paths_of(given)
    if len(images) != len(masks):
        raise ConfigError(
            f"{len(images)} images are given for {len(masks)} masks; give one for all, or one for each"
        )
    number = {mask: i for i, mask in enumerate(masks)}
    rows = np.array([number[mask] for mask in index.mask_paths], np.int64)
    return [_source(image) for image in images], rows


def _whole(masks: Sequence[str]) -> WindowIndex:
    """A window over all of each mask."""
    import pandas as pd

    from geoseg.grid import Grid

    if not masks:
        raise ConfigError("no masks are given; give at least one")
    grids = [Grid.of(mask) for mask in masks]
    table = pd.DataFrame(
        {
            "mask_path": list(masks),
            "row_off": 0,
            "col_off": 0,
            "width": [grid.width for grid in grids],
            "height": [grid.height for grid in grids],
        }
    )
    return WindowIndex.from_table(table)
