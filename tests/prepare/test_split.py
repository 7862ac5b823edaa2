"""Windows dealt into parts and folds by blocks, with a gap between them."""

from __future__ import annotations

import json
import warnings
from itertools import pairwise

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import shapely
from affine import Affine
from PIL import Image
from pyproj import Geod, Transformer
from rasterio.errors import NotGeoreferencedWarning
from shapely.geometry import box

from geoseg.errors import ConfigError, LeakageError
from geoseg.prepare.counts import window_counts
from geoseg.prepare.splitting.footprints import regions_of
from geoseg.prepare.splitting.leakage import find_leaks
from geoseg.prepare.splitting.strata import strata_of
from geoseg.prepare.splitting.verb import split
from geoseg.sampling.windowindex import WindowIndex

SIZE, CELL = 16, 10.0
"""Pixels of a window's side, metres of a pixel."""


def write_mask(
    path, ids, *, left=500_000.0, top=4_000_000.0, cell=CELL, crs="EPSG:32619", nodata=None
):
    height, width = ids.shape
    profile = {"count": 1, "height": height, "width": width, "dtype": ids.dtype, "nodata": nodata}
    place = {} if crs is None else {"crs": crs, "transform": Affine(cell, 0, left, 0, -cell, top)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(path, "w", driver="GTiff", **profile, **place) as file:
            file.write(ids, 1)
    return str(path)


@pytest.fixture
def mask(tmp_path):
    """Three classes, of which 3 is rare and lies in spots."""
    rng = np.random.default_rng(4)
    ids = rng.integers(1, 3, (7, 9)).repeat(32, axis=0).repeat(32, axis=1).astype("uint8")
    for row, col in rng.integers(0, (210, 270), (20, 2)):
        ids[row : row + 9, col : col + 9] = 3
    ids[:5] = 255
    return write_mask(tmp_path / "mask.tif", ids, nodata=255)


def boxes_utm(index):
    """Boxes of the windows in metres, from the mask's own transform."""
    found = []
    for path, w in zip(index.mask_paths, index.windows, strict=True):
        with rasterio.open(path) as file:
            left, top = file.transform * (w.col, w.row)
            right, bottom = file.transform * (w.col_stop, w.row_stop)
        found.append(box(left, bottom, right, top))
    return np.array(found, object)


def closest(first, second):
    """Metres between two sets of boxes, by looking at all pairs."""
    return min(shapely.distance(one, second).min() for one in first)


def test_each_window_is_in_one_part_and_parts_keep_their_distance(mask, tmp_path):
    index = WindowIndex.build([mask], patch_size=SIZE)
    report = split(index, tmp_path / "index.parquet", block_m=700, buffer_m=150, seed=3)
    found = WindowIndex.read(report.uri)
    names = found.table["split"].to_numpy()
    assert len(found) == len(index)
    assert set(names) == {"train", "val", "test", "dropped"}
    boxes = boxes_utm(found)
    for one, other in (("train", "val"), ("train", "test"), ("val", "test")):
        assert closest(boxes[names == one], boxes[names == other]) >= 150
    assert report.windows == {n: int((names == n).sum()) for n in sorted(set(names))}
    assert report.windows["train"] > report.windows["val"] > 0


def test_only_what_the_buffer_asks_for_is_dropped_and_from_train_first(mask, tmp_path):
    index = WindowIndex.build([mask], patch_size=SIZE)
    near = split(index, tmp_path / "a.csv", block_m=700, buffer_m=150, seed=3)
    free = split(index, tmp_path / "b.csv", block_m=700, buffer_m=0, seed=3)
    before = WindowIndex.read(free.uri).table["split"].to_numpy()
    after = WindowIndex.read(near.uri).table["split"].to_numpy()
    assert "dropped" not in before  # windows side by side only touch
    boxes = boxes_utm(index)
    others = {"train": np.isin(before, ["val", "test"]), "val": before == "test"}
    expected = before.copy()
    for name, other in others.items():
        for row in np.flatnonzero(before == name):
            if shapely.distance(boxes[row], boxes[other]).min() < 150:
                expected[row] = "dropped"
    assert (after == expected).all()


def test_with_overlapping_windows_no_pixel_of_one_part_is_in_another(mask, tmp_path):
    index = WindowIndex.build([mask], patch_size=SIZE, stride=6)
    report = split(index, tmp_path / "index.csv", block_m=500, seed=1)
    found = WindowIndex.read(report.uri)
    seen = {}
    with rasterio.open(mask) as file:
        shape = file.shape
    for name in ("train", "val", "test"):
        seen[name] = np.zeros(shape, bool)
        for window, part in zip(found.windows, found.table["split"], strict=True):
            if part == name:
                seen[name][window.row : window.row_stop, window.col : window.col_stop] = True
        assert seen[name].any()
    for one, other in pairwise(("train", "val", "test", "train")):
        assert not (seen[one] & seen[other]).any()


@pytest.mark.slow
@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_the_same_seed_gives_the_same_file_and_another_seed_another(mask, tmp_path, suffix):
    index = WindowIndex.build([mask], patch_size=SIZE)
    files = [tmp_path / f"{i}.{suffix}" for i in range(3)]
    for file, seed in zip(files, (5, 5, 6), strict=True):
        split(index, file, block_m=400, buffer_m=20, seed=seed)
    assert files[0].read_bytes() == files[1].read_bytes()
    assert files[0].read_bytes() != files[2].read_bytes()


def test_in_folds_every_window_validates_once_far_from_what_was_learnt(mask, tmp_path):
    index = WindowIndex.build([mask], patch_size=SIZE, stride=10)
    report = split(index, tmp_path / "index.parquet", folds=4, block_m=600, buffer_m=90, seed=2)
    found = WindowIndex.read(report.uri).table
    fold = found["fold"].to_numpy()
    assert sorted(set(fold.tolist())) == [0, 1, 2, 3]
    without = [json.loads(text) for text in found["dropped_in_fold"]]
    boxes = boxes_utm(index)
    for number in range(4):
        gone = np.array([number in w for w in without])
        assert not (gone & (fold == number)).any()
        training = (fold != number) & ~gone
        assert training.any()
        assert closest(boxes[training], boxes[fold == number]) >= 90
        near = [shapely.distance(b, boxes[fold == number]).min() < 90 for b in boxes[gone]]
        assert all(near)
    assert report.windows["dropped"] == sum(bool(w) for w in without)


def test_blocks_are_never_divided(mask, tmp_path):
    index = WindowIndex.build([mask], patch_size=SIZE)
    report = split(index, tmp_path / "index.csv", block_m=640, seed=0)
    names = WindowIndex.read(report.uri).table["split"].to_numpy()
    middle = shapely.get_coordinates(shapely.centroid(boxes_utm(index)))
    square = ((middle - middle.min(axis=0)) / 640 + 1e-6).astype(int)
    parts = {}
    for key, name in zip(map(tuple, square.tolist()), names, strict=True):
        parts.setdefault(key, set()).add(name)
    # The plane of the split and UTM differ by 0.04 %, so that few windows near a line fall to the other side.
    assert np.mean([len(found) == 1 for found in parts.values()]) > 0.9
    assert abs(report.blocks - len(parts)) <= 4


def test_the_class_of_a_window_is_its_rarest_with_one_percent_of_its_pixels(mask):
    index = WindowIndex.build([mask], patch_size=(13, 17), edge="pad")
    with rasterio.open(mask) as file:
        ids = file.read(1)
    windows = [ids[w.row : w.row_stop, w.col : w.col_stop] for w in index.windows]
    total = {c: sum((w == c).sum() for w in windows) for c in (1, 2, 3)}
    expected = []
    for w in windows:
        there = [c for c in (1, 2, 3) if (w == c).sum() >= 0.01 * 13 * 17]
        expected.append(min(there, key=total.get) if there else -1)
    found = strata_of(index, window_counts(index))
    assert found.tolist() == expected
    assert len(set(expected)) > 2


def test_a_rare_class_is_in_every_fold_where_blocks_allow_it(tmp_path):
    ids = np.ones((160, 160), "uint8")
    for row, col in ((5, 5), (5, 150), (150, 5), (70, 70), (150, 150), (20, 90)):
        ids[row : row + 6, col : col + 6] = 2
    index = WindowIndex.build([write_mask(tmp_path / "m.tif", ids)], patch_size=16)
    for seed in range(3):
        report = split(index, tmp_path / "i.csv", folds=3, block_m=320, seed=seed)
        assert all(report.pixels[f"fold {i}"][2] > 0 for i in range(3))
        assert not report.missing


def test_a_class_that_a_part_lacks_is_told(tmp_path):
    ids = np.ones((96, 96), "uint8")
    ids[:10, :10] = 2
    index = WindowIndex.build([write_mask(tmp_path / "m.tif", ids)], patch_size=16)
    report = split(index, tmp_path / "i.csv", folds=2, block_m=160)
    assert sorted(report.missing.values()) == [(2,)]
    assert report.to_dict()["missing"] == {k: [2] for k in report.missing}


def test_whole_masks_are_the_blocks_where_nothing_is_said(tmp_path):
    paths = [
        write_mask(
            tmp_path / f"{i}.tif", np.full((40, 30), 1 + i % 2, "uint8"), left=500_000 + 4000 * i
        )
        for i in range(6)
    ]
    index = WindowIndex.build(paths, patch_size=10)
    report = split(index, tmp_path / "i.csv", shares={"train": 0.5, "val": 0.5})
    found = WindowIndex.read(report.uri)
    per_mask = {p: set() for p in found.mask_paths}
    for path, name in zip(found.mask_paths, found.table["split"], strict=True):
        per_mask[path].add(name)
    assert sorted(map(len, per_mask.values())) == [1] * 6
    assert sorted(next(iter(v)) for v in per_mask.values()) == ["train"] * 3 + ["val"] * 3


def test_polygons_may_be_the_blocks(mask, tmp_path):
    index = WindowIndex.build([mask], patch_size=SIZE)
    left, bottom, right, top = 500_000, 4_000_000 - 2240, 500_000 + 2880, 4_000_000
    edges = np.linspace(left, right, 5)
    frame = gpd.GeoDataFrame(
        geometry=[box(a, bottom - 9, b, top + 9) for a, b in pairwise(edges)], crs="EPSG:32619"
    ).to_crs("EPSG:4326")
    report = split(index, tmp_path / "i.csv", blocks=frame, folds=4)
    assert report.blocks == 4
    fold = WindowIndex.read(report.uri).table["fold"].to_numpy()
    middle = shapely.get_coordinates(shapely.centroid(boxes_utm(index)))[:, 0]
    strip = np.digitize(middle, edges)
    clear = np.abs(middle[:, None] - edges).min(axis=1) > 1  # else rounding decides
    fold, strip = fold[clear], strip[clear]
    assert all(len(set(fold[strip == s])) == 1 for s in set(strip))
    with pytest.raises(ConfigError, match="lie in none of the polygons"):
        split(index, tmp_path / "j.csv", blocks=frame.iloc[:-1], folds=2)
    with pytest.raises(ConfigError, match="lie in several of the polygons"):
        split(
            index,
            tmp_path / "j.csv",
            blocks=gpd.GeoDataFrame(geometry=[*frame.geometry, frame.geometry[0]], crs=4326),
            folds=2,
        )


@pytest.mark.parametrize(("crs", "cell"), [("EPSG:4326", 0.0002), ("EPSG:3857", 20.0)])
def test_the_buffer_is_in_metres_of_ground_whatever_the_crs(tmp_path, crs, cell):
    x, y = Transformer.from_crs("EPSG:4326", crs, always_xy=True).transform(25.0, 61.0)
    ids = np.ones((120, 200), "uint8")
    path = write_mask(tmp_path / "m.tif", ids, left=x, top=y, cell=cell, crs=crs)
    index = WindowIndex.build([path], patch_size=8)
    report = split(index, tmp_path / "i.csv", folds=2, block_m=500, buffer_m=60, balance=False)
    found = WindowIndex.read(report.uri).table
    there = Transformer.from_crs(crs, "EPSG:4326", always_xy=True)
    corners = []
    for w in index.windows:
        cols, rows = (
            np.array([w.col, w.col_stop])[[0, 1, 1, 0]],
            np.array([w.row, w.row_stop])[[0, 0, 1, 1]],
        )
        corners.append(np.stack(there.transform(x + cols * cell, y - rows * cell), axis=1))
    corners, fold = np.array(corners), found["fold"].to_numpy()
    kept = np.array([t == "[]" for t in found["dropped_in_fold"]])
    mine, theirs = np.flatnonzero((fold == 0) & kept), np.flatnonzero(fold == 1)
    geod = Geod(ellps="WGS84")
    # Windows are boxes side by side in the same raster: the nearest points of two are corners, or nearly so.
    nearest = min(
        np.min(geod.inv(*np.broadcast_arrays(*a, *corners[theirs].reshape(-1, 2).T))[2])
        for a in corners[mine].reshape(-1, 2)
    )
    assert 60 <= nearest < 60 + 2 * 8 * cell * (1 if crs == "EPSG:3857" else 111_000)


def test_masks_far_apart_and_on_both_sides_of_the_date_line_find_their_neighbours(tmp_path):
    ids = np.ones((20, 20), "uint8")
    places = {"east": 179.99, "west": -179.9998, "far": 20.0}
    paths = [
        write_mask(tmp_path / f"{n}.tif", ids, left=lon, top=-17.0, cell=0.0005, crs="EPSG:4326")
        for n, lon in places.items()
    ]
    index = WindowIndex.build(paths, patch_size=10)
    regions = regions_of(index)
    assert [sorted(r.rows.tolist()) for r in regions] == [list(range(8)), list(range(8, 12))]
    there = regions[0].boxes
    geod = Geod(ellps="WGS84")
    expected = geod.inv(180.0, -17.0, -179.9998, -17.0)[2]
    assert shapely.distance(there[1], there[4]) == pytest.approx(expected, rel=1e-3)
    assert 1 <= regions[0].stretch < 1 + 1e-6


def test_masks_without_a_place_are_split_as_wholes_only(tmp_path):
    paths = [
        write_mask(tmp_path / f"{i}.tif", np.ones((20, 20), "uint8"), crs=None) for i in range(4)
    ]
    index = WindowIndex.build(paths, patch_size=10)
    report = split(index, tmp_path / "i.csv", folds=2)
    assert report.blocks == 4
    for wrong in ({"block_m": 100}, {"buffer_m": 5}):
        with pytest.raises(ConfigError, match="has no CRS"):
            split(index, tmp_path / "i.csv", folds=2, **wrong)


def test_too_few_blocks_and_contradictions_are_errors(mask, tmp_path):
    index = WindowIndex.build([mask], patch_size=SIZE)
    for wrong, text in (
        ({"folds": 3}, "lie in 1 block, too few for 3 folds"),
        ({"block_m": 2300, "folds": 9}, "too few for 9 folds"),
        ({}, "too few for the parts train, val, test"),
        ({"block_m": -1}, "expected metres above 0"),
        ({"folds": 1, "block_m": 300}, "folds is 1"),
        ({"folds": 2, "shares": {"train": 1.0}}, "both folds and shares"),
        ({"block_m": 300, "shares": {"train": 0.5, "val": 0.4}}, "sum to 1"),
        ({"block_m": 300, "shares": {"train": 0.5, "dropped": 0.5}}, "a part 'dropped'"),
        ({"block_m": 300, "buffer_m": -2}, "buffer_m is -2"),
    ):
        with pytest.raises(ConfigError, match=text):
            split(index, tmp_path / "i.csv", **wrong)
    assert not (tmp_path / "i.csv").exists()


def test_a_leak_that_somebody_wrote_is_found(mask, tmp_path):
    index = WindowIndex.build([mask], patch_size=SIZE)
    uri = split(index, tmp_path / "i.csv", block_m=700, buffer_m=100).uri
    good = WindowIndex.read(uri)
    assert find_leaks(good, buffer_m=100).leaks == ()
    names = good.table["split"].to_numpy().copy()
    row = int(np.flatnonzero(names == "dropped")[0])
    names[row] = "train"
    bad = good.with_columns({"split": names})
    found = find_leaks(bad, buffer_m=100)
    assert [leak.of for leak in found.leaks] == ["train"] or {leak.of for leak in found.leaks} <= {
        "train",
        "val",
        "test",
    }
    with pytest.raises(LeakageError, match=f"row {row} first"):
        found.check("i.csv")
    with pytest.raises(ConfigError, match="no column 'split'"):
        find_leaks(index)


def test_columns_of_the_user_stay_and_an_old_split_goes(mask, tmp_path):
    index = WindowIndex.build([mask], patch_size=SIZE)
    index = index.with_columns(
        {"sampler_weight": np.arange(len(index)) / 7, "split": ["x"] * len(index)}
    )
    found = WindowIndex.read(split(index, tmp_path / "i.parquet", folds=2, block_m=500).uri)
    assert np.array_equal(found.table["sampler_weight"], np.arange(len(index)) / 7)
    assert "split" not in found.table.columns


def test_a_map_is_drawn_where_asked_for(mask, tmp_path):
    index = WindowIndex.build([mask], patch_size=SIZE)
    report = split(index, tmp_path / "i.csv", block_m=700, buffer_m=100, map_png=tmp_path / "m.png")
    assert report.map_png == str(tmp_path / "m.png")
    with Image.open(report.map_png) as picture:
        colors = {color for _, color in picture.convert("RGB").getcolors(maxcolors=1 << 24)}
    assert len(colors) > 10


def test_patches_that_were_cut_from_one_mask_are_one_block(tmp_path):
    ids = np.ones((40, 30), "uint8")
    paths = [write_mask(tmp_path / f"{i}.tif", ids, left=500_000 + 300 * i) for i in range(8)]
    index = WindowIndex.build(paths, patch_size=(40, 30))
    cut = index.with_columns({"source_mask_path": ["a.tif"] * 4 + ["b.tif"] * 4})
    report = split(cut, tmp_path / "i.csv", folds=2)
    assert report.blocks == 2
    assert WindowIndex.read(report.uri).table["fold"].nunique() == 2
    assert len(set(WindowIndex.read(report.uri).table["fold"][:4])) == 1
    with pytest.warns(
        UserWarning, match="each of the 8 windows is a mask, and so a block, of its own"
    ):
        split(index, tmp_path / "j.csv", folds=2)


def test_a_part_that_the_buffer_empties_is_an_error(mask, tmp_path):
    index = WindowIndex.build([mask], patch_size=SIZE)
    with pytest.raises(ConfigError, match="a buffer of 3000 m leaves no window in train"):
        split(index, tmp_path / "i.csv", block_m=300, buffer_m=3000)
    with pytest.raises(ConfigError, match="leaves no window for the training of fold 0"):
        split(index, tmp_path / "i.csv", folds=2, block_m=300, buffer_m=5000)
    assert not (tmp_path / "i.csv").exists()


def test_a_part_far_from_its_share_is_told(mask, tmp_path):
    index = WindowIndex.build([mask], patch_size=SIZE)
    with pytest.warns(UserWarning, match=r"windows are dropped.*take larger blocks") as told:
        report = split(index, tmp_path / "i.csv", block_m=300, buffer_m=120)
    lost = report.windows["dropped"]
    assert str(told[0].message).startswith(f"{lost} of {len(index)} windows are dropped")
    assert lost > len(index) / 2
    with pytest.warns(UserWarning, match=r"the training of fold \d does without"):
        split(index, tmp_path / "j.csv", folds=2, block_m=400, buffer_m=150)
