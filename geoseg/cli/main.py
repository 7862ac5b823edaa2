"""The `geoseg` command. Heavy libraries are imported inside commands, so that help is fast."""

from __future__ import annotations

from typing import Annotated

import typer

from geoseg.cli.check import check
from geoseg.cli.convert import convert
from geoseg.cli.demo import demo
from geoseg.cli.evaluate import evaluate
from geoseg.cli.export import export
from geoseg.cli.info import info
from geoseg.cli.merge import merge
from geoseg.cli.predict import predict
from geoseg.cli.prepare import prepare
from geoseg.cli.schema import schema
from geoseg.cli.train import train
from geoseg.cli.vectorize import vectorize
from geoseg.cli.verify import verify
from geoseg.cli.volumes import volumes
from geoseg.version import __version__

app = typer.Typer(
    help="Semantic segmentation on geospatial imagery: from a scene to a georeferenced map.",
    epilog="Begin with: geoseg demo",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:  # noqa: FBT001, RUF100 - typer passes it by place
    if wanted:
        typer.echo(f"geoseg {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    pass


app.command(epilog="Example: geoseg demo out")(demo)
app.command(epilog="Example: geoseg check experiment.yaml --set train.0.image=b.tif")(check)
app.command(epilog="Example: geoseg train experiment.yaml --set training.epochs=3")(train)
app.command(epilog="Example: geoseg predict bundle.zip image.tif map.tif --aoi area.geojson")(
    predict
)
app.command(epilog="Example: geoseg merge part0.tif part1.tif map.tif")(merge)
app.command(epilog="Example: geoseg evaluate landcover.tif map.tif --mapping 1:0,2:1,3:1")(evaluate)
app.command(epilog="Example: geoseg vectorize map.tif buildings.gpkg --only building")(vectorize)
app.command(epilog="Example: geoseg export bundle.zip model.onnx --size 512")(export)
app.add_typer(prepare, name="prepare")
app.add_typer(convert, name="convert")
app.command(epilog="Example: geoseg verify store BigEarthNet-S1 BigEarthNet-S2")(verify)
app.add_typer(volumes, name="volumes")
app.command(epilog="Example: geoseg schema --out experiment.schema.json")(schema)
app.command(epilog="Example: geoseg info map.tif --json")(info)


def run() -> None:
    """The console entry: exit code 0, 1 (the data are at fault) or 2 (the call is)."""
    app(prog_name="geoseg")
