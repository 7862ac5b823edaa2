"""Where a patch lies, of which each file may tell something else."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import lru_cache

from affine import Affine
from pydantic import ValidationError
from rasterio.crs import CRS

from geoseg.convert.images import Image
from geoseg.errors import SourceError
from geoseg.grid import Grid, compose, to_crs

TOLERANCE = 0.5
"""Pixels, of the coarser of two bands: what lies further off lies elsewhere."""

_CURE = "bands of a patch cover the same ground"


@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """A file of a patch."""

    path: str
    names: tuple[str, ...]
    """Its tensors."""
    image: Image
    is_mask: bool = False
    """Whether the user has paired it with an image: it need not tell where it lies."""

    @property
    def size(self) -> tuple[int, int]:
        """(height, width)."""
        height, width = self.image.data.shape[1:]
        return height, width


def placed(pieces: Sequence[Piece]) -> tuple[Grid | None, tuple[str, ...]]:
    """(the grid of a patch in pixels of its largest band, tensors of which no file tells the place).

    The place is that of the largest file that has CRS and transform, else of the largest with a transform;
    a CRS without one is no place. All bands of a patch cover the same ground: a file without a place is
    taken to cover that of the others. Of a mask that cannot be compared by place, the size is to fit.

    Args:
        pieces: All files of a patch.

    Raises:
        SourceError: A file lies elsewhere: its CRS is another one, or a corner is more than half a pixel
            (of the coarser of both) away from that of the largest; a mask without a place has another size
            than the image, and not by a whole factor; or a georeference makes no grid.
    """
    kinds: dict[object, Piece] = {}
    for piece in pieces:  # most bands lie like another one
        kinds.setdefault(_place(piece), piece)
    _check_masks(kinds.values())
    there = [piece for piece in kinds.values() if piece.image.transform is not None]
    unplaced: tuple[str, ...] = ()
    if len(there) < len(kinds):
        unplaced = tuple(name for piece in pieces if _is_lost(piece, there) for name in piece.names)
    if not there:
        return None, unplaced
    anchor = max(there, key=lambda piece: (piece.image.crs is not None, _pixels(piece)))
    for piece in there:
        if piece is not anchor:
            _check_ground(piece, anchor)
    heights, widths = zip(*(piece.size for piece in kinds.values()), strict=True)
    return _grid(anchor, max(heights), max(widths)), unplaced


def _place(piece: Piece) -> object:
    """Equal for files that lie alike."""
    image = piece.image
    return image.transform, image.data.shape, image.crs, piece.is_mask


def _is_lost(piece: Piece, there: Sequence[Piece]) -> bool:
    """Whether a file does not tell its place, and that is worth a word."""
    if piece.image.transform is not None:
        return False
    return piece.image.crs is not None or (bool(there) and not piece.is_mask)


def _pixels(piece: Piece) -> int:
    return piece.size[0] * piece.size[1]


def _grid(anchor: Piece, height: int, width: int) -> Grid:
    transform = anchor.image.transform or Affine.identity()
    rows, cols = anchor.size
    if (rows, cols) != (height, width):
        transform = compose(transform, Affine.scale(cols / width, rows / height))
    crs = None if anchor.image.crs is None else _crs(anchor.image.crs)
    try:
        return Grid(crs=crs, transform=transform, height=height, width=width)
    except ValidationError as error:
        raise SourceError(
            f"{anchor.path}: its georeference is no grid: {error.errors()[0]['msg']}; mend the file"
        ) from error


@lru_cache(maxsize=256)
def _crs(text: str) -> CRS:
    return to_crs(text)


def _check_ground(piece: Piece, anchor: Piece) -> None:
    """See that a file covers the ground of the largest one.

    Raises:
        SourceError: It does not.
    """
    one, other = piece.image, anchor.image
    if one.transform is None or other.transform is None:
        return
    if one.crs and other.crs and one.crs != other.crs and _crs(one.crs) != _crs(other.crs):
        raise SourceError(
            f"{piece.path}: its CRS is {one.crs}, that of {anchor.path} {other.crs}; {_CURE}"
        )
    off = pixels_apart((one.transform, piece.size), (other.transform, anchor.size))
    if off > TOLERANCE:
        raise SourceError(
            f"{piece.path}: its corners lie {off:.4g} pixels away from those of {anchor.path}, expected at "
            f"most {TOLERANCE}; {_CURE}"
        )


def _check_masks(pieces: Collection[Piece]) -> None:
    """See that masks have the size of the largest image, or that by a whole factor, where places cannot tell.

    Raises:
        SourceError: One is another picture, or cut otherwise: it would be stretched over the image.
    """
    image = max((piece for piece in pieces if not piece.is_mask), key=_pixels)
    height, width = image.size
    for mask in (piece for piece in pieces if piece.is_mask):
        if None not in (mask.image.transform, image.image.transform):
            continue
        rows, cols = mask.size
        is_whole = rows % height == 0 or height % rows == 0
        if not is_whole or rows * width != cols * height:
            raise SourceError(
                f"{mask.path}: this mask has {rows} x {cols} pixels and tells no place to compare, its image "
                f"{image.path} {height} x {width}; expected the same size, or that by a whole factor: pair the "
                "right files, or georeference both"
            )


Place = tuple[Affine, tuple[int, int]]
"""(transform, (height, width))."""


def pixels_apart(one: Place, other: Place) -> float:
    """How far corners of two rasters lie from each other at most, in pixels of the coarser one.

    >>> pixels_apart((Affine.scale(10), (6, 4)), (Affine.scale(20), (3, 2)))
    0.0
    """
    pairs = zip(_corners(*one), _corners(*other), strict=True)
    far = max(abs(mine - theirs) for mine, theirs in pairs)
    return far / max(_step(one[0]), _step(other[0]))


def _corners(t: Affine, size: tuple[int, int]) -> tuple[float, ...]:
    """X and y of the first corner, and of the ends of the first row and of the first column.

    The fourth corner follows from these; two would not tell a raster from its transpose.
    """
    rows, cols = size
    return (
        t.c, t.f, t.a * cols + t.c, t.d * cols + t.f, t.b * rows + t.c, t.e * rows + t.f,
    )  # fmt: skip


def _step(t: Affine) -> float:
    """The longest step from a pixel to the next along an axis of the ground."""
    return float(max(abs(t.a), abs(t.b), abs(t.d), abs(t.e)))
