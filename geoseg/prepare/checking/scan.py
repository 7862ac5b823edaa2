"""All windows of an index looked at once, mask by mask."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import GeosegError, LabelError
from geoseg.prepare.checking.findings import Example, Findings
from geoseg.prepare.checking.imagelook import ImageLook, look_at_image
from geoseg.prepare.checking.labellook import Known, LabelLook, look_at_labels
from geoseg.prepare.checking.opening import Opened
from geoseg.prepare.checking.pairing import Images, Pair, pair_up
from geoseg.prepare.counts import WindowCounts
from geoseg.sources.base import RasterSource, raster_source
from geoseg.sources.handles import GDAL_ERRORS, block_cache
from geoseg.window import Window

_Ints = NDArray[np.int64]
_Flags = NDArray[np.bool_]

FAILURES: tuple[type[Exception], ...] = (GeosegError, OSError, ValueError, *GDAL_ERRORS)
"""What a file that is missing or damaged leads to; the check goes on with the next."""
_CACHE_BYTES = 128 << 20
"""Bytes of decoded blocks: a row of windows of an image of 80,000 columns and more."""
_VALUES = 12
"""Values of one mask that are no class, told one by one."""


@dataclass
class Scan:
    """What was measured of each window; those that could not be read have 0."""

    read: _Flags
    """(window,) whether labels were read."""
    seen: _Flags
    """(window,) whether the image was read."""
    labelled: _Ints
    """(window,) pixels of classes."""
    valid: _Ints
    """(window,) valid pixels of the image."""
    edges: _Ints
    """(window,) length of the boundaries of labels, in pixels."""
    islands: _Ints
    """(window,) pixels with a label of their own amid others."""
    teeth: _Ints
    """(window,) pixels of which three or four neighbours have other labels."""
    constant: _Flags
    """(window,) whether the image has one value everywhere."""
    label_digests: list[bytes | None]
    """(window,) equal for equal labels."""
    image_digests: list[bytes | None]
    """(window,) equal for equal images; None for what is constant or empty."""
    by_id: dict[int, _Ints] = field(default_factory=dict)
    """{class: (window,) pixels}."""

    @classmethod
    def of(cls, count: int) -> Scan:
        """Nothing looked at yet."""
        read, seen, constant = (np.zeros(count, np.bool_) for _ in range(3))
        labelled, valid, edges, islands, teeth = (np.zeros(count, np.int64) for _ in range(5))
        return cls(
            read=read,
            seen=seen,
            labelled=labelled,
            valid=valid,
            edges=edges,
            islands=islands,
            teeth=teeth,
            constant=constant,
            label_digests=[None] * count,
            image_digests=[None] * count,
        )

    @property
    def counts(self) -> WindowCounts:
        """Pixels of each class in each window."""
        ids = tuple(sorted(self.by_id))
        empty = np.zeros((len(self.read), 0), np.int64)
        return WindowCounts(ids, np.stack([self.by_id[i] for i in ids], 1) if ids else empty)


def rows_by_mask(opened: Opened) -> dict[str, list[int]]:
    """{mask: its windows from top to bottom}, so that a file is opened once and its blocks decoded once."""
    found = defaultdict[str, list[int]](list)
    boxes = opened.index.boxes
    for row in np.lexsort((boxes[:, 1], boxes[:, 0])).tolist():
        found[opened.index.mask_paths[row]].append(row)
    return {mask: found[mask] for mask in opened.index.masks if mask in found}


def scan(
    opened: Opened, images: Images, known: Known, found: Findings, *, image_rows: _Flags
) -> Scan:
    """Look at all windows; what cannot be read is told and left out.

    Args:
        opened: The windows.
        images: Where images come from.
        known: What values of masks mean.
        found: Takes what is wrong.
        image_rows: (window,) whose images are looked at.
    """
    scanner = _Scanner(opened, images, known, found, image_rows)
    with block_cache(_CACHE_BYTES):
        for mask, rows in rows_by_mask(opened).items():
            scanner.look_at(mask, rows)
    return scanner.scan


class _Scanner:
    """One pass over all masks."""

    def __init__(
        self, opened: Opened, images: Images, known: Known, found: Findings, image_rows: _Flags
    ) -> None:
        self.scan = Scan.of(len(opened.index))
        self._opened, self._images, self._known = opened, images, known
        self._found, self._image_rows = found, image_rows
        self._windows = opened.index.windows

    def look_at(self, mask: str, rows: list[int]) -> None:
        """All windows of one mask."""
        self._look_at_labels(mask, rows)
        if not self._images.there:
            return
        by_image = defaultdict[object, list[int]](list)
        for row in rows:
            if self._image_rows[row]:
                by_image[self._images.of(row)].append(row)
        for image, some in by_image.items():
            if image is None:
                for row in some:
                    self._tell("image-unreadable", row, mask, "its image_path is empty")
            elif isinstance(image, RasterSource | str):
                self._look_at_images(image, mask, some)
        self._judge_coverage(mask, rows)

    def _look_at_labels(self, mask: str, rows: list[int]) -> None:
        unknown, first = Counter[float](), None
        try:
            source = mask_source(mask)
        except FAILURES as error:
            self._fail("mask-unreadable", rows, mask, error)
            return
        for row in rows:
            try:
                chip = source.read(self._windows[row])
            except FAILURES as error:
                self._fail("mask-unreadable", [row], mask, error)
                continue
            look = look_at_labels(chip.data[0], chip.valid, self._known)
            self._keep_labels(row, look)
            if look.unknown:
                unknown.update(look.unknown)
                first = row if first is None else first
        if first is not None:
            self._tell("unknown-ids", first, mask, _values(unknown))

    def _keep_labels(self, row: int, look: LabelLook) -> None:
        scan = self.scan
        scan.read[row] = True
        scan.labelled[row] = look.labelled
        scan.edges[row], scan.islands[row], scan.teeth[row] = look.edges, look.islands, look.teeth
        scan.label_digests[row] = look.digest
        for number, pixels in look.counts.items():
            if number not in scan.by_id:
                scan.by_id[number] = np.zeros(len(scan.read), np.int64)
            scan.by_id[number][row] = pixels

    def _look_at_images(self, image: RasterSource | str, mask: str, rows: list[int]) -> None:
        name = image if isinstance(image, str) else _name(image)
        try:
            pair = pair_up(image, self._opened.index.grid_of(mask))
        except FAILURES as error:
            self._fail("image-unreadable", rows, name, error)
            return
        if pair.code is not None:
            self._tell(pair.code, rows[0], mask, pair.detail)
        if pair.image is None:
            return
        for row in rows:
            try:
                chip = pair.image.read(self._windows[row])
            except FAILURES as error:
                self._fail("image-unreadable", [row], name, error)
                continue
            self._keep_image(row, name, look_at_image(chip), pair)

    def _keep_image(self, row: int, name: str, look: ImageLook, pair: Pair) -> None:
        scan = self.scan
        scan.seen[row], scan.valid[row] = True, look.valid
        scan.constant[row] = look.constant is not None
        scan.image_digests[row] = look.digest
        nan = 0 if pair.may_be_nan else look.nan
        if nan or look.infinite:
            told = f"{nan} values are NaN, {look.infinite} infinite"
            self._tell("not-finite", row, name, told)
        if not look.valid:
            labelled = int(scan.labelled[row])
            self._tell("no-image", row, name, f"{labelled} pixels are labelled there")
        elif look.constant is not None:
            values = ", ".join(f"{value:g}" for value in look.constant[:4])
            self._tell("constant-image", row, name, f"all {look.valid} valid pixels are {values}")

    def _judge_coverage(self, mask: str, rows: list[int]) -> None:
        """A mask of which all windows were looked at, and none has an image."""
        if self.scan.seen[rows].all() and not self.scan.valid[rows].any():
            told = f"{int(self.scan.labelled[rows].sum())} labelled pixels in {len(rows)} windows, image 0 %"
            self._tell("mask-without-image", rows[0], mask, told)

    def _fail(self, code: str, rows: list[int], file: str, error: Exception) -> None:
        reason = str(error).removeprefix(f"{file}: ")
        for row in rows:
            self._tell(code, row, file, reason)

    def _tell(self, code: str, row: int, file: str, detail: str) -> None:
        self._found.add(code, self.example(row, file, detail))

    def example(self, row: int, file: str, detail: str) -> Example:
        """A place with the row's number in the file."""
        return Example(file, int(self._opened.rows[row]), self._windows[row], detail)


