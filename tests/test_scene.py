"""Scenes: image, labels and AOI on one grid."""

from __future__ import annotations

import geopandas
import numpy as np
import pytest
import rasterio
from affine import Affine
from pyproj import Transformer
from rasterio.features import geometry_mask
from shapely.geometry import Polygon, box, mapping

from geoseg.classes import ClassMap
from geoseg.errors import GridError, LabelError, SceneError, StoreError
from geoseg.experiment import Experiment
from geoseg.grid import Grid
from geoseg.labels.array import ArrayLabels
from geoseg.labels.geotiff import GeoTIFFLabelStore
from geoseg.labels.sources import RasterLabels, VectorLabels
from geoseg.scene import Scene
from geoseg.sources.array import ArraySource
from geoseg.sources.geotiff import GeoTIFFSource
from geoseg.sources.vector import FrameSource
from geoseg.window import Window

CLASSES = ClassMap.of("ground", "water", "roof")
GRID = Grid(crs="EPSG:32619", transform=[2, 0, 5e5, 0, -2, 4e6], height=37, width=53)


def array_source(data, grid=GRID, valid=None):
    return ArraySource(data=data, grid=grid, valid=valid)


def image(seed=0):
    return np.random.default_rng(seed).integers(1, 255, (3, 37, 53), np.uint8)


def labels(seed=1, grid=GRID):
    ids = np.random.default_rng(seed).integers(0, 3, grid.shape, np.uint8)
    return RasterLabels(source=array_source(ids, grid), classes=CLASSES), ids


def frame(*polygons, crs="EPSG:32619"):
    return FrameSource(frame=geopandas.GeoDataFrame(geometry=list(polygons), crs=crs))


def test_a_scene_reads_image_and_labels_of_one_window():
    data = image()
    source, ids = labels()
    sample = Scene(id="a", image=array_source(data), labels=source).read(Window(5, 7, 11, 13))
    assert np.array_equal(sample.image.data, data[:, 5:16, 7:20])
    assert np.array_equal(sample.labels, ids[5:16, 7:20])
    assert sample.window == Window(5, 7, 11, 13)


def test_outside_the_raster_and_where_the_image_is_not_valid_labels_are_ignored():
    source, ids = labels()
    valid = np.ones((37, 53), bool)
    valid[30:33, 40:44] = False
    scene = Scene(id="a", image=array_source(image(), valid=valid), labels=source)
    sample = scene.read(Window(28, 38, 20, 30))
    expected = np.full((20, 30), 255)
    expected[:9, :15] = np.where(valid, ids, 255)[28:, 38:]
    assert np.array_equal(sample.labels, expected)
    assert not sample.image.valid[9:].any()
    assert not sample.image.valid[:, 15:].any()


def test_outside_the_aoi_labels_are_ignored_by_the_pixel_centre_rule_in_another_crs():
    source, ids = labels()
    ground = Polygon([(500003, 3999990), (500080, 3999981), (500061, 3999935), (500011, 3999950)])
    there = Transformer.from_crs("EPSG:32619", "EPSG:4326", always_xy=True)
    aoi = frame(Polygon(zip(*there.transform(*ground.exterior.xy), strict=True)), crs="EPSG:4326")
    scene = Scene(id="a", image=array_source(image()), labels=source, aoi=aoi)
    back = Transformer.from_crs("EPSG:4326", "EPSG:32619", always_xy=True)
    seen = Polygon(zip(*back.transform(*aoi.frame.geometry[0].exterior.xy), strict=True))
    inside = geometry_mask([mapping(seen)], GRID.shape, GRID.transform, invert=True)
    assert 0 < inside.sum() < inside.size
    assert np.array_equal(scene.read(GRID.whole).labels, np.where(inside, ids, 255))


