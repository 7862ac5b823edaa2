"""geoseg prepare run: the steps of a pipeline."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from geoseg.cli.facts import show_facts
from geoseg.cli.options import AsJson, Debug
from geoseg.cli.told import told_briefly

if TYPE_CHECKING:
    from geoseg.prepare.pipeline import StepDone


def run(
    pipeline: Annotated[str, typer.Argument(metavar="PIPELINE", help="The steps, in a YAML file.")],
    *,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Do all steps again, those that were done too.")
    ] = False,
    full_hash: Annotated[
        bool,
        typer.Option(
            "--full-hash",
            help="Know inputs by a digest of their bytes, not by size and time of change.",
        ),
    ] = False,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Do the steps of a pipeline, without those that were done before with the same inputs.

    Its folder gets pipeline.log and pipeline.json: inputs, versions, seed, and the report of each step.
    """
    with told_briefly(
        debug=debug, name=pipeline, stopped="steps that were done stand; run it again to go on"
    ):
        from pathlib import Path

        from geoseg.prepare.pipeline import Pipeline
        from geoseg.prepare.pipeline import run as perform

        report = perform(
            Pipeline.from_yaml(Path(pipeline)),
            full_hash=full_hash,
            fresh=fresh,
            seen=None if as_json else _tell,
        )
        if as_json:
            show_facts(report.to_dict(), as_json=True)
        else:
            typer.echo(report.manifest)


def _tell(step: StepDone) -> None:
    typer.echo(f"{step.type}: {'done before' if step.reused else f'{step.seconds:.1f} s'}")