def mask_source(mask: str) -> RasterSource:
    """What reads a mask.

    Raises:
        LabelError: It has several bands, or complex numbers.
        GeosegError: It cannot be opened.
    """
    source = raster_source(mask)
    if len(source.band_names) != 1:
        raise LabelError(f"{mask}: has {len(source.band_names)} bands, expected one of class ids")
    if source.dtype.kind not in "biuf":
        raise LabelError(f"{mask}: holds {source.dtype}, expected class ids: whole numbers")
    return source


def read_both(
    opened: Opened, images: Images, row: int, window: Window
) -> tuple[NDArray[np.generic], _Flags, NDArray[np.generic] | None, _Flags | None, tuple[str, ...]]:
    """Labels with where they are valid, and pixels with where they are, of any window of a row's mask.

    Raises:
        GeosegError: One of the two cannot be read; the image is None where there is none.
    """
    mask = opened.index.mask_paths[row]
    labels = mask_source(mask).read(window)
    image = images.of(row)
    if image is None:
        return labels.data[0], labels.valid, None, None, ()
    source = pair_up(image, opened.index.grid_of(mask)).image
    if source is None:
        return labels.data[0], labels.valid, None, None, ()
    chip = source.read(window)
    return labels.data[0], labels.valid, chip.data, chip.valid, source.band_names


def told_pixels(count: int) -> str:
    """A number of pixels in words."""
    return f"{count} pixel{'s' * (count != 1)}"


def _values(unknown: Counter[float]) -> str:
    """The most frequent values with their pixels."""
    shown = ", ".join(
        f"{value:g} ({told_pixels(pixels)})" for value, pixels in unknown.most_common(_VALUES)
    )
    more = len(unknown) - _VALUES
    return f"{shown} and {more} more" if more > 0 else shown


def _name(image: RasterSource) -> str:
    uri = getattr(image, "uri", None)
    return uri if isinstance(uri, str) else type(image).__name__
