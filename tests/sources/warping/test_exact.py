import numpy as np
import pytest
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Transformer

from geoseg.grid import Grid
from geoseg.sources.array import ArraySource
from geoseg.sources.warp import WarpedSource
from geoseg.sources.warping import exact as exactwarp
from geoseg.window import Window

TARGET = Grid(
    crs="EPSG:32619", transform=Affine(10, 0, 300_000, 0, -10, 4_100_000), height=150, width=190
)
# All of them cover the middle of the target and leave some of its border uncovered.
SOURCES = {
    "next zone": ("EPSG:32618", Affine(9, 0, 833_900, 0, -9, 4_104_300)),
    "degrees": ("EPSG:4326", Affine(1e-4, 0, -71.2475, 0, -8e-5, 37.0245)),
    "web mercator": ("EPSG:3857", Affine(11, 0, -7_931_250, 0, -11, 4_442_500)),
    "rotated": ("EPSG:32618", Affine(8, 3, 833_680, 3, -8, 4_103_857)),
    "south up": ("EPSG:32619", Affine(9.37, 0, 300_203, 0, 9.37, 4_098_611)),
}
HEIGHT, WIDTH = 160, 210


def source_of(name="next zone", dtype="uint8", bands=2, gaps=0.0):
    """Smooth hills with noise, so that a shift of a tenth of a pixel shows."""
    crs, transform = SOURCES[name]
    rng = np.random.default_rng(5)
    rows, cols = np.mgrid[:HEIGHT, :WIDTH]
    hills = 110 + 60 * np.sin(cols / 9) * np.cos(rows / 7)
    data = hills + rng.normal(0, 9, (bands, HEIGHT, WIDTH))
    data = (data * (200 if dtype == "uint16" else 1)).clip(0).astype(dtype)
    valid = rng.random((HEIGHT, WIDTH)) >= gaps
    grid = Grid(crs=crs, transform=transform, height=HEIGHT, width=WIDTH)
    return ArraySource(data=data, valid=valid, grid=grid)


def places(source):
    """Source (columns, rows) of all target pixel centres, each one through pyproj."""
    cols, rows = np.meshgrid(np.arange(TARGET.width) + 0.5, np.arange(TARGET.height) + 0.5)
    t, s = TARGET.transform, ~source.grid.transform
    x, y = t.a * cols + t.b * rows + t.c, t.d * cols + t.e * rows + t.f
    if source.grid.crs != TARGET.crs:
        x, y = Transformer.from_crs(TARGET.crs, source.grid.crs, always_xy=True).transform(x, y)
    return s.a * x + s.b * y + s.c, s.d * x + s.e * y + s.f


def weights(distance, kernel):
    x = np.abs(distance)
    if kernel == "bilinear":
        return np.maximum(1 - x, 0)
    near, far = 1.5 * x**3 - 2.5 * x**2 + 1, -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    return np.where(x <= 1, near, np.where(x < 2, far, 0))


def oracle(source, kernel):
    """(data as float64, measured) of the target: every place by pyproj, every kernel by its definition."""
    cols, rows = places(source)
    height, width = source.grid.shape
    inside = (cols >= 0) & (rows >= 0) & (cols < width) & (rows < height)
    c0, r0 = np.floor(cols).astype(int), np.floor(rows).astype(int)
    data = np.pad(np.where(source.valid, source.data, 0).astype(float), ((0, 0), (4, 4), (4, 4)))
    valid = np.pad(source.valid, 4)

    def at(array, dr, dc):
        return array[..., (r0 + dr + 4).clip(0, height + 7), (c0 + dc + 4).clip(0, width + 7)]

    measured = inside & at(valid, 0, 0)
    if kernel == "nearest":
        return at(data, 0, 0) * measured, measured

    def blend(kernel, span):
        total, share, whole = 0.0, 0.0, np.ones(cols.shape, bool)
        for dr in range(-span, span + 1):
            for dc in range(-span, span + 1):
                w = weights(cols - c0 - dc - 0.5, kernel) * weights(rows - r0 - dr - 0.5, kernel)
                seen = at(valid, dr, dc)
                total, share, whole = (
                    total + w * seen * at(data, dr, dc),
                    share + w * seen,
                    whole & (seen | (w == 0)),
                )
        return total / np.where(measured, share, 1), whole

    linear, _ = blend("bilinear", 1)
    if kernel == "cubic":
        smooth, whole = blend("cubic", 2)
        linear = np.where(whole, smooth, linear)
    return linear.clip(0, np.iinfo(source.dtype).max) * measured, measured


