"""Indices in files: their columns, footprints and paths; what is never overwritten."""

from __future__ import annotations

import json
from pathlib import Path

import geopandas
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pyproj
import pytest
import shapely
from affine import Affine

from geoseg.errors import ConfigError, StoreError
from geoseg.sampling.windowindex import WindowIndex, writing

PLACES = ["row_off", "col_off", "width", "height", "minx", "miny", "maxx", "maxy", "crs"]
FORMATS = pytest.mark.parametrize("suffix", ["csv", "parquet"])


@pytest.fixture
def mask(write_raster):
    """Writes a mask of 50 x 70 pixels under a name."""

    def write(name="a.tif", **options):
        return write_raster(name, np.zeros((50, 70), np.uint8), **options)

    return write


@pytest.fixture
def index(mask):
    """Twelve windows on two masks of two CRSs."""
    degrees = Affine(1e-3, 0, 39.5, 0, -1e-3, -6)
    masks = [mask("a.tif"), mask("b.tif", crs="EPSG:4326", transform=degrees)]
    return WindowIndex.build(masks, patch_size=32)


@FORMATS
def test_what_is_written_is_read_back_the_same_by_pixels_and_by_bounds(index, tmp_path, suffix):
    uri = str(tmp_path / "sub" / f"index.{suffix}")
    assert index.write(uri) == uri
    for coordinates in ("auto", "pixel", "bounds"):
        back = WindowIndex.read(uri, coordinates=coordinates)
        assert list(back) == list(index)
        assert back.uri == uri
    assert back.table.mask_path.tolist() == ["../a.tif"] * 6 + ["../b.tif"] * 6
    names = ["mask_path", *PLACES, *(["geometry"] if suffix == "parquet" else [])]
    assert back.table.columns.tolist() == names
    pd.testing.assert_frame_equal(back.table[PLACES], index.table[PLACES], check_exact=True)


@FORMATS
def test_columns_come_in_the_order_of_the_contract(index, tmp_path, suffix):
    uri = str(tmp_path / f"index.{suffix}")
    image = str(tmp_path / "images" / "x.tif")
    more = index.with_columns(
        {
            "sampler_weight": np.linspace(0, 1, 12),
            "split": "train",
            "note": ["a, b", 'c "d"', *["é"] * 10],
            "class_counts": json.dumps({"0": 1024}),
            "valid_share": 1.0,
            "image_path": [image] * 11 + [None],
            "fold": [1, 2, 3] * 4,
        }
    )
    more.write(uri)
    back = WindowIndex.read(uri)
    names = [name for name in back.table.columns if name != "geometry"]
    measured = ["valid_share", "class_counts", "split", "fold"]
    assert names == ["image_path", "mask_path", *PLACES, *measured, "sampler_weight", "note"]
    for name in (*measured, "sampler_weight", "note"):
        assert back.table[name].tolist() == more.table[name].tolist()
    assert back.image_paths == more.image_paths == (image,) * 11 + (None,)
    assert back.table.image_path[0] == "images/x.tif"


def test_the_same_index_gives_the_same_bytes(index, tmp_path):
    for suffix in ("csv", "parquet"):
        texts = [Path(index.write(str(tmp_path / f"{n}.{suffix}"))).read_bytes() for n in "xy"]
        assert texts[0] == texts[1]


def test_footprints_of_several_crss_are_in_longitude_and_latitude(index, tmp_path):
    uri = index.write(str(tmp_path / "index.parquet"))
    frame = geopandas.read_parquet(uri)
    assert frame.crs == "EPSG:4326"
    assert frame.geometry.geom_type.unique().tolist() == ["Polygon"]
    assert frame.geometry.is_valid.all()
    for row, outline in zip(frame.itertuples(), frame.geometry, strict=True):
        box = shapely.segmentize(shapely.box(row.minx, row.miny, row.maxx, row.maxy), 1.0)
        to_degrees = pyproj.Transformer.from_crs(row.crs, "EPSG:4326", always_xy=True)
        expected = shapely.transform(box, to_degrees.transform, interleaved=False)
        assert outline.symmetric_difference(expected).area < 1e-5 * expected.area
        assert outline.exterior.is_ccw
    geo = json.loads(pq.read_metadata(uri).metadata[b"geo"])
    assert geo["columns"]["geometry"]["bbox"] == pytest.approx(frame.total_bounds)


def test_edges_of_large_windows_bend(write_raster, tmp_path):
    polar = Affine(10_000, 0, 1e6, 0, -10_000, 4e6)
    uri = write_raster(
        "polar.tif", np.zeros((200, 200), np.uint8), crs="EPSG:3413", transform=polar
    )
    WindowIndex.build([uri], patch_size=200).write(str(tmp_path / "index.parquet"))
    (outline,) = geopandas.read_parquet(tmp_path / "index.parquet").geometry
    to_degrees = pyproj.Transformer.from_crs("EPSG:3413", "EPSG:4326", always_xy=True)
    middle = shapely.Point(to_degrees.transform(2e6, 2e6))  # of the lower edge
    corners = [to_degrees.transform(x, 2e6) for x in (1e6, 3e6)]
    assert outline.exterior.distance(middle) < 0.1
    assert shapely.LineString(corners).distance(middle) > 2


def test_a_window_across_the_antimeridian_has_two_parts(mask, tmp_path):
    uri = mask(crs="EPSG:32601", transform=Affine(1000, 0, 150_000, 0, -1000, 200_000))
    WindowIndex.build([uri], patch_size=(50, 70)).write(str(tmp_path / "index.parquet"))
    frame = geopandas.read_parquet(tmp_path / "index.parquet")
    assert frame.geometry.geom_type.tolist() == ["MultiPolygon"]
    assert frame.total_bounds[[0, 2]].tolist() == [-180, 180]
    assert shapely.area(frame.geometry).sum() < 1


