"""What is wrong with one frame: its columns, its rows, their images and masks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import combinations
from typing import TYPE_CHECKING

from geoseg.errors import SourceError
from geoseg.volumes.rle import Rle, Shape
from geoseg.volumes.validate_colours import ColourCheck
from geoseg.volumes.validate_text import check_text
from geoseg.volumes.zip.images import Header, image_file
from geoseg.volumes.zip.labels import Cells, label_problems

if TYPE_CHECKING:
    from geoseg.volumes.zip.volumezip import Split, VolumeZip

_UNKNOWN: Shape = (1, 1, 2**62)
"""In which any runs lie: for texts of an image that cannot be read."""
_SHOWN = 20
"""Problems of the lists of a row, and texts that are wrong, that are told one by one; more are counted."""


class FrameCheck:
    """The problems of a frame, collected as it is read row by row."""

    def __init__(self, volumes: VolumeZip, split: Split, classes: tuple[str, ...]) -> None:
        """Nothing is read yet.

        Args:
            volumes: The zip.
            split: The frame.
            classes: Those that every row must list.
        """
        self.errors: list[str] = []
        """What must be mended."""
        self.warnings: list[str] = []
        """What can be read, but may not be meant."""
        self.table = volumes.table(split)
        """The frame."""
        self._volumes, self._split = volumes, split
        self._classes = classes
        self._headers: Counter[tuple[int, str]] = Counter()
        self._overlaps: list[tuple[int, str]] = []
        self._colours = ColourCheck()

    def run(self) -> Iterator[int]:
        """Read all of it; yields how many rows are done."""
        table = self.table
        self.errors += table.problems
        self.errors += self._doubled()
        if not table.names:
            self.warnings.append(f"{table.file}: the frame has no rows")
        if table.labelled and table.names and not self._classes:
            self.errors.append(f"{table.file}: no row lists classes, each once and by name")
        cells = self._cells()
        for number in range(len(table.names)):
            self._row(number, next(cells, None))
            yield number + 1
        self._colours.tell(self.warnings, self.table.file)
        self._tell_overlaps()
        self._tell_headers()
        self._tell_unknown_facts()

    def _cells(self) -> Iterator[Cells]:
        """The lists row by row, up to damage, which is told."""
        if not self.table.labelled:
            return
        try:
            yield from self.table.all_cells(self._volumes.archive)
        except SourceError as error:
            self.errors.append(str(error))

    def _row(self, number: int, cells: Cells | None) -> None:
        name = self.table.names[number]
        where = f"{self.table.file}: image {name!r}"
        if name is None:
            where = f"{self.table.file}: row {number + 1}"
        header = self._image(name, where)
        if header is not None:
            self._facts(name, header, where)
        if cells is None or (self._split == "test" and cells == Cells(None, None)):
            return
        problems = label_problems(cells, self._classes)
        self.errors += [f"{where}: {text}" for text in problems[:_SHOWN]]
        if len(problems) > _SHOWN:
            self.errors.append(f"{where}: {len(problems) - _SHOWN} more problems of its lists")
        self._order(cells, where)
        if cells.class_id is None or cells.rle_mask is None:
            return
        shape = header.shape[1:] if header else _UNKNOWN
        rles = self._masks(zip(cells.class_id, cells.rle_mask, strict=False), shape, where)
        if header is not None:
            self._colours.masks(header, rles.values())
        self._overlap(rles, where)

    def _image(self, name: str | None, where: str) -> Header | None:
        """The header of an image that can be read to its end."""
        volumes = self._volumes
        try:
            image = image_file(
                volumes.archive,
                folder=volumes.folder,
                name=name,
                image_axes=volumes.image_axes,
                where=where,
            )
            header = image.header()
            image.check()
        except SourceError as error:
            text = str(error)
            self.errors.append(text if text.startswith(where) else f"{where}: {text}")
            return None
        self._headers[header.shape[0], str(header.dtype)] += 1
        self._colours.image(header, where)
        return header

    def _facts(self, name: str | None, header: Header, where: str) -> None:
        """What our own metadata tell, against the image."""
        metadata = self.table.metadata
        facts = metadata.volumes.get(name) if metadata and name else None
        if facts is None:
            return
        channels, depth = header.shape[:2]
        if facts.times is not None and len(facts.times) != depth:
            self.errors.append(
                f"{where}: the metadata tell {len(facts.times)} times, but the image has {depth} slices"
            )
        if facts.channel_names is not None and len(facts.channel_names) != channels:
            self.errors.append(
                f"{where}: the metadata name {len(facts.channel_names)} channels, but the image has {channels}"
            )

    def _order(self, cells: Cells, where: str) -> None:
        names = tuple(cells.class_id or ())
        if names != self._classes and Counter(names) == Counter(self._classes):
            self.warnings.append(
                f"{where}: class_id lists {', '.join(map(str, names))}, another order than "
                f"{', '.join(self._classes)}; read by name"
            )

    def _masks(
        self, pairs: Iterable[tuple[str | None, str | None]], shape: Shape, where: str
    ) -> dict[str, Rle]:
        """The sound ones by class."""
        rles: dict[str, Rle] = {}
        wrong = 0
        for name, text in pairs:
            rle, errors, warnings = check_text(text, shape=shape, where=f"{where}: class {name!r}")
            wrong += bool(errors)
            if wrong <= _SHOWN:
                self.errors += errors
            self.warnings += warnings
            if rle is not None and name is not None:
                rles.setdefault(name, rle)
        if wrong > _SHOWN:
            self.errors.append(f"{where}: {wrong - _SHOWN} more texts are wrong")
        return rles

    def _overlap(self, rles: dict[str, Rle], where: str) -> None:
        """Keep what is in several classes at once."""
        found = [(name, rle) for name, rle in rles.items() if rle.area]
        if len(found) < 2:  # noqa: PLR2004 - one cannot overlap
            return
        either = found[0][1]
        for _, rle in found[1:]:
            either = either | rle
        if sum(rle.area for _, rle in found) == either.area:
            return
        shared = {(one[0], two[0]): (one[1] & two[1]).area for one, two in combinations(found, 2)}
        (one, two), count = max(shared.items(), key=lambda item: item[1])
        total = sum(shared.values())
        self._overlaps.append((total, f"{where}: {count} voxels in {one!r} and {two!r}"))

    def _tell_overlaps(self) -> None:
        if self._overlaps:
            total = sum(count for count, _ in self._overlaps)
            _, worst = max(self._overlaps, key=lambda found: found[0])
            self.warnings.append(
                f"{self.table.file}: classes overlap in {len(self._overlaps)} of {len(self.table.names)} "
                f"images, {total} voxels in pairs of classes; most in {worst}; exclusive training needs "
                'overlap="priority", or overlap="multilabel"'
            )

    def _tell_headers(self) -> None:
        """Images that differ in what they should share."""
        if len(self._headers) > 1:
            listed = ", ".join(
                f"{channels} of {dtype} ({count} images)"
                for (channels, dtype), count in self._headers.most_common()
            )
            self.warnings.append(f"{self.table.file}: images differ in channels or type: {listed}")

    def _doubled(self) -> list[str]:
        counts = Counter(name for name in self.table.names if name is not None)
        return [
            f"{self.table.file}: image {name!r}: is named by {count} rows, expected one"
            for name, count in counts.items()
            if count > 1
        ]

    def _tell_unknown_facts(self) -> None:
        metadata = self.table.metadata
        unknown = set(metadata.volumes) - set(self.table.names) if metadata else ()
        self.warnings += [
            f"{self.table.file}: image {name!r}: the metadata tell of it, but no row names it"
            for name in sorted(unknown)
        ]
