"""geoseg evaluate: a predicted map against the truth."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from pathlib import PurePath
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from geoseg.cli.objects import match_files, told
from geoseg.cli.options import AoiFile, AsJson, Debug, mapping_of, refuse_unless
from geoseg.cli.polygons import own_column, polygon_labels
from geoseg.cli.told import told_briefly
from geoseg.errors import ConfigError, SourceError, StoreError
from geoseg.outputs import check_names, refuse_inputs, written_whole

if TYPE_CHECKING:
    from geoseg.classes import ClassMap
    from geoseg.labels.base import LabelSource
    from geoseg.labels.evaluate import Evaluation
    from geoseg.labels.tifflabels import GeoTIFFLabels
    from geoseg.scene import Scene


T = TypeVar("T")

_SAME = 0.5
"""From which IoU on two objects are the same, where nobody says."""
_PICTURES = ("png", "svg", "pdf")
"""How the names of pictures end."""


class ErrorKindOption(StrEnum):
    """What a map of errors tells."""

    right = "right"
    pairs = "pairs"


def evaluate(
    truth: Annotated[
        str,
        typer.Argument(
            metavar="TRUTH", help="Labels: a raster of ids on any grid, or a vector file."
        ),
    ],
    prediction: Annotated[
        str, typer.Argument(metavar="PREDICTION", help="A map that geoseg wrote.")
    ],
    *,
    aoi: AoiFile = None,
    class_by: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN",
            help="Column of class names or ids in a vector TRUTH; left out: class_name or class_id, where it "
            "has one.",
        ),
    ] = None,
    background: Annotated[
        str | None,
        typer.Option(
            metavar="CLASS",
            help="Class (name or id) of pixels without a polygon of a vector TRUTH, or none: they are not "
            'known; left out: class 0 if it is called "background", "other", "none", "no ..." or "non-...", '
            "else none.",
        ),
    ] = None,
    mapping: Annotated[
        str | None,
        typer.Option(
            metavar="PAIRS", help="Values of a raster TRUTH and their class ids, as in 1:0,2:1."
        ),
    ] = None,
    boundary_px: Annotated[
        int | None,
        typer.Option(metavar="N", help="Boundary IoU too: of pixels this near to a boundary."),
    ] = None,
    objects: Annotated[
        bool, typer.Option("--objects", help="Precision, recall and F1 of whole objects too.")
    ] = False,
    object_iou: Annotated[
        float | None,
        typer.Option(
            metavar="IOU",
            help="The same, of objects that count as one from this IoU on; left out: 0.5.",
        ),
    ] = None,
    bootstrap: Annotated[
        int,
        typer.Option(
            metavar="N", help="95 % intervals from N resamples of blocks, e.g. 1000; at least 20."
        ),
    ] = 0,
    block_px: Annotated[
        int | None,
        typer.Option(
            metavar="N", help="Pixels a side of the blocks of --bootstrap; left out: 512."
        ),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(help="Where the random numbers of --bootstrap begin; left out: 0."),
    ] = None,
    error_map: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", help="A GeoTIFF (.tif) of errors: 0 right, 1 wrong, 255 left out."
        ),
    ] = None,
    error_kind: Annotated[
        ErrorKindOption | None,
        typer.Option(help="What that map tells: right or wrong (left out), or pairs of classes."),
    ] = None,
    plot: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="A picture of confusion matrix and IoU: .png, .svg or .pdf (needs matplotlib).",
        ),
    ] = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Score a predicted map against the truth.

    Prints IoU, F1 (Dice), precision and recall of each class, accuracy, kappa and areas. The truth is brought onto the prediction's grid, and the report says so. Pixels that either ignores are left out. Of two vector files the objects are matched, one feature with one.
    """
    with told_briefly(debug=debug, name="evaluate"):
        if _is_vector(truth) and _is_vector(prediction):
            _refuse_of_maps(
                {
                    "--background": background,
                    "--mapping": mapping,
                    "--boundary-px": boundary_px,
                    "--objects": objects or None,
                    "--bootstrap": bootstrap or None,
                    "--block-px": block_px,
                    "--seed": seed,
                    "--error-map": error_map,
                    "--error-kind": error_kind,
                    "--plot": plot,
                }
            )
            matched = match_files(
                truth, prediction, aoi=aoi, class_by=class_by, iou=_or(object_iou, _SAME)
            )
            typer.echo(told(matched, as_json=as_json))
            return
        if _is_vector(prediction):
            raise ConfigError(
                f"{prediction}: a vector file is compared with another one only, but {truth} is none; give "
                "the map that the polygons were made of"
            )
        if not bootstrap:
            refuse_unless("--bootstrap N", {"--block-px": block_px, "--seed": seed})
        if error_map is None:
            refuse_unless("--error-map FILE", {"--error-kind": error_kind})
        if not _is_vector(truth):
            refuse_unless("a vector file as TRUTH", {"--background": background})
        pairs = mapping_of(mapping)
        outputs = [uri for uri in (error_map, plot) if uri is not None]
        check_names(outputs)
        refuse_inputs(outputs, [uri for uri in (truth, prediction, aoi) if uri is not None])
        if plot is not None:
            _check_picture(plot)
        predicted, scene, notes = _opened(
            truth, prediction, aoi=aoi, class_by=class_by, background=background, mapping=pairs
        )
        from geoseg.labels.evaluate import evaluate

        found = evaluate(
            _labels_of(scene, truth).on(predicted.grid),
            predicted,
            scene.aoi,
            name=scene.id,
            boundary_px=boundary_px,
            object_iou=_SAME if objects and object_iou is None else object_iou,
            bootstrap=bootstrap,
            block_px=_or(block_px, 512),
            seed=_or(seed, 0),
            error_map=error_map,
            error_kind=_or(error_kind, ErrorKindOption.right).value,
        )
        found = replace(found, notes=(*notes, *found.notes))
        typer.echo(found.to_json() if as_json else found.table())
        if plot is not None:
            _draw(found, plot)


