"""geoseg evaluate: a predicted map against the truth."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from geoseg.cli.options import AoiFile, AsJson, Debug, mapping_of
from geoseg.cli.told import told_briefly
from geoseg.errors import SourceError, StoreError

if TYPE_CHECKING:
    from geoseg.classes import ClassMap
    from geoseg.labels.evaluate import Evaluation
    from geoseg.labels.geotiff import GeoTIFFLabels


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
        typer.Option(metavar="COLUMN", help="Column of class names or ids in a vector TRUTH."),
    ] = None,
    mapping: Annotated[
        str | None,
        typer.Option(
            metavar="PAIRS", help="Values of a raster TRUTH and their class ids, as in 1:0,2:1."
        ),
    ] = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Score a predicted map against the truth.

    Prints IoU, F1, precision and recall of each class, accuracy and kappa. The truth is brought onto the prediction's grid. Pixels that either ignores are left out.
    """
    with told_briefly(debug=debug, name="evaluate"):
        pairs = mapping_of(mapping)
        found = _evaluate(truth, prediction, aoi=aoi, class_by=class_by, mapping=pairs)
        typer.echo(found.to_json() if as_json else found.table())


def _evaluate(
    truth: str,
    prediction: str,
    *,
    aoi: str | None,
    class_by: str | None,
    mapping: dict[int, int] | None,
) -> Evaluation:
    from geoseg.labels.evaluate import evaluate
    from geoseg.scene import Scene

    predicted = _read(prediction)
    own = None if mapping or class_by else _classes_of(truth)
    classes = own or predicted.classes
    scene = Scene.of(
        prediction, truth, classes=classes, class_by=class_by, mapping=mapping, aoi=aoi
    )
    scene.check()
    if scene.labels is None:
        raise SourceError(f"{truth}: gives no labels; name a raster of ids or a vector file")
    return evaluate(scene.labels.on(predicted.grid), predicted, scene.aoi, name=scene.id)


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
