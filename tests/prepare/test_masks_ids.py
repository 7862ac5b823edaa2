import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import rasterio
from affine import Affine
from rasterio.features import rasterize
from shapely.geometry import box

from geoseg.classes import ClassMap
from geoseg.errors import ConfigError, LabelError, SourceError
from geoseg.grid import Grid
from geoseg.labels.geotiff import GeoTIFFLabelStore
from geoseg.prepare.vectormasks import masks

CRS = "EPSG:32619"
GRID = Grid(crs=CRS, transform=Affine(1, 0, 0, 0, -1, 40), height=40, width=60)
CLASSES = ClassMap.of("background", "roof", "road")


def columns(*kinds, **others):
    """One square of 4 pixels a side for each value, side by side."""
    squares = [box(5 * i, 10, 5 * i + 4, 14) for i in range(len(kinds))]
    return gpd.GeoDataFrame({"kind": list(kinds), **others}, geometry=squares, crs=CRS)


def burn(frame, tmp_path, **options):
    report = masks(frame, GRID, tmp_path / "m.tif", **{"mode": "overwrite", **options})
    with rasterio.open(tmp_path / "m.tif") as file:
        return report, file.read(1)


def values(mask, count):
    """The id in the middle of each square."""
    return [int(mask[28, 5 * i + 2]) for i in range(count)]


@pytest.mark.parametrize(
    ("ids", "dtype", "ignored"),
    [
        ((1, 254), "uint8", 255),
        ((1, 255), "uint16", 65535),
        ((256, 3), "uint16", 65535),
        ((65534, 1), "uint16", 65535),
        ((65535, 1), "uint32", 4294967295),
        ((70_000, 4294967294), "uint32", 4294967295),
    ],
)
def test_the_dtype_follows_from_the_largest_id(tmp_path, ids, dtype, ignored):
    frame = columns(*ids)
    report, mask = burn(frame, tmp_path, class_by="kind", background=None)
    assert (report.dtype, report.ignore_id, mask.dtype) == (dtype, ignored, dtype)
    with rasterio.open(tmp_path / "m.tif") as file:
        assert file.nodata == ignored
    shapes = zip(frame.geometry, ids, strict=True)
    expected = rasterize(
        shapes, GRID.shape, fill=ignored, transform=GRID.transform, dtype="float64"
    )
    np.testing.assert_array_equal(mask, expected)


def test_ids_that_do_not_fit_a_given_dtype_are_named_with_their_features(tmp_path):
    frame = columns(3, 300, 255, 300)
    text = r"uint8 masks cannot hold: 255 \(feature 2\), 300 \(features 1, 3\)"
    with pytest.raises(LabelError, match=text):
        burn(frame, tmp_path, class_by="kind", dtype="uint8")
    assert not (tmp_path / "m.tif").exists()
    _, mask = burn(frame, tmp_path, class_by="kind", dtype="int16")
    assert (values(mask, 4), mask.dtype) == ([3, 300, 255, 300], "int16")


def test_an_explicit_ignore_id_frees_the_largest_number(tmp_path):
    report, mask = burn(
        columns(255, 7), tmp_path, class_by="kind", ignore_id=0, background=None, dtype="uint8"
    )
    assert values(mask, 2) == [255, 7]
    assert (report.dtype, mask[0, 0]) == ("uint8", 0)


def test_negative_null_and_text_ids_are_listed_in_one_error(tmp_path):
    frame = columns(*pd.Series([1, -4, None, "roof", 2.5, -4, True, "7"], dtype="object"))
    with pytest.raises(LabelError) as caught:
        burn(frame, tmp_path, class_by="kind")
    text = str(caught.value)
    for part in (
        "-4 (features 1, 5)",
        "no value (feature 2)",
        "'roof' (feature 3)",
        "2.5 (feature 4)",
        "'7' (feature 7)",
        "class_map={name: id}",
    ):
        assert part in text
    assert list(tmp_path.iterdir()) == []


def test_whole_floats_are_ids_and_gaps_among_them_get_the_default(tmp_path):
    _, mask = burn(columns(1.0, None, 3.0), tmp_path, class_by="kind", default_class=9)
    assert values(mask, 3) == [1, 9, 3]


