import json
import warnings

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import rasterio
import rasterio.shutil
import shapely
from affine import Affine
from pyproj import Geod
from rasterio.features import rasterize
from shapely import affinity
from shapely.geometry import Polygon, box

from geoseg.classes import ClassMap
from geoseg.errors import ConfigError, GridError, LabelError, StoreError
from geoseg.grid import Grid
from geoseg.prepare.vectormasks import masks
from geoseg.sources.mbtiles import MBTilesSource
from geoseg.sources.vector import FileVectorSource

CRS = "EPSG:32619"
TRANSFORM = Affine(0.3, 0, 500_000.1, 0, -0.3, 4_000_000.7)
GRID = Grid(crs=CRS, transform=TRANSFORM, height=200, width=300)


def on_ground(points):
    points = np.asarray(points, float)
    return np.column_stack(
        [TRANSFORM.a * points[:, 0] + TRANSFORM.c, TRANSFORM.e * points[:, 1] + TRANSFORM.f]
    )


def square(left, top, right, bottom):
    return shapely.transform(box(left, top, right, bottom), on_ground)


def turned(*sides, by=20):
    return affinity.rotate(square(*sides), by)


def frame(geometries, **columns):
    return gpd.GeoDataFrame(columns, geometry=list(geometries), crs=CRS)


def features(count=80, seed=2):
    random = np.random.default_rng(seed)
    places = random.uniform(0, (280, 190), (count, 2))
    sizes = random.uniform(2, 25, (count, 2))
    boxes = [
        turned(*p, *(p + s), by=random.uniform(0, 90)) for p, s in zip(places, sizes, strict=True)
    ]
    return frame(boxes, kind=random.integers(1, 5, count))


def read(path):
    with rasterio.open(path) as file:
        return file.read(1), Grid.of_dataset(file)


FRAMES = {
    "a": turned(20.2, 20.7, 90.4, 70.1),
    "b": square(100, 30, 160, 90),
    "past": turned(270, 150, 340, 230, by=5),
}


def burned(tmp_path, vectors=None, shapes=FRAMES, **options):
    names = frame(shapes.values(), rect=list(shapes))
    return masks(
        features() if vectors is None else vectors,
        GRID,
        tmp_path / "out",
        class_by="kind",
        frames=names,
        frame_id="rect",
        **options,
    )


def test_each_frame_has_a_mask_that_is_the_crop_of_the_whole(tmp_path):
    whole = masks(features(), GRID, tmp_path / "whole.tif", class_by="kind", ignore_ring_px=1)
    report = burned(tmp_path, ignore_ring_px=1)
    assert [mask.frame_id for mask in report.masks] == ["a", "b", "past"]
    all_of_it, _ = read(tmp_path / "whole.tif")
    for mask in report.masks:
        got, grid = read(mask.path)
        assert grid == mask.grid == GRID.crop(mask.window)
        inside = rasterize([FRAMES[mask.frame_id]], grid.shape, transform=grid.transform)
        crop = all_of_it[mask.window.slices]
        np.testing.assert_array_equal(got, np.where(inside == 1, crop, 255))
        assert mask.labelled_share == pytest.approx((got != 255).mean())
    assert report.frames_cut == ("past",)
    assert whole.grid == report.grid


def test_the_window_of_a_frame_is_its_bounds_outward_to_whole_pixels(tmp_path):
    report = burned(tmp_path)
    for mask in report.masks:
        left, top, right, bottom = shapely.transform(
            FRAMES[mask.frame_id],
            lambda xy: (xy - (TRANSFORM.c, TRANSFORM.f)) / (TRANSFORM.a, TRANSFORM.e),
        ).bounds
        expected = [np.floor(left + 1e-6), np.floor(top + 1e-6)]
        expected += [min(np.ceil(right - 1e-6), 300), min(np.ceil(bottom - 1e-6), 200)]
        assert list(mask.window.bounds_px) == expected


def test_every_mask_lies_a_whole_number_of_pixels_from_the_reference(tmp_path):
    for mask in burned(tmp_path).masks:
        with rasterio.open(mask.path) as file:
            t = file.transform
        col, row = (t.c - TRANSFORM.c) / TRANSFORM.a, (t.f - TRANSFORM.f) / TRANSFORM.e
        assert (t.a, t.e) == (TRANSFORM.a, TRANSFORM.e)
        assert abs(col - round(col)) < 1e-6
        assert abs(row - round(row)) < 1e-6
        assert GRID.offset_of(mask.grid) == (mask.window.row, mask.window.col)


