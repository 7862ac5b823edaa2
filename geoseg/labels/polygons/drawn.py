"""Drawn: what a file of polygons leaves out of the map, and what it changes."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Self

from geoseg.classes import ClassMap
from geoseg.spec import Spec

if TYPE_CHECKING:
    from geoseg.labels.vector import VectorLabelStore


class Drawn(Spec):
    """The options of a VectorLabelStore by which its polygons differ from the map; see there."""

    only: tuple[str, ...] | None = None
    """Names of the classes that became polygons; None: all."""
    min_area_m2: float = 0
    """Below which area regions were left out."""
    denoise_px: int = 0
    """Below which width pixels were left out."""
    simplify_m: float = 0
    """How far outlines may have changed."""
    rectangle_iou: float = 0
    """From which share on regions became rectangles."""

    @classmethod
    def of(cls, store: VectorLabelStore, ids: Collection[int], classes: ClassMap) -> Self:
        """The options of a store.

        Args:
            store: What writes the polygons.
            ids: The classes that become polygons.
            classes: The class map.
        """
        names = tuple(info.name for info in classes.classes if info.id in ids)
        return cls(
            only=None if len(names) == len(classes) else names,
            min_area_m2=store.min_area_m2,
            denoise_px=store.denoise_px if store.denoise_px > 1 else 0,
            simplify_m=store.simplify_m,
            rectangle_iou=store.rectangle_iou,
        )

    @property
    def left_out(self) -> str | None:
        """What part of the map has no polygon, in words; None: all of it has."""
        found = []
        if self.only is not None:
            found.append(f"classes other than {', '.join(map(repr, self.only)) or 'none'}")
        if self.min_area_m2:
            found.append(f"regions below {self.min_area_m2:g} m2")
        if self.denoise_px:
            size = self.denoise_px
            found.append(f"pixels that no {size} x {size} square covers")
        return " and ".join(found) or None

    @property
    def redrawn(self) -> str | None:
        """How outlines were changed, in words; None: they are those of the map."""
        found = []
        if self.simplify_m:
            found.append(f"simplified by {self.simplify_m:g} m")
        if self.rectangle_iou:
            found.append(f"made rectangles from an IoU of {self.rectangle_iou:g} on")
        return " and ".join(found) or None

    def notes(self, uri: str, *, judged: bool) -> tuple[str, ...]:
        """What a reader of scores should know.

        Args:
            uri: The file.
            judged: Whether the polygons are the prediction; else they are the truth.
        """
        found = []
        if self.left_out is not None:
            found.append(
                f"the prediction {uri} was written without {self.left_out}: their pixels count as not "
                "predicted and are left out, so that recall and IoU are too high; score the map itself"
                if judged
                else f"the truth {uri} was written without {self.left_out}: their pixels are ignored"
            )
        if self.redrawn is not None:
            found.append(
                f"the outlines of {uri} were {self.redrawn}: pixels that no polygon covers any more count "
                f"as {'not predicted' if judged else 'ignored'}"
            )
        return tuple(found)
