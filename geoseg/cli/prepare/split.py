"""geoseg prepare split: windows into training, validation and test, or into folds."""

from __future__ import annotations

from typing import Annotated

import typer

from geoseg.cli.facts import show_facts
from geoseg.cli.options import AsJson, Debug
from geoseg.cli.prepare.pairs import pairs_of
from geoseg.cli.told import told_briefly
from geoseg.errors import ConfigError


def split(
    index: Annotated[
        str, typer.Argument(metavar="INDEX", help="An index of windows, .csv or .parquet.")
    ],
    out: Annotated[
        str, typer.Argument(metavar="OUT", help="The index to write, with the parts as a column.")
    ],
    *,
    folds: Annotated[
        int | None, typer.Option(help="So many folds, in place of train, val and test.")
    ] = None,
    shares: Annotated[
        str | None,
        typer.Option(
            metavar="PART:SHARE,...",
            help="Parts and their shares; default: train:0.7,val:0.15,test:0.15.",
        ),
    ] = None,
    block_m: Annotated[
        float | None,
        typer.Option(
            help="Metres of ground of a square block, which is never divided; default: whole masks."
        ),
    ] = None,
    blocks: Annotated[
        str | None, typer.Option(metavar="FILE", help="Polygons as blocks, any vector file.")
    ] = None,
    buffer_m: Annotated[
        float, typer.Option(help="Metres of ground that no window of two parts may be nearer.")
    ] = 0,
    balance: Annotated[
        bool, typer.Option(help="Deal so that classes come out alike in the parts.")
    ] = True,
    ignore_id: Annotated[
        int, typer.Option(help="A value of masks that is no class, beside their nodata.")
    ] = 255,
    seed: Annotated[int, typer.Option(help="Another seed, another deal.")] = 0,
    map_png: Annotated[
        str | None, typer.Option("--map", metavar="PNG", help="Draw a map of the split.")
    ] = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Deal windows into parts by blocks of ground, with a gap between the parts.

    OUT has a column split (windows too near another part are "dropped"), or the columns fold and dropped_in_fold. It is read back and looked through for leaks.
    """
    with told_briefly(debug=debug, name="split"):
        from geoseg.prepare import split as deal

        report = deal(
            index,
            out,
            folds=folds,
            shares=None if shares is None else _shares_of(shares),
            block_m=block_m,
            blocks=blocks,
            buffer_m=buffer_m,
            balance=balance,
            ignore_id=ignore_id,
            seed=seed,
            map_png=map_png,
        )
        show_facts(report.to_dict(), as_json=as_json)


def _shares_of(text: str) -> dict[str, float]:
    pairs = pairs_of(text, "--shares")
    try:
        return {part: float(share) for part, share in pairs.items()}
    except ValueError as error:
        raise ConfigError(f"--shares {text}: expected numbers, as train:0.8,val:0.2") from error