@pytest.mark.parametrize("name", SOURCES)
def test_nearest_is_pyproj_and_floor(name):
    source = source_of(name, gaps=0.1)
    chip = WarpedSource(source=source, onto=TARGET, resampling="nearest").read(TARGET.whole)
    data, measured = oracle(source, "nearest")
    cols, rows = places(source)
    tie = (np.abs(cols - np.rint(cols)) < 1e-6) | (np.abs(rows - np.rint(rows)) < 1e-6)
    assert tie.mean() < 1e-3
    assert 0.2 < measured.mean() < 0.95
    assert ((chip.valid == measured) | tie).all()
    assert ((chip.data == data) | tie).all()


PAIRS = {
    "utm to mercator": ("EPSG:32619", "EPSG:3857", 0.9, -7_931_000, 4_440_000),
    "mercator to utm": ("EPSG:3857", "EPSG:32619", 1.1, 300_000, 4_100_000),
    "degrees to utm": ("EPSG:4326", "EPSG:32619", 1e-5, 300_000, 4_100_000),
    "degrees to utm, coarse": ("EPSG:4326", "EPSG:32619", 1e-3, 300_000, 4_100_000),
}


@pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS)
def test_a_hundred_thousand_random_pixels_are_those_of_pyproj_and_floor(pair):
    source_crs, target_crs, pixel, left, top = pair
    target = Grid(
        crs=target_crs, transform=Affine(1, 0, left, 0, -1, top), height=20_000, width=20_000
    )
    project = Transformer.from_crs(target_crs, source_crs, always_xy=True).transform
    x, y = project(left + 9_000, top - 9_000)
    source_transform = Affine(pixel, 0, x - 700 * pixel, 0, -pixel, y + 600 * pixel)
    shape = (1300, 1500)
    ids = np.random.default_rng(0).integers(0, 60_000, shape, np.uint16)
    grid = Grid(crs=source_crs, transform=source_transform, height=shape[0], width=shape[1])
    warped = WarpedSource(
        source=ArraySource(data=ids, grid=grid), onto=target, resampling="nearest"
    )
    rng, seen, inverse = np.random.default_rng(1), 0, ~source_transform
    while seen < 100_000:
        row, col = rng.integers(8_300, 9_500, 2)
        window = Window(int(row), int(col), 173, 181)
        chip = warped.read(window)
        rows, cols = (rng.integers(0, side, 10_000) for side in window.shape)
        x, y = project(left + col + cols + 0.5, top - row - rows - 0.5)
        u, v = inverse.a * x + inverse.c, inverse.e * y + inverse.f
        inside = (u >= 0) & (v >= 0) & (u < shape[1]) & (v < shape[0])
        tie = (np.abs(u - np.rint(u)) < 1e-5) | (np.abs(v - np.rint(v)) < 1e-5)
        assert ((chip.valid[rows, cols] == inside) | tie).all()
        at = np.floor(v).astype(int) % shape[0], np.floor(u).astype(int) % shape[1]
        assert ((chip.data[0][rows, cols] == ids[at]) | ~inside | tie).all()
        assert inside.mean() > 0.3
        seen += len(rows)


@pytest.mark.parametrize("kernel", ["bilinear", "cubic"])
@pytest.mark.parametrize("gaps", [0.0, 0.05])
@pytest.mark.parametrize("name", SOURCES)
def test_blending_kernels_are_their_definition_at_pyproj_places(name, gaps, kernel):
    source = source_of(name, gaps=gaps)
    chip = WarpedSource(source=source, onto=TARGET, resampling=kernel).read(TARGET.whole)
    data, measured = oracle(source, kernel)
    assert (chip.valid == measured).mean() > 0.9999  # the rest are ties between two pixels
    both = chip.valid & measured
    off = np.abs(chip.data.astype(float) - data)[:, both]
    # Next to a gap cubic turns to bilinear at once; there a place may fall on either side.
    assert (off > 0.7).mean() <= (1e-4 if kernel == "cubic" and gaps else 0)
    assert off.mean() < 0.26
    assert (chip.data[:, ~chip.valid] == 0).all()


