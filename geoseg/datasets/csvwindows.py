"""CSVWindowedSegmentationDataset: windows of images and masks, one pair a row of a table."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geoseg.choices import one_of
from geoseg.datasets.windowed.base import WindowedDataset
from geoseg.datasets.windowed.classids import LabelRule
from geoseg.datasets.windowed.files import check_bands, check_pair
from geoseg.datasets.windowed.imagery import Image, ImageRule
from geoseg.datasets.windowed.options import (
    flag_of,
    path_of,
    refuse_keywords,
    tell_no_reset,
    whole_of,
)
from geoseg.datasets.windowed.rows import served
from geoseg.errors import ConfigError, GeosegError
from geoseg.sampling import WindowIndex
from geoseg.sampling.windowindex.paths import resolved
from geoseg.sampling.windowindex.tables import load
from geoseg.window import Edge

if TYPE_CHECKING:
    from pandas import DataFrame

_IMAGE, _MASK, _ROW, _COL, _SIZE = "image_path", "mask_path", "row_off", "col_off", "patch_size"


class CSVWindowedSegmentationDataset(WindowedDataset):
    """Square windows of images and their masks, each named by a row of a table.

    Image and mask of an item are always those of one row; they must have the same size, and the same CRS
    and transform where both have any. See `WindowedDataset` for the items. `df` is the table as it was
    given, without the rows that are `excluded`.
    """

    def __init__(  # noqa: PLR0917 - the order is the one that users know
        self,
        input_csv_path: str | PathLike[str] | DataFrame | None = None,
        root_dir: str | PathLike[str] | None = None,
        augmentation_list: Any = None,
        data_loader: Any = None,
        image_key: str = "image",
        mask_key: str = "mask",
        row_off_key: str = "row_off",
        col_off_key: str = "col_off",
        patch_size_key: str = "patch_size",
        n_first_rows_to_read: int | None = None,
        n_classes: int = 2,
        selected_bands: Sequence[int] | None = None,
        use_rasterio: bool = True,
        reset_augmentation_function: bool = False,
        image_dtype: str = "uint8",
        *,
        df: DataFrame | None = None,
        ignore_index: int | None = None,
        edge: Edge = "drop",
        return_metadata: bool = True,
        split: str | None = None,
        **unknown: Any,
    ) -> None:
        """Read the table and open every file once; pixels are read when asked for.

        Args:
            input_csv_path: A CSV or Parquet file, or a table; or give `df`.
            root_dir: A folder for relative paths; None: that of the file, or, for what is only there, the
                working directory with a warning.
            augmentation_list: As of `MBTilesMaskWindowedDataset`, like all that are not told here.
            data_loader: Anything; it is kept.
            image_key: The column of images.
            mask_key: That of masks.
            row_off_key: That of the first rows of windows.
            col_off_key: That of their first columns.
            patch_size_key: That of their sizes in pixels.
            n_first_rows_to_read: Take so many rows from the beginning; None: all.
            n_classes: Of 2, all values above 0 are class 1; else values are ids from 0.
            selected_bands: Numbers from 1; None: all but alpha.
            use_rasterio: Everything is read so, pictures too; both are the same.
            reset_augmentation_function: There is nothing to reset: callables are used as they are.
            image_dtype: "uint8", "uint16", "float32" or "native".
            df: A table, in place of a file.
            ignore_index: A value of masks that is not labelled, and the id of all that is not; None: 255.
            edge: "pad" allows windows past the edge of their mask; else these are an error.
            return_metadata: False leaves mask_path, row_off and col_off out.
            split: Serve rows with this in the column `split` only, as "train".
            **unknown: An error.

        Raises:
            ConfigError: An argument is wrong or not known, or a column is missing.
            SceneError: An image does not fit its mask.
            GeosegError: Files cannot be opened, or windows are not on their masks.
        """
        refuse_keywords(CSVWindowedSegmentationDataset, unknown)
        flag_of(use_rasterio, name="use_rasterio")
        tell_no_reset(wanted=reset_augmentation_function)
        one_of(edge, ("flush", "pad", "drop"), name="edge")
        labels, rule = (
            LabelRule.of(n_classes, ignore_index),
            ImageRule.of(selected_bands, image_dtype),
        )
        keys = dict(
            zip(
                (_IMAGE, _MASK, _ROW, _COL, _SIZE),
                (image_key, mask_key, row_off_key, col_off_key, patch_size_key),
                strict=True,
            )
        )
        where, table = _table(input_csv_path, df, mask_key=mask_key)
        if n_first_rows_to_read is not None:
            table = table.head(whole_of(n_first_rows_to_read, name="n_first_rows_to_read", least=1))
        table = table.reset_index(drop=True)
        root = path_of(root_dir, name="root_dir")
        try:
            index = _index(table, keys, root=root, where=where, pads=edge == "pad")
            index, excluded = served(index, split=split)
        except GeosegError as error:
            told = str(error).removeprefix("the table: ").removeprefix("the index: ")
            raise type(error)(f"{where}: {told.removeprefix(f'{where}: ')}") from error
        self._table = table.iloc[index.table[_NUMBER].to_numpy()].reset_index(drop=True)
        self._paths = index.image_paths or ()
        self._images = {path: rule.open(path) for path in dict.fromkeys(self._paths)}
        check_bands(self._images.values())
        for path, mask in dict.fromkeys(zip(self._paths, index.mask_paths, strict=True)):
            check_pair(self._images[path], mask, index.grid_of(mask))
        super().__init__(
            index,
            images=rule,
            labels=labels,
            augmentation_list=augmentation_list,
            data_loader=data_loader,
            return_metadata=return_metadata,
            excluded=excluded,
        )

    @property
    def df(self) -> DataFrame:
        """The table as it was given, a row for each item in their order."""
        return self._table

    def _image_of(self, number: int, mask: str) -> Image:
        del mask
        return self._images[self._paths[number]]


_NUMBER = "geoseg_row"
"""The column by which rows of the table are found again."""


def _table(given: Any, df: Any, *, mask_key: str) -> tuple[str, DataFrame]:
    """What errors call the table, and the table."""
    import pandas as pd

    if (given is None) == (df is None):
        what = "neither" if given is None else "both"
        raise ConfigError(f"{what} input_csv_path and df are given; give one of the two")
    table = given if df is None else df
    if isinstance(table, pd.DataFrame):
        return "the table", table
    path = path_of(table, name="input_csv_path")
    if path is None:
        raise ConfigError("input_csv_path is None, expected a file")
    return path, load(path, key=mask_key).table


def _index(
    table: DataFrame, keys: dict[str, str], *, root: str | None, where: str, pads: bool
) -> WindowIndex:
    """The windows of the table, under the names that an index has."""
    import numpy as np
    import pandas as pd

    for meaning, key in keys.items():
        if key not in table:
            near = get_close_matches(key, [str(name) for name in table.columns], n=1)
            hint = f"is it {near[0]!r}? " if near else ""
            raise ConfigError(
                f"has no column {key!r}, but {', '.join(map(str, table.columns))}; {hint}name the column of "
                f"{meaning} with {_PARAMETERS[meaning]}"
            )
    columns = {meaning: table[key] for meaning, key in keys.items()}
    columns |= {name: table[name] for name in ("excluded", "split") if name in table}
    found = pd.DataFrame(columns | {_NUMBER: np.arange(len(table))})
    empty = found[_IMAGE].isna()
    if empty.any():
        raise ConfigError(
            f"row {int(np.argmax(empty))} (from 0; {int(empty.sum())} of {len(found)} rows) names no image"
        )
    folder = Path.cwd() if where == "the table" else Path(where).absolute().parent
    for name in (_IMAGE, _MASK):
        texts = found[name].astype(object)
        written = tuple(dict.fromkeys(texts[texts.notna()].map(str)))
        leads = dict(
            zip(written, resolved(written, folder=folder, base=root, where=where), strict=True)
        )
        found[name] = texts.map(lambda cell, leads=leads: leads.get(str(cell), cell))
    return WindowIndex.from_table(found, outside="pad" if pads else "error")


_PARAMETERS = {
    _IMAGE: "image_key",
    _MASK: "mask_key",
    _ROW: "row_off_key",
    _COL: "col_off_key",
    _SIZE: "patch_size_key",
}