@pytest.mark.parametrize("kind", ["parquet", "csv"])
def test_the_manifest_holds_each_transform_exactly(tmp_path, kind):
    report = burned(tmp_path, manifest=kind)
    table = (pd.read_parquet if kind == "parquet" else pd.read_csv)(report.manifest)
    assert list(table.columns[:10]) == [
        *("mask_path", "row_off", "col_off", "width", "height"),
        *("minx", "miny", "maxx", "maxy", "crs"),
    ]
    for row, mask in zip(table.itertuples(), report.masks, strict=True):
        ids, grid = read(tmp_path / "out" / row.mask_path)
        assert Affine(*json.loads(row.transform)) == grid.transform
        assert (row.width, row.height, row.crs) == (grid.width, grid.height, CRS)
        assert (row.row_off, row.col_off, row.frame_id) == (0, 0, mask.frame_id)
        assert (row.minx, row.maxy) == pytest.approx((grid.bounds[0], grid.bounds[3]))
        assert (row.reference_row_off, row.reference_col_off) == (mask.window.row, mask.window.col)
        counts = {str(i): int((ids == i).sum()) for i in np.unique(ids) if i != 255}
        assert json.loads(row.class_counts) == counts
        assert row.burnt_pixels == ((ids != 0) & (ids != 255)).sum()


def test_frames_outside_and_too_small_are_counted_and_told(tmp_path):
    shapes = {
        **FRAMES,
        "far": square(900, 900, 950, 950),
        "beside": square(305, 10, 320, 30),
        "speck": square(50.6, 50.6, 50.9, 50.9),
    }
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        report = burned(tmp_path, shapes=shapes)
    texts = [str(one.message) for one in caught]
    assert any(
        "2 frames do not meet the reference and get no mask: far, beside" in t for t in texts
    )
    assert any("1 frames hold no pixel's centre and get no mask: speck" in t for t in texts)
    assert report.frames_outside == ("far", "beside")
    assert report.frames_without_pixel == ("speck",)
    assert len(report.masks) == 3


def test_no_frame_on_the_reference_is_an_error(tmp_path):
    with pytest.raises(GridError, match="none of 1 frames lies on the reference"):
        burned(tmp_path, shapes={"far": square(900, 900, 950, 950)})


def alike(*names):
    squares = [square(20 * i, 10, 20 * i + 15, 40) for i in range(len(names))]
    return frame(squares, rect=list(names))


def test_duplicate_frame_ids_are_an_error_that_names_them(tmp_path):
    frames = alike("x/1", "b", "b", "x_1", "B")
    options = {"class_by": "kind", "frames": frames, "frame_id": "rect"}
    with pytest.raises(LabelError) as caught:
        masks(features(), GRID, tmp_path / "out", **options)
    for part in ("'x/1' and 'x_1' (frames 0, 3)", "'b' and 'B' (frames 1, 2, 4)", "number"):
        assert part in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_duplicate_frame_ids_get_files_of_their_own_where_asked(tmp_path):
    frames = alike("b", "b", "b_2", "B")
    report = masks(
        features(),
        GRID,
        tmp_path / "out",
        class_by="kind",
        frames=frames,
        frame_id="rect",
        duplicate_frames="number",
    )
    names = [mask.path.rsplit("/", 1)[1] for mask in report.masks]
    assert names == ["b.tif", "b_3.tif", "b_2.tif", "B_4.tif"]
    assert [mask.frame_id for mask in report.masks] == ["b", "b", "b_2", "B"]
    assert [mask.window.col for mask in report.masks] == [0, 20, 40, 60]


def test_frames_without_a_name_are_an_error(tmp_path):
    with pytest.raises(LabelError, match=r"no value in 1 of 3 frames \(1, counted from 0\)"):
        masks(features(), GRID, tmp_path, frames=alike("a", None, "c"), frame_id="rect")
    report = masks(features(), GRID, tmp_path / "out", frames=alike("a", None, "c"))
    assert [mask.frame_id for mask in report.masks] == ["frame_0", "frame_1", "frame_2"]


# Areas


