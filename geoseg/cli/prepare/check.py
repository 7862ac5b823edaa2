"""geoseg prepare check: what is wrong with training data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from geoseg.cli.facts import show_facts
from geoseg.cli.options import AsJson, Debug
from geoseg.cli.told import printable, told_briefly

if TYPE_CHECKING:
    from geoseg.prepare.checking.findings import Finding


def check(
    index: Annotated[
        str, typer.Argument(metavar="INDEX", help="An index of windows, .csv or .parquet.")
    ],
    *,
    classes: Annotated[
        str | None,
        typer.Option(metavar="NAME,...", help="Names of the classes from id 0, or ids."),
    ] = None,
    image: Annotated[
        str | None, typer.Option(help="One image for all masks; default: as the index says.")
    ] = None,
    image_column: Annotated[str, typer.Option(help="The column of images.")] = "image_path",
    ignore_id: Annotated[
        int, typer.Option(help="A value of masks that is no class, beside their nodata.")
    ] = 255,
    buffer_m: Annotated[
        float, typer.Option(help="Metres of ground that must lie between two parts of a split.")
    ] = 0,
    shift_windows: Annotated[
        int, typer.Option(help="Windows on which labels are compared with edges of the image.")
    ] = 64,
    image_windows: Annotated[
        int | None, typer.Option(help="Windows whose image is read; default: all.")
    ] = None,
    report: Annotated[
        str | None,
        typer.Option(metavar="FOLDER|HTML", help="Where to write check.html and check.json."),
    ] = None,
    pictures: Annotated[int, typer.Option(help="Bad windows that the page shows.")] = 12,
    seed: Annotated[int, typer.Option(help="Chooses the windows of samples.")] = 0,
    mask_base_path: Annotated[
        str | None, typer.Option(help="A folder for relative paths; default: the index's.")
    ] = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Look over training data: what is wrong, what is odd, and what to do.

    Ends with 1 where there are errors. Classes and weights, unknown ids, empty and equal windows, NaN, grids, damaged files, shifted labels, leaks of a split.
    """
    with told_briefly(debug=debug, name="check"):
        from geoseg.prepare import check as look
        from geoseg.prepare.checking.kinds import SEVERITIES

        found = look(
            index,
            classes=None if classes is None else _classes_of(classes),
            image=image,
            image_column=image_column,
            ignore_id=ignore_id,
            buffer_m=buffer_m,
            shift_windows=shift_windows,
            image_windows=image_windows,
            report=report,
            pictures=pictures,
            seed=seed,
            mask_base_path=mask_base_path,
        )
        if as_json:
            show_facts(found.to_dict(), as_json=True)
        else:
            for finding in found.findings:
                typer.echo(_told(finding))
            if found.edges is not None and (reason := found.edges.shift.reason):
                typer.echo(f"shift of labels not measured: {printable(reason)}")
            counts = ", ".join(f"{found.count(severity)} {severity}s" for severity in SEVERITIES)
            typer.echo(f"{found.windows:,} windows: {counts}")
            for uri in (found.html_uri, found.json_uri):
                if uri is not None:
                    typer.echo(uri)
        if found.exit_code:
            raise typer.Exit(found.exit_code)


def _told(finding: Finding) -> str:
    """What, how often, where first, and what to do, in two lines."""
    told = f"{finding.severity}: {finding.title} ({finding.how_many})"
    for first in finding.examples[:1]:
        row = "" if first.row is None else f"row {first.row}"
        told += "; first: " + ", ".join(part for part in (first.file, row, first.detail) if part)
    return f"{printable(told)}\n  {finding.cure}"


def _classes_of(text: str) -> tuple[str, ...] | tuple[int, ...]:
    """Names, or ids where all are numbers."""
    parts = [part.strip() for part in text.split(",") if part.strip()]
    numbers = all(part.isdecimal() for part in parts)
    return tuple(int(part) for part in parts) if numbers else tuple(parts)
