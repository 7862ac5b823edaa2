"""geoseg vectorize: a map as polygons."""

from __future__ import annotations

from typing import Annotated

import typer

from geoseg.cli.options import Debug
from geoseg.cli.stores import Mode, ModeOption
from geoseg.cli.told import told_briefly
from geoseg.errors import SourceError, StoreError


def vectorize(
    map_: Annotated[str, typer.Argument(metavar="MAP", help="A map that geoseg wrote.")],
    out: Annotated[
        str,
        typer.Argument(
            metavar="OUT",
            help="The polygons to write: .gpkg, .fgb, .parquet, .geoparquet or .geojson.",
        ),
    ],
    *,
    only: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CLASS", help="Name or id of a class to keep; may be given several times."
        ),
    ] = None,
    min_area_m2: Annotated[
        float, typer.Option(help="Leave out regions smaller than this on the ground.")
    ] = 0,
    denoise_px: Annotated[
        int,
        typer.Option(help="Leave out pixels that no square of so many pixels a side covers."),
    ] = 0,
    simplify_m: Annotated[
        float, typer.Option(help="Straighten outlines by about so many metres.")
    ] = 0,
    rectangle_iou: Annotated[
        float,
        typer.Option(
            help="Draw regions that fill at least this share of a rectangle as one (buildings: 0.8)."
        ),
    ] = 0,
    scores: Annotated[
        bool, typer.Option("--scores", help="Add the mean score, where MAP has scores beside it.")
    ] = False,
    mode: ModeOption = Mode.overwrite,
    debug: Debug = False,
) -> None:
    """Write the regions of a map as polygons.

    Each region of connected pixels of a class becomes one polygon with its class_id and class_name. Edges lie exactly on the edges of pixels, unless they are simplified.
    """
    with told_briefly(debug=debug, name="vectorize"):
        from geoseg.labels.geotiff import GeoTIFFLabelStore
        from geoseg.labels.vector import VectorLabelStore
        from geoseg.outputs import refuse_inputs

        store = VectorLabelStore(
            uri=out,
            only=None if only is None else tuple(_class_of(text) for text in only),
            min_area_m2=min_area_m2,
            denoise_px=denoise_px,
            simplify_m=simplify_m,
            rectangle_iou=rectangle_iou,
            scores=scores,
            mode=mode.value,
        )
        refuse_inputs([out], [map_])
        store.check()
        try:
            labels = GeoTIFFLabelStore(uri=map_).read()
        except StoreError as error:  # as an input it is wrong with the data
            raise SourceError(str(error)) from error
        store.write(labels)
        typer.echo(out)


def _class_of(text: str) -> int | str:
    """An id where it is a number, else a name."""
    return int(text) if text.isdecimal() else text