def test_vector_and_burnt_areas_are_those_on_the_ellipsoid(tmp_path):
    grid = Grid(
        crs="EPSG:4326",
        transform=Affine(2e-5, 0, 39.2, 0, -1e-5, 61.0),
        height=700,
        width=900,
    )
    left, _, _, top = grid.bounds
    shapes = [box(left + 0.002, top - 0.005, left + 0.009, top - 0.002)]
    shapes.append(Polygon([(left - 0.004, top - 0.006), (left + 0.01, top), (left, top + 0.01)]))
    vectors = gpd.GeoDataFrame({"kind": [1, 2]}, geometry=shapes, crs="EPSG:4326")
    report = masks(vectors, grid, tmp_path / "m.tif", class_by="kind")
    ids, _ = read(tmp_path / "m.tif")
    geod = Geod(ellps="WGS84")
    clipped = [one.intersection(box(*grid.bounds)) for one in shapes]
    clipped[0] = clipped[0].difference(clipped[1])
    for one, shape in zip(report.classes[1:], clipped, strict=True):
        expected = abs(geod.geometry_area_perimeter(shape)[0])
        assert one.burnt_area_m2 == pytest.approx(expected, rel=2e-3)
        assert one.pixels == (ids == one.id).sum()
    second = abs(geod.geometry_area_perimeter(clipped[1])[0])
    assert report.classes[2].vector_area_m2 == pytest.approx(second, rel=1e-4)
    assert abs(report.classes[2].difference_percent) < 0.2
    # What another feature hides makes the burnt area less.
    hidden = abs(geod.geometry_area_perimeter(shapes[0])[0])
    assert report.classes[1].vector_area_m2 == pytest.approx(hidden, rel=1e-4)
    share = abs(geod.geometry_area_perimeter(clipped[0])[0]) / hidden
    assert report.classes[1].difference_percent == pytest.approx(100 * (share - 1), abs=0.2)


def test_areas_of_frames_count_only_what_lies_in_them(tmp_path):
    everywhere = frame([square(-50, -50, 400, 300)], kind=[1])
    report = burned(tmp_path, vectors=everywhere)
    inside = [
        FRAMES["a"].area,
        FRAMES["b"].area,
        FRAMES["past"].intersection(square(0, 0, 300, 200)).area,
    ]
    assert report.classes[-1].vector_area_m2 == pytest.approx(sum(inside), rel=2e-3)
    assert abs(report.classes[-1].difference_percent) < 1


# Files


def test_features_outside_and_geometries_that_were_mended_are_counted(tmp_path):
    bow = shapely.transform(Polygon([(10, 10), (60, 60), (60, 10), (10, 60)]), on_ground)
    shapes = [
        bow,
        None,
        Polygon(),
        square(100, 100, 120, 120),
        square(800, 10, 820, 30),
        square(310, 5, 320, 9),
    ]
    path = tmp_path / "layer.gpkg"
    frame(shapes, kind=[1, 2, 3, 1, 1, 1]).to_file(path)
    for round_ in (1, 2):  # the second time the file is in the cache
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            report = masks(str(path), GRID, tmp_path / f"{round_}.tif", class_by="kind")
        assert (report.geometries_repaired, report.geometries_dropped) == (1, 2)
        assert (report.features, report.features_outside) == (4, 2)
    assert report.classes[1].features == 2


def test_a_layer_that_misses_the_reference_is_told(tmp_path):
    with pytest.warns(UserWarning, match="none of 1 features has a part on a mask"):
        report = masks(frame([square(800, 10, 820, 30)]), GRID, tmp_path / "m.tif")
    assert (read(tmp_path / "m.tif")[0] == 0).all()
    assert report.features_outside == 1


def test_vectors_in_another_crs_are_brought_to_the_reference(tmp_path):
    vectors = features()
    masks(vectors, GRID, tmp_path / "own.tif", class_by="kind")
    masks(vectors.to_crs("EPSG:4326"), GRID, tmp_path / "other.tif", class_by="kind")
    own, other = read(tmp_path / "own.tif")[0], read(tmp_path / "other.tif")[0]
    assert (own != other).mean() < 1e-3


