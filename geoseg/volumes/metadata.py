"""What a zip of volumes tells beyond its columns: dialect, classes and place, in the Parquet schema's metadata.

Readers that know nothing of it read the tables as before.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Literal, Self

from pydantic import ConfigDict, Field, ValidationError

from geoseg.errors import SourceError
from geoseg.grid import AffineField, CRSField
from geoseg.spec import FrozenMap, Spec
from geoseg.volumes.rle import Order

ImageAxes = Literal["HWD", "DHW"]
"""Axes of a stored array, channels left out: "HWD" has the slices last, "DHW" first.

Beside "DHW" the order of the text should be "dhw": no documented helper reads slices first with "hwd", though
geoseg reads back what it wrote so, since these metadata say it.
"""

METADATA_KEY = b"geoseg"
"""Of the metadata of a Parquet schema."""


class VolumeFacts(Spec):
    """What is known of one volume beside its voxels."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    crs: CRSField | None = None
    """Of its slices."""
    transform: AffineField | None = None
    """Of its slices: pixel corner to ground."""
    times: tuple[str, ...] | None = None
    """Of its slices, from the first to the last, as text (ISO 8601)."""
    channel_names: tuple[str, ...] | None = Field(default=None, alias="channels")
    """Of the image; `channels` in files and calls."""


class VolumeMetadata(Spec):
    """What a frame of a zip tells of its volumes."""

    format: Literal[1] = 1
    """Of this metadata."""
    image_axes: ImageAxes
    """Of the stored arrays."""
    rle_order: Order
    """Of the run-length text, from the fastest axis to the slowest."""
    classes: tuple[str, ...] = ()
    """In the order of the lists."""
    volumes: FrozenMap[str, VolumeFacts] = Field(default_factory=FrozenMap)
    """By the name of the image; those of which nothing is known are left out."""

    @classmethod
    def from_schema(cls, metadata: Mapping[bytes, bytes] | None, *, where: str) -> Self | None:
        """What the metadata of a Parquet schema tell; None where geoseg did not write it.

        Raises:
            SourceError: It is damaged, or of a later version.
        """
        text = (metadata or {}).get(METADATA_KEY)
        if text is None:
            return None
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            problem = error.errors()[0]
            place = ".".join(map(str, problem["loc"])) or "text"
            raise SourceError(
                f"{where}: its geoseg metadata cannot be read: {place}: {problem['msg']}; write the zip again, "
                "or remove the metadata and name image_axes and rle_order"
            ) from error

    def to_schema(self) -> dict[bytes, bytes]:
        """The metadata for a Parquet schema, the same bytes for the same facts."""
        told = self.model_dump(mode="json", exclude_none=True, by_alias=True)
        told["volumes"] = dict(sorted(told["volumes"].items()))
        return {METADATA_KEY: json.dumps(told, ensure_ascii=False).encode()}