@settings(max_examples=60, deadline=None)
@given(
    row=st.integers(-20, 160),
    col=st.integers(-20, 200),
    height=st.integers(1, 90),
    width=st.integers(1, 90),
    kernel=st.sampled_from(sorted(exactwarp.KERNELS)),
    name=st.sampled_from(sorted(SOURCES)),
    gaps=st.sampled_from([0.0, 0.1]),
)
def test_a_window_is_the_crop_of_the_whole_to_the_last_bit(  # noqa: PLR0917
    row, col, height, width, kernel, name, gaps
):
    warped = WarpedSource(
        source=source_of(name, dtype="float32", gaps=gaps), onto=TARGET, resampling=kernel
    )
    window = Window(row, col, height, width)
    whole = warped.read(Window(-20, -20, 290, 310))
    rows, cols = window.relative_to(Window(-20, -20, 1, 1)).slices
    chip = warped.read(window)
    np.testing.assert_array_equal(chip.valid, whole.valid[rows, cols])
    np.testing.assert_array_equal(chip.data, whole.data[:, rows, cols])


@pytest.mark.parametrize("kernel", sorted(exactwarp.KERNELS))
def test_cutting_a_window_in_pieces_changes_nothing(monkeypatch, kernel):
    warped = WarpedSource(source=source_of(gaps=0.1), onto=TARGET, resampling=kernel)
    whole = warped.read(TARGET.whole)
    monkeypatch.setattr(exactwarp, "_WINDOW", 5_000)
    monkeypatch.setattr(exactwarp, "_RECTANGLE", 2_000)
    cut = warped.read(TARGET.whole)
    np.testing.assert_array_equal(cut.data, whole.data)
    np.testing.assert_array_equal(cut.valid, whole.valid)


def test_a_coarse_target_reads_the_source_in_bounded_rectangles(monkeypatch):
    monkeypatch.setattr(exactwarp, "_RECTANGLE", 4_000)
    crs, transform = SOURCES["next zone"]
    grid = Grid(crs=crs, transform=transform, height=HEIGHT, width=WIDTH)
    areas, read = [], ArraySource.read

    def noted(self, window):
        areas.append(window.height * window.width)
        return read(self, window)

    monkeypatch.setattr(ArraySource, "read", noted)
    source = ArraySource(data=np.ones((HEIGHT, WIDTH), np.uint8), grid=grid)
    target = TARGET.covering(TARGET.bounds, 160)
    chip = WarpedSource(source=source, onto=target, resampling="average").read(target.whole)
    assert chip.data[0][chip.valid].tolist() == [1] * chip.valid.sum()
    assert len(areas) > 4
    assert max(areas) <= 4_000


def test_average_at_a_whole_ratio_is_the_block_mean_of_valid_pixels():
    rng = np.random.default_rng(2)
    data = rng.random((3, 60, 84)).astype(np.float32)
    valid = rng.random((60, 84)) > 0.4
    grid = Grid(crs="EPSG:32619", transform=Affine(2, 0, 500_000, 0, -2, 4e6), height=60, width=84)
    coarse = Grid(crs=grid.crs, transform=Affine(8, 0, 500_000, 0, -6, 4e6), height=20, width=21)
    chip = WarpedSource(
        source=ArraySource(data=data, valid=valid, grid=grid), onto=coarse, resampling="average"
    ).read(coarse.whole)
    blocks = np.ma.masked_array(data, np.broadcast_to(~valid, data.shape))
    mean = blocks.reshape(3, 20, 3, 21, 4).mean(axis=(2, 4))
    np.testing.assert_allclose(chip.data, mean.filled(0), rtol=1e-6)
    np.testing.assert_array_equal(chip.valid, ~np.ma.getmaskarray(mean)[0])


def test_mode_at_a_whole_ratio_is_the_most_frequent_id_of_the_block():
    rng = np.random.default_rng(2)
    ids = rng.integers(0, 4, (1, 55, 77), dtype=np.uint8)
    grid = Grid(crs="EPSG:32619", transform=Affine(2, 0, 500_000, 0, -2, 4e6), height=55, width=77)
    coarse = Grid(crs=grid.crs, transform=Affine(14, 0, 500_000, 0, -10, 4e6), height=11, width=11)
    chip = WarpedSource(
        source=ArraySource(data=ids, grid=grid), onto=coarse, resampling="mode"
    ).read(coarse.whole)
    blocks = ids.reshape(11, 5, 11, 7).transpose(0, 2, 1, 3).reshape(11, 11, 35)
    expected = np.apply_along_axis(
        lambda block: np.bincount(block, minlength=4).argmax(), 2, blocks
    )
    np.testing.assert_array_equal(chip.data[0], expected)


