"""MBTilesMaskWindowedDataset: windows of masks with the pixels of one image, whatever its grid."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import Any, Literal

from geoseg.choices import one_of
from geoseg.datasets.windowed.base import WindowedDataset
from geoseg.datasets.windowed.classids import LabelRule
from geoseg.datasets.windowed.coverage import check_imagery
from geoseg.datasets.windowed.files import files_in
from geoseg.datasets.windowed.imagery import Image, ImageRule
from geoseg.datasets.windowed.options import (
    flag_of,
    path_of,
    paths_of,
    refuse_keywords,
    size_of,
    stride_of,
    word_of,
)
from geoseg.datasets.windowed.rows import served, tell_sizes
from geoseg.errors import ConfigError
from geoseg.sampling import WindowIndex
from geoseg.sources.base import RasterSource
from geoseg.window import Edge, Size

AnyPath = str | PathLike[str]
_RESAMPLINGS = ("nearest", "bilinear", "cubic", "average", "auto")


class MBTilesMaskWindowedDataset(WindowedDataset):
    """Windows of masks with the pixels of web tiles, or of any other raster, brought onto their grids.

    The masks are the reference: windows are theirs, and the image is warped when a window is read (see
    `WarpedSource`: a window equals the crop of the whole). See `WindowedDataset` for the items.

    ```python
    data = MBTilesMaskWindowedDataset("a.mbtiles", mask_dir="masks", patch_size=256)
    loader = DataLoader(data, batch_size=8, num_workers=4)
    sampler = WeightedRandomSampler(data.df["sampler_weight"].tolist(), len(data))
    ```

    Attributes: `windows`, `mask_paths`, `df` (a row for each item), `index`, `data_loader` and
    `augmentation_list` as given, `transform` (None for no augmentation) and `excluded`, how many rows
    were left out.
    """

    def __init__(  # noqa: PLR0917 - the order is the one that users know
        self,
        mbtiles_path: AnyPath | RasterSource | dict[str, Any],
        mask_paths: Sequence[AnyPath] | None = None,
        mask_dir: AnyPath | None = None,
        mask_extension: str = ".tif",
        patch_size: Size = 512,
        stride: Size | None = None,
        selected_bands: Sequence[int] | None = None,
        image_dtype: str = "uint8",
        image_resampling: str = "bilinear",
        n_classes: int = 2,
        augmentation_list: Any = None,
        data_loader: Any = None,
        return_metadata: bool = True,
        window_index_cache: AnyPath | WindowIndex | None = None,
        window_index_mask_path_key: str = "mask_path",
        window_index_coordinate_mode: str = "auto",
        mask_base_path: AnyPath | None = None,
        *,
        ignore_index: int | None = None,
        edge: Edge = "drop",
        on_stale: Literal["rebuild", "raise"] = "rebuild",
        snap: bool = False,
        reproject_bounds: bool = False,
        split: str | None = None,
        **unknown: Any,
    ) -> None:
        """Find masks and windows, and open everything once; pixels are read when asked for.

        Args:
            mbtiles_path: An MBTiles file, any other raster file, or a source or its fields, as a
                `MBTilesSource` with `nodata_color` for JPEG tiles, which have no alpha.
            mask_paths: Mask files, sorted; they go before `mask_dir`.
            mask_dir: A folder that is looked through with all folders in it.
            mask_extension: How the names of masks end.
            patch_size: Pixels of a window, one number or (height, width).
            stride: Pixels from window to window; None: `patch_size`.
            selected_bands: Numbers from 1; None: all but alpha, which is told by `valid`.
            image_dtype: "uint8", "uint16", "float32" or "native"; what does not fit is an error. The first
                two are scaled to [0, 1], the others are as they come.
            image_resampling: "nearest", "bilinear", "cubic", "average" or "auto".
            n_classes: Of 2, all values above 0 are class 1; else values are ids from 0.
            augmentation_list: Callables on the sample, called one after the other, or such as albumentations
                has: `f(image=(height, width, band), mask=(height, width))`, which get pixels in
                `image_dtype`, not scaled yet where they come first. Both find an id of its own in the mask
                where it is not valid; `valid` follows the mask, unless a callable on the sample changes it.
            data_loader: Anything; it is kept.
            return_metadata: False leaves mask_path, row_off and col_off out.
            window_index_cache: A CSV or Parquet file of windows, see `WindowIndex.cached`: read where it is
                there, else written; or an index.
            window_index_mask_path_key: Its column of masks.
            window_index_coordinate_mode: "auto", "pixel" or "bounds".
            mask_base_path: A folder for relative paths in it.
            ignore_index: A value of masks that is not labelled, and the id of all that is not; None: that
                id is 255, and masks tell by their nodata.
            edge: What happens at the last row and column, see `geoseg.window.starts`; "pad" also allows
                windows of an index past the edge.
            on_stale: "raise": an error where an index was built of other masks or settings.
            snap: Take the nearest pixels where bounds of an index are off the grid.
            reproject_bounds: Allow bounds in another CRS than the mask's.
            split: Serve rows with this in the column `split` only, as "train".
            **unknown: An error.

        Raises:
            ConfigError: An argument is wrong or not known.
            GeosegError: Files are missing or cannot be opened, an index does not fit, or there is no
                imagery under a mask.
        """
        refuse_keywords(MBTilesMaskWindowedDataset, unknown)
        resampling = word_of(image_resampling, _RESAMPLINGS, name="image_resampling")
        size, step = size_of(patch_size, name="patch_size"), stride_of(stride)
        one_of(edge, ("flush", "pad", "drop"), name="edge")
        one_of(on_stale, ("rebuild", "raise"), name="on_stale")
        mode = word_of(
            window_index_coordinate_mode,
            ("auto", "pixel", "bounds"),
            name="window_index_coordinate_mode",
        )
        snap = flag_of(snap, name="snap")
        reproject_bounds = flag_of(reproject_bounds, name="reproject_bounds")
        labels = LabelRule.of(n_classes, ignore_index)
        rule = ImageRule.of(selected_bands, image_dtype)
        image = rule.open(mbtiles_path)
        if isinstance(window_index_cache, WindowIndex):
            index = window_index_cache
        else:
            cache = path_of(window_index_cache, name="window_index_cache")
            masks = _masks(mask_paths, mask_dir, mask_extension, cache=cache)
            key = window_index_mask_path_key
            if cache is None:
                if masks is None:
                    raise ConfigError(
                        "there are no masks: give mask_paths, mask_dir or window_index_cache"
                    )
                index = WindowIndex.build(masks, patch_size=size, stride=step, edge=edge, key=key)
            else:
                index = WindowIndex.cached(
                    cache,
                    masks,
                    patch_size=size,
                    stride=step,
                    edge=edge,
                    key=key,
                    on_stale=on_stale,
                    coordinates=mode,  # type: ignore[arg-type]
                    mask_base_path=path_of(mask_base_path, name="mask_base_path"),
                    outside="pad" if edge == "pad" else "error",
                    snap=snap,
                    reproject_bounds=reproject_bounds,
                )
        tell_sizes(index, size)
        index, excluded = served(index, split=split)
        self._image, self._resampling = image, resampling
        self._warped: dict[str, Image] = {}
        super().__init__(
            index,
            images=rule,
            labels=labels,
            augmentation_list=augmentation_list,
            data_loader=data_loader,
            return_metadata=return_metadata,
            excluded=excluded,
        )
        check_imagery(image, [(mask, self._onto(mask)) for mask in index.masks])

    def __getstate__(self) -> dict[str, Any]:
        """Without what is made again when asked for."""
        return super().__getstate__() | {"_warped": {}}

    def _image_of(self, number: int, mask: str) -> Image:
        del number
        return self._onto(mask)

    def _onto(self, mask: str) -> Image:
        if mask not in self._warped:
            self._warped[mask] = self._image.onto(self.index.grid_of(mask), self._resampling)
        return self._warped[mask]


def _masks(
    mask_paths: Any, mask_dir: Any, extension: str, *, cache: str | None
) -> list[str] | None:
    """Masks as they are given or found, sorted; None for those of an index that is there."""
    if mask_paths is not None:
        return sorted(paths_of(mask_paths, name="mask_paths"))
    folder = path_of(mask_dir, name="mask_dir")
    if folder is None:
        return None
    try:
        return files_in(folder, extension, name="mask_extension")
    except ConfigError:
        if cache is not None and Path(cache).exists():
            return None  # the index names its masks
        raise
