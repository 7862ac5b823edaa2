"""Warping where the map ends: the antimeridian, the poles, rasters of 0..360 degrees."""

from typing import Literal

import numpy as np
import pytest
from affine import Affine
from pyproj import Transformer

from geoseg.grid import Grid
from geoseg.sources.array import ArraySource
from geoseg.sources.base import Chip, RasterSource
from geoseg.sources.warp import WarpedSource
from geoseg.sources.warping import exact as exactwarp
from geoseg.sources.warping.seam import is_whole_turn, read_round, turn_of
from geoseg.window import Window

MERCATOR = 20_037_508.342789244


def grid(crs, transform, height, width):
    return Grid(crs=crs, transform=Affine(*transform), height=height, width=width)


# A quarter of a degree a pixel.
WORLD = grid("EPSG:4326", (0.25, 0, -180, 0, -0.25, 90), 720, 1440)
EASTERN = grid("EPSG:4326", (0.25, 0, 0, 0, -0.25, 90), 720, 1440)
FIJI_DEGREES = grid("EPSG:4326", (0.05, 0, 170, 0, -0.05, 0), 600, 400)
MERCATOR_WORLD = grid(
    "EPSG:3857",
    (2 * MERCATOR / 1000, 0, -MERCATOR, 0, -2 * MERCATOR / 1000, MERCATOR),
    1000,
    1000,
)
FIJI_MERCATOR = grid("EPSG:3857", (5000, 0, 19_300_000, 0, -5000, 0), 700, 300)
PACIFIC_WORLD = grid(
    "EPSG:3832", (MERCATOR / 500, 0, -MERCATOR, 0, -MERCATOR / 500, 1e7), 500, 1000
)
SOURCES = {
    "world": WORLD,
    "0..360": EASTERN,
    "170..190": FIJI_DEGREES,
    "mercator world": MERCATOR_WORLD,
    "mercator across": FIJI_MERCATOR,
    "pacific mercator": PACIFIC_WORLD,
}
# All three cross the antimeridian.
TARGETS = {
    "zone 60": grid("EPSG:32760", (3000, 0, 600_000, 0, -3000, 8_300_000), 150, 200),
    "zone 1": grid("EPSG:32701", (3000, 0, -100_000, 0, -3000, 8_300_000), 150, 200),
    "pacific": grid("EPSG:3832", (4000, 0, 3_000_000, 0, -4000, -1_000_000), 150, 200),
    "fiji albers": grid("EPSG:3460", (3000, 0, 1_700_000, 0, -3000, 4_200_000), 150, 200),
}
POLES = {
    "north": grid("EPSG:3413", (25_000, 0, -2_000_000, 0, -25_000, 2_100_000), 160, 170),
    "south": grid("EPSG:3031", (25_000, 0, -2_100_000, 0, -25_000, 2_000_000), 160, 170),
}


def waves(longitude, latitude):
    """A smooth picture of the Earth, the same on both sides of the antimeridian."""
    lon, lat = np.radians(longitude), np.radians(latitude)
    hills = np.sin(6 * lon) * np.cos(lat) * np.cos(9 * lat) + np.cos(3 * lon + 1) * np.cos(lat)
    return 120 + 50 * hills


def degrees(of):
    """Longitude and latitude of all pixel centres."""
    cols, rows = np.meshgrid(np.arange(of.width) + 0.5, np.arange(of.height) + 0.5)
    t = of.transform
    x, y = t.a * cols + t.b * rows + t.c, t.d * cols + t.e * rows + t.f
    return Transformer.from_crs(of.crs, "EPSG:4326", always_xy=True).transform(x, y)


def source_of(where, dtype="float32"):
    return ArraySource(data=waves(*degrees(where)).astype(dtype)[None], grid=where)


def places(target, source):
    """Source (columns, rows) by pyproj; columns the one of several turns that lies in the raster."""
    t, s = target.transform, ~source.transform
    cols, rows = np.meshgrid(np.arange(target.width) + 0.5, np.arange(target.height) + 0.5)
    x, y = t.a * cols + t.b * rows + t.c, t.d * cols + t.e * rows + t.f
    x, y = Transformer.from_crs(target.crs, source.crs, always_xy=True).transform(x, y)
    cols, rows = s.a * x + s.b * y + s.c, s.d * x + s.e * y + s.f
    turn = (360 if source.crs.is_geographic else 2 * MERCATOR) / abs(source.transform.a)
    return np.where(cols < 0, cols + turn, cols), rows


