"""What is done to the shapes of features: only valid ones, shifted, buffered."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

import numpy as np
import shapely
from numpy.typing import NDArray
from pydantic import AfterValidator, BeforeValidator, Field, FiniteFloat, model_validator

from geoseg.errors import SourceError
from geoseg.grid import Floats
from geoseg.sources.features.columns import Text, as_text, column_of, counted_texts, texts_as_keys
from geoseg.sources.features.frames import Geometries, geometries_of, with_geometries
from geoseg.sources.features.localmetric import in_metres, moved_by
from geoseg.sources.transformedvector import VectorTransform
from geoseg.spec import FrozenMap
from geoseg.warn import warn

if TYPE_CHECKING:
    from geopandas import GeoDataFrame

_OTHERS = "*"
"""Stands for every class that a mapping of distances does not name."""
_COLLECTION = 7
_SHAPES = ("points", "lines", "polygons")
_SHAPE_OF = np.array([0, 1, 1, 2, 0, 1, 2, -1])
"""The place in `_SHAPES` of each of shapely's type ids."""
_SEGMENTS = 16
"""Edges of a quarter of a circle: its radius is right to 0.12 %."""


class OnlyValid(VectorTransform):
    """Leaves out invalid geometries, which would be repaired; one warning counts them.

    It sees the features as they are in the file, wherever it stands in the list. Rings that are not
    closed are closed on reading and count as valid.
    """

    type: Literal["only_valid"] = "only_valid"

    def __call__(self, frame: GeoDataFrame, *, name: str) -> GeoDataFrame:
        """The features as they are: the invalid ones have gone before they could be repaired."""
        del name
        return frame

    def before_repair(self, frame: GeoDataFrame, *, name: str) -> GeoDataFrame:
        """The valid features, and those without a geometry, which are counted apart."""
        valid = shapely.is_valid(geometries_of(frame)) | frame.geometry.isna().to_numpy()
        if not valid.all():
            warn(
                f"{name}: {int((~valid).sum())} of {len(frame)} features are not valid and are left out"
            )
        return frame[valid]


class Shift(VectorTransform):
    """Moves all features, in metres on the ground or in pixels of the grid they are brought onto.

    Metres are exact on the ellipsoid: each vertex goes along the geodesic of its own place. Pixels have
    no meaning without a grid: a source's `read()` gives features that are not shifted yet by them, labels
    and an AOI shift them.
    """

    type: Literal["shift"] = "shift"
    east_m: FiniteFloat = 0.0
    """Metres to the east."""
    north_m: FiniteFloat = 0.0
    """Metres to the north."""
    right_px: FiniteFloat = 0.0
    """Pixels along the rows of the grid."""
    down_px: FiniteFloat = 0.0
    """Pixels down its columns."""

    @model_validator(mode="after")
    def _one_unit(self) -> Self:
        metres, pixels = bool(self.east_m or self.north_m), bool(self.right_px or self.down_px)
        if metres == pixels:
            raise ValueError(
                "a shift is in metres (east_m, north_m) or in pixels (right_px, down_px), got "
                + ("both; write two shifts" if metres else "none of them")
            )
        return self

    @property
    def reach_px(self) -> float | None:
        """How far features move; None in metres."""
        return math.hypot(self.right_px, self.down_px) or None

    def __call__(self, frame: GeoDataFrame, *, name: str) -> GeoDataFrame:
        """The features moved.

        Raises:
            SourceError: The shift is in metres and the CRS not on the Earth.
        """
        geometries = geometries_of(frame)
        if self.reach_px is None:
            moved = moved_by(
                geometries, frame.crs, east_m=self.east_m, north_m=self.north_m, name=name
            )
        else:
            by = np.array([self.right_px, self.down_px])
            moved = shapely.transform(geometries, lambda points: points + by)
        kept = ~shapely.is_missing(moved)
        return with_geometries(frame[kept], moved[kept], crs=frame.crs)


