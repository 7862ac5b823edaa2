"""geoseg evaluate and geoseg info: scores, and what files are."""

from __future__ import annotations

import json

import geopandas
import numpy as np
import pytest
import rasterio
import shapely
from rasterio.features import geometry_mask
from sklearn.metrics import confusion_matrix

from geoseg.classes import ClassMap
from geoseg.grid import Grid
from geoseg.labels.geotiff import GeoTIFFLabelStore


@pytest.fixture(scope="module")
def predicted(files, tmp_path_factory):
    """A map with some pixels ignored, and its ids."""
    ids = np.random.default_rng(3).integers(0, 2, (61, 83)).astype("uint8")
    ids[50:] = 255
    uri = str(tmp_path_factory.mktemp("map") / "map.tif")
    store, grid = GeoTIFFLabelStore(uri=uri), Grid.of(files.image)
    with store.writer(grid, ClassMap.of("dark", "light")) as writer:
        writer.write(grid.whole, ids)
    return uri, ids


def counts(truth, ids, inside=True):
    known = (truth != 255) & (ids != 255) & inside
    return confusion_matrix(truth[known], ids[known], labels=[0, 1]).tolist()


def ids_of(path):
    with rasterio.open(path) as file:
        return np.where(file.read(1) == 5, 1, 0)


def test_a_raster_is_compared_through_its_mapping(geoseg, files, predicted):
    found = geoseg("evaluate", files.labels, predicted[0], "--mapping", "2:0,5:1", "--json")
    assert found.code == 0
    result = json.loads(found.out)["overall"]
    assert result["confusion"] == counts(ids_of(files.labels), predicted[1])
    assert result["unpredicted"] == 11 * 83


def test_an_aoi_bounds_the_comparison(geoseg, files, predicted):
    flags = ["--mapping", "2:0,5:1", "--aoi", files.area, "--json"]
    found = geoseg("evaluate", files.labels, predicted[0], *flags)
    inside = np.zeros((61, 83), bool)
    inside[10:50, 20:70] = True
    expected = counts(ids_of(files.labels), predicted[1], inside)
    assert json.loads(found.out)["overall"]["confusion"] == expected