def test_a_scene_on_its_labels_grid_warps_the_image():
    coarse = Grid(crs="EPSG:32619", transform=[6, 0, 5e5, 0, -6, 4e6], height=12, width=17)
    source, ids = labels(grid=coarse)
    scene = Scene(id="a", image=array_source(image()), labels=source, reference="labels")
    assert scene.grid == coarse
    sample = scene.read(coarse.whole)
    assert sample.image.data.shape == (3, 12, 17)
    assert np.array_equal(sample.labels[:12, :17], np.where(sample.image.valid, ids, 255))


def test_a_scene_on_a_grid_of_its_own_reads_the_pixels_that_lie_there():
    data = image()
    crop = GRID.crop(Window(4, 6, 20, 30))
    scene = Scene(id="a", image=array_source(data), reference=crop)
    assert np.array_equal(scene.read(Window(1, 2, 5, 7)).image.data, data[:, 5:10, 8:15])


def test_reference_labels_without_a_label_raster_is_an_error():
    with pytest.raises(SceneError, match="no label raster"):
        _ = Scene(id="a", image=array_source(image()), reference="labels").grid


def test_a_scene_of_files_is_named_after_its_image_and_survives_yaml(tmp_path):
    uri = str(tmp_path / "site one.tif")
    with rasterio.open(
        uri, "w", driver="GTiff", height=5, width=7, count=1, dtype="uint8", crs="EPSG:32619",
        transform=Affine(2, 0, 5e5, 0, -2, 4e6),
    ) as file:  # fmt: skip
        file.write(np.ones((1, 5, 7), np.uint8))
    scene = Scene.of(uri, "labels.gpkg", classes=CLASSES, class_by="kind", aoi="aoi.geojson")
    assert scene.id == "site one"
    assert isinstance(scene.labels, VectorLabels)
    assert Scene.from_yaml(scene.to_yaml()) == scene
    raster = Scene.of(uri, "labels.tif", classes=CLASSES, mapping={7: 1})
    assert isinstance(raster.labels, RasterLabels)
    assert dict(raster.labels.mapping) == {7: 1}
    assert Scene.from_yaml(raster.to_yaml()) == raster
    assert hash(raster) == hash(Scene.from_yaml(raster.to_yaml()))


def test_plain_text_stands_for_files_in_python_and_yaml(tmp_path):
    text = (
        "id: a\nimage: a.tif\nlabels: {type: raster, source: b.tif, classes: [x, y]}\naoi: c.gpkg\n"
    )
    path = tmp_path / "scene.yaml"
    path.write_text(text)
    scene = Scene.from_yaml(path)
    assert scene.image == GeoTIFFSource(uri=str(tmp_path / "a.tif"))
    assert scene.labels.source == GeoTIFFSource(uri=str(tmp_path / "b.tif"))
    assert scene.aoi.uri == str(tmp_path / "c.gpkg")
    assert Scene(id="a", image="a.tif").image == GeoTIFFSource(uri="a.tif")


def test_check_says_when_the_labels_lie_elsewhere():
    far = Grid(crs="EPSG:32619", transform=[2, 0, 9e5, 0, -2, 4e6], height=37, width=53)
    source, _ = labels(grid=far)
    with pytest.raises(SceneError, match="outside the image"):
        Scene(id="a", image=array_source(image()), labels=source).check()


def test_check_says_when_the_aoi_misses_the_image():
    scene = Scene(id="a", image=array_source(image()), aoi=frame(box(0, 0, 10, 10)))
    with pytest.raises(SceneError, match="AOI"):
        scene.check()


def test_check_says_when_labels_have_no_crs_or_no_classes():
    bare = Grid(height=37, width=53)
    source, _ = labels(grid=bare)
    with pytest.raises(GridError, match="CRS"):
        Scene(id="a", image=array_source(image()), labels=source).check()
    unnamed = RasterLabels(source=array_source(np.zeros((37, 53), np.uint8)))
    with pytest.raises(LabelError, match="class map"):
        Scene(id="a", image=array_source(image()), labels=unnamed).check()


