"""Which classes of scenes are classes of a zip: all but the background, which it has no mask for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pydantic import ValidationError

from geoseg.classes import ClassMap
from geoseg.errors import ConfigError, LabelError
from geoseg.labels.features import background_in
from geoseg.volumes.writing.words import class_names

_MOST = 255
"""Classes of a class map: ids of 8 bits, one of which means "ignored"."""


def foreground(classes: ClassMap) -> tuple[str, ...]:
    """Names of the classes without the background: class 0 if it is named so, or one called "background".

    >>> foreground(ClassMap.of("no water", "river", "lake"))
    ('river', 'lake')
    """
    background = background_id(classes)
    return tuple(c.name for c in classes.classes if c.id != background)


def background_id(classes: ClassMap) -> int | None:
    """The id of voxels that are in no mask; None where no class is named like a background."""
    found = background_in(classes)
    if found is not None:
        return found
    return next((c.id for c in classes.classes if c.name.strip().lower() == "background"), None)


def common_classes(
    maps: Iterable[tuple[str, ClassMap]], chosen: Sequence[str] | None
) -> tuple[str, ...]:
    """The classes of a zip of scenes.

    Args:
        maps: (name of the scene, class map of its labels), of scenes with labels.
        chosen: The classes wanted, in order; None: those of all scenes, which must be the same.

    Raises:
        LabelError: Scenes have other classes than one another, or than were chosen.
        ConfigError: Nothing tells the classes, or those that were chosen are no list of names.
    """
    found: tuple[str, ...] | None = None if chosen is None else class_names(chosen)
    first = ""
    for scene, classes in maps:
        names = foreground(classes)
        if chosen is not None:
            for name in found or ():
                classes.id_of(name)
        elif found is None:
            found, first = names, scene
        elif names != found:
            raise LabelError(
                f"scene {scene!r} has the classes {', '.join(names)}, but scene {first!r} has "
                f"{', '.join(found)}; name those to write with classes=[...]"
            )
    if not found:
        raise ConfigError(
            "nothing tells the classes of the zip: no scene has labels with a class beside background; "
            "name them with classes=[...]"
        )
    return found


def class_map_of(names: Sequence[str], given: ClassMap | None) -> ClassMap:
    """The class map of a zip's classes: the given one, or background and they, ids from 0.

    Raises:
        LabelError: The given one lacks a class, or none is given and the names make none.
    """
    if given is None:
        try:
            plain = ClassMap.of(*names)
            return plain if background_id(plain) is not None else ClassMap.of("background", *names)
        except ValidationError as error:
            raise LabelError(
                f"the {len(names)} classes of the zip and background make no class map: "
                f"{error.errors()[0]['msg']}; {_cure(len(names))}"
            ) from error
    for name in names:
        given.id_of(name)
    return given


def _cure(count: int) -> str:
    if count > _MOST:
        return (
            f"scenes have {_MOST} classes at most: read the rows of VolumeZip.frame, or write a zip of fewer "
            "classes"
        )
    return "pass classes=ClassMap with all of them by name"
