"""geoseg volumes train: a model from a zip of volumes."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from geoseg import yamltext
from geoseg.cli.options import Debug
from geoseg.cli.told import told_briefly
from geoseg.cli.volumes.flags import named_as_flags
from geoseg.cli.volumes.opening import (
    Folder,
    ImageAxes,
    Opening,
    RleOrder,
    Train,
    Validation,
    Zip,
)
from geoseg.cli.volumes.sizes import size_of
from geoseg.errors import ConfigError
from geoseg.outputs import check_names, refuse_inputs

if TYPE_CHECKING:
    from geoseg.volumes import VolumeRow, VolumeZip


class Overlap(StrEnum):
    """What becomes of voxels in the masks of several classes."""

    error = "error"
    priority = "priority"
    multilabel = "multilabel"


def train(
    path: Zip,
    *,
    out: Annotated[str, typer.Option(metavar="FILE", help="The bundle to write.")] = "bundle.zip",
    model: Annotated[
        str, typer.Option(help="unet3d, or a network of MONAI, as monai:UNet.")
    ] = "unet3d",
    size: Annotated[
        str | None,
        typer.Option(
            metavar="D,H,W",
            help="Voxels of a window, or one number; left out: powers of two that the median volume fills, at "
            "most 32,64,64.",
        ),
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(help="Times that the windows are drawn; left out: 10.")
    ] = None,
    length: Annotated[
        int | None,
        typer.Option(
            help="Windows in an epoch; left out: as many as cover the volumes, from 32 to 256."
        ),
    ] = None,
    batch_size: Annotated[int | None, typer.Option(help="Windows in a step; left out: 8.")] = None,
    lr: Annotated[float | None, typer.Option(help="The highest learning rate.")] = None,
    model_option: Annotated[
        list[str] | None,
        typer.Option(
            "--model-option",
            metavar="KEY=VALUE",
            help="An option of the network, such as width=8 or channels=[8,16]; values are YAML. May be "
            "given several times.",
        ),
    ] = None,
    loss: Annotated[
        str | None,
        typer.Option(help="Left out: cross_entropy+dice, or bce+dice of classes that overlap."),
    ] = None,
    overlap: Annotated[
        Overlap,
        typer.Option(
            help="Voxels of several classes: an error, the first class has them, or all have."
        ),
    ] = Overlap.error,
    valid_fold: Annotated[
        str | None,
        typer.Option(
            metavar="FOLD",
            help="Validate on the training rows of this fold; left out: on the validation table, if any.",
        ),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Another seed, another training.")] = None,
    workers: Annotated[int | None, typer.Option(help="Processes that read; left out: 0.")] = None,
    train_file: Train = None,
    validation: Validation = None,
    folder: Folder = None,
    image_axes: ImageAxes = None,
    rle_order: RleOrder = None,
    debug: Debug = False,
) -> None:
    """Train a model on the volumes of a zip.

    The bundle knows classes, channels, dtype and statistics. Where there are rows for validation, each epoch is measured on them.
    """
    with told_briefly(debug=debug, name="train"):
        check_names([out])
        refuse_inputs([out], [path])
        flags = {
            "model": model,
            "size": size_of(size, "--size"),
            "epochs": epochs,
            "length": length,
            "batch_size": batch_size,
            "lr": lr,
            "loss": loss,
            "overlap": overlap.value,
            "model_options": options_of(model_option or []),
            "seed": seed,
            "workers": workers,
        }
        given = {key: value for key, value in flags.items() if value is not None}
        found = Opening(train_file, validation, "none", folder, image_axes, rle_order).open(path)
        with named_as_flags(*flags.keys() - {"model_options"}):
            _train(found, given, valid_fold, out)


def _train(found: VolumeZip, given: dict[str, Any], valid_fold: str | None, out: str) -> None:
    from geoseg.learner import Learner, Training
    from geoseg.learner.volumes.windows import length_for, window_for

    Training.model_validate(given)  # before volumes are looked at
    rows, valid = rows_of(found, valid_fold)
    if not rows:
        raise ConfigError(f"{found.uri}: has no row to train on")
    shapes = [row.shape for row in rows]
    size = given.get("size") or window_for(shapes)
    training = Training.model_validate({"length": length_for(shapes, size), **given, "size": size})
    learner = Learner(found.classes, training)
    learner.fit(rows, valid or None)
    learner.save(out)
    if learner.history:
        last = learner.history[-1].items()
        typer.echo("  ".join(f"{key} {value:.4g}" for key, value in last))
    typer.echo(out)


def options_of(texts: list[str]) -> dict[str, Any]:
    """`KEY=VALUE`s by key, values read as YAML.

    Raises:
        ConfigError: One is written in another way, or a key comes twice.
    """
    found: dict[str, Any] = {}
    for text in texts:
        key, equals, value = (part.strip() for part in text.partition("="))
        if not (key and equals and value) or key in found:
            raise ConfigError(
                f"--model-option {text}: expected KEY=VALUE, such as width=8, each key once"
            )
        found[key] = yamltext.load(value, name=f"--model-option {key}")
    return found


def rows_of(found: VolumeZip, valid_fold: str | None) -> tuple[list[VolumeRow], list[VolumeRow]]:
    """Rows to train and to validate on.

    Raises:
        ConfigError: No row, or each, is of the fold, or there is a table for validation too.
    """
    rows = list(found.frame("train"))
    if valid_fold is None:
        return rows, list(found.frame("validation")) if "validation" in found.files else []
    if "validation" in found.files:
        raise ConfigError(
            f"--valid-fold {valid_fold}: {found.uri} has a table for validation, "
            f"{found.files['validation']}; leave one out (--validation none)"
        )
    held = [row for row in rows if str(row.fold) == valid_fold]
    rest = [row for row in rows if str(row.fold) != valid_fold]
    if not held or not rest:
        folds = ", ".join(sorted({str(row.fold) for row in rows if row.fold is not None}))
        raise ConfigError(
            f"--valid-fold {valid_fold}: {len(held)} of {len(rows)} rows are of this fold, expected some but not "
            f"all; folds in the zip: {folds or 'none'}"
        )
    return rest, held
