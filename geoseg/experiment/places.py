"""What a run leaves in its output folder, and where."""

from __future__ import annotations

import tempfile
from pathlib import Path

from geoseg.errors import StoreError
from geoseg.labels.base import LabelStore
from geoseg.labels.geotiff import GeoTIFFLabelStore
from geoseg.outputs import local_path
from geoseg.scene import Scene

BUNDLE, MAPS, SCORES, REPORT = "bundle.zip", "predictions", "evaluation.json", "report.html"
"""The model, a folder of label maps, the scores, and a page about all of it."""

LAST, BEST = "last.ckpt", "best.ckpt"
"""The state of the training after its last epoch, and after the best one."""

KEPT = ("metrics.csv", LAST, BEST)
"""What the training leaves there too."""


def store_of(scene: Scene, folder: Path) -> LabelStore:
    """Where the map of a test scene goes."""
    return scene.store or GeoTIFFLabelStore(uri=str(folder / MAPS / f"{scene.id}.tif"))


def writable(uri: str) -> Path:
    """The folder, made if need be.

    Raises:
        StoreError: It cannot be made, or nothing can be written there.
    """
    folder = local_path(uri)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError as error:
        raise StoreError(
            f"{uri}: the output folder cannot be written: {error.strerror}; choose another `output`"
        ) from error
