"""RasterPatchDataset: windows of images and masks of two folders that have the same pixels."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from typing import Any

from geoseg.choices import one_of
from geoseg.datasets.windowed.base import WindowedDataset
from geoseg.datasets.windowed.classids import LabelRule
from geoseg.datasets.windowed.files import check_bands, check_pair, same_names
from geoseg.datasets.windowed.imagery import Image, ImageRule
from geoseg.datasets.windowed.options import (
    paths_of,
    refuse_keywords,
    size_of,
    stride_of,
    tell_no_reset,
)
from geoseg.datasets.windowed.rows import served
from geoseg.sampling import WindowIndex
from geoseg.window import Edge, Size


class RasterPatchDataset(WindowedDataset):
    """Windows side by side of images and masks that have equal paths in two folders.

    An image and its mask must have the same size, and the same CRS and transform where both have any.
    See `WindowedDataset` for the items; `df` has their `image_path` too.
    """

    def __init__(  # noqa: PLR0917 - the order is the one that users know
        self,
        image_dir: str | PathLike[str],
        mask_dir: str | PathLike[str],
        extension: str = ".tif",
        patch_size: Size = 256,
        stride: Size | None = 128,
        mask_extension: str | None = None,
        augmentation_list: Any = None,
        data_loader: Any = None,
        selected_bands: Sequence[int] | None = None,
        image_dtype: str = "uint8",
        n_classes: int = 2,
        reset_augmentation_function: bool = False,
        *,
        ignore_index: int | None = None,
        edge: Edge = "drop",
        return_metadata: bool = True,
        **unknown: Any,
    ) -> None:
        """Pair the files and open each once; pixels are read when asked for.

        Args:
            image_dir: The folder of images, looked through with all folders in it.
            mask_dir: That of masks.
            extension: How the names of images end.
            patch_size: Pixels of a window, one number or (height, width).
            stride: Pixels from window to window; None: `patch_size`.
            mask_extension: How the names of masks end; None: like those of images.
            augmentation_list: As of `MBTilesMaskWindowedDataset`, like all that are not told here.
            data_loader: Anything; it is kept.
            selected_bands: Numbers from 1; None: all but alpha.
            image_dtype: "uint8", "uint16", "float32" or "native".
            n_classes: Of 2, all values above 0 are class 1; else values are ids from 0.
            reset_augmentation_function: There is nothing to reset: callables are used as they are.
            ignore_index: A value of masks that is not labelled, and the id of all that is not; None: 255.
            edge: What happens at the last row and column, see `geoseg.window.starts`.
            return_metadata: False leaves mask_path, row_off and col_off out.
            **unknown: An error.

        Raises:
            ConfigError: An argument is wrong or not known.
            SceneError: Files lack their partner, or do not fit it.
            GeosegError: Files cannot be opened.
        """
        refuse_keywords(RasterPatchDataset, unknown)
        tell_no_reset(wanted=reset_augmentation_function)
        size, step = size_of(patch_size, name="patch_size"), stride_of(stride)
        one_of(edge, ("flush", "pad", "drop"), name="edge")
        labels, rule = (
            LabelRule.of(n_classes, ignore_index),
            ImageRule.of(selected_bands, image_dtype),
        )
        (images,), (masks,) = (
            paths_of(image_dir, name="image_dir"),
            paths_of(mask_dir, name="mask_dir"),
        )
        pairs = same_names(images, masks, extension=extension, mask_extension=mask_extension)
        index = WindowIndex.build(
            [mask for _, mask in pairs], patch_size=size, stride=step, edge=edge
        )
        served(index)
        self._images = {mask: rule.open(path) for path, mask in pairs}
        check_bands(self._images.values())
        for mask, image in self._images.items():
            check_pair(image, mask, index.grid_of(mask))
        of_mask = {mask: path for path, mask in pairs}
        index = index.with_columns({"image_path": [of_mask[mask] for mask in index.mask_paths]})
        self._pairs = pairs
        super().__init__(
            index,
            images=rule,
            labels=labels,
            augmentation_list=augmentation_list,
            data_loader=data_loader,
            return_metadata=return_metadata,
            excluded=0,
        )

    @property
    def image_info(self) -> list[dict[str, Any]]:
        """image_path, mask_path, height, width and number of windows of each pair."""
        grids = [(image, mask, self.index.grid_of(mask)) for image, mask in self._pairs]
        counts = self.index.table["mask_path"].value_counts().to_dict()
        return [
            {
                "image_path": image,
                "mask_path": mask,
                "height": grid.height,
                "width": grid.width,
                "windows": int(counts.get(mask, 0)),
            }
            for image, mask, grid in grids
        ]

    def _image_of(self, number: int, mask: str) -> Image:
        del number
        return self._images[mask]
