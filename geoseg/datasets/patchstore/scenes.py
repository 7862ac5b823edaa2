"""The items of an LMDBDataset as scenes, to be predicted and judged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import Any, overload

import numpy as np

from geoseg.datasets.patchstore.masks import MaskRule
from geoseg.datasets.patchstore.parts import Part
from geoseg.datasets.patchstore.texts import Texts
from geoseg.errors import ConfigError
from geoseg.labels.sources import RasterLabels
from geoseg.scene import Scene
from geoseg.sources.base import RasterSource
from geoseg.sources.lmdb import LMDBSource
from geoseg.sources.stack import StackSource
from geoseg.sources.transforms.cast import Cast
from geoseg.spec import FrozenMap

_ANOTHER_WAY = "take the items of a DataLoader instead"


@dataclass(frozen=True, slots=True, eq=False)
class PatchScenes(Sequence[Scene]):
    """A scene for each item of a data set, in their order, made when it is asked for.

    Its image has the pixels of the item as they are stored, and its labels the class ids.
    """

    names: Texts
    """Of the items."""
    band_names: tuple[str, ...]
    """Of their channels."""
    dtype: np.dtype[Any]
    size: tuple[int, int]
    parts: tuple[Part, ...]
    rule: MaskRule | None

    def __len__(self) -> int:
        return len(self.names)

    @overload
    def __getitem__(self, index: int) -> Scene: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Scene, ...]: ...
    def __getitem__(self, index: int | slice) -> Scene | tuple[Scene, ...]:
        """The scene of an item, or several for a slice.

        Raises:
            IndexError: There is no such item.
            ConfigError: The item is made of patches that lie at different places, or its bands are
                blended from one dtype into another: no scene reads them so.
            SourceError: A patch cannot be read, or is not what its manifest (or the first patch) tells.
        """
        numbers = range(len(self))[index]
        if isinstance(numbers, range):
            return tuple(map(self._scene, numbers))
        return self._scene(numbers)

    def _scene(self, number: int) -> Scene:
        for part in self.parts:
            part.check(number, self.dtype)
        name, labels = self.names[number], self._labels(number)
        sources = self._sources(number)
        self._check(name, (*sources, *(() if labels is None else (labels.source,))))
        image: RasterSource = sources[0]
        if len(sources) > 1:
            image = StackSource(sources=sources, band_names=self.band_names)
        if image.dtype != self.dtype:  # that of other items' patches is wider
            image = image.model_copy(update={"transforms": (Cast(dtype=self.dtype.name),)})
        return Scene(id=name, image=image, labels=labels)

    def _sources(self, number: int) -> tuple[LMDBSource, ...]:
        """Of the bands, in the order of the channels: one for each run of bands of one patch."""
        found = {
            channel: (part, plane)
            for part in self.parts
            for channel, plane in zip(part.pick.channels, part.pick.planes, strict=True)
        }
        in_order = [found[channel] for channel in range(len(found))]
        runs = [list(run) for _, run in groupby(in_order, key=itemgetter(0))]
        return tuple(
            self._source(run[0][0], number, tuple(plane for _, plane in run)) for run in runs
        )

    def _labels(self, number: int) -> RasterLabels | None:
        for part in self.parts:
            if self.rule is not None and part.pick.label is not None:
                source = self._source(part, number, (part.pick.label,), blended=False)
                mapping = FrozenMap(self.rule.known) if self.rule.mapped else None
                return RasterLabels(source=source, classes=self.rule.classes, mapping=mapping)
        return None

    def _source(
        self, part: Part, number: int, bands: tuple[str, ...], *, blended: bool = True
    ) -> LMDBSource:
        return LMDBSource(
            uri=part.readers[part.stores[number]].uri,
            key=part.keys[number],
            bands=bands,
            size=self.size,
            resampling="bilinear" if blended and part.blended else "nearest",
        )

    def _check(self, name: str, sources: Sequence[RasterSource]) -> None:
        """See that a scene of these sources reads what the item holds."""
        first = sources[0].grid
        for source in sources:
            if source.blended and self.dtype.kind == "f" and source.dtype != self.dtype:
                raise ConfigError(
                    f"{name}: bilinear resampling of {source.dtype} gives fractions in items, which are "
                    f'{self.dtype}, and whole numbers in a scene; pass resampling="nearest", or '
                    f"{_ANOTHER_WAY}"
                )
            if source.grid != first and first.offset_of(source.grid) != (0, 0):
                raise ConfigError(
                    f"{name}: its patches lie at different places: {first.describe()} with the bounds "
                    f"{first.bounds}, and {source.grid.describe()} with {source.grid.bounds}; items lay them "
                    f"edge to edge, a scene would warp them: {_ANOTHER_WAY}"
                )
