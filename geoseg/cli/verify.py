"""geoseg verify: a store against the files that it was made of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from geoseg.cli.convert.progress import patch_bar
from geoseg.cli.facts import show_facts
from geoseg.cli.options import AsJson, Debug
from geoseg.cli.told import DATA, printable, told_briefly

if TYPE_CHECKING:
    from geoseg.convert.verify import Verification

_SHOWN = 20
"""Faults that are printed; of more, the number."""


def verify(
    store: Annotated[str, typer.Argument(metavar="STORE", help="A store of LMDB + safetensors.")],
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="SOURCE...",
            help="The folders that it was made of, in any order, and the tables if there were such.",
        ),
    ],
    *,
    layout: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|FILE",
            help="The layout, or a file with one; left out: what the store's manifest tells.",
        ),
    ] = None,
    csv: Annotated[
        str | None,
        typer.Option(
            "--csv",
            metavar="FILE",
            help="The table that names the patches; left out: the one of its name in the folder.",
        ),
    ] = None,
    metadata: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FILE",
            help="The table of pairing, split and labels that the conversion was given; without it these are "
            "not compared. May be given several times.",
        ),
    ] = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Compare every array of a store with its original, bit by bit.

    The originals are read by GDAL and the values by safetensors, not by the readers that made the store.
    Patches that one side alone has are faults too, and so is what the manifest tells wrongly. Exit code 1
    where there are any.
    """
    with told_briefly(debug=debug, name="verify", stopped="nothing was written"):
        from geoseg.cli.convert.layouts import layout_named
        from geoseg.convert.verify import verify as compare

        by = None if layout is None else layout_named(layout)
        with patch_bar("verify") as seen:
            found = compare(store, sources, layout=by, metadata=metadata, table=csv, progress=seen)
        _show(found, as_json=as_json)
        if not found.ok:
            raise typer.Exit(DATA)


def _show(found: Verification, *, as_json: bool) -> None:
    """The first faults, a line each, and what was compared."""
    told = found.to_dict()
    if as_json:
        show_facts(told, as_json=True)
        return
    faults = sum(found.faults.values())
    for fault in found.errors[:_SHOWN]:
        typer.echo(printable(fault.text))
    if faults > _SHOWN:
        typer.echo(f"and {faults - _SHOWN} more faults; --json lists the first {len(found.errors)}")
    show_facts({key: value for key, value in told.items() if key != "errors"}, as_json=False)
