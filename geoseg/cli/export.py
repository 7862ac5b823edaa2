"""geoseg export: a bundle as a file of other programs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from geoseg.cli.options import Debug
from geoseg.cli.told import told_briefly
from geoseg.errors import ConfigError

_FORMATS = {".onnx": "--onnx", ".pt2": "--pt2"}


def export(
    bundle: Annotated[str, typer.Argument(metavar="BUNDLE", help="The model (bundle.zip).")],
    out: Annotated[str, typer.Argument(metavar="OUT", help="The file to write (.onnx or .pt2).")],
    *,
    onnx: Annotated[
        bool, typer.Option("--onnx", help="Write ONNX; left out: as OUT is named.")
    ] = False,
    pt2: Annotated[
        bool, typer.Option("--pt2", help="Write a .pt2 of PyTorch; left out: as OUT is named.")
    ] = False,
    size: Annotated[
        int | None,
        typer.Option(
            help="Pixels of the only windows that it takes; left out: windows of any size."
        ),
    ] = None,
    dtype: Annotated[
        str | None,
        typer.Option(
            help="Of the pixels, for a model that does not know them from scenes: uint8, ..."
        ),
    ] = None,
    channels: Annotated[
        int | None,
        typer.Option(help="Of the images, for a model that was not trained at all: 3, ..."),
    ] = None,
    debug: Debug = False,
) -> None:
    """Write a model as ONNX or as a .pt2 file of PyTorch.

    Normalisation and softmax are inside: it takes pixels as they are in the image, as float32 with NaN where nothing was measured, and gives the probability of each class. Batches and windows may have any size. What the file computes is compared with the bundle before it gets its name. `geoseg predict` takes it in place of the bundle.

    An ONNX file tells the QGIS plugin Deepness what it needs; the plugin takes models of one size only, so give --size 512.

    In Python, where a network of your own can be given (model=MyNetwork() to Learner.load):

    \b
    from geoseg.learner import Learner
    from geoseg.learner.export import export_onnx, export_pt2
    export_onnx(Learner.load("bundle.zip"), "model.onnx", size=512)
    """  # noqa: D301 - help keeps the lines below this character as they are
    with told_briefly(debug=debug, name="export"):
        suffix = _suffix(out, onnx=onnx, pt2=pt2)
        from geoseg.learner.export import export_onnx, export_pt2
        from geoseg.learner.learner import Learner
        from geoseg.outputs import refuse_inputs

        refuse_inputs([out], [bundle])
        write = export_onnx if suffix == ".onnx" else export_pt2
        write(Learner.load(bundle), out, size=size, dtype=dtype, channels=channels)
        typer.echo(out)


def _suffix(out: str, *, onnx: bool, pt2: bool) -> str:
    """The format as a suffix.

    Raises:
        ConfigError: The flags and the name of the file say different things, or nothing.
    """
    named = Path(out).suffix.lower()
    wanted = {suffix for suffix, given in ((".onnx", onnx), (".pt2", pt2)) if given}
    if named not in _FORMATS:
        raise ConfigError(f"{out}: give it a name that ends in .onnx or .pt2")
    if wanted - {named}:
        flag = _FORMATS[min(wanted - {named})]
        raise ConfigError(f"{out}: is named as another format than {flag} writes; leave {flag} out")
    return named