def test_names_lead_to_ids_of_any_size(tmp_path):
    named = {"roof": 1, "shed": 1, "road": 900}
    report, mask = burn(columns("road", "shed", "roof"), tmp_path, class_by="kind", class_map=named)
    assert values(mask, 3) == [900, 1, 1]
    assert [one.name for one in report.classes] == [None, "roof, shed", "road"]
    with pytest.raises(LabelError, match=r"'pool' \(feature 1\); class_map names roof, shed, road"):
        burn(columns("road", "pool"), tmp_path, class_by="kind", class_map=named)


def test_a_name_may_lead_to_the_ignore_id(tmp_path):
    frame = columns("roof", "cloud")
    named = {"roof": 1, "cloud": 255}
    report, mask = burn(frame, tmp_path, class_by="kind", class_map=named, ignore_id=255)
    assert (values(mask, 2), report.dtype) == ([1, 255], "uint8")
    assert report.masks[0].class_counts == {0: 40 * 60 - 32, 1: 16}


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"ignore_id": 2}, r"ignore_id=2 is the id of features, .*lost: 2 \(features 1, 2\)"),
        ({"ignore_id": 255}, r"ignore_id=255 is the id of features, .*: 255 \(feature 3\)"),
        (
            {"ignore_id": 2, "class_map": {"1": 1, "2": 2, "255": 3}},
            r"ignore_id=2 is the id of the class '2' of class_map",
        ),
        (
            {"ignore_id": 9, "class_map": {"1": 1, "2": 2, "255": 3, "pool": 9}},
            r"ignore_id=9 is the id of the class 'pool'",
        ),
    ],
)
def test_the_id_of_a_class_cannot_mean_ignored(tmp_path, options, text):
    with pytest.raises(LabelError, match=text):
        burn(columns(1, 2, 2, 255), tmp_path, class_by="kind", **options)
    assert list(tmp_path.iterdir()) == []


def test_without_a_column_the_one_class_cannot_mean_ignored(tmp_path):
    with pytest.raises(LabelError, match=r"ignore_id=1 is the id of features"):
        burn(columns("a"), tmp_path, ignore_id=1)


def test_features_of_unknown_class_may_be_ignored_by_the_default_class(tmp_path):
    frame = columns(1, None, 3)
    _, mask = burn(frame, tmp_path, class_by="kind", ignore_id=9, default_class=9)
    assert values(mask, 3) == [1, 9, 3]


@pytest.mark.parametrize("argument", ["all_touched", "buffer_m"])
def test_a_class_that_no_feature_has_is_told_where_nothing_else_names_it(tmp_path, argument):
    wanted = argument == "all_touched" or 2.0
    text = rf"{argument} names the class 7, which no feature has; expected one of: 1, 2; or"
    with pytest.raises(ConfigError, match=text):
        burn(columns(1, 2, 2), tmp_path, class_by="kind", **{argument: {7: wanted}})
    frame, named = columns("a"), {"a": 1, "b": 2}
    _, mask = burn(frame, tmp_path, class_by="kind", class_map=named, **{argument: {"b": wanted}})
    assert (mask == 1).sum() == 16


def test_frames_without_a_crs_are_told_in_words(tmp_path):
    lost = columns(1).set_crs(None, allow_override=True)
    with pytest.raises(SourceError, match=r"^vectors: frame has no CRS; assign one"):
        burn(lost, tmp_path, class_by="kind")
    with pytest.raises(SourceError, match=r"^frames: frame has no CRS; assign one"):
        burn(columns(1), tmp_path, class_by="kind", frames=lost)
    with pytest.raises(
        SourceError, match=r"^vectors: got int, expected a path, a VectorSource, or"
    ):
        burn(3, tmp_path, class_by="kind")
    assert list(tmp_path.iterdir()) == []


def test_numbers_in_the_column_are_mapped_as_text(tmp_path):
    _, mask = burn(columns(10, 20), tmp_path, class_by="kind", class_map={10: 2, "20": 1})
    assert values(mask, 2) == [2, 1]


