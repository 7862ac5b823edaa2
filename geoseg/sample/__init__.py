"""The embedded sample: a real satellite scene with land cover, and an experiment with them.

Landsat 7 ETM+ of 2000 (five bands of 28.5 m, EPSG:32119, nodata 0) around Raleigh, North Carolina, and
the land cover of 1996 (ids 1 to 7, EPSG:3358). SOURCE.txt tells the origin. Nothing is read before it
is asked for.
"""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Literal

from geoseg import yamltext
from geoseg.classes import ClassMap

MAPPING = {1: 0, 2: 1, 3: 1, 4: 2, 5: 2, 6: 3, 7: 3}
"""{land cover in the file: class id}: developed; agriculture and herbaceous; shrubland and forest; water
and sediment."""


def image_uri() -> str:
    """The Landsat scene: blue, green, red, nir and swir1 as uint8."""
    return _path("landsat7_2000.tif")


def labels_uri() -> str:
    """The land cover as numbers 1 to 7, see `MAPPING`; 0 is no data."""
    return _path("landcover_1996.tif")


def aoi_uri(half: Literal["north", "south"]) -> str:
    """A polygon around half of the scene (GeoJSON); 16 rows between the halves belong to neither."""
    return _path(f"{half}.geojson")


def experiment_text(*, output: str) -> str:
    """The experiment that `geoseg demo` runs: trains on one half, is scored on the other.

    Args:
        output: The folder of its results.

    Returns:
        YAML with comments and absolute paths, which can be kept anywhere and changed.
    """
    text = _read("experiment.yaml")
    for name in ("landsat7_2000.tif", "landcover_1996.tif", "north.geojson", "south.geojson"):
        text = text.replace(f" {name}\n", f" {json.dumps(_path(name))}\n")
    return text.replace("output: geoseg-demo\n", f"output: {json.dumps(output)}\n")


def classes() -> ClassMap:
    """The four classes of the experiment."""
    return ClassMap.model_validate(yamltext.load(_read("experiment.yaml"))["classes"])


def _read(name: str) -> str:
    return files(__name__).joinpath(name).read_text(encoding="utf-8")


def _path(name: str) -> str:
    return str(files(__name__).joinpath(name))
