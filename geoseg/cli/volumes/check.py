"""geoseg volumes check: what is wrong with a zip of volumes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from geoseg.cli.facts import show_facts
from geoseg.cli.options import AsJson, Debug
from geoseg.cli.told import DATA, printable, told_briefly
from geoseg.cli.volumes.flags import as_flags
from geoseg.cli.volumes.opening import (
    Folder,
    ImageAxes,
    Opening,
    RleOrder,
    Test,
    Train,
    Validation,
    Zip,
)
from geoseg.cli.volumes.progress import told_as_it_goes

if TYPE_CHECKING:
    from geoseg.volumes import VolumeZip
    from geoseg.volumes.diagnose import Diagnosis

_OF_TRAINING = ("overlap",)
"""Options of the training that warnings name."""


def check(
    path: Zip,
    *,
    train: Train = None,
    validation: Validation = None,
    test: Test = None,
    folder: Folder = None,
    image_axes: ImageAxes = None,
    rle_order: RleOrder = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Look over a zip of volumes: every image, every mask, every table.

    Prints each problem in a line, and whether the masks look as if they had been written along other axes than they are read. Ends with 1 where there are errors.
    """
    with told_briefly(debug=debug, name=path):
        opening = Opening(train, validation, test, folder, image_axes, rle_order)
        found = opening.open(path)
        with told_as_it_goes("volumes checked") as progress:
            report = found.validate(axes=False, progress=progress)
        axes = found.diagnose_axes()
        doubt = doubt_of(found, axes)
        if as_json:
            show_facts(report.to_dict() | {"axes": axes.to_dict() | {"doubt": doubt}}, as_json=True)
        else:
            for text in report.errors:
                typer.echo(f"error: {printable(text)}")
            for text in (*report.warnings, *([doubt] if doubt else [])):
                typer.echo(f"warning: {printable(as_flags(text, _OF_TRAINING))}")
            typer.echo(axes_line(found, axes))
            warned = len(report.warnings) + bool(doubt)
            rows = ", ".join(f"{count} {split}" for split, count in report.rows.items())
            typer.echo(f"{rows or 'no'} volumes: {len(report.errors)} errors, {warned} warnings")
        if report.errors:
            raise typer.Exit(DATA)


def doubt_of(found: VolumeZip, axes: Diagnosis) -> str | None:
    """What to try where the masks look as if they were read along the wrong axes."""
    if axes.dialect in ("ambiguous", axes.read_as):
        return None
    if axes.dialect == "literal":
        cure = "--image-axes HWD --rle-order dhw"
    else:
        cure = "--image-axes HWD --rle-order hwd, or --image-axes DHW --rle-order dhw"
    return (
        f"masks are read with image axes {found.image_axes} and order {found.rle_order}, but look smoother in "
        f"the dialect {axes.dialect}; look at a picture, and try {cure}"
    )


def axes_line(found: VolumeZip, axes: Diagnosis) -> str:
    """How masks are read, and how they look, in a line."""
    read = f"axes: images {found.image_axes}, masks {found.rle_order}"
    if not axes.volumes:
        return f"{read}; no labelled volume of unequal sides can tell whether that is so"
    counts = ", ".join(f"{name} {count:,}" for name, count in axes.variation.items())
    return f"{read}; masks of {axes.volumes} volumes look like: {axes.dialect} (faces: {counts})"