@pytest.mark.slow
@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
@pytest.mark.parametrize("where", SOURCES.values(), ids=SOURCES)
def test_nearest_across_the_antimeridian_is_pyproj_and_floor(where, target):
    ids = np.random.default_rng(0).integers(0, 250, where.shape, np.uint8)
    source = ArraySource(data=ids, grid=where)
    chip = WarpedSource(source=source, onto=target, resampling="nearest").read(target.whole)
    cols, rows = places(target, where)
    tie = (np.abs(cols - np.rint(cols)) < 1e-5) | (np.abs(rows - np.rint(rows)) < 1e-5)
    inside = (rows >= 0) & (cols < where.width) & (rows < where.height)
    assert inside.mean() > 0.3
    assert ((chip.valid == inside) | tie).all()
    at = (
        np.floor(rows).astype(int).clip(0, where.height - 1),
        np.floor(cols).astype(int).clip(0, where.width - 1),
    )
    assert ((chip.data[0] == ids[at]) | tie | ~inside).all()
    lon, _ = degrees(target)
    assert chip.valid[np.abs(lon) > 179.9].any()


@pytest.mark.slow
@pytest.mark.parametrize("kernel", ["bilinear", "cubic", "average", "auto"])
@pytest.mark.parametrize(
    "target", [TARGETS["zone 60"], TARGETS["pacific"]], ids=["utm", "mercator"]
)
@pytest.mark.parametrize("where", SOURCES.values(), ids=SOURCES)
def test_there_is_no_seam_at_the_antimeridian(where, target, kernel):
    chip = WarpedSource(source=source_of(where), onto=target, resampling=kernel).read(target.whole)
    lon, lat = degrees(target)
    error = np.abs(chip.data[0] - waves(lon, lat))
    seam = chip.valid & (np.abs(lon) > 179.5)
    assert seam.sum() > 100
    assert error[chip.valid].max() < 3
    assert error[seam].mean() < 1.5 * error[chip.valid].mean() + 0.02


@pytest.mark.slow
@pytest.mark.parametrize("kernel", ["nearest", "bilinear", "cubic", "average"])
@pytest.mark.parametrize("target", POLES.values(), ids=POLES)
@pytest.mark.parametrize("where", [WORLD, EASTERN], ids=["world", "0..360"])
def test_a_pole_is_covered_all_round(where, target, kernel):
    chip = WarpedSource(source=source_of(where), onto=target, resampling=kernel).read(target.whole)
    lon, lat = degrees(target)
    assert chip.valid.all()
    assert np.abs(chip.data[0] - waves(lon, lat)).max() < 5


@pytest.mark.slow
@pytest.mark.parametrize("target", [WORLD, EASTERN], ids=["world", "0..360"])
@pytest.mark.parametrize("where", POLES.values(), ids=POLES)
def test_a_polar_raster_onto_degrees(where, target):
    source = source_of(where)
    chip = WarpedSource(source=source, onto=target, resampling="bilinear").read(target.whole)
    cols, rows = places_of_polar(target, where)
    inside = (cols >= 0) & (rows >= 0) & (cols < where.width) & (rows < where.height)
    assert (chip.valid == inside).mean() > 0.9999
    polar = np.abs(degrees(target)[1]) > 85
    assert chip.valid[
        polar & (degrees(target)[1] * (1 if where.crs.to_epsg() == 3413 else -1) > 0)
    ].all()
    error = np.abs(chip.data[0] - waves(*degrees(target)))
    assert error[chip.valid].max() < 3


def places_of_polar(target, source):
    t, s = target.transform, ~source.transform
    cols, rows = np.meshgrid(np.arange(target.width) + 0.5, np.arange(target.height) + 0.5)
    project = Transformer.from_crs(target.crs, source.crs, always_xy=True).transform
    with np.errstate(invalid="ignore"):
        x, y = project(t.a * cols + t.c, t.e * rows + t.f)
    return s.a * x + s.c, s.e * y + s.f


def test_a_target_that_is_a_turn_away_in_the_same_crs_is_found():
    source = source_of(WORLD)
    aligned = WarpedSource(source=source, onto=EASTERN)
    expected = np.roll(source.data, 720, axis=2)
    chip = aligned.read(EASTERN.whole)
    assert aligned.plan.resampling == "none"
    assert chip.valid.all()
    np.testing.assert_array_equal(chip.data, expected)
    part = grid("EPSG:4326", (0.25, 0, -30, 0, -0.25, 10), 40, 80)
    piece = EASTERN.crop(Window(300, 1300, 100, 130))
    partial = ArraySource(data=expected[:, 300:400, 1300:1430], grid=piece)  # 325..357.5 degrees
    chip = WarpedSource(source=partial, onto=part).read(part.whole)
    lon, lat = degrees(part)
    np.testing.assert_array_equal(chip.valid, (lon < -2.5) & (lat < 15) & (lat > -10))
    np.testing.assert_allclose(chip.data[0][chip.valid], waves(lon, lat)[chip.valid], rtol=1e-5)


def test_a_turn_away_is_no_reason_to_warn():
    part = grid("EPSG:4326", (0.25, 0, -30.1, 0, -0.25, 10), 40, 80)
    WarpedSource(source=source_of(EASTERN).model_copy(), onto=part).check()


