"""What is done to features as they are read, and the sources that do it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from pydantic import field_validator

from geoseg.errors import SourceError
from geoseg.grid import Bounds
from geoseg.sources.base import VectorSource
from geoseg.sources.features.frames import meeting, repaired, reprojected
from geoseg.spec import Tagged

if TYPE_CHECKING:
    from geopandas import GeoDataFrame


class VectorTransform(Tagged):
    """Something that is done to all features of a source, once when they are read.

    A kind of your own needs a tag and `__call__`:

    ```python
    from geoseg.sources import VectorTransform


    class Outline(VectorTransform):
        type: Literal["outline"] = "outline"

        def __call__(self, frame: GeoDataFrame, *, name: str) -> GeoDataFrame:
            return frame.set_geometry(frame.boundary)
    ```
    """

    @abstractmethod
    def __call__(self, frame: GeoDataFrame, *, name: str) -> GeoDataFrame:
        """The features changed.

        Args:
            frame: The features in file order, in two dimensions, valid and with a CRS; not to be changed
                in place. Where `reach_px` is a number: in the pixels of a grid, (column, row) from its
                top-left corner, without a CRS.
            name: What errors and warnings call the features.

        Raises:
            SourceError: The features are not such that this can be done.
        """

    @property
    def reach_px(self) -> float | None:
        """How many pixels far a feature can grow or move; None for what knows no pixels.

        With a number the features are left alone when they are read and changed when they are brought
        onto a grid.
        """
        return None

    def before_repair(self, frame: GeoDataFrame, *, name: str) -> GeoDataFrame:
        """The features that are worth repairing, of all that are stored; `name` as in a call."""
        del name
        return frame


class TransformedVectorSource(VectorSource):
    """A vector source with a list of transforms. Its kinds give `loaded` and `transformed` features."""

    transforms: tuple[VectorTransform, ...] = ()
    """What is done to the features when they are read, in this order; what works in pixels comes last,
    and is done where features meet a grid (labels, an AOI), not by `read`."""

    @field_validator("transforms")
    @classmethod
    def _pixels_last(cls, transforms: tuple[VectorTransform, ...]) -> tuple[VectorTransform, ...]:
        in_pixels = [transform.reach_px is not None for transform in transforms]
        for i in range(1, len(transforms)):
            if in_pixels[i - 1] and not in_pixels[i]:
                raise ValueError(
                    f"{_kind(transforms[i])} at {i} comes after {_kind(transforms[i - 1])} at {i - 1}, "
                    "which works in pixels; what works in pixels comes after all others"
                )
        return transforms


def pixel_transforms(source: VectorSource) -> tuple[VectorTransform, ...]:
    """The transforms of a source that are left for the pixels of a grid, in order."""
    if not isinstance(source, TransformedVectorSource):
        return ()
    return tuple(transform for transform in source.transforms if transform.reach_px is not None)


def loaded(
    frame: GeoDataFrame, transforms: Iterable[VectorTransform], *, name: str
) -> GeoDataFrame:
    """Stored features, repaired; before that the transforms sort out what they do not want."""
    for transform in transforms:
        frame = transform.before_repair(frame, name=name)
    return repaired(frame, name=name)


def transformed(
    frame: GeoDataFrame, transforms: Iterable[VectorTransform], *, name: str
) -> GeoDataFrame:
    """Repaired features after all transforms that need no pixels.

    Raises:
        SourceError: A transform gives other than features with a CRS, or cannot work.
    """
    from geopandas import GeoDataFrame

    changed = False
    for transform in transforms:
        if transform.reach_px is not None:
            break
        frame, changed = transform(frame, name=name), True
        if not isinstance(frame, GeoDataFrame) or frame.crs is None:
            raise SourceError(
                f"{name}: the transform {_kind(transform)} gave no GeoDataFrame with a CRS; mend its "
                "`__call__`"
            )
    return repaired(frame, name=f"{name} after transforms") if changed else frame


def seen(frame: GeoDataFrame, bounds: Bounds | None, crs: Any, *, name: str) -> GeoDataFrame:
    """A copy in the CRS wanted, of what meets the bounds."""
    if crs is not None:
        frame = reprojected(frame, crs, name=name)
    if bounds is not None:
        frame = meeting(frame, bounds)
    return frame.copy()


def frame_bytes(frame: GeoDataFrame) -> int:
    """The memory of a frame: coordinates, objects and columns."""
    from shapely import get_num_coordinates

    points = int(get_num_coordinates(frame.geometry.to_numpy()).sum())
    return points * 16 + len(frame) * 300 + int(frame.memory_usage(deep=False).sum())


def _kind(transform: VectorTransform) -> str:
    return type(transform).__name__