@pytest.mark.parametrize("kernel", ["average", "mode"])
def test_area_kernels_are_nearest_where_the_source_is_coarser(kernel):
    crs, _ = SOURCES["next zone"]
    grid = Grid(crs=crs, transform=Affine(90, 0, 833_900, 0, -90, 4_104_300), height=16, width=21)
    source = ArraySource(data=np.arange(16 * 21, dtype=np.uint16).reshape(16, 21), grid=grid)
    got, near = (
        WarpedSource(source=source, onto=TARGET, resampling=name).read(TARGET.whole)
        for name in (kernel, "nearest")
    )
    same = (got.data[0] == near.data[0]).mean()
    assert same == 1 if kernel == "mode" else same > 0.85  # a box over an edge has two pixels in it


def test_nan_is_not_valid_and_goes_nowhere():
    source = source_of(dtype="float32")
    data = source.data.copy()
    data[0, 30:60, 40:70] = np.nan
    holed = ArraySource(data=data, grid=source.grid)
    chip = WarpedSource(source=holed, onto=TARGET).read(TARGET.whole)
    full = WarpedSource(source=source, onto=TARGET).read(TARGET.whole)
    assert np.isfinite(chip.data).all()
    assert chip.data.dtype == np.float32
    lost = full.valid & ~chip.valid
    assert lost.sum() == pytest.approx(30 * 30 * 0.81, rel=0.1)
    assert (chip.data == full.data)[:, chip.valid].mean() > 0.95


def test_uint16_keeps_values_above_255():
    source = source_of(dtype="uint16")
    for kernel in exactwarp.KERNELS:
        chip = WarpedSource(source=source, onto=TARGET, resampling=kernel).read(TARGET.whole)
        assert chip.data.dtype == np.uint16
        assert 15_000 < np.median(chip.data[:, chip.valid]) < 30_000


@pytest.mark.parametrize("kernel", ["nearest", "bilinear", "average"])
def test_pixels_outside_the_domain_of_the_crs_are_not_valid(kernel):
    globe = Grid(
        crs="+proj=ortho +lat_0=0 +lon_0=0 +datum=WGS84",
        transform=Affine(50_000, 0, -7.5e6, 0, -50_000, 7.5e6),
        height=300,
        width=300,
    )
    degrees = Grid(
        crs="EPSG:4326", transform=Affine(0.5, 0, -180, 0, -0.5, 90), height=360, width=720
    )
    source = ArraySource(data=np.full((360, 720), 7.25), grid=degrees)
    chip = WarpedSource(source=source, onto=globe, resampling=kernel).read(Window(10, 0, 280, 301))
    cols, rows = np.meshgrid(np.arange(301) + 0.5, np.arange(10, 290) + 0.5)
    project = Transformer.from_crs(globe.crs, "EPSG:4326", always_xy=True).transform
    lon, _ = project(cols * 50_000 - 7.5e6, 7.5e6 - rows * 50_000)
    np.testing.assert_array_equal(chip.valid, np.isfinite(lon) & (cols < 300))
    assert chip.data.dtype == np.float64
    np.testing.assert_array_equal(chip.data[0], np.where(chip.valid, 7.25, 0))


def one_pixel(dtype, gaps, seed=0, bands=2, shape=(61, 83)):
    """A source of few values with gaps, and a target pixel that holds some 50 x 70 of its pixels."""
    rng = np.random.default_rng(seed)
    values = rng.integers(0, 9, (bands, *shape))
    low = -4 if np.issubdtype(dtype, np.signedinteger) or np.issubdtype(dtype, np.floating) else 0
    data = (values + low).astype(dtype)
    valid = rng.random(shape) >= gaps
    grid = Grid(
        crs="EPSG:32619",
        transform=Affine(1, 0, 500_000, 0, -1, 4e6),
        height=shape[0],
        width=shape[1],
    )
    coarse = Grid(
        crs=grid.crs, transform=Affine(70, 0, 500_005.3, 0, -50, 4e6 - 4.2), height=2, width=2
    )
    return ArraySource(data=data, valid=valid, grid=grid), coarse


