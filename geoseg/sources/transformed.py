"""What is done to pixels as they are read, and the sources that do it."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import numpy as np

from geoseg.errors import SourceError
from geoseg.sources.base import Chip, RasterSource, read_clipped
from geoseg.spec import Tagged, uris_of
from geoseg.window import Window


class Transform(Tagged):
    """Something that is done to every chip of a source, pixel by pixel.

    A kind of your own needs a tag and `__call__`, and says so where it changes dtype or bands:

    ```python
    from geoseg.sources import Chip, Transform


    class Ratio(Transform):
        type: Literal["ratio"] = "ratio"

        def __call__(self, chip: Chip) -> Chip:
            red, nir = chip.data.astype("float32")
            return Chip((nir / (red + 1))[None], chip.valid)

        def band_names_of(self, names: tuple[str, ...]) -> tuple[str, ...]:
            return ("ratio",)

        def dtype_of(self, dtype: np.dtype) -> np.dtype:
            return np.dtype("float32")
    ```
    """

    @abstractmethod
    def __call__(self, chip: Chip) -> Chip:
        """The chip changed; what a pixel becomes hangs on that pixel only, never on the window.

        Args:
            chip: May be changed in place. Where `valid` is False its data is unspecified and must not
                lead to an error.
        """

    def band_names_of(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """Names of the bands that come out, from those that go in.

        Raises:
            SourceError: There are too few or too many bands for this transform.
        """
        return names

    def dtype_of(self, dtype: np.dtype[Any]) -> np.dtype[Any]:
        """The dtype that comes out, from the one that goes in."""
        return dtype

    @property
    def keeps_means(self) -> bool:
        """Whether the mean of changed pixels is the changed mean, and none becomes valid or invalid.

        Only then may an overview, whose pixels are means of those in the file, be changed in place of
        the pixels. True for `a x + b` of each band with no rounding or clipping; not known of others.
        """
        return False

    def categorical_of(self, categorical: bool) -> bool:
        """Whether what comes out are numbers of classes, from whether those were that go in."""
        return categorical


class TransformedSource(RasterSource):
    """A source with a list of transforms. Kinds say what they hold before any is done.

    The kinds of geoseg are such sources; a kind of your own may be, or a plain RasterSource.
    """

    transforms: tuple[Transform, ...] = ()
    """What is done to the pixels when they are read, in this order."""

    @property
    @abstractmethod
    def own_band_names(self) -> tuple[str, ...]:
        """Names of the bands before the transforms."""

    @property
    @abstractmethod
    def own_dtype(self) -> np.dtype[Any]:
        """The dtype before the transforms."""

    @property
    def own_categorical(self) -> bool:
        """Whether pixels of any band, before the transforms, are numbers of classes."""
        return False

    @property
    def own_wholly_categorical(self) -> bool:
        """Whether all bands are, before the transforms."""
        return self.own_categorical

    @property
    def own_blended(self) -> bool:
        """Whether pixels may be blends of several, before the transforms; told without opening a file."""
        return False

    @abstractmethod
    def read_own(self, window: Window) -> Chip:
        """The pixels of a window before the transforms; as RasterSource.read."""

    @property
    def band_names(self) -> tuple[str, ...]:
        """Names of the bands that `read` gives, in order."""
        names = self.own_band_names
        for transform in self.transforms:
            names = transform.band_names_of(names)
        return names

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of the pixels that `read` gives."""
        dtype = self.own_dtype
        for transform in self.transforms:
            dtype = np.dtype(transform.dtype_of(dtype))
        return dtype

    @property
    def categorical(self) -> bool:
        """Whether the pixels that `read` gives are numbers of classes."""
        found = self.own_categorical
        for transform in self.transforms:
            found = transform.categorical_of(found)
        return found

    @property
    def wholly_categorical(self) -> bool:
        """Whether all bands that `read` gives are numbers of classes."""
        found = self.own_wholly_categorical
        for transform in self.transforms:
            found = transform.categorical_of(found)
        return found

    @property
    def blended(self) -> bool:
        """Whether pixels that `read` gives may be blends, and were not made classes after that."""
        made_classes = False
        for transform in self.transforms:
            made_classes = transform.categorical_of(made_classes)
        return self.own_blended and not made_classes

    @property
    def keeps_means(self) -> bool:
        """Whether the transforms do, so that they may be done to an overview."""
        return all(transform.keeps_means for transform in self.transforms)

    def read(self, window: Window) -> Chip:
        """The pixels of a window, transformed; see RasterSource.

        Raises:
            SourceError: The pixels cannot be read, or a transform gives other than it says.
        """
        if not self.transforms:
            return self.read_own(window)
        return read_clipped(window, self, self._read_transformed)

    def _read_transformed(self, window: Window) -> Chip:
        chip = self.read_own(window)
        names, dtype = self.own_band_names, chip.data.dtype
        for transform in self.transforms:
            names, dtype = transform.band_names_of(names), np.dtype(transform.dtype_of(dtype))
            try:
                chip = transform(chip)
            except SourceError as error:
                raise SourceError(f"{self._told_place(window)}: {error}") from error
            expected = (dtype, (len(names), *window.shape), window.shape)
            found = (chip.data.dtype, chip.data.shape, chip.valid.shape)
            if found != expected:
                raise SourceError(
                    f"{type(transform).__name__}: gave {found[0]} {found[1]} with valid {found[2]}, but "
                    f"says {expected[0]} {expected[1]} with valid {expected[2]}; mend its `__call__`, "
                    "`band_names_of` or `dtype_of`"
                )
        return chip

    def _told_place(self, window: Window) -> str:
        """What an error calls a window: the file, or the kind, and where."""
        files = uris_of(self)
        name = files[0] if files else type(self).__name__
        more = f" and {len(files) - 1} more" if len(files) > 1 else ""
        rows = f"rows {window.row}..{window.row_stop - 1}"
        return f"{name}{more}, {rows}, columns {window.col}..{window.col_stop - 1}"
