"""geoseg schema: what may stand in an experiment, for editors."""

from __future__ import annotations

from typing import Annotated

import typer

from geoseg.cli.options import Debug
from geoseg.cli.told import told_briefly


def schema(
    what: Annotated[
        str,
        typer.Argument(
            metavar="[WHAT]",
            help="experiment, scene, classes, source, vectors, labels, store, training, sampling, prediction "
            "or scoring.",
        ),
    ] = "experiment",
    out: Annotated[
        str | None, typer.Option("--out", metavar="FILE", help="Write it there, do not print it.")
    ] = None,
    debug: Debug = False,
) -> None:
    """Print the JSON Schema of an experiment, or of a part of it.

    An editor that knows it completes keys, shows what they mean and marks what is wrong. In VS Code (with
    the YAML extension), Neovim and others the first line of the experiment's file names it:

    # yaml-language-server: $schema=experiment.schema.json
    """
    with told_briefly(debug=debug, name=out or ""):
        from geoseg.outputs import written_whole
        from geoseg.schema import schema_text

        text = schema_text(what)
        if out is None:
            typer.echo(text, nl=False)
            return
        with written_whole(out) as path:
            path.write_text(text, encoding="utf-8")
        typer.echo(out)