@pytest.mark.parametrize("limit", [64, 500, 4_000])
@pytest.mark.parametrize("gaps", [0.0, 0.6, 1.0])
@pytest.mark.parametrize("dtype", ["uint8", "int16", "int32", "uint64", "float32"])
@pytest.mark.parametrize("kernel", ["average", "mode"])
def test_a_box_read_in_tiles_gives_what_it_gives_at_once(monkeypatch, kernel, dtype, gaps, limit):
    source, coarse = one_pixel(dtype, gaps)
    warped = WarpedSource(source=source, onto=coarse, resampling=kernel)
    whole = warped.read(coarse.whole)
    values = source.data[:, 4:54, 5:75]  # of the first pixel: centres from 4.2 and 5.3 on
    valid = source.valid[4:54, 5:75]
    assert whole.valid[0, 0] == valid.any()
    for band, found in zip(values, whole.data[:, 0, 0], strict=True):
        seen = band[valid].tolist()
        mean = float(np.mean(seen)) if seen else 0
        often = min(set(seen), key=lambda v: (-seen.count(v), v)) if seen else 0
        assert found == (
            often if kernel == "mode" else np.dtype(dtype).type(np.rint(mean))
        ) or found == np.float32(mean)
    monkeypatch.setattr(exactwarp, "_RECTANGLE", limit)
    tiled = warped.read(coarse.whole)
    np.testing.assert_array_equal(tiled.data, whole.data)
    np.testing.assert_array_equal(tiled.valid, whole.valid)
    assert tiled.data.dtype == source.dtype
    for at in coarse.whole.row, coarse.whole.row + 1:
        line = warped.read(Window(at, 0, 1, 2))
        np.testing.assert_array_equal(line.data, tiled.data[:, at : at + 1])


@pytest.mark.parametrize("kernel", ["average", "mode"])
def test_a_target_pixel_of_any_size_reads_the_source_in_bounded_rectangles(monkeypatch, kernel):
    source, coarse = one_pixel("uint8", 0.1)
    areas, read = [], ArraySource.read

    def noted(self, window):
        areas.append(window.height * window.width)
        return read(self, window)

    monkeypatch.setattr(ArraySource, "read", noted)
    for limit in (700, 40):  # lines, and pieces of lines
        monkeypatch.setattr(exactwarp, "_RECTANGLE", limit)
        areas.clear()
        WarpedSource(source=source, onto=coarse, resampling=kernel).read(Window(0, 0, 1, 1))
        assert max(areas) <= limit
        assert sum(areas) == 50 * 70  # every pixel of the box once


def test_a_box_round_the_earth_is_read_in_tiles_too(monkeypatch):
    ids = np.random.default_rng(3).integers(0, 5, (1, 36, 72)).astype("uint8")
    grid = Grid(crs="EPSG:4326", transform=Affine(5, 0, 0, 0, -5, 90), height=36, width=72)
    # 40 degrees on each side of Greenwich, where the source of 0..360 degrees begins and ends.
    onto = Grid(crs="EPSG:4326", transform=Affine(80, 0, -40, 0, -60, 30), height=1, width=1)
    monkeypatch.setattr(exactwarp, "_RECTANGLE", 30)
    for kernel in ("average", "mode"):
        source = ArraySource(data=ids, grid=grid)
        chip = WarpedSource(source=source, onto=onto, resampling=kernel).read(onto.whole)
        box = np.concatenate([ids[0, 12:24, -8:], ids[0, 12:24, :8]], axis=1)
        expected = np.rint(box.mean()) if kernel == "average" else np.bincount(box.ravel()).argmax()
        assert chip.data.ravel().tolist() == [expected]


def test_of_nan_that_is_measured_none_equals_another_in_tiles_too(monkeypatch):
    source, coarse = one_pixel("float32", 0.0, bands=1)
    data = np.full_like(source.data, np.nan)
    data[0, 20, 30:32] = 7, 6
    found = []
    for limit in (1 << 21, 500):
        monkeypatch.setattr(exactwarp, "_RECTANGLE", limit)
        holed = ArraySource(data=data, valid=np.ones(data.shape[1:], bool), grid=source.grid)
        warped = WarpedSource(source=holed, onto=coarse, resampling="mode")
        found.append(warped.read(Window(0, 0, 1, 1)).data.ravel().tolist())
    assert found == [[6.0], [6.0]]
