"""The numbers of a mask: its dtype, the id of ignored pixels, and that of pixels without a feature."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from geoseg.errors import ConfigError, LabelError
from geoseg.prepare.vectormasks.classes import Classes, WideIds, name_features, whole

if TYPE_CHECKING:
    from geopandas import GeoDataFrame

_OPEN = ("uint8", "uint16", "uint32")
"""What a dtype that is left open may become; the smallest that holds all ids."""
_DTYPES = (*_OPEN, "int16", "int32")
"""What GeoTIFFs hold of whole numbers and GDAL reads everywhere."""


@dataclass(frozen=True, slots=True)
class Encoding:
    """How ids are written."""

    dtype: np.dtype[Any]
    """The dtype of the masks."""
    ignore_id: int
    """The id of ignored pixels, and the nodata of the files."""
    background: int | None
    """The id of pixels without a feature; None: they are ignored."""

    @classmethod
    def of(
        cls,
        frame: GeoDataFrame,
        ids: WideIds,
        classes: Classes,
        *,
        background: Any,
        ignore_id: int | None,
        dtype: Any,
        unknown: int | None,
        name: str,
    ) -> Encoding:
        """Choose what is left open, and see that all ids fit.

        Args:
            frame: The features, for errors.
            ids: (feature,) the id of each.
            classes: Whose ids must fit too, so that masks of several layers have one dtype.
            background: An id or a class name; None: pixels without a feature are ignored.
            ignore_id: None: that of the ClassMap, or the largest number of the dtype.
            dtype: None: the smallest unsigned one.
            unknown: The id asked for features whose class is missing or unknown; it may mean ignored.
            name: What errors call the features.

        Raises:
            ConfigError: The dtype, the background or `ignore_id` is none.
            LabelError: Ids do not fit the dtype, or are that of ignored pixels; they and their features or
                classes are named.
        """
        ignore = _ignore_given(classes, ignore_id)
        below = None if background is None else _background_of(background, classes, ignore)
        largest = max([*ids.tolist(), *classes.ids, ignore or 0, 0])
        chosen = _dtype_of(dtype) if dtype is not None else _smallest(largest, below, ignore)
        most = int(np.iinfo(chosen).max)
        wrong = (ids > most) | ((ids == most) & (ignore is None))
        if wrong.any():
            raise LabelError(_not_fitting(name_features(frame, ids, wrong), chosen, most, name))
        ignore = most if ignore is None else ignore
        if ignore != unknown:
            _refuse_ignored(frame, ids, classes, ignore=ignore, most=most, name=name)
        for what, number in (("background", below), ("ignore_id", ignore)):
            if number is not None and number > most:
                raise ConfigError(
                    f"{what}={number} does not fit {chosen} masks; pass a wider dtype="
                )
        return cls(chosen, ignore, None if below == ignore else below)


def _ignore_given(classes: Classes, ignore_id: int | None) -> int | None:
    if ignore_id is not None and whole(ignore_id) is None:
        raise ConfigError(f"ignore_id is {ignore_id!r}, expected a whole number from 0")
    if classes.map is None:
        return ignore_id
    if ignore_id not in (None, classes.map.ignore_id):
        raise ConfigError(
            f"ignore_id is {ignore_id}, but the class map ignores {classes.map.ignore_id}; leave it out, "
            "or change the class map"
        )
    return classes.map.ignore_id


def _refuse_ignored(
    frame: GeoDataFrame, ids: WideIds, classes: Classes, *, ignore: int, most: int, name: str
) -> None:
    """See that no class would vanish among the ignored pixels.

    Values that a ClassMap ignores are no class. Nor are those that {name: id} leads to the largest number
    of the dtype, which means ignored by custom.
    """
    if classes.map is not None:
        return
    cure = "pass another ignore_id=, or leave it out"
    if classes.names is not None:
        if ignore in classes.ids and ignore != most:
            raise LabelError(
                f"{name}: ignore_id={ignore} is the id of the class {classes.name_of(ignore)!r} of class_map, "
                f"which would be lost; {cure}"
            )
    elif (ids == ignore).any():
        raise LabelError(
            f"{name}: ignore_id={ignore} is the id of features, which would be lost: "
            f"{name_features(frame, ids, ids == ignore)}; {cure}"
        )


def _background_of(background: Any, classes: Classes, ignore: int | None) -> int:
    """The id of pixels without a feature, which of a ClassMap must be a class."""
    number = whole(background)
    if number is not None and (classes.map is None or number == ignore):
        return number
    return classes.id_of(background, argument="background")


def _smallest(largest: int, background: int | None, ignore: int | None) -> np.dtype[Any]:
    """The smallest unsigned dtype; where no id means ignored, its largest number is kept for that."""
    for dtype in map(np.dtype, _OPEN):
        most = int(np.iinfo(dtype).max)
        if largest + (ignore is None) <= most and (background or 0) <= most:
            return dtype
    return np.dtype(_OPEN[-1])


def _dtype_of(dtype: Any) -> np.dtype[Any]:
    try:
        name = np.dtype(dtype).name
    except TypeError:
        name = ""
    if name not in _DTYPES:
        raise ConfigError(f"dtype is {dtype!r}, expected one of: {', '.join(_DTYPES)}")
    found: np.dtype[Any] = np.dtype(name)
    return found


def _not_fitting(features: str, dtype: np.dtype[Any], most: int, name: str) -> str:
    return (
        f"{name}: ids that {dtype} masks cannot hold: {features}; they hold 0 to {most - 1}, and {most} "
        "for ignored unless ignore_id= says otherwise; pass a wider dtype=, or leave it out"
    )