def _or(given: T | None, otherwise: T) -> T:
    """What was given, or what holds where nothing was."""
    return otherwise if given is None else given


def _is_vector(uri: str) -> bool:
    from geoseg.scene import VECTOR_SUFFIXES

    return uri.lower().endswith(VECTOR_SUFFIXES)


def _refuse_of_maps(given: dict[str, object]) -> None:
    """Refuse options that two vector files have no pixels for."""
    wrong = [flag for flag, value in given.items() if value is not None]
    if wrong:
        raise ConfigError(
            f"{', '.join(wrong)}: for maps, but truth and prediction are vector files, whose objects are "
            "matched; leave it out, or give a map as PREDICTION"
        )


def _opened(
    truth: str,
    prediction: str,
    *,
    aoi: str | None,
    class_by: str | None,
    background: str | None,
    mapping: dict[int, int] | None,
) -> tuple[GeoTIFFLabels, Scene, tuple[str, ...]]:
    """The prediction, a scene with the truth, and what is to be noted of that."""
    from geoseg.scene import Scene

    predicted = _read(prediction)
    if _is_vector(truth) and mapping is None:
        column, notes = (class_by, ()) if class_by else own_column(truth)
        labels = polygon_labels(truth, predicted.classes, class_by=column, background=background)
        scene = Scene.of(prediction, labels, aoi=aoi)
        scene.check()
        return predicted, scene, notes
    own = None if mapping or class_by else _classes_of(truth)
    classes = own or predicted.classes
    scene = Scene.of(
        prediction, truth, classes=classes, class_by=class_by, mapping=mapping, aoi=aoi
    )
    scene.check()
    return predicted, scene, ()


def _labels_of(scene: Scene, truth: str) -> LabelSource:
    if scene.labels is None:
        raise SourceError(f"{truth}: gives no labels; name a raster of ids or a vector file")
    return scene.labels


def _draw(found: Evaluation, uri: str) -> None:
    """Write the picture, whole or not at all."""
    from geoseg import plot

    figure = plot.evaluation(found)
    with written_whole(uri) as path:
        figure.savefig(path, format=_suffix(uri), dpi=150)


def _check_picture(uri: str) -> None:
    """See that a picture has the name of a format that it can be written in."""
    if _suffix(uri) not in _PICTURES:
        raise ConfigError(
            f"--plot {uri}: expected a name that ends in .{', .'.join(_PICTURES)}, which tells the format"
        )


def _suffix(uri: str) -> str:
    return PurePath(uri).suffix.lower().removeprefix(".")


def _read(uri: str) -> GeoTIFFLabels:
    """A label map as input: what is wrong with it is wrong with the data."""
    from geoseg.labels.geotiff import GeoTIFFLabelStore

    try:
        return GeoTIFFLabelStore(uri=uri).read()
    except StoreError as error:
        raise SourceError(str(error)) from error


def _classes_of(uri: str) -> ClassMap | None:
    """The class map that a truth brings along; None where geoseg did not write it."""
    try:
        return _read(uri).classes
    except SourceError:
        return None
