"""`geoseg volumes ...`: zips of volumes with run-length masks, from a look at them to predictions."""

from __future__ import annotations

import typer

from geoseg.cli.volumes.check import check
from geoseg.cli.volumes.convert import convert
from geoseg.cli.volumes.evaluate import evaluate
from geoseg.cli.volumes.info import info
from geoseg.cli.volumes.predict import predict
from geoseg.cli.volumes.train import train

volumes = typer.Typer(
    help="Volumes (time stacks, slices, voxels) in zips with run-length masks: check, info, convert, train, "
    "predict, evaluate.",
    epilog="Begin with: geoseg volumes check volumes.zip",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

volumes.command(epilog="Example: geoseg volumes check volumes.zip --image-axes HWD")(check)
volumes.command(epilog="Example: geoseg volumes info volumes.zip --json")(info)
volumes.command(epilog="Example: geoseg volumes convert volumes.zip other.zip --to-image-axes DHW")(
    convert
)
volumes.command(epilog="Example: geoseg volumes train volumes.zip --out bundle.zip --size 8,64,64")(
    train
)
volumes.command(epilog="Example: geoseg volumes predict bundle.zip volumes.zip predictions.zip")(
    predict
)
volumes.command(epilog="Example: geoseg volumes evaluate volumes.zip predictions.zip --json")(
    evaluate
)