def test_wrong_helpers_for_the_kind_of_labels_are_errors():
    with pytest.raises(SceneError, match="class_by"):
        Scene.of("a.tif", "b.tif", class_by="kind")
    with pytest.raises(SceneError, match="mapping"):
        Scene.of("a.tif", "b.geojson", mapping={1: 0})
    with pytest.raises(SceneError, match="id="):
        Scene.of(array_source(image()))


def test_check_takes_a_world_map_of_labels_under_a_local_image():
    world = Grid(crs="EPSG:4326", transform=[1, 0, -180, 0, -1, 90], height=180, width=360)
    source, _ = labels(grid=world)
    scene = Scene(id="a", image=array_source(image()), labels=source)
    scene.check()
    assert (scene.read(GRID.whole).labels < 3).all()


def test_check_warns_where_no_polygon_lies_on_the_image():
    far = frame(box(10, 50, 11, 51), crs="EPSG:4326")
    known = VectorLabels(source=far, classes=CLASSES, default_class="roof")
    with pytest.warns(UserWarning, match="none of the 1 features"):
        Scene(id="a", image=array_source(image()), labels=known).check()


@pytest.mark.parametrize(
    ("options", "meaning"),
    [
        ({"classes": CLASSES}, "all of it is ignored"),
        ({"classes": CLASSES, "background": 255}, "all of it is ignored"),
        ({"classes": CLASSES, "background": 1}, "all of it is of the class 'water'"),
        ({"classes": ClassMap.of("no roof", "roof")}, "all of it is of the class 'no roof'"),
    ],
)
def test_that_no_polygon_lies_on_the_image_is_told_with_both_places_and_what_to_do(
    options, meaning
):
    far = frame(box(10, 50, 11, 51), box(12.5, 50, 13, 52), crs="EPSG:4326")
    labels = VectorLabels(source=far, default_class="roof", **options)
    with pytest.warns(UserWarning, match="lies on the image") as caught:
        Scene(id="a", image=array_source(image()), labels=labels).check()
    (told,) = [str(one.message) for one in caught]
    assert told.startswith(
        f"scene 'a': none of the 2 features of FrameSource lies on the image, so that {meaning}: they lie "
        "within (left, bottom, right, top) = (10, 50, 13, 52), the image within ("
    )
    to_degrees = Transformer.from_crs("EPSG:32619", "EPSG:4326", always_xy=True)
    expected = to_degrees.transform_bounds(*GRID.bounds)
    shown = [float(number) for number in told.split("within (")[2].split(")")[0].split(", ")]
    np.testing.assert_allclose(shown, expected, rtol=0, atol=1e-5)
    assert ") in WGS 84; give the scene the features of its own place, or correct the CRS" in told


def test_vector_labels_of_classes_without_an_id_0_know_no_background():
    classes = ClassMap.model_validate([{"id": 2, "name": "a"}, {"id": 3, "name": "b"}])
    assert Scene.of("a.tif", "b.gpkg", classes=classes, class_by="k").labels.background_id is None


@pytest.mark.parametrize(
    ("name", "background"),
    [
        ("background", 0), ("Background", 0), ("OTHER", 0), ("none", 0), ("no roof", 0), ("No_data", 0),
        ("non-forest", 0), ("Non forest", 0), ("developed", None), ("ground", None), ("nonsense", None),
        ("north", None), ("backgrounds of film", None), ("otherwise", None), ("noon", None),
    ],
)  # fmt: skip
def test_pixels_without_a_polygon_are_class_0_only_where_that_is_named_so(name, background):
    classes = ClassMap.of(name, "water", "roof")
    found = Scene.of("a.tif", "b.gpkg", classes=classes, class_by="k").labels
    assert found.background_id == background
    written = {"type": "vector", "source": "b.gpkg", "class_by": "k"}
    for labels in (Scene.of("a.tif", "b.gpkg", class_by="k").labels, written):
        scene = {"id": "a", "image": "a.tif", "labels": labels}
        experiment = Experiment.model_validate(
            {"classes": classes, "train": [scene], "output": "out"}
        )
        assert experiment.train[0].labels.background_id == background