def _check_sizes(value: Any) -> Any:
    if isinstance(value, FrozenMap) and not value:
        raise ValueError("names no class; give {class: distance}, or one number for all")
    return value


Distances = Annotated[
    FiniteFloat | Annotated[FrozenMap[Text, FiniteFloat], BeforeValidator(texts_as_keys)],
    AfterValidator(_check_sizes),
]
"""One distance, or {class: distance} where "*" stands for every class that is not named."""


class Buffer(VectorTransform):
    """Grows points, lines and polygons, in metres on the ground or in pixels of a grid.

    What has no distance stays as it is. Multi-part features are treated as their parts; of collections
    each part by its own shape. Metres are measured around each feature's place on the ellipsoid, never in
    degrees or stretched web metres: right to 0.02 % for features up to 100 km across, and to 0.1 % up to
    1,000 km. The drawing of curves adds to that: a circle has 64 edges, which lie up to 0.12 % of the
    radius within it, and bends of a line below 1 % of the distance are smoothed. What would be torn at a
    pole or at the edge of the map is left out, with a count.

    Pixels have no meaning without a grid: a source's `read()` gives features that are not buffered yet
    by them, labels and an AOI buffer them.
    """

    type: Literal["buffer"] = "buffer"
    points_m: Distances | None = None
    """Metres around points: a number, or {class: metres}; "*" stands for the classes not named, and 0
    leaves them as they are."""
    lines_m: Distances | None = None
    """Metres to each side of lines, the same way."""
    polygons_m: Distances | None = None
    """Metres around polygons, the same way; less than 0 makes them smaller."""
    points_px: Distances | None = None
    """Pixels around points; the three are as those in metres."""
    lines_px: Distances | None = None
    """Pixels to each side of lines."""
    polygons_px: Distances | None = None
    """Pixels around polygons."""
    class_by: str | None = Field(default=None, min_length=1)
    """The column whose values the mappings name; values are compared as text."""
    cap: Literal["round", "flat", "square"] = "round"
    """How lines end."""

    @model_validator(mode="after")
    def _distances_fit(self) -> Self:
        given = {name: value for name, value in self._distances.items() if value is not None}
        units = {name.rsplit("_", 1)[1] for name in given}
        if len(units) != 1:
            raise ValueError(
                "a buffer is in metres (points_m, lines_m, polygons_m) or in pixels (points_px, "
                "lines_px, polygons_px), got " + ("both; write two buffers" if units else "neither")
            )
        mapped = [name for name, value in given.items() if isinstance(value, FrozenMap)]
        if mapped and self.class_by is None:
            raise ValueError(f"{mapped[0]} names classes, but class_by names no column of them")
        if self.class_by is not None and not mapped:
            raise ValueError(
                f"class_by={self.class_by!r} is not used: no distance hangs on a class; give e.g. "
                "lines_m={'road': 4, '*': 2}"
            )
        for name, value in given.items():
            if min(_numbers(value)) < 0 and not name.startswith("polygons"):
                raise ValueError(f"{name}={value!r} is below 0: only polygons can become smaller")
        return self

    @property
    def reach_px(self) -> float | None:
        """How far features grow or shrink at most; None in metres."""
        given = [v for name, v in self._distances.items() if v is not None and name.endswith("px")]
        # A square cap reaches farther than its distance, at its corners.
        return max(abs(d) for v in given for d in _numbers(v)) * math.sqrt(2) if given else None

    def __call__(self, frame: GeoDataFrame, *, name: str) -> GeoDataFrame:
        """The features buffered; those that shrink to nothing are left out, with a count.

        Raises:
            SourceError: There is no such column or a class without a distance; or the CRS is not on the
                Earth.
        """
        if not len(frame):
            return frame
        parts, owner = _parts_of_collections(geometries_of(frame))
        distance = self._distance_of(frame, parts, owner, name)
        some = np.flatnonzero(distance != 0)
        if self.reach_px is None:
            parts[some] = in_metres(
                parts[some],
                frame.crs,
                lambda local, members: self._grown(local, distance[some][members]),
                extra_m=distance[some],
                name=name,
            )
        else:
            parts[some] = self._grown(parts[some], distance[some])
        grown = _joined(parts, owner, len(frame))
        kept = ~shapely.is_missing(grown)
        vanished = int(shapely.is_empty(grown).sum())
        if vanished:
            warn(
                f"{name}: {vanished} of {len(frame)} features shrink to nothing in a buffer and are left "
                "out; buffer less"
            )
            kept &= ~shapely.is_empty(grown)
        return with_geometries(frame[kept], grown[kept], crs=frame.crs)

    @property
    def _distances(self) -> dict[str, float | FrozenMap[str, float] | None]:
        return {
            f"{s}_{unit}": getattr(self, f"{s}_{unit}") for unit in ("m", "px") for s in _SHAPES
        }

    def _grown(self, geometries: Geometries, distance: Floats) -> Geometries:
        grown: Geometries = shapely.buffer(
            geometries, distance, quad_segs=_SEGMENTS, cap_style=self.cap
        )
        # Points have no ends: a cap is for lines.
        points = np.flatnonzero(_SHAPE_OF[shapely.get_type_id(geometries)] == 0)
        grown[points] = shapely.buffer(geometries[points], distance[points], quad_segs=_SEGMENTS)
        return grown

    def _distance_of(
        self, frame: GeoDataFrame, parts: Geometries, owner: NDArray[np.intp], name: str
    ) -> Floats:
        """(part,) the distance of each; 0 leaves it as it is."""
        unit = "m" if self.reach_px is None else "px"
        shape = _SHAPE_OF[shapely.get_type_id(parts)]
        distance = np.zeros(len(parts))
        for i, called in enumerate(_SHAPES):
            value, of = getattr(self, f"{called}_{unit}"), np.flatnonzero(shape == i)
            if isinstance(value, FrozenMap):
                distance[of] = self._looked_up(frame, value, owner[of], f"{called}_{unit}", name)
            elif value is not None:
                distance[of] = value
        return distance

    def _looked_up(
        self,
        frame: GeoDataFrame,
        distances: FrozenMap[str, float],
        of: NDArray[np.intp],
        argument: str,
        name: str,
    ) -> Floats:
        column = column_of(frame, str(self.class_by), argument="class_by", name=name)
        texts = np.array([as_text(value) for value in column.iloc[of]], object)
        others = distances.get(_OTHERS)
        found = [distances.get(text, others) for text in texts]
        lost = np.array([value is None for value in found], bool)
        if lost.any():
            raise SourceError(
                f"{name}: {argument} names no distance for {counted_texts(texts[lost])} of column "
                f"{self.class_by!r}; add them (0 leaves them as they are), or '*' for all others"
            )
        return np.array(found, float)


def _numbers(value: Any) -> list[float]:
    return list(value.values()) if isinstance(value, FrozenMap) else [value]


def _parts_of_collections(geometries: Geometries) -> tuple[Geometries, NDArray[np.intp]]:
    """(part,) geometries without collections, and the number of the feature that each is of."""
    owner = np.arange(len(geometries))
    while (collections := shapely.get_type_id(geometries) == _COLLECTION).any():
        parts, of = shapely.get_parts(geometries[collections], return_index=True)
        owner = np.concatenate([owner[~collections], owner[collections][of]])
        geometries = np.concatenate([geometries[~collections], parts])
    return geometries, owner


def _joined(parts: Geometries, owner: NDArray[np.intp], count: int) -> Geometries:
    """(feature,) the union of the parts of each; None where one has no place."""
    joined: Geometries = np.full(count, None, object)
    of_many = np.bincount(owner, minlength=count) > 1
    single = ~of_many[owner]
    joined[owner[single]] = parts[single]
    for i in np.flatnonzero(of_many):
        some = parts[owner == i]
        if not shapely.is_missing(some).any():
            joined[i] = shapely.union_all(some)
    return joined