def test_windows_without_a_crs_have_no_footprint_which_is_told(mask, tmp_path):
    index = WindowIndex.build([mask("a.tif"), mask("bare.tif", crs=None)], patch_size=32)
    with pytest.warns(
        UserWarning, match=r"6 of 12 windows have no footprint, the first is of .*bare\.tif"
    ):
        index.write(str(tmp_path / "index.parquet"))
    frame = geopandas.read_parquet(tmp_path / "index.parquet")
    assert frame.geometry.isna().tolist() == [False] * 6 + [True] * 6
    assert list(WindowIndex.read(str(tmp_path / "index.parquet"))) == list(index)


def test_places_are_written_from_the_windows_whatever_the_table_said(mask, tmp_path):
    frame = pd.DataFrame(
        {
            "tile_minx": [500_010.0],
            "tile_miny": [3_999_950.0],
            "tile_maxx": [500_040.0],
            "tile_maxy": [3_999_980.0],
            "crs": [32619],
            "geometry": [b"somebody's"],
            "label": [mask()],
        }
    )
    WindowIndex.from_table(frame, key="label").write(str(tmp_path / "index.parquet"))
    back = geopandas.read_parquet(tmp_path / "index.parquet").iloc[0]
    assert back[PLACES[:4]].tolist() == [2, 1, 3, 3]
    assert back[PLACES[4:]].tolist() == [500_010, 3_999_950, 500_040, 3_999_980, "EPSG:32619"]
    assert back.label == "a.tif"
    assert back.tile_minx == 500_010


def test_paths_are_right_from_a_folder_that_is_a_link(mask, tmp_path):
    real = tmp_path / "deep" / "down"
    real.mkdir(parents=True)
    (tmp_path / "short").symlink_to(real)
    index = WindowIndex.build([mask()], patch_size=32)
    index.write(str(tmp_path / "short" / "index.csv"))
    for folder in (tmp_path / "short", real):
        back = WindowIndex.read(str(folder / "index.csv"))
        assert Path(back.mask_paths[0]).samefile(tmp_path / "a.tif")
        assert back.table.mask_path[0] == "../../a.tif"


@FORMATS
def test_windows_past_the_edge_are_read_back_without_asking(mask, tmp_path, suffix):
    index = WindowIndex.build([mask()], patch_size=32, edge="pad")
    part = index.select([5, 1]).with_columns({"split": "val"})
    part.write(str(tmp_path / f"part.{suffix}"))
    assert list(WindowIndex.read(str(tmp_path / f"part.{suffix}"))) == list(part)


@FORMATS
def test_an_index_of_no_window_is_written_and_read(index, tmp_path, suffix):
    index.select([]).write(str(tmp_path / f"none.{suffix}"))
    with pytest.warns(UserWarning, match=rf"none\.{suffix}: holds no window"):
        assert len(WindowIndex.read(str(tmp_path / f"none.{suffix}"))) == 0


@FORMATS
def test_a_file_of_somebody_or_changed_since_is_not_overwritten(index, tmp_path, suffix):
    uri = str(tmp_path / f"index.{suffix}")
    index.write(uri)
    index.select([1, 2]).write(uri)  # geoseg's own, unchanged
    assert len(WindowIndex.read(uri)) == 2
    change(uri)
    before = Path(uri).read_bytes()
    with pytest.raises(
        StoreError, match=r"is there already, and was not written by geoseg or was changed"
    ):
        index.write(uri)
    assert Path(uri).read_bytes() == before


def change(uri):
    """Edit a table as somebody would, leaving what geoseg noted where it lies."""
    if uri.endswith(".csv"):
        frame = pd.read_csv(uri)
        frame.assign(sampler_weight=0.5).to_csv(uri, index=False)
        return
    table = pq.read_table(uri)
    weight = pa.array([0.5] * len(table))
    pq.write_table(table.append_column("sampler_weight", weight), uri)  # keeps the metadata


@FORMATS
def test_what_an_index_is_made_of_is_not_overwritten(index, tmp_path, suffix):
    uri = index.write(str(tmp_path / f"index.{suffix}"))
    with pytest.raises(ConfigError, match="is read as an input too and would be overwritten"):
        WindowIndex.read(uri).write(uri)


def test_a_name_without_a_known_suffix_is_an_error(index, tmp_path):
    with pytest.raises(OSError, match="the format of a window index goes by the suffix"):
        index.write(str(tmp_path / "index.xlsx"))


def test_a_column_that_a_file_cannot_hold_is_told_and_leaves_nothing(index, tmp_path):
    odd = index.with_columns({"odd": [1, "two", *[None] * 10]})
    with pytest.raises(StoreError, match=r"odd\.parquet: the window index cannot be written: .*"):
        odd.write(str(tmp_path / "odd.parquet"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.tif", "b.tif"]


@FORMATS
def test_a_writer_that_fails_leaves_the_file_as_it_was_and_nothing_else(
    index, tmp_path, suffix, monkeypatch
):
    uri = index.write(str(tmp_path / f"index.{suffix}"))
    before = sorted(tmp_path.iterdir()), Path(uri).read_bytes()

    def fail(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(writing, "_filled", fail)
    with pytest.raises(KeyboardInterrupt):
        index.select([1]).write(uri)
    assert (sorted(tmp_path.iterdir()), Path(uri).read_bytes()) == before
