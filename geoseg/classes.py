"""ClassMap: which class ids there are, what they are called and how they are drawn."""

from __future__ import annotations

import colorsys
import re
from typing import Annotated, Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BeforeValidator, Field, GetJsonSchemaHandler, model_validator
from pydantic_core import CoreSchema

from geoseg.errors import LabelError
from geoseg.spec import AlsoWritten, Spec

_Byte = Annotated[int, Field(ge=0, le=255)]


def _from_hex(value: Any) -> Any:
    """`#4477aa` is a way to write a colour."""
    if not isinstance(value, str):
        return value
    if not re.fullmatch("#[0-9a-fA-F]{6}", value):
        raise ValueError(f"{value!r} is no colour, expected '#rrggbb' or three numbers, 0..255")
    return tuple(bytes.fromhex(value[1:]))


_HEX = {"type": "string", "pattern": "^#[0-9a-fA-F]{6}$"}
Color = Annotated[tuple[_Byte, _Byte, _Byte], BeforeValidator(_from_hex), AlsoWritten(_HEX)]
"""Red, green, blue, 0..255; `#rrggbb` is taken too."""

_PALETTE = (
    (68, 119, 170), (238, 102, 119), (34, 136, 51), (204, 187, 68), (102, 204, 238), (170, 51, 119),
    (238, 119, 51), (0, 153, 136), (153, 153, 51), (136, 34, 85),
)  # fmt: skip
"""Distinct also for colour-blind readers (Paul Tol's bright and muted schemes)."""


def _default_color(index: int) -> Color:
    """A colour for the class at a place: the palette first, then turns of the colour circle."""
    if index < len(_PALETTE):
        return _PALETTE[index]
    red, green, blue = colorsys.hsv_to_rgb((index * 0.618034) % 1.0, 0.6, 0.85)
    return round(red * 255), round(green * 255), round(blue * 255)


class ClassInfo(Spec):
    """One class."""

    id: int = Field(ge=0, le=254)
    """The number in label files."""
    name: str = Field(min_length=1)
    """What people call it."""
    color: Color
    """Red, green, blue, 0..255, or `#rrggbb`."""

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        """The list of a ClassMap fills in what is missing."""
        return {**handler(schema), "required": ["name"]}


def _complete(value: Any) -> Any:
    """Bare names become records; a missing id is the place in the list, a missing colour a default."""
    if not isinstance(value, list | tuple):
        return value
    records = [{"name": item} if isinstance(item, str) else item for item in value]
    return tuple(
        {"id": i, "color": _default_color(i), **record} if isinstance(record, dict) else record
        for i, record in enumerate(records)
    )


class ClassMap(Spec):
    """Ordered classes, and the id that means "ignored".

    The order is that of the channels of scores; ids need not follow it. In YAML a list of names is
    enough: ids count from 0 then.

    >>> ClassMap.of("background", "building").id_of("building")
    1
    """

    classes: Annotated[
        tuple[Annotated[ClassInfo, AlsoWritten({"type": "string"})], ...],
        BeforeValidator(_complete),
    ] = Field(min_length=1)
    """The classes in the order of score channels; ids and names are unique."""
    ignore_id: int = Field(default=255, ge=0, le=255)
    """The id of pixels that are not labelled: left out of loss, statistics and scores."""

    @model_validator(mode="before")
    @classmethod
    def _from_list(cls, data: Any) -> Any:
        return {"classes": data} if isinstance(data, list | tuple) else data

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        """A list alone is enough."""
        found = handler(schema)
        return {"anyOf": [found["properties"]["classes"], found]}

    @model_validator(mode="after")
    def _unique(self) -> Self:
        for what, values in (("id", self.ids), ("name", self.names)):
            twice = sorted({str(v) for v in values if values.count(v) > 1})
            if twice:
                raise ValueError(f"class {what} given twice: {', '.join(twice)}")
        if self.ignore_id in self.ids:
            raise ValueError(f"ignore_id {self.ignore_id} is the id of a class too; choose another")
        return self

    @classmethod
    def of(cls, *names: str, ignore_id: int = 255) -> ClassMap:
        """Classes by name, with ids from 0 and default colours."""
        return cls.model_validate({"classes": list(names), "ignore_id": ignore_id})

    def __len__(self) -> int:
        return len(self.classes)

    @property
    def ids(self) -> tuple[int, ...]:
        """Class ids, in order."""
        return tuple(c.id for c in self.classes)

    @property
    def names(self) -> tuple[str, ...]:
        """Class names, in order."""
        return tuple(c.name for c in self.classes)

    def id_of(self, name: str) -> int:
        """The id of a class by its name.

        Raises:
            LabelError: There is no such class.
        """
        for c in self.classes:
            if c.name == name:
                return c.id
        raise LabelError(f"no class is called {name!r}; there are: {', '.join(self.names)}")

    def name_of(self, class_id: int) -> str:
        """The name of a class by its id.

        Raises:
            LabelError: There is no such class.
        """
        for c in self.classes:
            if c.id == class_id:
                return c.name
        raise LabelError(f"no class has the id {class_id}; there are: {self.ids}")

    def channel_table(self) -> NDArray[np.uint8]:
        """(256,) uint8: the score channel of each id, and 255 where the id is no class."""
        table = np.full(256, 255, np.uint8)
        table[list(self.ids)] = np.arange(len(self), dtype=np.uint8)
        return table

    def id_table(self) -> NDArray[np.uint8]:
        """(256,) uint8: the id of each score channel, and `ignore_id` past the last."""
        table = np.full(256, self.ignore_id, np.uint8)
        table[: len(self)] = self.ids
        return table

    def color_table(self) -> dict[int, tuple[int, int, int, int]]:
        """Id to (red, green, blue, alpha), as GeoTIFF wants it; `ignore_id` is transparent."""
        return {c.id: (*c.color, 255) for c in self.classes} | {self.ignore_id: (0, 0, 0, 0)}
