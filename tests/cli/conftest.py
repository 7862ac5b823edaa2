"""A tiny trained bundle with the files around it, and a way to call the command."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest
import rasterio
from affine import Affine
from typer.testing import CliRunner

from geoseg.cli.main import app

UTM = Affine(10, 0, 500_000, 0, -10, 4_000_000)
NAMES = ("red", "green", "nir")


def _write(path, array, *, names=None, **options):
    bands = array if array.ndim == 3 else array[None]
    count, height, width = bands.shape
    profile = {"count": count, "height": height, "width": width, "dtype": bands.dtype}
    with rasterio.open(
        path, "w", driver="GTiff", crs="EPSG:32619", transform=UTM, **profile, **options
    ) as file:
        file.write(bands)
        if names:
            file.descriptions = names
    return str(path)


def _write_box(path, left, bottom, right, top, **properties):
    """A rectangle in EPSG:32619 as GeoJSON."""
    ring = [[left, bottom], [right, bottom], [right, top], [left, top], [left, bottom]]
    crs = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::32619"}}
    geometry = {"type": "Polygon", "coordinates": [ring]}
    feature = {"type": "Feature", "properties": properties, "geometry": geometry}
    path.write_text(json.dumps({"type": "FeatureCollection", "crs": crs, "features": [feature]}))
    return str(path)


@pytest.fixture(scope="session")
def files(tmp_path_factory):
    """An image of blobs, its labels, an AOI, and a bundle trained on them; none is to be changed."""
    from geoseg.classes import ClassMap
    from geoseg.learner import Learner, Training
    from geoseg.scene import Scene

    folder = tmp_path_factory.mktemp("files")
    rng = np.random.default_rng(0)
    bright = rng.integers(0, 2, (8, 11)).repeat(8, axis=0).repeat(8, axis=1)[:61, :83] == 1
    data = np.where(bright, 150, 60) + rng.normal(0, 12, (3, 61, 83))
    data[:, :9, :7] = 0
    image = _write(folder / "image.tif", data.astype("uint8"), nodata=0, names=NAMES)
    labels = _write(folder / "labels.tif", np.where(bright, 5, 2).astype("uint8"))
    area = _write_box(
        folder / "area.geojson", 5e5 + 200, 4e6 - 500, 5e5 + 700, 4e6 - 100, kind="light"
    )
    classes = ClassMap.of("dark", "light")
    training = Training(
        epochs=4, length=12, size=32, batch_size=4, lr=1e-2, model_options={"width": 4, "depth": 2}
    )
    scene = Scene.of(image, labels, classes=classes, mapping={2: 0, 5: 1})
    Learner(classes, training).fit([scene]).save(str(folder / "bundle.zip"))
    return SimpleNamespace(
        folder=folder, image=image, labels=labels, area=area, bundle=str(folder / "bundle.zip")
    )


@pytest.fixture
def geoseg():
    """Calls the command in this process: (exit code, stdout, stderr)."""

    def call(*arguments):
        result = CliRunner().invoke(app, [str(a) for a in arguments], catch_exceptions=False)
        return SimpleNamespace(code=result.exit_code, out=result.stdout, err=result.stderr)

    return call


@pytest.fixture
def write_box(tmp_path):
    """Writes a rectangle in EPSG:32619 to a GeoJSON file in the test's folder: its path as text."""

    def write(name, *bounds, **properties):
        return _write_box(tmp_path / name, *bounds, **properties)

    return write
