"""The embedded sample: real files, and an experiment that keeps train and test apart."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
import rasterio
from rasterio.features import geometry_mask
from rasterio.warp import transform_geom

from geoseg import sample, yamltext
from geoseg.experiment import Experiment


def rows_of(half):
    """(row,) True where the half covers the whole row, burned by GDAL."""
    with open(sample.aoi_uri(half)) as file:  # noqa: PTH123
        shape = json.load(file)["features"][0]["geometry"]
    with rasterio.open(sample.image_uri()) as image:
        shape = transform_geom("EPSG:4326", image.crs, shape)
        mask = geometry_mask([shape], image.shape, image.transform, invert=True)
    assert (mask.all(axis=1) == mask.any(axis=1)).all()
    return mask.all(axis=1)


def test_image_and_labels_are_what_the_source_note_says():
    with rasterio.open(sample.image_uri()) as image, rasterio.open(sample.labels_uri()) as labels:
        assert image.descriptions == ("blue", "green", "red", "nir", "swir1")
        assert (image.nodata, image.dtypes[0], image.res) == (0, "uint8", (28.5, 28.5))
        assert image.crs.to_epsg() == 32119
        assert labels.crs.to_epsg() == 3358
        assert set(np.unique(labels.read(1))) == set(range(8))


def test_the_halves_do_not_meet_and_leave_a_gap_of_16_rows():
    north, south = rows_of("north"), rows_of("south")
    assert not (north & south).any()
    gap = np.flatnonzero(~(north | south))
    assert len(gap) >= 16
    assert (np.diff(gap) == 1).all()
    assert north[0]
    assert south[-1]


@pytest.mark.parametrize("half", ["north", "south"])
def test_every_class_and_so_water_is_in_both_halves(half):
    with rasterio.open(sample.labels_uri()) as labels, rasterio.open(sample.image_uri()) as image:
        ids, measured = labels.read(1), image.dataset_mask() > 0
    ids = ids[rows_of(half)][measured[rows_of(half)]]
    counts = {
        k: sum((ids == v).sum() for v, c in sample.MAPPING.items() if c == k) for k in range(4)
    }
    assert min(counts.values()) > 1000


def test_the_mapping_and_the_classes_are_those_of_the_experiment():
    written = yamltext.load(sample.experiment_text(output="x"))
    for part in ("train", "test"):
        assert written[part][0]["labels"]["mapping"] == sample.MAPPING
    assert set(sample.MAPPING.values()) == set(sample.classes().ids)


def test_the_experiment_can_be_kept_anywhere(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(sample.experiment_text(output=str(tmp_path / 'a "quoted" folder: 1')))
    experiment = Experiment.from_yaml(path)
    assert experiment.output == str(tmp_path / 'a "quoted" folder: 1')
    assert experiment.classes == sample.classes()
    assert experiment.train[0].image.uri == sample.image_uri()
    assert experiment.test[0].aoi.uri == sample.aoi_uri(experiment.test[0].id)
    assert {experiment.train[0].id, experiment.test[0].id} == {"north", "south"}


def test_the_sample_is_light_to_import():
    code = "import sys, geoseg.sample; print({'torch', 'rasterio', 'geopandas'} & set(sys.modules))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "set()"
