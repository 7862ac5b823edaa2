"""Where a prediction is wrong, as a map."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal

import numpy as np

from geoseg.choices import one_of
from geoseg.classes import ClassMap
from geoseg.errors import ConfigError
from geoseg.grid import Grid
from geoseg.labels.base import Ids
from geoseg.labels.geotiff import GeoTIFFLabelStore
from geoseg.window import Window

ErrorKind = Literal["right", "pairs"]
"""What the map of errors tells: right or wrong; or the pair of true and predicted class."""

RIGHT, WRONG, IGNORED = 0, 1, 255
_MOST_PAIRS = 255
_SUFFIXES = (".tif", ".tiff")
_FADED = 0.7
"""How far the colour of a class fades towards white where it is right."""

PutErrors = Callable[[Window, Ids, Ids], None]
"""Takes a window, and the places of true and predicted classes in the class map."""


def error_classes(classes: ClassMap, kind: ErrorKind = "right") -> ClassMap:
    """The classes of a map of errors.

    With "right": 0 is right and 1 wrong. With "pairs": the number is the place of the true class times
    the number of classes, plus the place of the predicted one; pairs that are right have the colour of
    their class, faded, and the others that of the predicted class. 255 is ignored.

    Raises:
        ConfigError: There are more pairs than numbers, or no such kind.
    """
    check_kind(kind)
    if kind == "right":
        return ClassMap.model_validate(
            [
                {"id": RIGHT, "name": "right", "color": "#c8d7c8"},
                {"id": WRONG, "name": "wrong", "color": "#be1e96"},
            ]
        )
    if len(classes) ** 2 > _MOST_PAIRS:
        raise ConfigError(
            f"{len(classes)} classes make {len(classes) ** 2} pairs, a map of errors holds "
            f'{_MOST_PAIRS} at most; write one with kind="right"'
        )
    records = [
        {
            "name": true.name if true == other else f"{true.name}, predicted as {other.name}",
            "color": _faded(other.color) if true == other else other.color,
        }
        for true in classes.classes
        for other in classes.classes
    ]
    return ClassMap.model_validate(records)


def check_kind(kind: ErrorKind) -> None:
    """See that there is such a map of errors.

    Raises:
        ConfigError: There is none.
    """
    one_of(kind, ErrorKind, name="error_kind")


def check_name(uri: str) -> None:
    """See that a map of errors is called what it is.

    Raises:
        ConfigError: The name does not end as that of a GeoTIFF.
    """
    if not uri.lower().endswith(_SUFFIXES):
        raise ConfigError(
            f"{uri}: a map of errors is a GeoTIFF, expected a name that ends in .tif or .tiff"
        )


@contextmanager
def error_map(
    uri: str, grid: Grid, classes: ClassMap, kind: ErrorKind = "right"
) -> Iterator[PutErrors]:
    """A GeoTIFF of errors (uint8, tiled, with colours and names), written block by block.

    It appears when the context ends, whole or not at all, and reads back as labels of `error_classes`.

    Args:
        uri: A local path that ends in .tif or .tiff.
        grid: Of truth and prediction.
        classes: Theirs.
        kind: What it tells.

    Yields:
        A function of a window and the places (height, width) of the true and the predicted classes in
        the class map; a place past the last means not known.

    Raises:
        ConfigError: There are more pairs of classes than numbers, or no such kind, or the name is that
            of another format.
        StoreError: It cannot be written.
    """
    check_name(uri)
    store = GeoTIFFLabelStore(uri=uri, cog=False)
    count = len(classes)
    with store.writer(grid, error_classes(classes, kind)) as writer:

        def put(window: Window, truth: Ids, prediction: Ids) -> None:
            if kind == "right":
                errors = (truth != prediction).astype(np.uint8)
            else:
                errors = truth * np.uint8(count) + prediction
            errors[(truth >= count) | (prediction >= count)] = IGNORED
            writer.write(window, errors)

        yield put


def _faded(color: tuple[int, int, int]) -> tuple[int, int, int]:
    red, green, blue = (round(255 - (255 - value) * (1 - _FADED)) for value in color)
    return red, green, blue
