"""geoseg check: look at everything that an experiment names before the work begins."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from geoseg.cli.options import Changes, Debug
from geoseg.cli.told import DATA, told_briefly

if TYPE_CHECKING:
    from geoseg.experiment import Experiment, SceneReport


def check(
    file: Annotated[str, typer.Argument(metavar="FILE", help="The experiment (YAML).")],
    overfit: Annotated[
        bool,
        typer.Option("--overfit", help="See whether the model can learn one batch by heart."),
    ] = False,
    overfit_steps: Annotated[
        int, typer.Option("--overfit-steps", min=1, help="Steps for it, at most.")
    ] = 200,
    changes: Changes = None,
    debug: Debug = False,
) -> None:
    """Look at all that an experiment names.

    Opens every scene and reads through it; prints grid, bands and the shares of the classes of each scene. Then does all that a training does before its first epoch: measures, counts, builds the network, draws windows. Nothing is written but the `cache` of the sampling, where it names one.

    With --overfit the model is then trained on a single batch. If its loss does not fall below that of a guess, labels, classes or the learning rate are wrong; if it does, but not far enough, more steps or another learning rate may do. In both cases the exit code is 1.
    """
    with told_briefly(debug=debug, name=file):
        from geoseg.experiment import Experiment, check

        experiment = Experiment.from_yaml(Path(file), changes=changes or ())
        reports = check(experiment)
        for report in reports:
            typer.echo("\n".join(_lines(report)))
        _check_training(experiment)
        if overfit:
            _overfit(experiment, steps=overfit_steps)
        typer.echo(f"{file}: ready, {len(reports)} scenes")


def _check_training(experiment: Experiment) -> None:
    """All that a training does before its first epoch."""
    from geoseg.learner.fitting.precheck import check_options
    from geoseg.learner.fitting.prepare import prepare

    options, valid = experiment.training, experiment.valid or None
    check_options(options, folder=experiment.output, resume=None, measure=valid is not None)
    prepare(experiment.classes, options, experiment.train, valid).data.train_dataloader()


def _overfit(experiment: Experiment, *, steps: int) -> None:
    """One line on what came of it; the command ends where the batch was not learnt."""
    from geoseg.learner.fitting.overfit import overfit_check

    found = overfit_check(experiment.classes, experiment.training, experiment.train, steps=steps)
    typer.echo(f"overfit: {found.describe()}")
    if not found.passed:
        cure = _STUCK if found.outcome == "stuck" else _FALLING.format(more=5 * steps)
        typer.echo(f"error: {cure}", err=True)
        raise typer.Exit(DATA)


_STUCK = (
    "the loss of one batch does not fall, or no lower than that of a guess, so that more data would teach "
    "nothing; see that the labels lie on the image, that the classes can be told apart, that the bands are "
    "scaled alike in all scenes, and try another training.lr"
)
_FALLING = (
    "one batch was not learnt, but its loss falls; try more steps with --overfit-steps {more}, or another "
    "training.lr; if that does not help, see whether the classes can be told apart"
)


def _lines(report: SceneReport) -> list[str]:
    shares = ", ".join(f"{name} {share:.1%}" for name, share in report.shares.items())
    return [
        f"{report.part}: {report.id}",
        f"  grid    {report.grid.describe()}",
        f"  bands   {', '.join(report.band_names)} ({report.dtype})",
        f"  labels  {report.labelled:.1%} of the pixels: {shares}",
    ]
