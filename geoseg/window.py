"""Integer rectangles on a pixel grid, and how a side is covered by them. No I/O."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol, overload

from geoseg.choices import one_of
from geoseg.errors import ConfigError, GridError

if TYPE_CHECKING:
    from rasterio.windows import Window as RasterioWindow

Edge = Literal["flush", "pad", "drop"]
Size = int | tuple[int, int]


class Sized2D(Protocol):
    """Anything with a height and a width in pixels, such as a Grid."""

    @property
    def height(self) -> int: ...  # noqa: D102
    @property
    def width(self) -> int: ...  # noqa: D102


@dataclass(frozen=True, slots=True, order=True)
class Window:
    """A half-open pixel rectangle counted from the scene's top-left pixel; may reach past the raster.

    >>> Window(2, 3, 4, 5).intersection(Window(0, 0, 4, 4))
    Window(row=2, col=3, height=2, width=1)
    """

    row: int
    """First row; negative above the raster."""
    col: int
    """First column; negative left of the raster."""
    height: int
    """Rows, at least 1."""
    width: int
    """Columns, at least 1."""

    def __post_init__(self) -> None:
        for name in ("row", "col", "height", "width"):
            object.__setattr__(self, name, operator.index(getattr(self, name)))
        if self.height < 1 or self.width < 1:
            raise GridError(f"a window is at least 1 x 1 pixel, got {self.height} x {self.width}")

    @property
    def row_stop(self) -> int:
        """The row after the last."""
        return self.row + self.height

    @property
    def col_stop(self) -> int:
        """The column after the last."""
        return self.col + self.width

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width)."""
        return self.height, self.width

    @property
    def slices(self) -> tuple[slice, slice]:
        """Index of a (height, width) array of the whole raster; GridError left of or above it."""
        if self.row < 0 or self.col < 0:
            raise GridError(f"{self} begins outside the raster; intersect it with the raster first")
        return slice(self.row, self.row_stop), slice(self.col, self.col_stop)

    @property
    def bounds_px(self) -> tuple[int, int, int, int]:
        """(first column, first row, column after the last, row after the last)."""
        return self.col, self.row, self.col_stop, self.row_stop

    def intersection(self, other: Window) -> Window | None:
        """The common rectangle, or None where the two only touch or are apart."""
        row, col = max(self.row, other.row), max(self.col, other.col)
        height = min(self.row_stop, other.row_stop) - row
        width = min(self.col_stop, other.col_stop) - col
        return Window(row, col, height, width) if height > 0 and width > 0 else None

    def contains(self, other: Window) -> bool:
        """Whether every pixel of `other` lies in this window."""
        return self.intersection(other) == other

    def relative_to(self, other: Window) -> Window:
        """The same pixels, counted from the first pixel of `other`."""
        return Window(self.row - other.row, self.col - other.col, self.height, self.width)

    def to_rasterio(self) -> RasterioWindow:
        """The same rectangle for rasterio."""
        from rasterio.windows import Window as RasterioWindow

        return RasterioWindow(self.col, self.row, self.width, self.height)

    @classmethod
    def from_rasterio(cls, window: RasterioWindow) -> Window:
        """The same rectangle from rasterio; GridError unless it is a whole number of pixels."""
        values = (window.row_off, window.col_off, window.height, window.width)
        if any(value != int(value) for value in values):
            raise GridError(f"{window} is not made of whole pixels; round it first")
        row, col, height, width = (int(value) for value in values)
        return cls(row, col, height, width)


def starts(length: int, size: int, stride: int, edge: Edge = "flush") -> list[int]:
    """Offsets at which spans of `size` pixels cover the side [0, length).

    Args:
        length: Pixels on the side, at least 1.
        size: Pixels in a span, at least 1.
        stride: Pixels from one span to the next; at most `size` with "flush".
        edge: "flush": the last span ends with the side (one span at 0 where the side is shorter);
            "pad": regular steps, the last span may reach outside; "drop": whole regular spans only.

    Raises:
        ConfigError: A number below 1, or "flush" with a stride larger than the size.

    >>> starts(length=11, size=4, stride=3)
    [0, 3, 6, 7]
    >>> starts(length=11, size=4, stride=3, edge="pad")
    [0, 3, 6, 9]
    >>> starts(length=11, size=4, stride=3, edge="drop")
    [0, 3, 6]
    """
    if min(length, size, stride) < 1:
        raise ConfigError(
            f"length, size and stride are at least 1 pixel, got {length}, {size}, {stride}"
        )
    one_of(edge, ("drop", "flush", "pad"), name="edge")
    if edge == "flush":
        if stride > size:
            raise ConfigError(
                f"stride {stride} is larger than size {size}: pixels between windows would be lost; "
                'use a stride of at most the size, or edge="pad" or "drop"'
            )
        last = max(length - size, 0)
        return [*range(0, last, stride), last]
    if edge == "pad":
        count = -(-max(length - size, 0) // stride) + 1
        return [i * stride for i in range(count)]
    return list(range(0, length - size + 1, stride))


@dataclass(frozen=True)
class WindowSequence(Sequence[Window]):
    """Windows of one size, row-major, made when asked for."""

    rows: tuple[int, ...]
    """First row of each row of windows."""
    cols: tuple[int, ...]
    """First column of each column of windows."""
    size: tuple[int, int]
    """(height, width) of every window."""

    def __len__(self) -> int:
        return len(self.rows) * len(self.cols)

    @overload
    def __getitem__(self, index: int) -> Window: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Window]: ...
    def __getitem__(self, index: int | slice) -> Window | Sequence[Window]:
        """A window, or a tuple of them for a slice."""
        if isinstance(index, slice):
            return tuple(self[i] for i in range(*index.indices(len(self))))
        position = index + len(self) if index < 0 else index
        if not 0 <= position < len(self):
            raise IndexError(f"window {index} of {len(self)}")
        row, col = divmod(position, len(self.cols))
        return Window(self.rows[row], self.cols[col], *self.size)


def pair(size: Size) -> tuple[int, int]:
    """(height, width) of a size given as one number or as two.

    >>> pair(256), pair((128, 64))
    ((256, 256), (128, 64))
    """
    if isinstance(size, Sequence) and not isinstance(size, str):
        height, width = size
        return operator.index(height), operator.index(width)
    return operator.index(size), operator.index(size)


def sliding(
    grid_or_shape: Sized2D | tuple[int, int],
    size: Size,
    stride: Size | None = None,
    edge: Edge = "flush",
) -> WindowSequence:
    """Windows that cover a raster row by row, as a lazy sequence.

    Args:
        grid_or_shape: The raster: anything with height and width, or (height, width).
        size: Pixels, one number or (height, width).
        stride: Pixels, the same way; None means `size`.
        edge: What happens at the last row and column, see `starts`.

    >>> len(sliding((1000, 700), size=256, stride=128))
    35
    """
    if isinstance(grid_or_shape, tuple | list):
        height, width = grid_or_shape
    else:
        height, width = grid_or_shape.height, grid_or_shape.width
    size = pair(size)
    step = size if stride is None else pair(stride)
    return WindowSequence(
        rows=tuple(starts(height, size[0], step[0], edge)),
        cols=tuple(starts(width, size[1], step[1], edge)),
        size=size,
    )
