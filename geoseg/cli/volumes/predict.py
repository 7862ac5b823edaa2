"""geoseg volumes predict: masks of volumes from a bundle."""

from __future__ import annotations

from contextlib import AbstractContextManager
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from geoseg.cli.options import Debug, refuse_unless
from geoseg.cli.told import told_briefly
from geoseg.cli.volumes.convert import AsOption, LayersFlag
from geoseg.cli.volumes.converting import As, LayersOption, Target
from geoseg.cli.volumes.flags import named_as_flags
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
    Zip,
)
from geoseg.cli.volumes.progress import told_of_each
from geoseg.cli.volumes.sizes import size_of
from geoseg.errors import ConfigError
from geoseg.outputs import refuse_inputs

if TYPE_CHECKING:
    from geoseg.learner import Learner
    from geoseg.volumes import VolumeZip


class Blend(StrEnum):
    """How windows are joined."""

    gaussian = "gaussian"
    constant = "constant"


def predict(
    bundle: Annotated[
        str, typer.Argument(metavar="BUNDLE", help="The model, of `geoseg volumes train`.")
    ],
    path: Zip,
    out: Annotated[
        str, typer.Argument(metavar="OUT", help="A zip of volumes (.zip), or a folder of files.")
    ],
    *,
    frame: Annotated[FrameName, typer.Option(help="Which rows are predicted.")] = FrameName.test,
    size: Annotated[
        str | None, typer.Option(metavar="D,H,W", help="Voxels of a window; left out: as trained.")
    ] = None,
    stride: Annotated[
        str | None,
        typer.Option(
            metavar="D,H,W", help="Voxels from window to window; left out: half of the size."
        ),
    ] = None,
    blend: Annotated[Blend, typer.Option(help="How windows are joined.")] = Blend.gaussian,
    batch_size: Annotated[
        int | None, typer.Option(help="Windows in a step; left out: as trained.")
    ] = None,
    threshold: Annotated[
        float | None,
        typer.Option(help="Least score of classes that may overlap; left out: 0.5."),
    ] = None,
    scores: Annotated[
        bool,
        typer.Option("--scores", help="Keep the probabilities of the classes too."),
    ] = False,
    precision: Annotated[
        str | None, typer.Option(help="32, 16-mixed or bf16-mixed; left out: as trained on a GPU.")
    ] = None,
    device: Annotated[
        str | None, typer.Option(help="cpu, cuda, cuda:1; left out: a GPU where there is one.")
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
    """Predict the classes of the voxels of volumes.

    A zip gets the images with the predicted masks: rows of validation as those of validation, all others, tests too, as training rows, since the layout of H2O Hydrogen Torch has no masks in its test table. With --scores it gets the probabilities in scores/NAME.npy. A folder gets arrays, TIFF stacks, or a GeoTIFF for each plane of volumes that have a place.
    """
    with told_briefly(debug=debug, name="predict"):
        refuse_inputs([out], [path, bundle])
        if out.lower().endswith(".zip"):
            refuse_unless("a folder as OUT", {"--as": as_, "--layers": layers})
        flags = {
            "size": size_of(size, "--size"),
            "stride": size_of(stride, "--stride"),
            "blend": blend.value,
            "batch_size": batch_size,
            "threshold": threshold,
            "precision": precision,
            "device": device,
            "scores": scores,
        }
        given: Any = {key: value for key, value in flags.items() if value is not None}
        opening = Opening(train, validation, test, folder, image_axes, rle_order)
        found = opening.open(path)
        rows = _frame(found, frame)
        learner = _learner(bundle)
        with (
            named_as_flags(*flags),
            _store(out, found, learner, as_, layers) as store,
            told_of_each(len(rows), f"predict {path}") as seen,
        ):
            learner.predict(rows, store, seen=seen, **given)
        typer.echo(out)


def _frame(found: VolumeZip, frame: FrameName) -> Any:
    """The rows that are predicted.

    Raises:
        ConfigError: There are none.
    """
    if frame.value not in found.files:
        there = ", ".join(f"--frame {split}" for split in found.files)
        raise ConfigError(
            f"{found.uri}: has no table {frame.value}.pq of {frame.value} rows; name its file with "
            f"--{frame.value}, or predict others: {there}"
        )
    return found.frame(frame.value)


def _learner(bundle: str) -> Learner:
    """The model of a bundle.

    Raises:
        ConfigError: It is for images.
    """
    from geoseg.learner import Learner

    learner = Learner.load(bundle)
    if not learner.training.of_volumes:
        raise ConfigError(
            f"{bundle}: its model {learner.training.model!r} is for images; predict them with `geoseg predict`"
        )
    return learner


def _store(
    out: str,
    found: VolumeZip,
    learner: Learner,
    as_: As | None,
    layers: LayersOption | None,
) -> AbstractContextManager[Any]:
    """Where the predicted masks go; a zip has the axes of that with the images."""
    from geoseg.volumes.exporting import VolumeFolderWriter

    multilabel = learner.training.multilabel
    names = learner.classes.names if multilabel else learner.classes.names[1:]
    if out.lower().endswith(".zip"):
        axes, order = Axes(found.image_axes), RunOrder(found.rle_order)
        return Target(out, None, axes, order).writer(names)
    usual = LayersOption.masks if multilabel else LayersOption.ids
    kind, layer = as_ or As.geotiff, layers or usual
    return VolumeFolderWriter(out, names, kind=kind.value, layers=layer.value)
