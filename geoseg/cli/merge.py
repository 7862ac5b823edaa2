"""geoseg merge: the parts of a map joined."""

from __future__ import annotations

from typing import Annotated

import typer

from geoseg.cli.options import Debug
from geoseg.cli.stores import Confidence, Entropy, Mode, ModeOption, Out, Scores, store_for
from geoseg.cli.told import told_briefly


def merge(
    parts: Annotated[
        list[str],
        typer.Argument(metavar="PART...", help="What `geoseg predict --shard` wrote."),
    ],
    out: Out,
    *,
    scores: Scores = False,
    confidence: Confidence = False,
    entropy: Entropy = False,
    mode: ModeOption = Mode.overwrite,
    debug: Debug = False,
) -> None:
    """Join the parts of a map that shards have predicted.

    The map is the one that a single run would have made. Parts of different runs, that overlap, or that leave rows out, are refused.
    """
    with told_briefly(debug=debug, name="merge"):
        from geoseg.labels.parts import merge as join

        store = store_for(out, scores=scores, confidence=confidence, entropy=entropy, mode=mode)
        join(parts, store)
        typer.echo(out)
