"""geoseg volumes evaluate: predicted masks of a zip against those of another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from geoseg.cli.facts import show_facts
from geoseg.cli.options import AsJson, Debug
from geoseg.cli.told import printable, told_briefly
from geoseg.cli.volumes.opening import Opening

if TYPE_CHECKING:
    from geoseg.volumes import VolumeRow, VolumeZip


def evaluate(
    truth: Annotated[
        str, typer.Argument(metavar="TRUTH", help="A zip of volumes with their true masks.")
    ],
    prediction: Annotated[
        str,
        typer.Argument(metavar="PREDICTION", help="One of `geoseg volumes predict`, or alike."),
    ],
    *,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Compare the masks of two zips: Dice and IoU of each class, over all voxels.

    Volumes of train.pq and validation.pq of both zips belong together by their names. Volumes of TRUTH that were not predicted are told, and do not count. No image is read but for its header, and no mask is decoded where both zips have one order of runs.
    """
    with told_briefly(debug=debug, name=prediction):
        from geoseg.learner.volumes.judging import judged
        from geoseg.volumes.exporting.copying import stored_names

        known, found = (_labelled(Opening(test="none").open(uri)) for uri in (truth, prediction))
        report = judged(known, found)
        names = stored_names(row.name for row in known)
        left = [name for name in names if name not in report.volumes]
        if as_json:
            show_facts(report.to_dict() | {"not predicted": left}, as_json=True)
            return
        for line in report.table().splitlines():
            typer.echo(printable(line))
        typer.echo(f"volumes compared: {len(report.volumes)}, of TRUTH not predicted: {len(left)}")


def _labelled(found: VolumeZip) -> list[VolumeRow]:
    return [row for split in found.files for row in found.frame(split)]
