"""geoseg prepare align: an image or a mask on the grid of another."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from geoseg.cli.facts import show_facts
from geoseg.cli.options import AsJson, Debug
from geoseg.cli.told import told_briefly


class Compress(StrEnum):
    """How tiles are packed."""

    auto = "auto"
    zstd = "zstd"
    deflate = "deflate"
    lzw = "lzw"
    none = "none"


class Method(StrEnum):
    """Who warps."""

    exact = "exact"
    gdal = "gdal"


def align(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="An image or a mask.")],
    reference: Annotated[
        str, typer.Argument(metavar="REFERENCE", help="A raster or .mbtiles whose grid is wanted.")
    ],
    out: Annotated[str, typer.Argument(metavar="OUT", help="The GeoTIFF to write.")],
    *,
    resampling: Annotated[
        str,
        typer.Option(
            help="auto, nearest, bilinear, cubic, average, mode; with --method gdal all of GDAL's."
        ),
    ] = "auto",
    categorical: Annotated[
        bool | None,
        typer.Option(
            "--categorical/--continuous",
            help="Whether pixels are numbers of classes, which are never blended; default: as the file says.",
        ),
    ] = None,
    nodata: Annotated[
        float | None, typer.Option(help="The number of pixels that are not valid in OUT.")
    ] = None,
    compress: Annotated[Compress, typer.Option(help="How tiles are packed.")] = Compress.auto,
    overviews: Annotated[bool, typer.Option("--overviews", help="Add overviews.")] = False,
    method: Annotated[
        Method, typer.Option(help="exact maps every pixel centre, gdal is GDAL's warper.")
    ] = Method.exact,
    measure: Annotated[
        bool, typer.Option(help="Measure the shift against REFERENCE afterwards.")
    ] = True,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Bring an image or a mask onto the exact grid of a reference.

    Nodata, alpha, band names and class names are kept. Grid, coverage and shift are measured on the file that was written.
    """
    with told_briefly(debug=debug, name="align"):
        from geoseg.prepare import align as bring

        report = bring(
            source,
            reference,
            out,
            resampling=resampling,
            categorical=categorical,
            nodata=nodata,
            compress=compress.value,
            overviews=overviews,
            method=method.value,
            measure=measure,
        )
        show_facts(report.to_dict(), as_json=as_json)
