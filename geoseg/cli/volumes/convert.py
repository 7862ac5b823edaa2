"""geoseg volumes convert: volumes from one form into another."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from geoseg.cli.options import Debug, refuse_unless
from geoseg.cli.told import told_briefly
from geoseg.cli.volumes.converting import (
    As,
    Ignored,
    LabelAxis,
    LayersOption,
    Target,
    files_of,
    folder_into,
    scenes_into,
    zip_into,
)
from geoseg.cli.volumes.opening import (
    Axes,
    Folder,
    FrameName,
    ImageAxes,
    Opening,
    RleOrder,
    RunOrder,
    Test,
    Train,
    Validation,
)
from geoseg.errors import ConfigError
from geoseg.outputs import refuse_inputs

AsOption = Annotated[
    As | None,
    typer.Option(
        "--as",
        help="Files of a folder: npy, tiff (a page a plane), geotiff (a map a plane; left out).",
    ),
]
LayersFlag = Annotated[
    LayersOption | None,
    typer.Option(
        "--layers",
        help="Of a folder: ids in one layer (left out), or masks, a layer a class, that may overlap.",
    ),
]


def convert(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help="A zip of volumes, a scene or an experiment (YAML), or a folder with images/ and masks/.",
        ),
    ],
    out: Annotated[
        str, typer.Argument(metavar="OUT", help="A zip (.zip), or of a zip: a folder of masks.")
    ],
    *,
    classes: Annotated[
        str | None,
        typer.Option(
            metavar="NAME,...",
            help="Classes to write, in this order; of a folder of numbers: those of 1, 2, ...",
        ),
    ] = None,
    to_image_axes: Annotated[
        Axes | None, typer.Option(help="Axes of the images in OUT; left out: HWD.")
    ] = None,
    to_rle_order: Annotated[
        RunOrder | None, typer.Option(help="Order of the masks in OUT; left out: dhw.")
    ] = None,
    split: Annotated[
        FrameName | None,
        typer.Option(help="Table for a folder, or a scene; left out: train."),
    ] = None,
    ignored: Annotated[
        Ignored | None,
        typer.Option(help="Of scenes: write pixels of no known class as background, or refuse."),
    ] = None,
    label_axis: Annotated[
        LabelAxis | None,
        typer.Option(help="Of scenes of several dates with one label map: repeat it, or refuse."),
    ] = None,
    as_: AsOption = None,
    layers: LayersFlag = None,
    train: Train = None,
    validation: Validation = None,
    test: Test = None,
    folder: Folder = None,
    image_axes: ImageAxes = None,
    rle_order: RleOrder = None,
    debug: Debug = False,
) -> None:
    """Bring volumes into a zip, or a zip into another one or into files.

    A zip becomes a zip of other axes or fewer classes, or a folder of masks. Scenes become volumes, one a scene: of an experiment its train, valid and test scenes; a time stack is as deep as it has dates. Of a folder images and masks of one name become volumes.
    """
    with told_briefly(debug=debug, name=source):
        refuse_inputs([out], [source])
        kind, to_zip = _kind(source), out.lower().endswith(".zip")
        if kind != "zip" and not to_zip:
            raise ConfigError(f"{out}: {kind} become a zip; give it a name that ends with .zip")
        flags: dict[str, object] = {
            "--to-image-axes": to_image_axes,
            "--to-rle-order": to_rle_order,
            "--as": as_,
            "--layers": layers,
            "--split": split,
            "--ignored": ignored,
            "--label-axis": label_axis,
            "--train": train,
            "--validation": validation,
            "--test": test,
            "--folder": folder,
            "--image-axes": image_axes,
            "--rle-order": rle_order,
        }
        _refuse_foreign(flags, source=kind, target="zip" if to_zip else "folder")
        names = None if classes is None else _names(classes)
        target = Target(out, names, to_image_axes or Axes.hwd, to_rle_order or RunOrder.dhw)
        if kind == "scenes":
            scenes_into(target, source, split, ignored, label_axis)
        elif kind == "folders":
            folder_into(target, source, split, image_axes)
        else:
            opening = Opening(train, validation, test, folder, image_axes, rle_order)
            if to_zip:
                zip_into(target, opening.open(source))
            else:
                files_of(target, opening.open(source), as_ or As.geotiff, layers)
        typer.echo(out)


_OF_SOURCE = {
    "--split": ("scenes", "folders"),
    "--ignored": ("scenes",),
    "--label-axis": ("scenes",),
    "--train": ("zip",),
    "--validation": ("zip",),
    "--test": ("zip",),
    "--folder": ("zip",),
    "--image-axes": ("zip", "folders"),
    "--rle-order": ("zip",),
}
"""Options and the sources that they mean something for."""
_OF_TARGET = {
    "--to-image-axes": "zip",
    "--to-rle-order": "zip",
    "--as": "folder",
    "--layers": "folder",
}
"""The same of what is written."""


def _refuse_foreign(flags: dict[str, object], *, source: str, target: str) -> None:
    """Refuse options that mean nothing for what is read or written."""
    for flag, value in flags.items():
        sources = _OF_SOURCE.get(flag, (source,))
        if source not in sources:
            refuse_unless(f"{' or '.join(sources)} as SOURCE", {flag: value})
        if (wanted := _OF_TARGET.get(flag, target)) != target:
            refuse_unless(f"a {wanted} as OUT", {flag: value})


def _kind(source: str) -> str:
    if source.lower().endswith((".yaml", ".yml")):
        return "scenes"
    return "folders" if Path(source).is_dir() else "zip"


def _names(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())
