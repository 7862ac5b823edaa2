"""What a pattern and a table of scenes have in common."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, ValidationError, model_validator

from geoseg.errors import GeosegError, SceneError
from geoseg.labels.values import ClassId
from geoseg.placed import is_path
from geoseg.scene import VECTOR_SUFFIXES, Scene
from geoseg.scenes.deal import deal
from geoseg.shortlist import some
from geoseg.sources.base import RasterSource, raster_source
from geoseg.spec import FrozenMap, Spec

_SHOWN = 3
"""Files that an error names."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One scene before it is made."""

    where: str
    """What errors call it."""
    id: str
    """Its name."""
    image: str
    """Its image file."""
    labels: str | None
    """Its label file."""
    aoi: str | None
    """Its area of interest."""
    class_by: str | None
    """For its vector labels: the column."""
    mapping: Mapping[int, int] | None
    """For its label raster: {value in the file: class id}."""


class ManyScenes(Spec):
    """An entry of an experiment that stands for several scenes; they are looked up when it is read."""

    class_by: str | None = None
    """For vector labels: the column with class names or ids."""
    mapping: FrozenMap[int, ClassId] | None = None
    """For label rasters: {value in the file: class id, in an experiment the name of a class too}."""
    bands: Annotated[tuple[int | str, ...], Field(min_length=1)] | None = None
    """Bands of the images, by name or 1-based number; None: all but alpha."""
    split: str | None = None
    """The part whose scenes are meant: a name in `shares`, or in the `split` column of a table."""
    shares: FrozenMap[str, Annotated[float, Field(gt=0, le=1)]] | None = None
    """{part: its share}, together 1: whole scenes are dealt to the parts by chance. Neighbouring scenes
    may come to lie in different parts, so that scores tell of places like those of the training."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Another number deals the scenes otherwise. The entries of all parts must agree in it."""

    @model_validator(mode="after")
    def _parts_are_known(self) -> Self:
        if self.shares is None:
            return self
        if not math.isclose(sum(self.shares.values()), 1, abs_tol=1e-6):
            raise ValueError(
                f"shares {dict(self.shares)} sum to {sum(self.shares.values()):g}, expected 1: every "
                "scene goes to one part"
            )
        if self.split not in self.shares:
            raise ValueError(
                f"split is {self.split!r}, expected one of the shares: {', '.join(self.shares)}"
            )
        return self

    @abstractmethod
    def scenes(self) -> tuple[Scene, ...]:
        """The scenes that are meant, always in the same order.

        Raises:
            SceneError: There are none, or files of some are missing; the text counts and names them.
        """

    def made(self, entries: Sequence[Entry], name: str) -> tuple[Scene, ...]:
        """The scenes of the entries that are meant, see `split`.

        Args:
            entries: All scenes.
            name: What errors call the whole.

        Raises:
            SceneError: An id is given twice, files are missing, or a scene cannot be made.
        """
        ids = [entry.id for entry in entries]
        twice = sorted(id_ for id_, count in Counter(ids).items() if count > 1)
        if twice:
            raise SceneError(
                f"{name}: {len(twice)} scene ids are given twice: {shown(twice)}; give each scene an `id` "
                "of its own"
            )
        _refuse_missing(entries, name)
        if self.shares is not None and self.split is not None:
            chosen = set(deal(ids, self.shares, self.seed)[self.split])
            entries = [entry for entry in entries if entry.id in chosen]
        return tuple(self._scene(entry) for entry in entries)

    def _scene(self, entry: Entry) -> Scene:
        vector = (entry.labels or "").lower().endswith(VECTOR_SUFFIXES)
        class_by = entry.class_by or (self.class_by if vector else None)
        mapping = entry.mapping or (None if vector else self.mapping)
        try:
            return Scene.of(
                self._image(entry.image),
                entry.labels,
                class_by=class_by if entry.labels else None,
                mapping=dict(mapping) if mapping and entry.labels else None,
                aoi=entry.aoi,
                id=entry.id,
            )
        except (GeosegError, ValidationError) as error:
            raise SceneError(f"{entry.where}: {error}") from error

    def _image(self, uri: str) -> RasterSource:
        source = raster_source(uri)
        return source if self.bands is None else source.model_copy(update={"bands": self.bands})


def shown(names: Iterable[str]) -> str:
    """The first few names, and how many there are more."""
    return some(names, _SHOWN)


def _refuse_missing(entries: Sequence[Entry], name: str) -> None:
    for what in ("image", "labels", "aoi"):
        files = [getattr(entry, what) for entry in entries]
        missing = [uri for uri in files if uri is not None and _is_missing(uri)]
        if missing:
            raise SceneError(
                f"{name}: of {len(entries)} scenes {len(missing)} lack the file of their {what}: "
                f"{shown(missing)}; add the files, or leave these scenes out"
            )


def _is_missing(uri: str) -> bool:
    """Of a local path only; what lies elsewhere is told when it is opened."""
    return is_path(uri) and not Path(uri).exists()
