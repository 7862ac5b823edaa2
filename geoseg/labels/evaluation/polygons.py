"""Objects of vector files: which polygons of the truth were found."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import shapely

from geoseg.classes import ClassMap
from geoseg.errors import ConfigError, SceneError
from geoseg.labels.base import Ids
from geoseg.labels.evaluation.matching import ObjectCounts, Pairs, check_iou, match
from geoseg.labels.features import class_id, class_ids
from geoseg.labels.values import listed
from geoseg.sources.base import VectorSource
from geoseg.sources.features.frames import Geometries, geometries_of, name_of, polygon_parts
from geoseg.warn import warn

if TYPE_CHECKING:
    from geopandas import GeoDataFrame

_PAIRS = 1 << 16
"""Pairs whose common ground is worked out at once."""


def match_polygons(
    truth: VectorSource,
    prediction: VectorSource,
    classes: ClassMap,
    *,
    class_by: str | None = None,
    predicted_class_by: str | None = None,
    default_class: str | int | None = None,
    aoi: VectorSource | None = None,
    iou: float = 0.5,
) -> ObjectCounts:
    """Count how many objects of the truth a prediction found; each feature is one object.

    Features of one class match where their IoU reaches a threshold, each with one other at most: see
    `match`. Those of several classes never match. Areas are taken in the CRS of the truth; the IoU of
    objects hardly depends on it. Memory grows with the features.

    Args:
        truth: Polygons that are right.
        prediction: Polygons that are judged, in any CRS.
        classes: The class map of both.
        class_by: A column of class names or ids; None: all are of the default class.
        predicted_class_by: The same for the prediction; None: as `class_by`.
        default_class: Name or id for features without a known class; None: those are an error, unless
            there is only one class. Features with `ignore_id` are left out.
        aoi: Polygons to which both are cut; what lies outside is no object.
        iou: From where on two features are the same object.

    Raises:
        ConfigError: The IoU is out of range, or the default class is none.
        LabelError: Features have no known class.
        SceneError: The AOI holds no polygon.
        SourceError: Features cannot be read.
    """
    check_iou(iou)
    default = _default_of(default_class, classes)
    frame = truth.read()
    area = None if aoi is None else _area_of(aoi, frame.crs)
    true = _objects(frame, class_by, default, classes, area, name=name_of(truth))
    frame = prediction.read(crs=frame.crs)
    column = class_by if predicted_class_by is None else predicted_class_by
    predicted = _objects(frame, column, default, classes, area, name=name_of(prediction))
    pairs = _alike(true, predicted, iou)
    matched = true[1][pairs.truth[match(pairs)]]
    return ObjectCounts(
        iou, *(_per_class(ids, classes) for ids in (true[1], predicted[1], matched))
    )


def _objects(
    frame: GeoDataFrame,
    class_by: str | None,
    default: int | None,
    classes: ClassMap,
    area: Any,
    *,
    name: str,
) -> tuple[Geometries, Ids]:
    """Polygons and their class ids, cut to an area."""
    ids = class_ids(frame, class_by=class_by, default=default, classes=classes, name=name)
    given = geometries_of(frame)
    invalid = ~shapely.is_valid(given)  # a projection bends what was valid
    given = given.copy()
    given[invalid] = shapely.make_valid(given[invalid])
    polygons = polygon_parts(given)
    empty = shapely.is_empty(polygons)
    if empty.any():
        warn(
            f"{name}: {int(empty.sum())} of {len(empty)} features are no polygons and are left out; "
            "buffer them first"
        )
    if area is not None:
        polygons = polygon_parts(shapely.intersection(polygons, area))
    kept = (shapely.area(polygons) > 0) & (ids != classes.ignore_id)
    return polygons[kept], ids[kept]


def _alike(true: tuple[Geometries, Ids], predicted: tuple[Geometries, Ids], iou: float) -> Pairs:
    """Pairs of one class that may match, with their IoU."""
    tree = shapely.STRtree(predicted[0])
    one, other = tree.query(true[0], predicate="intersects")
    same = true[1][one] == predicted[1][other]
    one, other = one[same].astype(np.int64), other[same].astype(np.int64)
    shared = np.zeros(len(one))
    for start in range(0, len(one), _PAIRS):
        part = slice(start, start + _PAIRS)
        common = shapely.intersection(true[0][one[part]], predicted[0][other[part]])
        shared[part] = shapely.area(common)
    union = shapely.area(true[0])[one] + shapely.area(predicted[0])[other] - shared
    pairs = Pairs(one, other, shared / union)
    return pairs.only(pairs.shared >= iou)


def _per_class(ids: Ids, classes: ClassMap) -> Any:
    return np.bincount(ids, minlength=256)[list(classes.ids)].astype(np.int64)


def _area_of(aoi: VectorSource, crs: Any) -> Any:
    """The AOI as one geometry."""
    polygons = polygon_parts(geometries_of(aoi.read(crs=crs)))
    area = shapely.union_all(shapely.make_valid(polygons))
    if shapely.is_empty(area) or shapely.area(area) == 0:
        raise SceneError(f"{name_of(aoi)}: an AOI is made of polygons, and it holds none")
    return area


def _default_of(given: str | int | None, classes: ClassMap) -> int | None:
    """The id of the default class."""
    if given is None:
        return classes.ids[0] if len(classes) == 1 else None
    found = class_id(given, classes)
    if found is None:
        raise ConfigError(f"default_class={given!r} is no class; the classes are {listed(classes)}")
    return found
