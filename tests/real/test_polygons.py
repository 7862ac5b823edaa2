"""Real label maps to polygons and back."""

from __future__ import annotations

import geopandas
import numpy as np
import pytest
import rasterio.features
import shapely

from geoseg.classes import ClassMap
from geoseg.grid import Grid
from geoseg.labels.array import ArrayLabels
from geoseg.labels.sources import VectorLabels
from geoseg.labels.vector import VectorLabelStore


@pytest.mark.slow
@pytest.mark.parametrize("name", ["north_carolina/landcover_1996.tif", "zion/nlcd2011_train.tif"])
@pytest.mark.parametrize("suffix", [".gpkg", ".fgb", ".parquet", ".geojson"])
def test_land_cover_has_the_regions_of_one_pass_and_comes_back(data_folder, tmp_path, name, suffix):
    with rasterio.open(data_folder / name) as file:
        values, known = file.read(1), file.dataset_mask() > 0
        grid = Grid.of_dataset(file)
    ids = np.where(known, values, 255).astype(np.uint8)
    names = [{"name": f"class {i}", "id": int(i)} for i in np.unique(ids[ids != 255])]
    labels = ArrayLabels(grid, ClassMap.model_validate(names), ids)
    store = VectorLabelStore(uri=str(tmp_path / f"out{suffix}"))
    np.testing.assert_array_equal(store.write(labels).to_array(), ids)
    read = geopandas.read_parquet if suffix == ".parquet" else geopandas.read_file
    count = sum(1 for _ in rasterio.features.shapes(ids, mask=ids != 255, connectivity=4))
    assert len(read(store.uri)) == count


def test_buildings_are_drawn_nearly_as_people_drew_them(data_folder, tmp_path):
    files = data_folder / "oam_buildings"
    grid = Grid.of(str(files / "zanzibar_a_z19.tif"))
    source = str(files / "zanzibar_a_z19.geojson")
    classes = ClassMap.of("background", "building")
    labels = VectorLabels(source=source, classes=classes, class_by="class_name").on(grid)
    plain = VectorLabelStore(uri=str(tmp_path / "plain.gpkg"), only="building")
    burned = plain.write(labels).to_array()
    np.testing.assert_array_equal(burned == 1, labels.to_array() == 1)
    drawn = VectorLabelStore(
        uri=str(tmp_path / "drawn.gpkg"), only="building", simplify_m=0.6, rectangle_iou=0.8
    )
    again = drawn.write(labels).to_array()
    before, after = geopandas.read_file(plain.uri), geopandas.read_file(drawn.uri)
    assert len(before) == len(after)
    corners = [shapely.get_num_coordinates(f.geometry).sum() for f in (before, after)]
    assert corners[1] < corners[0] / 3
    assert after.area.sum() == pytest.approx(before.area.sum(), rel=0.01)
    both, either = ((again == 1) & (burned == 1)).sum(), ((again == 1) | (burned == 1)).sum()
    assert both / either > 0.93  # of buildings that are no rectangles corners are cut and filled
