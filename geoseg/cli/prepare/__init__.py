"""`geoseg prepare ...`: the steps from raw layers to training data, a command each."""

from __future__ import annotations

import typer

from geoseg.cli.prepare.align import align
from geoseg.cli.prepare.check import check
from geoseg.cli.prepare.export import export
from geoseg.cli.prepare.masks import masks
from geoseg.cli.prepare.run import run
from geoseg.cli.prepare.split import split
from geoseg.cli.prepare.tile import tile

prepare = typer.Typer(
    help="From raw layers to training data: align, masks, export, tile, split, check, run.",
    epilog="Begin with: geoseg prepare masks buildings.geojson image.tif masks",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

prepare.command(epilog="Example: geoseg prepare align sentinel.tif reference.tif aligned.tif")(
    align
)
prepare.command(
    epilog="Example: geoseg prepare masks roads.gpkg image.mbtiles masks --class-by kind --class-map road:1,path:2"
)(masks)
prepare.command(epilog="Example: geoseg prepare export image.mbtiles masks pairs --patch-size 512")(
    export
)
prepare.command(
    epilog="Example: geoseg prepare tile image.mbtiles masks tiles --patch-size 256 --empty 0.2"
)(tile)
prepare.command(
    epilog="Example: geoseg prepare split index.parquet split.parquet --block-m 500 --buffer-m 50"
)(split)
prepare.command(epilog="Example: geoseg prepare check split.parquet --buffer-m 50 --report check")(
    check
)
prepare.command(epilog="Example: geoseg prepare run pipeline.yaml")(run)
