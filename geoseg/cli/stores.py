"""Where a command writes its labels: a map or polygons, by the end of the name."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from geoseg.errors import ConfigError

if TYPE_CHECKING:
    from geoseg.labels.base import LabelStore


class Mode(StrEnum):
    """What happens where the output is there already."""

    overwrite = "overwrite"
    error = "error"


Out = Annotated[
    str,
    typer.Argument(
        metavar="OUT",
        help="The map to write (.tif), or its polygons (.gpkg, .fgb, .parquet, .geojson).",
    ),
]
Scores = Annotated[
    bool,
    typer.Option(
        "--scores",
        help="Keep the scores too, in OUT.scores.tif; of polygons, each one's mean score.",
    ),
]
Confidence = Annotated[
    bool,
    typer.Option("--confidence", help="Keep each pixel's highest score in OUT.confidence.tif."),
]
Entropy = Annotated[
    bool, typer.Option("--entropy", help="Keep how undecided each pixel is in OUT.entropy.tif.")
]
ModeOption = Annotated[
    Mode, typer.Option(help="Replace an output that is there already, or refuse to.")
]


def store_for(out: str, *, scores: bool, confidence: bool, entropy: bool, mode: Mode) -> LabelStore:
    """The store of an output.

    Raises:
        ConfigError: Its name tells neither a map nor polygons, or polygons are to hold what they cannot.
    """
    from geoseg.labels.geotiff import GeoTIFFLabelStore
    from geoseg.labels.polygons.files import SUFFIXES
    from geoseg.labels.vector import VectorLabelStore

    if out.lower().endswith((".tif", ".tiff")):
        return GeoTIFFLabelStore(
            uri=out, scores=scores, confidence=confidence, entropy=entropy, mode=mode.value
        )
    if not out.lower().endswith(tuple(SUFFIXES)):
        raise ConfigError(
            f"{out}: is named neither as a map (.tif) nor as polygons ({', '.join(SUFFIXES)}); give it "
            "such a name"
        )
    if confidence or entropy:
        raise ConfigError(
            f"{out}: --confidence and --entropy are of pixels; write a map (.tif), and its polygons with "
            "`geoseg vectorize`"
        )
    return VectorLabelStore(uri=out, scores=scores, mode=mode.value)
