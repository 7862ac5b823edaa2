"""geoseg volumes info: what a zip of volumes holds."""

from __future__ import annotations

from geoseg.cli.facts import show_facts
from geoseg.cli.options import AsJson, Debug
from geoseg.cli.told import told_briefly
from geoseg.cli.volumes.opening import (
    Folder,
    ImageAxes,
    Opening,
    RleOrder,
    Test,
    Train,
    Validation,
    Zip,
    facts_of,
)


def info(
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
    """Tell what a zip of volumes holds.

    Axes and classes, and of each table its volumes, their sizes (depth, height, width), dtypes, folds and voxels of each class. No image is read but for its header.
    """
    with told_briefly(debug=debug, name=path):
        opening = Opening(train, validation, test, folder, image_axes, rle_order)
        show_facts(facts_of(opening.open(path)), as_json=as_json)