def test_a_class_map_takes_names_and_ids_and_goes_to_the_file(tmp_path):
    frame = columns(*pd.Series(["roof", 2, 255], dtype="object"))
    report, mask = burn(frame, tmp_path, class_by="kind", class_map=CLASSES)
    assert values(mask, 3) == [1, 2, 255]
    assert [one.name for one in report.classes] == ["background", "roof", "road"]
    with rasterio.open(tmp_path / "m.tif") as file:
        assert file.colormap(1)[1] == (*CLASSES.classes[1].color, 255)
    assert "<Category>road</Category>" in (tmp_path / "m.tif.aux.xml").read_text()
    labels = GeoTIFFLabelStore(uri=str(tmp_path / "m.tif")).read()
    assert labels.classes == CLASSES
    np.testing.assert_array_equal(labels.read(GRID.whole), mask)


def test_a_class_map_may_be_written_as_in_yaml(tmp_path):
    for written in (list(CLASSES.names), CLASSES.model_dump(mode="json")):
        _, mask = burn(columns("road"), tmp_path, class_by="kind", class_map=written)
        assert values(mask, 1) == [2]


def test_without_a_column_all_features_are_the_class_that_is_no_background(tmp_path):
    _, mask = burn(columns("a", "b"), tmp_path)
    assert values(mask, 2) == [1, 1]
    two = ClassMap.of("roof", "rest")
    _, mask = burn(columns("a"), tmp_path, class_map=two, background="rest")
    assert (values(mask, 1), mask[0, 0]) == ([0], 1)
    with pytest.raises(LabelError, match="nothing tells the class"):
        burn(columns("a"), tmp_path, class_map=CLASSES)
    _, mask = burn(columns("a"), tmp_path, class_map=CLASSES, default_class="road")
    assert values(mask, 1) == [2]


def test_background_255_is_ignored_as_the_nodata_is(tmp_path):
    report, mask = burn(columns(1), tmp_path, class_by="kind", background=255)
    assert (report.background, report.ignore_id, report.dtype) == (None, 255, "uint8")
    assert report.masks[0].class_counts == {1: 16}
    assert mask[0, 0] == 255


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"class_by": "kin"}, SourceError, "did you mean 'kind'"),
        ({"class_by": "kind", "dtype": "float32"}, ConfigError, "expected one of: uint8"),
        ({"class_by": "kind", "dtype": "text"}, ConfigError, "expected one of: uint8"),
        ({"class_by": "kind", "class_map": 3}, ConfigError, "expected a ClassMap"),
        ({"class_by": "kind", "class_map": {"a": -1}}, ConfigError, "ids from 0"),
        ({"class_by": "kind", "class_map": {"a": "b"}}, ConfigError, "is not {name: id}"),
        ({"class_by": "kind", "ignore_id": -1}, ConfigError, "a whole number from 0"),
        ({"class_by": "kind", "all_touched": {"roof": True}}, ConfigError, "all_touched.*'roof'"),
        (
            {"class_by": "kind", "buffer_m": {1: 2, "1": 3}},
            ConfigError,
            "buffer_m names a class twice",
        ),
        ({"class_by": "kind", "buffer_m": float("nan")}, ConfigError, "finite metres"),
        ({"class_by": "kind", "buffer_m": {1: "2"}}, ConfigError, "expected a number"),
        ({"class_by": "kind", "buffer_m": True}, ConfigError, "expected a number"),
        ({"class_by": "kind", "all_touched": {1: "no"}}, ConfigError, "expected True or False"),
        ({"class_by": "kind", "mode": "append"}, ConfigError, "expected one of: error, overwrite"),
        ({"class_by": "kind", "ignore_ring_px": 1.5}, ConfigError, "whole number of pixels"),
        ({"class_by": "kind", "ignore_ring_px": -1}, ConfigError, "whole number of pixels"),
        ({"class_by": "kind", "background": -1}, ConfigError, "background names the class -1"),
        ({"class_by": "kind", "background": 300, "dtype": "uint8"}, ConfigError, "does not fit"),
        ({"class_by": "kind", "frame_id": "name"}, ConfigError, "but there are none"),
        ({"class_by": "kind", "manifest": "xml"}, ConfigError, "expected one of: csv, parquet"),
        ({"class_by": "kind", "priority_by": "kind2"}, LabelError, "priority_by"),
        ({"class_map": CLASSES, "ignore_id": 7, "class_by": "kind"}, ConfigError, "ignores 255"),
    ],
)
def test_arguments_that_do_not_fit_are_errors(tmp_path, options, error, text):
    with pytest.raises(error, match=text):
        burn(columns(1, 2), tmp_path, **options)
    assert list(tmp_path.iterdir()) == []