def test_labels_on_another_grid_are_brought_onto_the_map(geoseg, predicted, tmp_path):
    """Pixels twice as large, from another corner: each pixel of the map sees the one it lies in."""
    coarse = np.random.default_rng(4).integers(0, 2, (40, 50)).astype("uint8")
    path = tmp_path / "coarse.tif"
    profile = {"count": 1, "height": 40, "width": 50, "dtype": "uint8", "crs": "EPSG:32619"}
    transform = rasterio.Affine(20, 0, 499_900, 0, -20, 4_000_100)
    with rasterio.open(path, "w", driver="GTiff", transform=transform, **profile) as file:
        file.write(coarse, 1)
    rows, cols = np.indices((61, 83))
    truth = coarse[(10 + rows) // 2, (10 + cols) // 2]
    found = geoseg("evaluate", path, predicted[0], "--json")
    assert json.loads(found.out)["overall"]["confusion"] == counts(truth, predicted[1])


def test_a_vector_file_is_compared_by_its_column(geoseg, files, predicted):
    found = geoseg("evaluate", files.area, predicted[0], "--class-by", "kind", "--json")
    with open(files.area) as file:  # noqa: PTH123
        shape = json.load(file)["features"][0]["geometry"]
    truth = geometry_mask([shape], (61, 83), Grid.of(files.image).transform, invert=True)
    truth = truth.astype("uint8")
    overall = json.loads(found.out)["overall"]  # nobody says that what is not light is dark
    assert overall["confusion"] == counts(np.where(truth, truth, 255), predicted[1])
    flags = ("--class-by", "kind", "--background")
    for background in ("dark", "0"):
        found = geoseg("evaluate", files.area, predicted[0], *flags, background, "--json")
        result = json.loads(found.out)
        assert result["overall"]["confusion"] == counts(truth, predicted[1])
        filled = ((truth == 0) & (predicted[1] != 255)).sum()
        assert result["notes"][0].startswith(f"{filled:,} px without a polygon counted as 'dark'")
    found = geoseg("evaluate", files.area, predicted[0], *flags, "none", "--json")
    assert json.loads(found.out)["overall"] == overall


def test_classes_of_polygons_that_geoseg_wrote_need_no_column(geoseg, files, predicted, tmp_path):
    from geoseg.labels.vector import VectorLabelStore

    ids = np.random.default_rng(8).integers(0, 2, (61, 83)).astype("uint8")
    store, grid = VectorLabelStore(uri=str(tmp_path / "t.gpkg")), Grid.of(files.image)
    with store.writer(grid, ClassMap.of("dark", "light")) as writer:
        writer.write(grid.whole, ids)
    result = json.loads(geoseg("evaluate", store.uri, predicted[0], "--json").out)
    assert result["overall"]["confusion"] == counts(ids, predicted[1])
    (note,) = result["notes"]
    assert "those of its column 'class_name' (--class-by names another)" in note
    other = tmp_path / "ids.gpkg"
    geopandas.read_file(store.uri).drop(columns="class_name").to_file(other)
    found = json.loads(geoseg("evaluate", other, predicted[0], "--json").out)
    assert found["overall"]["confusion"] == result["overall"]["confusion"]
    assert "column 'class_id'" in found["notes"][0]


@pytest.mark.parametrize(
    ("flags", "text"),
    [
        ([], "nothing tells the class of its polygons; name their column with --class-by COLUMN"),
        (["--background", "none"], "nothing tells the class of its polygons"),
        (["--background", "grey"], "--background grey: is no class of the prediction, expected"),
        (["--background", "2"], "one of: 0 dark, 1 light; or none"),
    ],
)
def test_polygons_that_nothing_gives_a_class_are_refused(geoseg, files, predicted, flags, text):
    found = geoseg("evaluate", files.area, predicted[0], *flags)
    assert found.code == 2
    assert text in found.err


def test_a_background_is_of_polygons_only(geoseg, predicted):
    found = geoseg("evaluate", predicted[0], predicted[0], "--background", "none")
    assert found.code == 2
    assert "--background: changes nothing without a vector file as TRUTH" in found.err


def test_the_report_says_that_the_truth_came_from_another_grid(geoseg, predicted, tmp_path):
    path = tmp_path / "coarse.tif"
    profile = {"count": 1, "height": 40, "width": 50, "dtype": "uint8", "crs": "EPSG:32619"}
    transform = rasterio.Affine(20, 0, 499_900, 0, -20, 4_000_100)
    with rasterio.open(path, "w", driver="GTiff", transform=transform, **profile) as file:
        file.write(np.zeros((40, 50), "uint8"), 1)
    assert "was brought onto the prediction's grid" in geoseg("evaluate", path, predicted[0]).out
    notes = json.loads(geoseg("evaluate", path, predicted[0], "--json").out)["notes"]
    assert len(notes) == 1
    assert "note:" not in geoseg("evaluate", predicted[0], predicted[0]).out


def test_more_measures_are_taken_on_request(geoseg, files, predicted, tmp_path):
    errors, picture = tmp_path / "errors.tif", tmp_path / "out" / "scores.png"
    flags = ["--mapping", "2:0,5:1", "--boundary-px", 2, "--objects", "--bootstrap", 50]
    flags += ["--block-px", 16, "--error-map", errors, "--plot", picture]
    found = geoseg("evaluate", files.labels, predicted[0], *flags, "--json")
    assert found.code == 0
    result = json.loads(found.out)["overall"]
    assert (result["boundary_px"], result["objects"]["iou"]) == (2, 0.5)
    assert result["intervals"]["blocks"] == 4 * 6
    truth, ids = ids_of(files.labels), predicted[1]
    with rasterio.open(errors) as file:
        expected = np.where(ids == 255, 255, truth != ids)
        np.testing.assert_array_equal(file.read(1), expected)
    assert picture.read_bytes().startswith(b"\x89PNG")
    for suffix, start in ((".svg", b"<?xml"), (".PDF", b"%PDF")):
        drawn = tmp_path / f"scores{suffix}"
        assert geoseg("evaluate", predicted[0], predicted[0], "--plot", drawn).code == 0
        assert drawn.read_bytes().startswith(start)
    shown = geoseg("evaluate", files.labels, predicted[0], *flags).out
    for text in ("boundary IoU", "objects (IoU 0.5)", "IoU 95% interval", "area in ha"):
        assert text in shown


def boxes(path, records):
    """A vector file of (left, width, class) boxes, 10 m high, in EPSG:32619."""
    frame = geopandas.GeoDataFrame(
        {"kind": [kind for *_, kind in records]},
        geometry=[shapely.box(5e5 + x, 4e6, 5e5 + x + wide, 4e6 + 10) for x, wide, _ in records],
        crs="EPSG:32619",
    )
    frame.to_file(path)
    return path


def test_objects_of_two_vector_files_are_matched(geoseg, write_box, tmp_path):
    truth = boxes(tmp_path / "t.gpkg", [(0, 10, "roof"), (20, 10, "roof"), (40, 10, "road")])
    prediction = boxes(tmp_path / "p.geojson", [(1, 10, "roof"), (40, 10, "roof")])
    found = json.loads(geoseg("evaluate", truth, prediction, "--class-by", "kind", "--json").out)
    counts = {
        c["name"]: (c["truth"], c["predicted"], c["matched"]) for c in found["objects"]["per_class"]
    }
    assert counts == {"road": (1, 0, 0), "roof": (2, 2, 1)}
    assert geoseg("evaluate", truth, prediction).out.splitlines()[1].split() == [
        "object", "0.800", "1.000", "0.667", "3", "2", "2",
    ]  # fmt: skip
    aoi = write_box("area.geojson", 5e5 + 30, 4e6 - 9, 5e5 + 90, 4e6 + 99)
    found = json.loads(geoseg("evaluate", truth, prediction, "--aoi", aoi, "--json").out)
    assert (found["objects"]["truth"], found["objects"]["matched"]) == (1, 1)


@pytest.mark.parametrize("column", ["class_name", "class_id"])
def test_objects_are_matched_by_the_classes_that_both_files_have_as_geoseg_writes_them(
    geoseg, tmp_path, column
):
    kinds = ("roof", "road") if column == "class_name" else (4, 2)
    paths = [
        boxes(tmp_path / "t.gpkg", [(0, 10, kinds[0]), (20, 10, kinds[0]), (40, 10, kinds[1])]),
        boxes(tmp_path / "p.gpkg", [(1, 10, kinds[0]), (40, 10, kinds[0])]),
    ]
    plain = json.loads(geoseg("evaluate", *paths, "--json").out)
    assert (plain["objects"]["matched"], plain["notes"]) == (2, [])
    for path in paths:
        geopandas.read_file(path).rename(columns={"kind": column}).to_file(path)
    found = json.loads(geoseg("evaluate", *paths, "--json").out)
    assert found["objects"]["matched"] == 1
    assert f"the column '{column}' of both" in found["notes"][0]
    assert f"note: {found['notes'][0]}" in geoseg("evaluate", *paths).out


def test_classes_of_a_prediction_may_be_numbers_or_in_the_column_that_geoseg_writes(
    geoseg, tmp_path
):
    truth = boxes(tmp_path / "t.gpkg", [(0, 10, 3), (20, 10, 7)])
    found = json.loads(geoseg("evaluate", truth, truth, "--class-by", "kind", "--json").out)
    assert [(c["id"], c["f1"]) for c in found["objects"]["per_class"]] == [(3, 1), (7, 1)]
    other = tmp_path / "p.gpkg"
    geopandas.read_file(truth).rename(columns={"kind": "class_name"}).to_file(other)
    found = json.loads(geoseg("evaluate", truth, other, "--class-by", "kind", "--json").out)
    assert found["objects"]["matched"] == 2


@pytest.mark.parametrize(
    ("flags", "code", "text"),
    [
        (["--boundary-px", 2], 2, "--boundary-px: for maps"),
        (["--background", "none"], 2, "--background: for maps"),
        (["--objects"], 2, "--objects: for maps, but truth and prediction are vector files"),
        (["--block-px", 64], 2, "--block-px: for maps"),
        (["--seed", 0], 2, "--seed: for maps"),
        (["--error-kind", "right"], 2, "--error-kind: for maps"),
        (["--object-iou", 7], 2, "the IoU from which objects match is 7.0, expected above 0, to 1"),
        (["--class-by", "colour"], 1, "has no column 'colour' of classes"),
        (["--class-by", "kind"], 1, "neither names only nor whole numbers"),
        (["--aoi", "none.gpkg"], 1, "none.gpkg: no such file"),
    ],
)
def test_two_vector_files_that_cannot_be_compared_are_refused(geoseg, tmp_path, flags, code, text):
    truth = boxes(tmp_path / "t.gpkg", [(0, 10, 0.5)])
    if "colour" in flags:
        geopandas.read_file(truth).rename(columns={"kind": "class_name"}).to_file(truth)
    found = geoseg("evaluate", truth, truth, *flags)
    assert found.code == code
    assert text in found.err


@pytest.mark.parametrize("flag", ["--error-map", "--plot"])
def test_outputs_that_are_inputs_are_refused(geoseg, files, predicted, flag):
    flags = ["--mapping", "2:0,5:1", flag, predicted[0]]
    found = geoseg("evaluate", files.labels, predicted[0], *flags)
    assert found.code == 2
    assert "is read as an input too" in found.err


@pytest.mark.parametrize(("flag", "suffix"), [("--error-map", "tif"), ("--plot", "png")])
def test_names_that_are_too_long_are_refused_before_the_work(geoseg, tmp_path, flag, suffix):
    found = geoseg("evaluate", "no.tif", "no.tif", flag, tmp_path / f"{'m' * 240}.{suffix}")
    assert found.code == 2
    assert "has 244 bytes, expected at most 239" in found.err
    assert found.err.count("\n") == 1


@pytest.mark.parametrize(
    "flags",
    [
        ["--boundary-px", 0],
        ["--objects", "--object-iou", 2],
        ["--object-iou", 7],
        ["--object-iou", 0],
        ["--bootstrap", -1],
        ["--bootstrap", 1],
        ["--bootstrap", 9, "--block-px", 0],
    ],
    ids=["boundary", "objects", "iou", "no iou", "bootstrap", "one resample", "blocks"],
)
def test_numbers_that_make_no_sense_are_the_call_s_fault(geoseg, predicted, flags):
    found = geoseg("evaluate", predicted[0], predicted[0], *flags)
    assert found.code == 2
    assert "expected" in found.err


@pytest.mark.parametrize(
    ("flags", "text"),
    [
        (["--block-px", 64], "--block-px: changes nothing without --bootstrap N"),
        (
            ["--seed", 0, "--block-px", 64],
            "--block-px, --seed: changes nothing without --bootstrap N",
        ),
        (["--error-kind", "pairs"], "--error-kind: changes nothing without --error-map FILE"),
    ],
)
def test_an_option_that_means_nothing_without_another_names_that(geoseg, predicted, flags, text):
    found = geoseg("evaluate", predicted[0], predicted[0], *flags)
    assert found.code == 2
    assert f"{text}; add that, or leave it out" in found.err


def test_the_iou_of_objects_stands_for_objects(geoseg, files, predicted):
    call = ("evaluate", files.labels, predicted[0], "--mapping", "2:0,5:1", "--json")
    alone, both, plain, none = (
        json.loads(geoseg(*call, *flags).out)["overall"]
        for flags in (["--object-iou", 0.7], ["--objects", "--object-iou", 0.7], ["--objects"], [])
    )
    assert alone == both
    assert (alone["objects"]["iou"], plain["objects"]["iou"]) == (0.7, 0.5)
    assert none.get("objects") is None


def test_a_seed_and_a_kind_reach_what_they_are_for(geoseg, files, predicted, tmp_path):
    call = ("evaluate", files.labels, predicted[0], "--mapping", "2:0,5:1", "--json")
    errors = tmp_path / "errors.tif"
    flags = ("--bootstrap", 50, "--error-map", errors, "--error-kind", "pairs")
    first = json.loads(geoseg(*call, *flags).out)["overall"]["intervals"]
    assert first["blocks"] == 1
    with rasterio.open(errors) as file:
        assert len(np.unique(file.read(1))) == 5  # four pairs, and what is left out
    blocks = ("--bootstrap", 50, "--block-px", 16)
    zero, same, other = (
        json.loads(geoseg(*call, *blocks, *seed).out)["overall"]["intervals"]
        for seed in ([], ["--seed", 0], ["--seed", 1])
    )
    assert zero == same != other


def test_a_map_agrees_with_itself_in_the_table(geoseg, predicted):
    found = geoseg("evaluate", predicted[0], predicted[0])
    assert "accuracy 1.000, kappa 1.000" in found.out


def test_maps_with_other_classes_are_not_compared(geoseg, files, predicted, tmp_path):
    store, grid = GeoTIFFLabelStore(uri=str(tmp_path / "m.tif")), Grid.of(files.image)
    with store.writer(grid, ClassMap.of("light", "dark")) as writer:
        writer.write(grid.whole, np.zeros(grid.shape, "uint8"))
    found = geoseg("evaluate", tmp_path / "m.tif", predicted[0])
    assert found.code == 1
    assert "truth has the classes {0: 'light', 1: 'dark'}" in found.err


@pytest.mark.parametrize(
    ("truth", "flags", "code", "text"),
    [
        ("{labels}", [], 1, "labels.tif"),
        ("{labels}", ["--mapping", "2"], 2, "--mapping 2: expected pairs"),
        ("{labels}", ["--mapping", "2:9,5:1"], 2, "mapping"),
        ("none.tif", [], 1, "none.tif: no such file"),
        ("none.gpkg", [], 1, "none.gpkg: no such file"),
        ("{area}", ["--class-by", "name"], 1, "area.geojson: has no column 'name'"),
        ("{labels}", ["--mapping", "2:0,5:1", "--aoi", "none.gpkg"], 1, "none.gpkg: no such file"),
    ],
)
def test_truth_that_cannot_be_used_is_refused(
    geoseg, files, predicted, *, truth, flags, code, text
):
    truth = truth.format(labels=files.labels, area=files.area)
    found = geoseg("evaluate", truth, predicted[0], *flags)
    assert found.code == code
    assert text in found.err
    assert found.err.count("\n") <= 3


def test_a_prediction_that_is_no_map_is_the_data_s_fault(geoseg, files):
    found = geoseg("evaluate", files.labels, files.image)
    assert found.code == 1
    assert "image.tif: is no label file of geoseg" in found.err


def test_polygons_are_not_compared_with_a_map(geoseg, files):
    found = geoseg("evaluate", files.labels, files.area)
    assert found.code == 2
    assert "a vector file is compared with another one only" in found.err


def test_info_of_a_bundle_tells_what_the_model_knows(geoseg, files):
    found = json.loads(geoseg("info", files.bundle, "--json").out)
    assert found["kind"] == "bundle"
    assert found["classes"] == {"0": "dark", "1": "light"}
    assert found["data"]["band_names"] == ["red", "green", "nir"]
    assert found["data"]["dtype"] == "uint8"
    assert found["training"]["epochs"] == 4
    with rasterio.open(files.image) as image:
        known = image.read()[:, image.dataset_mask() > 0]
    assert found["data"]["statistics"]["mean"] == pytest.approx(known.mean(axis=1))


def test_info_of_a_raster_is_what_gdal_says(geoseg, files):
    found = json.loads(geoseg("info", files.image, "--json").out)
    with rasterio.open(files.image) as image:
        assert found["grid"]["transform"] == list(image.transform[:6])
        assert found["bounds"] == list(image.bounds)
        assert found["blocks"] == list(image.block_shapes[0])
    assert (found["bands"], found["dtype"]) == (["red", "green", "nir"], "uint8")
    assert (found["nodata"], found["overviews"]) == (0, [])
    assert (found["alpha"], found["georeference"]) == ([], "transform")
    assert "classes" not in found


def test_info_of_a_raster_tells_which_band_is_alpha(geoseg, tmp_path):
    with rasterio.open(
        tmp_path / "a.tif", "w", driver="GTiff", count=4, height=3, width=5, dtype="uint8",
        crs="EPSG:32619", transform=rasterio.Affine(2, 0, 5e5, 0, -2, 4e6),
    ) as file:  # fmt: skip
        file.write(np.ones((4, 3, 5), "uint8"))
    found = json.loads(geoseg("info", tmp_path / "a.tif", "--json").out)
    assert (found["bands"], found["alpha"]) == (["1", "2", "3", "4"], [4])


def test_info_of_a_map_names_its_classes(geoseg, predicted):
    found = geoseg("info", predicted[0])
    lines = [" ".join(line.split()) for line in found.out.splitlines()]
    for line in ("kind raster", "crs EPSG:32619", "nodata 255", "0 dark", "1 light"):
        assert line in lines


def test_info_of_an_experiment_names_its_scenes(geoseg, tmp_path):
    from geoseg import sample

    path = tmp_path / "exp.yaml"
    path.write_text(sample.experiment_text(output="out"))
    found = json.loads(geoseg("info", path, "--json").out)
    assert sorted(found["train"] + found["test"]) == ["north", "south"]
    assert list(found["classes"].values()) == list(sample.classes().names)


def test_info_of_a_picture_without_georeference(geoseg, tmp_path):
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with rasterio.open(
            tmp_path / "a.png", "w", driver="PNG", count=1, height=3, width=5, dtype="uint8"
        ) as file:
            file.write(np.ones((1, 3, 5), "uint8"))
    found = geoseg("info", tmp_path / "a.png")
    assert found.code == 0
    assert "crs" in found.out


@pytest.mark.parametrize(("name", "code"), [("no.tif", 1), ("text.txt", 1), ("bad.yaml", 2)])
def test_info_of_something_else_is_refused(geoseg, tmp_path, name, code):
    (tmp_path / "text.txt").write_text("text")
    (tmp_path / "bad.yaml").write_text("clases: [a]")
    found = geoseg("info", tmp_path / name)
    assert found.code == code
    assert name in found.err


@pytest.mark.parametrize(
    ("flag", "name", "expected"),
    [
        ("--error-map", "x.png", "ends in .tif or .tiff"),
        ("--plot", "x.jpg", "ends in .png, .svg, .pdf"),
        ("--plot", "x", "ends in .png, .svg, .pdf"),
    ],
)
def test_outputs_with_the_name_of_another_format_are_refused_before_any_work(
    geoseg, predicted, tmp_path, *, flag, name, expected
):
    found = geoseg("evaluate", predicted[0], predicted[0], flag, tmp_path / name)
    assert (found.code, found.out) == (2, "")
    assert f"expected a name that {expected}" in found.err
    assert list(tmp_path.iterdir()) == []
