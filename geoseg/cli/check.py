"""geoseg check: look at everything that an experiment names before the work begins."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from geoseg.cli.options import Debug
from geoseg.cli.told import told_briefly

if TYPE_CHECKING:
    from geoseg.experiment import SceneReport


def check(
    file: Annotated[str, typer.Argument(metavar="FILE", help="The experiment (YAML).")],
    debug: Debug = False,
) -> None:
    """Look at all that an experiment names.

    Opens every scene and reads through it once; prints grid, bands and the shares of the classes of each scene. Nothing is written.
    """
    with told_briefly(debug=debug, name=file):
        from geoseg.experiment import Experiment, check

        reports = check(Experiment.from_yaml(Path(file)))
        for report in reports:
            typer.echo("\n".join(_lines(report)))
        typer.echo(f"{file}: ready, {len(reports)} scenes")


def _lines(report: SceneReport) -> list[str]:
    shares = ", ".join(f"{name} {share:.1%}" for name, share in report.shares.items())
    return [
        f"{report.part}: {report.id}",
        f"  grid    {report.grid.describe()}",
        f"  bands   {', '.join(report.band_names)} ({report.dtype})",
        f"  labels  {report.labelled:.1%} of the pixels: {shares}",
    ]