def test_windows_across_the_antimeridian_are_crops_of_the_whole():
    rng = np.random.default_rng(8)
    target = TARGETS["zone 60"]
    for where in (WORLD, EASTERN, MERCATOR_WORLD):
        source = ArraySource(data=rng.random((2, *where.shape)).astype("float32") * 255, grid=where)
        for kernel in ("nearest", "bilinear", "cubic", "average", "mode"):
            warped = WarpedSource(source=source, onto=target, resampling=kernel)
            whole = warped.read(target.whole)
            for window in (Window(20, 40, 60, 70), Window(99, 101, 51, 3), Window(0, 90, 150, 20)):
                chip = warped.read(window)
                np.testing.assert_array_equal(chip.valid, whole.valid[window.slices])
                crop = whole.data[(slice(None), *window.slices)]
                np.testing.assert_allclose(chip.data, crop, atol=1e-3)


@pytest.mark.parametrize("kernel", ["nearest", "cubic", "average"])
def test_reads_across_the_antimeridian_are_as_small_as_elsewhere(monkeypatch, kernel):
    fine = grid("EPSG:4326", (0.01, 0, -180, 0, -0.01, 0), 3000, 36_000)
    source = ArraySource(data=np.ones((3000, 36_000), np.uint8), grid=fine)
    areas, read = [], ArraySource.read

    def noted(self, window):
        areas.append(window.height * window.width)
        return read(self, window)

    monkeypatch.setattr(ArraySource, "read", noted)
    target = TARGETS["zone 60"]
    window = Window(0, 80, 100, 40)  # 300 by 120 km, a hundredth of a degree is a km
    chip = WarpedSource(source=source, onto=target, resampling=kernel).read(window)
    assert chip.valid.all()
    assert len(areas) <= 2
    assert sum(areas) < 320 * 160


def test_columns_count_longitude_in_degrees_and_cylindrical_projections_only():
    assert turn_of(WORLD) == 1440
    assert turn_of(MERCATOR_WORLD) == pytest.approx(1000)
    assert turn_of(PACIFIC_WORLD) == pytest.approx(1000)
    assert is_whole_turn(MERCATOR_WORLD)
    assert not is_whole_turn(FIJI_MERCATOR)
    assert turn_of(grid("EPSG:6933", (1000, 0, 0, 0, -1000, 0), 5, 5)) == pytest.approx(
        34_735, 1e-4
    )
    assert turn_of(grid("EPSG:4807", (0.5, 0, 0, 0, -0.5, 50), 5, 5)) == pytest.approx(800)  # grads
    for crs in (
        "EPSG:32760",
        "EPSG:3413",
        "EPSG:3035",
        "ESRI:54008",
        "ESRI:54030",
        "+proj=tmerc +approx",
    ):
        assert turn_of(grid(crs, (1000, 0, 0, 0, -1000, 0), 5, 5)) is None
    assert turn_of(grid("EPSG:4326", (1, 0.1, 0, 0.1, -1, 0), 5, 5)) is None
    assert turn_of(Grid(height=5, width=5)) is None


def test_a_whole_turn_is_read_on_past_its_last_column():
    source = source_of(WORLD)
    for col, width in ((-3, 5), (1438, 4), (-1500, 3000), (5, 8)):
        chip = read_round(source, Window(700, col, 30, width))
        expected = np.take(source.data[0, 700:], np.arange(col, col + width), axis=1, mode="wrap")
        np.testing.assert_array_equal(chip.data[0, :20], expected)
        assert chip.valid[:20].all()
        assert not chip.valid[20:].any()
    fiji = source_of(FIJI_DEGREES)
    assert not read_round(fiji, Window(0, -3, 5, 3)).valid.any()


class Globe(RasterSource):
    """Pixels of 18 seconds of arc, made when they are read; notes how many."""

    type: Literal["seam-test-globe"] = "seam-test-globe"

    @property
    def grid(self):
        return grid("EPSG:4326", (0.005, 0, -180, 0, -0.005, 90), 36_000, 72_000)

    @property
    def band_names(self):
        return ("1",)

    @property
    def dtype(self):
        return np.dtype("uint8")

    def read(self, window):
        AREAS.append(window.height * window.width)
        rows = np.arange(window.row, window.row_stop)
        data = np.broadcast_to(rows[:, None] // 3, window.shape).astype(np.uint8)
        inside = (rows >= 0) & (rows < 36_000)
        return Chip(data[None], np.broadcast_to(inside[:, None], window.shape).copy())


AREAS: list[int] = []


@pytest.mark.parametrize("kernel", ["nearest", "bilinear", "average"])
def test_reads_around_a_pole_are_bounded(kernel):
    AREAS.clear()
    target = grid("EPSG:3413", (1000, 0, -100_500, 0, -1000, 100_500), 201, 201)
    chip = WarpedSource(source=Globe(), onto=target, resampling=kernel).read(target.whole)
    assert chip.valid.all()
    expected = (90 - degrees(target)[1]) / 0.005 / 3
    assert np.abs(chip.data[0] - expected).max() < 2
    # All of the Earth above the window's corners would be 20 million.
    assert max(AREAS) <= exactwarp._RECTANGLE
    assert sum(AREAS) < 40e6
