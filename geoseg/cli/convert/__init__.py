"""`geoseg convert ...`: data sets into stores of LMDB + safetensors, a command for each layout."""

from __future__ import annotations

import typer

from geoseg.cli.convert.layouts import Layouts

convert = typer.Typer(
    cls=Layouts,
    help="Turn a data set into one store, or a store back.\n\nEach layout of files is a command; one of your own "
    "is a file (YAML or JSON) in the place of its name. `geoseg convert STORE --to geotiff --target-dir DIR` "
    "writes files again.",
    epilog="Example: geoseg convert uc-merced --dataset-dir UCMerced_LandUse --target-dir uc-merced",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
