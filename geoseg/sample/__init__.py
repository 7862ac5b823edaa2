"""The embedded sample: a real satellite scene with land cover, and an experiment with them.

Landsat 7 ETM+ of 2000 (five bands of 28.5 m, EPSG:32119, nodata 0) around Raleigh, North Carolina, and
the land cover of 1996 (ids 1 to 7, EPSG:3358). SOURCE.txt tells the origin. Nothing is read before it
is asked for.
"""

from __future__ import annotations

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


def experiment_uri() -> str:
    """The experiment that `geoseg demo` runs (YAML): trains on one half, is scored on the other."""
    return _path("experiment.yaml")


def classes() -> ClassMap:
    """The four classes of the experiment."""
    text = files(__name__).joinpath("experiment.yaml").read_text(encoding="utf-8")
    return ClassMap.model_validate(yamltext.load(text)["classes"])


def _path(name: str) -> str:
    return str(files(__name__).joinpath(name))
