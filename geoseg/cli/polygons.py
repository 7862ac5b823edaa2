"""Polygons as truth: in which column their classes are, and what pixels without one are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from geoseg.errors import ConfigError

if TYPE_CHECKING:
    from geoseg.classes import ClassMap
    from geoseg.labels.base import LabelSource

OWN_COLUMNS = ("class_name", "class_id")
"""Where polygons that geoseg writes have the name and the id of their class."""
_UNKNOWN = "none"


def own_columns(uri: str) -> tuple[str, ...]:
    """Those columns of a vector file that geoseg's own polygons have, the name first.

    Raises:
        SourceError: It cannot be read.
    """
    from geoseg.sources.vector import FileVectorSource

    columns = FileVectorSource(uri=uri).read().columns
    return tuple(name for name in OWN_COLUMNS if name in columns)


def own_column(uri: str) -> tuple[str | None, tuple[str, ...]]:
    """The column of classes that nobody has to name, and a note that says so.

    Raises:
        SourceError: The file cannot be read.
    """
    if not (found := own_columns(uri)):
        return None, ()
    return found[0], (
        f"the classes of {uri} are those of its column {found[0]!r} (--class-by names another)",
    )


def polygon_labels(
    uri: str, classes: ClassMap, *, class_by: str | None, background: str | None
) -> LabelSource:
    """The polygons of a vector file as labels.

    Args:
        uri: The file.
        classes: Of the prediction.
        class_by: The column of their classes; None: they are all of the one class that is no background.
        background: Name or id of the class of pixels without a polygon, or `none`: they are not known;
            None: class 0 where it is named like a background, otherwise not known.

    Raises:
        ConfigError: The background is no class, or nothing tells the class of the polygons.
    """
    from geoseg.labels.sources import VectorLabels

    labels = VectorLabels.model_validate({"source": uri, "classes": classes, "class_by": class_by})
    if background is not None:
        labels = labels.model_copy(update={"background": _id_of(background, classes)})
    if class_by is None and (labels.background_id is None or len(classes) != 2):  # noqa: PLR2004
        raise ConfigError(
            f"{uri}: nothing tells the class of its polygons; name their column with --class-by COLUMN, or, "
            "where there are two classes, that of pixels without a polygon with --background CLASS: "
            f"{', '.join(classes.names)}"
        )
    return labels


def _id_of(background: str, classes: ClassMap) -> int | None:
    """The class that a text means."""
    if background.lower() == _UNKNOWN:
        return None
    if background in classes.names:
        return classes.id_of(background)
    if background.isdecimal() and int(background) in classes.ids:
        return int(background)
    known = ", ".join(f"{info.id} {info.name}" for info in classes.classes)
    raise ConfigError(
        f"--background {background}: is no class of the prediction, expected the name or id of one of: "
        f"{known}; or {_UNKNOWN}, where pixels without a polygon are not known"
    )
