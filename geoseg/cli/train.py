"""geoseg train: run an experiment."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from geoseg.cli.options import Changes, Debug
from geoseg.cli.told import told_briefly

if TYPE_CHECKING:
    from geoseg.experiment import Results


def train(
    file: Annotated[str, typer.Argument(metavar="FILE", help="The experiment (YAML).")],
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            help="Go on with the run in the `output` folder that was stopped, from its last finished epoch. The "
            "settings of the training must be the same.",
        ),
    ] = False,
    changes: Changes = None,
    debug: Debug = False,
) -> None:
    """Run an experiment: train, predict, score.

    The model learns from the training scenes and is scored on the test scenes. Everything goes to the experiment's `output` folder: the model (bundle.zip), the predicted maps
    (predictions/, but for scenes that name a `store`), evaluation.json, report.html (open it in a browser), metrics.csv, last.ckpt and, where there are validation scenes, best.ckpt; and what was run: run.yaml, with all
    includes, changes, patterns and tables resolved, and run.json with times, seeds, versions and git's state.

    A run that was stopped or killed goes on with --resume from its last finished epoch; on a CPU to the same bytes. Without it a run begins anew and replaces what is there.
    """
    with told_briefly(debug=debug, name=file):
        from geoseg.experiment import Experiment, run

        experiment = Experiment.from_yaml(Path(file), changes=changes or ())
        print_results(run(experiment, file=file, resume=resume))


def print_results(results: Results) -> None:
    """The table of scores, and where the files are."""
    if results.evaluation is not None:
        typer.echo(results.evaluation.table() + "\n")
    typer.echo(f"model       {results.bundle}")
    for uri in results.maps.values():
        typer.echo(f"map         {uri}")
    if results.scores is not None:
        typer.echo(f"scores      {results.scores}")
    typer.echo(f"report      {results.report}")