def test_an_mbtiles_reference_gives_its_exact_grid(tmp_path, write_raster):
    corner = Affine(10, 0, 4_370_003, 0, -10, -680_007)
    source = write_raster(
        "image.tif", np.full((3, 130, 170), 90, np.uint8), crs="EPSG:3857", transform=corner
    )
    rasterio.shutil.copy(source, tmp_path / "image.mbtiles", driver="MBTiles", TILE_FORMAT="PNG")
    grid = MBTilesSource(uri=str(tmp_path / "image.mbtiles")).grid
    middle = box(4_370_300, -681_000, 4_370_900, -680_400)
    vectors = gpd.GeoDataFrame({"kind": [3]}, geometry=[middle], crs="EPSG:3857")
    report = masks(vectors, tmp_path / "image.mbtiles", tmp_path / "out", class_by="kind")
    assert report.masks[0].path.endswith("image.tif")
    ids, there = read(report.masks[0].path)
    assert there == grid == report.grid
    np.testing.assert_array_equal(
        ids, rasterize([(middle, 3)], grid.shape, transform=grid.transform)
    )


def test_a_resolution_makes_a_grid_of_whole_multiples(tmp_path):
    vectors = frame([box(500_001.2, 4_000_003.3, 500_010.4, 4_000_008.1)])
    report = masks(vectors, None, tmp_path / "m.tif", resolution=(0.5, 0.25))
    assert report.grid.bounds == (500_001.0, 4_000_003.25, 500_010.5, 4_000_008.25)
    assert report.grid.resolution == (0.5, 0.25)
    degrees = vectors.to_crs("EPSG:4326")
    with pytest.raises(ConfigError, match="degrees; name the CRS"):
        masks(degrees, None, tmp_path / "d.tif", resolution=0.5)
    report = masks(degrees, None, tmp_path / "d.tif", resolution=0.5, crs=CRS, buffer_m=10)
    assert report.grid.bounds == (499_991.0, 3_999_993.0, 500_020.5, 4_000_018.5)


@pytest.mark.parametrize(
    ("reference", "options", "text"),
    [
        (None, {}, "got neither"),
        (GRID, {"resolution": 1}, "got both"),
        (GRID, {"crs": CRS}, "crs= belongs to resolution="),
        (None, {"resolution": 0}, "expected a number above 0"),
    ],
)
def test_the_grid_is_given_in_one_way(tmp_path, reference, options, text):
    with pytest.raises(ConfigError, match=text):
        masks(features(), reference, tmp_path / "m.tif", **options)


def test_nothing_is_replaced_unless_asked(tmp_path):
    burned(tmp_path)
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    with pytest.raises(StoreError, match=r'is there already, as 4 of 4 files.*mode="overwrite"'):
        burned(tmp_path)
    burned(tmp_path, mode="overwrite")
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before


def test_masks_of_an_earlier_run_are_told(tmp_path):
    burned(tmp_path)
    with pytest.warns(
        UserWarning, match=r"holds 2 files that are no masks of this run, such as a.tif"
    ):
        burned(tmp_path, shapes={"b": FRAMES["b"]}, mode="overwrite")


def test_a_failure_leaves_nothing_behind(tmp_path, monkeypatch):
    def fail(*given):
        raise StoreError("the disk is full")

    monkeypatch.setattr("geoseg.prepare.vectormasks.verb.write_manifest", fail)
    with pytest.raises(StoreError, match="the disk is full"):
        burned(tmp_path, class_map=ClassMap.of("0", "1", "2", "3", "4"))
    assert list((tmp_path / "out").iterdir()) == []


def test_an_output_is_never_an_input(tmp_path, write_raster):
    uri = write_raster("image.tif", np.zeros((1, 40, 50), np.uint8))
    with pytest.raises(ConfigError, match="is read as an input too"):
        masks(features(), uri, tmp_path, mode="overwrite")
    path = tmp_path / "manifest.parquet"
    features().to_parquet(path)
    with pytest.raises(ConfigError, match="is read as an input too"):
        masks(FileVectorSource(uri=str(path)), GRID, tmp_path, mode="overwrite")


def test_frames_need_a_folder(tmp_path):
    with pytest.raises(ConfigError, match="pass a folder"):
        masks(features(), GRID, tmp_path / "m.tif", frames=alike("a"))


def test_the_report_is_plain_json(tmp_path):
    report = burned(tmp_path, class_map=ClassMap.of("0", "1", "2", "3", "4"), ignore_ring_px=1)
    told = json.loads(json.dumps(report.to_dict()))
    assert told["dtype"] == "uint8"
    assert told["ring_pixels"] == sum(mask["ring_pixels"] for mask in told["masks"]) > 0
    assert [one["id"] for one in told["classes"]] == [0, 1, 2, 3, 4]
    assert told["classes"][1]["difference_percent"] == report.classes[1].difference_percent
    assert Affine(*told["masks"][0]["transform"]) == report.masks[0].grid.transform