def test_pixels_without_a_polygon_are_what_the_names_of_the_classes_say_or_what_is_told():
    house = frame(box(5e5 + 10, 4e6 - 30, 5e5 + 60, 4e6 - 6))
    covered = ~geometry_mask(
        [mapping(house.frame.geometry[0])], (37, 53), rasterio.Affine(*GRID.transform[:6])
    )
    for name, options, without in (
        ("background", {}, 0), ("ground", {}, 255), ("ground", {"background": 0}, 0),
        ("background", {"background": None}, 255),
    ):  # fmt: skip
        labels = VectorLabels(
            source=house, classes=ClassMap.of(name, "roof"), default_class="roof", **options
        )
        expected = np.where(covered, 1, without)
        np.testing.assert_array_equal(labels.read(GRID, GRID.whole), expected)


def test_polygons_whose_class_nothing_tells_are_refused():
    with pytest.raises(SceneError, match=r"b\.gpkg: nothing tells the class .* 0 land, 1 roof"):
        Scene.of("a.tif", "b.gpkg", classes=ClassMap.of("land", "roof"))
    assert (
        Scene.of("a.tif", "b.gpkg", classes=ClassMap.of("no roof", "roof")).labels.background_id
        == 0
    )


def test_a_scene_may_name_its_store_in_python_and_in_yaml(tmp_path):
    store = GeoTIFFLabelStore(uri=str(tmp_path / "map.tif"), scores=True)
    scene = Scene(id="a", image=GeoTIFFSource(uri="a.tif"), store=store)
    assert Scene.from_yaml(scene.to_yaml()) == scene
    assert hash(Scene.from_yaml(scene.to_yaml())) == hash(scene)
    (tmp_path / "scene.yaml").write_text("{id: a, image: a.tif, store: out/map.tif}")
    read = Scene.from_yaml(tmp_path / "scene.yaml")
    assert read.store == GeoTIFFLabelStore(uri=str(tmp_path / "out" / "map.tif"))


def test_the_files_a_scene_reads_are_those_of_image_labels_and_aoi():
    scene = Scene.model_validate(
        {
            "id": "a",
            "image": "a.tif",
            "labels": {"type": "raster", "source": "b.tif"},
            "aoi": "c.gpkg",
            "store": "d.tif",
        }
    )
    assert scene.inputs == ("a.tif", "b.tif", "c.gpkg")
    assert Scene(id="a", image=array_source(image())).inputs == ()


def test_a_prediction_is_read_from_the_scenes_store(tmp_path):
    source, ids = labels()
    store = GeoTIFFLabelStore(uri=str(tmp_path / "map.tif"))
    scene = Scene(id="a", image=array_source(image()), labels=source, store=store)
    with pytest.raises(StoreError, match="no such file"):
        _ = scene.prediction
    store.write(ArrayLabels(GRID, CLASSES, ids))
    assert np.array_equal(scene.prediction.to_array(), ids)
    with pytest.raises(SceneError, match="names no store"):
        _ = Scene(id="a", image=array_source(image())).prediction


def test_a_prediction_of_another_grid_is_refused(tmp_path):
    store = GeoTIFFLabelStore(uri=str(tmp_path / "map.tif"))
    scene = Scene(id="a", image=array_source(image()), store=store)
    shifted = Grid(crs=GRID.crs, transform=[2, 0, 5e5 + 2, 0, -2, 4e6], height=37, width=53)
    store.write(ArrayLabels(shifted, CLASSES, np.zeros(GRID.shape, np.uint8)))
    with pytest.raises(SceneError, match="'a': what lies in its store is of another grid"):
        _ = scene.prediction
