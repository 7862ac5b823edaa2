"""One patch from its files to the bytes of its value and its row; runs in any process."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from geoseg.convert.encoding import PatchPixels, read_patch
from geoseg.convert.layout import Group
from geoseg.convert.patch import Patch
from geoseg.errors import GeosegError
from geoseg.sources.store.compression import compressed
from geoseg.sources.store.manifest import manifest_row
from geoseg.sources.store.safetensors_format import encode


@dataclass(frozen=True, slots=True)
class Recipe:
    """How values are made; it travels to other processes."""

    groups: Mapping[str, Group]
    """By name."""
    embed_geo: bool = False
    compression: Literal["zstd"] | None = None


@dataclass(frozen=True, slots=True)
class Encoded:
    """A patch that is ready to be written."""

    patch: Patch
    value: bytes
    row: dict[str, Any]
    """Of the manifest."""
    unplaced: tuple[str, ...]
    """Tensors whose files do not tell where they lie, though others do, or tell a CRS alone."""


@dataclass(frozen=True, slots=True)
class Failed:
    """A patch that could not be read."""

    patch: Patch
    error: str


Outcome = Encoded | Failed


def encode_patch(recipe: Recipe, patch: Patch) -> Outcome:
    """Read a patch and make its value."""
    group = recipe.groups[patch.group]
    try:
        pixels = read_patch(group, patch)
        value = encode(pixels.arrays, _georeference(pixels) if recipe.embed_geo else None)
        value = compressed(value) if recipe.compression else value
        row = manifest_row(
            patch.key,
            pixels.arrays,
            value,
            grid=pixels.grid,
            nodata=pixels.nodata,
            source=patch.path,
            group=patch.group,
            sample=patch.sample,
            split=patch.split,
            labels=patch.labels,
        )
    except GeosegError as error:
        return Failed(patch, f"{patch.key}: {error}")
    return Encoded(patch, value, row, pixels.unplaced)


def _georeference(pixels: PatchPixels) -> dict[str, str]:
    """Where a patch lies, as text beside its arrays."""
    known = {name: number for name, number in pixels.nodata.items() if number is not None}
    found = {"nodata": json.dumps(known, sort_keys=True)} if known else {}
    if pixels.grid is None:
        return found
    if pixels.grid.crs is not None:
        found["crs"] = pixels.grid.crs.to_string()
    return found | {"transform": json.dumps(list(pixels.grid.transform[:6]))}
