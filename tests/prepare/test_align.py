"""align: pixels against GDAL and pyproj, grids as read back, and what is kept of a file."""

import json
import warnings
from pathlib import Path
from typing import Any, Literal
from xml.etree import ElementTree as ET

import numpy as np
import pytest
import rasterio
from affine import Affine
from pyproj import Transformer
from rasterio.enums import ColorInterp, MaskFlags, Resampling
from rasterio.warp import reproject

from geoseg.classes import ClassMap
from geoseg.errors import ConfigError, GridError, SourceError
from geoseg.grid import Grid
from geoseg.labels.geotiff import GeoTIFFLabelStore
from geoseg.prepare.align import align
from geoseg.prepare.aligning import writing
from geoseg.sources.array import ArraySource
from geoseg.sources.base import Chip, RasterSource
from geoseg.sources.geotiff import GeoTIFFSource
from geoseg.window import Window
from tests.sources.tilemaking import HALF, degrees, png, write_tiles

UTM = Affine(10, 0, 500_000, 0, -10, 4_000_000)
TURNED = Affine(9, 2, 500_100, 1.5, -8, 3_999_800)


def noise(bands=3, height=97, width=113, *, dtype="uint8", high=255, seed=0):
    return np.random.default_rng(seed).integers(1, high, (bands, height, width)).astype(dtype)


def smooth(height=120, width=130, seed=0):
    """A picture without hard edges, where kernels agree."""
    rows, cols = np.indices((height, width))
    wave = np.sin(rows / 9 + seed) + np.cos(cols / 11) + np.sin((rows + cols) / 17)
    return (120 + 30 * wave).astype(np.uint8)


def places(grid, source_crs, source_transform):
    """(column, row) of the pixel centres of a grid in a source, by pyproj alone."""
    rows, cols = np.indices(grid.shape) + 0.5
    x, y = grid.transform * (cols, rows)
    x, y = Transformer.from_crs(grid.crs.to_string(), source_crs, always_xy=True).transform(x, y)
    return ~source_transform * (x, y)


@pytest.fixture
def reference(write_raster):
    """A picture in another UTM zone, turned, on an odd size."""
    lonlat = Transformer.from_crs("EPSG:32619", "EPSG:32618", always_xy=True)
    x, y = lonlat.transform(500_500, 3_999_500)  # partly south-east of the images
    turned = Affine(9, 2, x, 1.5, -8, y)
    return write_raster("reference.tif", smooth(61, 75), crs="EPSG:32618", transform=turned)


@pytest.fixture
def image(write_raster):
    return write_raster("image.tif", noise(), descriptions=("blue", "b2", "swir"), nodata=0)


def test_the_output_has_exactly_the_grid_of_the_reference(image, reference, tmp_path):
    report = align(image, reference, tmp_path / "new" / "out.tif", measure=False)
    with rasterio.open(reference) as wanted, rasterio.open(report.out) as file:
        assert (file.crs, file.transform, file.shape) == (
            wanted.crs,
            wanted.transform,
            wanted.shape,
        )
        assert file.profile["tiled"]
        assert file.profile["compress"] in ("zstd", "deflate")
    assert report.grid_equal
    assert report.grid == Grid.of(reference)


def test_nearest_is_pyproj_and_floor(image, reference, tmp_path):
    report = align(image, reference, tmp_path / "out.tif", resampling="nearest", measure=False)
    cols, rows = places(Grid.of(reference), "EPSG:32619", UTM)
    with rasterio.open(image) as file:
        data = file.read()
    inside = (cols >= 0) & (rows >= 0) & (cols < 113) & (rows < 97)
    row, col = (np.floor(np.where(inside, v, 0)).astype(int) for v in (rows, cols))
    with rasterio.open(report.out) as file:
        found = file.read()
    np.testing.assert_array_equal(found, np.where(inside, data[:, row, col], 0))
    assert 0.2 < inside.mean() < 0.95  # part of the reference has no image
    assert report.coverage == pytest.approx(100 * inside.mean())


@pytest.mark.parametrize("resampling", ["bilinear", "cubic"])
@pytest.mark.parametrize(("method", "most"), [("gdal", 1), ("exact", 2)])
def test_kernels_that_blend_are_those_of_gdal(resampling, method, most, write_raster, reference):
    image = write_raster("image.tif", smooth(), nodata=0)
    report = align(
        image,
        reference,
        Path(image).with_name("out.tif"),
        resampling=resampling,
        method=method,
        measure=False,
    )
    with rasterio.open(image) as file, rasterio.open(reference) as onto:
        wanted = np.zeros(onto.shape, np.uint8)
        reproject(
            rasterio.band(file, 1),
            wanted,
            dst_transform=onto.transform,
            dst_crs=onto.crs,
            src_nodata=0,
            dst_nodata=0,
            resampling=Resampling[resampling],
        )
    with rasterio.open(report.out) as file:
        found = file.read(1)
    both = (found > 0) & (wanted > 0)
    assert both.mean() > 0.2
    assert ((found > 0) != (wanted > 0)).mean() < 0.01  # GDAL decides otherwise at the rim
    apart = np.abs(found.astype(int) - wanted)[both]
    assert np.quantile(apart, 0.99) <= most


def test_a_mask_four_times_as_fine_takes_the_most_frequent(write_raster, tmp_path):
    ids = noise(1, 80, 96, high=4, seed=2)
    mask = write_raster("mask.tif", ids, nodata=0)
    onto = Grid(crs="EPSG:32619", transform=UTM * Affine.scale(4), height=20, width=24)
    report = align(mask, onto, tmp_path / "out.tif", categorical=True)
    blocks = ids[0].reshape(20, 4, 24, 4).swapaxes(1, 2).reshape(20, 24, 16)
    counts = np.stack([(blocks == k).sum(axis=2) for k in (1, 2, 3)])
    with rasterio.open(report.out) as file:
        np.testing.assert_array_equal(file.read(1), 1 + counts.argmax(axis=0))
    assert (report.resampling, report.ratio) == ("mode", pytest.approx(4))


def test_pixels_on_the_same_lattice_are_copied(image, tmp_path):
    onto = Grid.of(image).crop(Window(-3, 10, 50, 120))
    report = align(image, onto, tmp_path / "out.tif")
    with rasterio.open(image) as file, rasterio.open(report.out) as out:
        np.testing.assert_array_equal(out.read()[:, 3:, :103], file.read()[:, :47, 10:])
        assert not out.read()[:, :3].any()
    assert report.resampling == "none"
    assert report.coverage == pytest.approx(100 * 47 * 103 / (50 * 120))
    assert report.shift is None


def test_strips_do_not_show(image, reference, tmp_path, monkeypatch):
    onto = Grid.of(reference).model_copy(update={"height": 700, "width": 600})
    whole = align(image, onto, tmp_path / "whole.tif")
    monkeypatch.setattr(writing, "_PART_BYTES", 1)
    parts = align(image, onto, tmp_path / "parts.tif")
    with rasterio.open(whole.out) as a, rasterio.open(parts.out) as b:
        np.testing.assert_array_equal(a.read(), b.read())
    assert parts.coverage == whole.coverage > 0


def test_the_same_input_gives_the_same_bytes(image, reference, tmp_path):
    one = align(image, reference, tmp_path / "one.tif", overviews=True, measure=False)
    two = align(image, reference, tmp_path / "two.tif", overviews=True, measure=False)
    assert Path(one.out).read_bytes() == Path(two.out).read_bytes()


@pytest.mark.parametrize(
    ("dtype", "nodata"),
    [
        ("uint8", 0),
        ("uint16", 65535),
        ("int16", -9999),
        ("int64", -1),
        ("float32", -9999.0),
        ("float32", np.finfo(np.float32).min.item()),
        ("float64", np.nan),
    ],
)
def test_dtype_and_nodata_are_kept(dtype, nodata, write_raster, reference, tmp_path):
    data = noise(2, dtype=dtype)
    data[:, 20:60, 30:50] = nodata
    image = write_raster("holes.tif", data, nodata=nodata)
    report = align(image, reference, tmp_path / "out.tif", resampling="nearest", measure=False)
    cols, rows = places(Grid.of(reference), "EPSG:32619", UTM)
    valid = (cols >= 0) & (rows >= 0) & (cols < 113) & (rows < 97)
    valid &= ~((rows >= 20) & (rows < 60) & (cols >= 30) & (cols < 50))
    with rasterio.open(report.out) as file:
        assert file.dtypes == (dtype, dtype)
        np.testing.assert_equal(file.nodata, nodata)
        np.testing.assert_array_equal(file.dataset_mask() > 0, valid)
    assert report.coverage == pytest.approx(100 * valid.mean())


def test_no_blend_becomes_nodata(write_raster, tmp_path):
    columns = np.indices((40, 40))[1]
    image = write_raster("image.tif", np.where(columns % 2, 99, 101).astype(np.uint8), nodata=100)
    onto = Grid(crs="EPSG:32619", transform=UTM * Affine.translation(0.5, 0), height=40, width=39)
    with pytest.warns(UserWarning, match=f"{40 * 39} valid values were the number of nodata 100"):
        report = align(image, onto, tmp_path / "out.tif", resampling="bilinear", categorical=False)
    with rasterio.open(report.out) as file:
        assert (file.read(1) == 101).all()
    assert report.coverage == 100
    assert "nodata 100" in report.notes[0]


@pytest.mark.parametrize("bands", [1, 3, 5])
def test_alpha_is_kept(bands, write_raster, tmp_path):
    data = noise(bands + 1)
    data[-1, :30] = 0
    data[-1, 30:50] = 128
    data[-1, 50:] = 255
    plain = [ColorInterp.red, ColorInterp.green, ColorInterp.blue] if bands == 3 else None
    colors = [*(plain or [ColorInterp.gray] + [ColorInterp.undefined] * (bands - 1))]
    image = write_raster("alpha.tif", data, colors=[*colors, ColorInterp.alpha])
    onto = Grid.of(image).crop(Window(-2, -4, 90, 60))
    report = align(image, onto, tmp_path / "out.tif")
    with rasterio.open(report.out) as file:
        assert file.count == bands + 1
        assert file.colorinterp == (*colors, ColorInterp.alpha)
        np.testing.assert_array_equal(file.read(bands + 1)[2:, 4:], data[-1, :88, :56])
        hidden = file.read(bands + 1) == 0
    chip = GeoTIFFSource(uri=report.out).read(onto.whole)
    assert len(chip.data) == bands
    np.testing.assert_array_equal(chip.valid, ~hidden)
    assert report.missing == "alpha"
    assert len(report.band_names) == bands


def test_a_mask_in_the_file_is_kept(write_raster, tmp_path):
    mask = noise(1, high=3, seed=4)[0] == 1
    image = write_raster("masked.tif", noise(2), mask=mask)
    report = align(image, Grid.of(image).crop(Window(0, 0, 97, 120)), tmp_path / "out.tif")
    with rasterio.open(report.out) as file:
        assert MaskFlags.per_dataset in file.mask_flag_enums[0]
        np.testing.assert_array_equal(file.dataset_mask()[:, :113] > 0, mask)
        assert not file.dataset_mask()[:, 113:].any()
        assert file.nodata is None
    assert not Path(report.out + ".msk").exists()
    assert report.missing == "mask"


def test_a_file_that_tells_nothing_of_missing_gets_a_mask_only_where_it_needs_one(
    write_raster, tmp_path
):
    image = write_raster("plain.tif", noise(2))
    inside = align(image, Grid.of(image).crop(Window(5, 5, 50, 50)), tmp_path / "inside.tif")
    past = align(image, Grid.of(image).crop(Window(90, 5, 600, 50)), tmp_path / "past.tif")
    assert (inside.missing, inside.coverage) == ("none", 100)
    assert past.missing == "mask"
    with rasterio.open(past.out) as file:
        np.testing.assert_array_equal(
            file.dataset_mask() > 0, np.arange(600)[:, None] < np.full(50, 7)
        )


def test_nodata_may_be_given_to_a_file_that_has_none(write_raster, tmp_path):
    data = noise(2)
    data[:, :10] = 7
    image = write_raster("black.tif", data)
    valid = (data != 7).all(axis=0)
    told = f"{(~valid).sum()} of {valid.size} pixels hold 7 and are missing as nodata=7 was given"
    with pytest.warns(UserWarning, match=rf"black\.tif: {told}"):
        report = align(
            image, Grid.of(image).crop(Window(0, 0, 120, 113)), tmp_path / "out.tif", nodata=7
        )
    assert len(report.notes) == 1
    assert report.notes[0].startswith(told)
    with rasterio.open(report.out) as file:
        assert file.nodata == 7
        np.testing.assert_array_equal(file.read()[:, :97] == 7, np.broadcast_to(~valid, data.shape))
        assert (file.read()[:, 97:] == 7).all()
    assert report.coverage == pytest.approx(100 * valid.sum() / (120 * 113))


def test_a_class_with_the_number_of_nodata_is_an_error(write_raster, tmp_path):
    mask = write_raster("mask.tif", noise(1, high=4), nodata=0)
    with pytest.raises(ConfigError, match=r"mask\.tif: \d+ valid pixels.*hold 2.*nodata="):
        align(mask, Grid.of(mask), tmp_path / "out.tif", categorical=True, nodata=2)
    assert list(tmp_path.iterdir()) == [tmp_path / "mask.tif"]
    with pytest.raises(ConfigError, match=r"nodata=300 is no number of uint8"):
        align(mask, Grid.of(mask), tmp_path / "out.tif", categorical=True, nodata=300)


def test_an_image_without_the_number_of_nodata_needs_no_note(write_raster, tmp_path):
    image = write_raster("image.tif", noise(2, high=200))
    report = align(image, Grid.of(image), tmp_path / "out.tif", nodata=250)
    assert (report.notes, report.coverage) == ((), 100)


@pytest.mark.parametrize("options", [{"categorical": True}, {"resampling": "nearest"}])
def test_no_class_of_a_mask_that_declares_nothing_becomes_missing(options, write_raster, tmp_path):
    ids = noise(1, high=4)
    mask = write_raster("mask.tif", ids)
    told = r"valid pixels or more hold 2, .*GeoTIFFSource\(uri=\.\.\., nodata=2\)"
    with pytest.raises(ConfigError, match=told):
        align(mask, Grid.of(mask), tmp_path / "out.tif", nodata=2, **options)
    assert not (tmp_path / "out.tif").exists()
    report = align(mask, Grid.of(mask), tmp_path / "out.tif", nodata=9, **options)
    with rasterio.open(report.out) as file:
        assert file.nodata == 9
        np.testing.assert_array_equal(file.read(), ids)
    Path(report.out).unlink()
    source = GeoTIFFSource(uri=mask, nodata=2)
    report = align(source, Grid.of(mask), tmp_path / "out.tif", **options)
    assert report.coverage == pytest.approx(100 * (ids != 2).mean())


def test_names_scales_and_units_of_bands_are_kept(image, reference, tmp_path):
    with rasterio.open(image, "r+") as file:
        file.scales, file.offsets = (0.1, 0.2, 0.3), (1.0, 2.0, 3.0)
        file.units = ("K", "m", "K")
    report = align(image, reference, tmp_path / "out.tif", measure=False)
    with rasterio.open(report.out) as file:
        assert file.descriptions == ("blue", "b2", "swir")
        assert (file.scales, file.offsets) == ((0.1, 0.2, 0.3), (1.0, 2.0, 3.0))
        assert file.units == ("K", "m", "K")
    assert report.band_names == ("blue", "b2", "swir")


CLASSES = ClassMap(
    classes=[
        {"id": 0, "name": "ground", "color": "#102030"},
        {"id": 2, "name": "roof & wall", "color": "#ff8000"},
    ]
)


def test_colours_and_class_names_of_labels_are_kept(reference, tmp_path):
    ids = np.where(noise(1, high=3)[0] == 1, 0, 2).astype(np.uint8)
    grid = Grid(crs="EPSG:32619", transform=UTM, height=97, width=113)
    mask = str(tmp_path / "map.tif")
    with GeoTIFFLabelStore(uri=mask).writer(grid, CLASSES) as writer:
        writer.write(grid.whole, ids)
    report = align(mask, reference, tmp_path / "out.tif", measure=False)
    assert report.categorical
    assert report.resampling == "nearest"
    with rasterio.open(mask) as a, rasterio.open(report.out) as b:
        assert b.colormap(1) == a.colormap(1)
        assert b.nodata == a.nodata == 255
        assert b.tags()["GEOSEG_CLASSES"] == a.tags()["GEOSEG_CLASSES"]
        assert set(np.unique(b.read(1))) == {0, 2, 255}
    found = ET.parse(report.out + ".aux.xml").findall(".//Category")
    assert [part.text or "" for part in found] == ["ground", "", "roof & wall"]


def test_category_names_beside_a_file_are_kept(write_raster, reference, tmp_path):
    mask = write_raster("mask.tif", noise(1, high=3), nodata=0)
    beside = (
        '<PAMDataset><PAMRasterBand band="1"><Histograms/><CategoryNames><Category/>'
        "<Category>wheat</Category></CategoryNames></PAMRasterBand></PAMDataset>"
    )
    Path(mask + ".aux.xml").write_text(beside)
    report = align(mask, reference, tmp_path / "out.tif", categorical=True, measure=False)
    root = ET.parse(report.out + ".aux.xml").getroot()
    assert [part.text for part in root.iter("Category")] == [None, "wheat"]
    assert root.find(".//Histograms") is None


def test_what_looks_like_classes_is_not_blended_and_said(write_raster, reference, tmp_path):
    mask = write_raster("mask.tif", noise(1, high=6), nodata=0)
    with pytest.warns(
        UserWarning, match=r"5 distinct in one band\) look like classes.*categorical=True"
    ):
        report = align(mask, reference, tmp_path / "out.tif", measure=False)
    assert report.resampling == "nearest"
    with rasterio.open(report.out) as file:
        assert set(np.unique(file.read(1))) <= {0, 1, 2, 3, 4, 5}
    with pytest.warns(UserWarning, match=r"look like classes.*bilinear.*makes up"):
        align(mask, reference, tmp_path / "out.tif", resampling="bilinear", measure=False)
    blended = align(mask, reference, tmp_path / "out.tif", categorical=False, measure=False)
    assert blended.resampling == "bilinear"


def test_missing_labels_that_only_a_mask_tells_are_said(write_raster, tmp_path):
    mask = write_raster("mask.tif", noise(1, high=3))
    onto = Grid.of(mask).crop(Window(0, 0, 100, 113))
    with pytest.warns(UserWarning, match=f"{3 * 113} pixels have no label.*nodata=255"):
        align(mask, onto, tmp_path / "out.tif", categorical=True)
    report = align(mask, onto, tmp_path / "out.tif", categorical=True, nodata=255)
    with rasterio.open(report.out) as file:
        assert (file.read(1)[97:] == 255).all()


def test_outputs_never_replace_an_input(image, reference, tmp_path):
    link = tmp_path / "link.tif"
    link.symlink_to(reference)
    for out in (image, reference, link):
        with pytest.raises(ConfigError, match="read as an input"):
            align(image, reference, out)


def test_arguments_that_do_not_fit_are_refused(image, write_raster, reference, tmp_path):
    out = tmp_path / "out.tif"
    mask = write_raster("mask.tif", noise(1, high=3))
    with pytest.raises(ConfigError, match=r'mask\.tif: categorical=True.*"cubic".*"nearest"'):
        align(mask, reference, out, categorical=True, resampling="cubic")
    with pytest.raises(ConfigError, match=r"3 bands \(blue, b2, swir\), expected a mask of one"):
        align(image, reference, out, categorical=True)
    with pytest.raises(ConfigError, match=r"end its name with \.tif"):
        align(image, reference, tmp_path / "out.png")
    with pytest.raises(ValueError, match="expected one of"):
        align(image, reference, out, resampling="bilinaer")
    with pytest.raises(ValueError, match='give method="gdal"'):
        align(image, reference, out, resampling="lanczos")
    assert not out.exists()


def test_a_colour_table_is_not_blended_whatever_is_asked(write_raster, reference, tmp_path):
    mask = write_raster("mask.tif", noise(1, high=3), photometric="palette")
    with rasterio.open(mask, "r+") as file:
        file.write_colormap(1, {1: (9, 8, 7, 255)})
    with pytest.raises(SourceError, match=r"numbers of classes.*nearest"):
        align(mask, reference, tmp_path / "out.tif", resampling="bilinear")
    with pytest.raises(ConfigError, match="categorical=False, but"):
        align(mask, reference, tmp_path / "out.tif", categorical=False)


def test_grids_without_common_ground_are_refused(image, write_raster, tmp_path):
    out = tmp_path / "out.tif"
    far = write_raster("far.tif", noise(1), transform=Affine.translation(1e5, 0) * UTM)
    other = write_raster("other.tif", noise(1), crs="EPSG:32633")
    nowhere = write_raster("nowhere.tif", noise(1), crs=None)
    for reference in (far, other):
        with pytest.raises(GridError, match=r"image\.tif .*does not touch.*CRS of one"):
            align(image, reference, out)
    with pytest.raises(GridError, match=r"image\.tif: the target grid has no CRS"):
        align(image, nowhere, out)
    with pytest.raises(GridError, match=r"nowhere\.tif: the source grid has no CRS"):
        align(nowhere, image, out)
    assert not out.exists()


class Broken(RasterSource):
    """Fails below its first rows."""

    type: Literal["test_align_broken"] = "test_align_broken"

    @property
    def grid(self) -> Grid:
        return Grid(crs="EPSG:32619", transform=UTM, height=600, width=30)

    @property
    def band_names(self) -> tuple[str, ...]:
        return ("1",)

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype("float32")

    def read(self, window: Window) -> Chip:
        if window.row_stop > 300:
            raise SourceError("the disk is broken")
        return Chip(np.ones((1, *window.shape), np.float32), np.ones(window.shape, bool))


def test_a_file_appears_whole_or_not_at_all(image, tmp_path):
    out = tmp_path / "out.tif"
    align(image, Grid.of(image), out)
    before = out.read_bytes()
    with pytest.raises(SourceError, match="disk is broken"):
        align(Broken(), Broken().grid, out)
    assert out.read_bytes() == before
    assert {path.name for path in tmp_path.iterdir()} == {"image.tif", "out.tif"}


def test_a_known_shift_is_reported(write_raster, tmp_path):
    rng = np.random.default_rng(3)
    rough = rng.normal(size=(300, 280))
    rows, cols = np.fft.fftfreq(300)[:, None], np.fft.fftfreq(280)
    low_pass = np.exp(-2 * (np.pi * 2) ** 2 * (rows**2 + cols**2))
    phase = np.exp(-2j * np.pi * (rows * 2.5 + cols * -6.25))  # down 2.5, left 6.25
    still, moved = (
        np.fft.ifft2(np.fft.fft2(rough) * low_pass * p).real.astype(np.float32) for p in (1, phase)
    )
    reference = write_raster("still.tif", still)
    source = write_raster("moved.tif", moved)
    report = align(source, reference, tmp_path / "out.tif")
    assert report.shift is not None
    assert (report.shift.row, report.shift.col) == pytest.approx((2.5, -6.25), abs=0.05)
    told = json.loads(json.dumps(report.to_dict()))
    assert told["shift"]["row"] == report.shift.row
    assert told["grid"]["height"] == 300


def test_mbtiles_are_reference_and_source(tmp_path):
    tiles = str(tmp_path / "web.mbtiles")
    blobs = {(18, 80_000, 160_000): png(), (18, 80_001, 160_000): png(seed=3)}
    write_tiles(tiles, blobs, bounds=degrees(18, 80_000, 160_000, 80_001, 160_000))
    with pytest.warns(UserWarning, match="EPSG:3857"):
        web = align(tiles, tiles, tmp_path / "web.tif")
    side = 2 * HALF / 2**18
    with rasterio.open(web.out) as file:
        assert file.crs.to_epsg() == 3857
        assert file.transform.a == pytest.approx(side / 256, rel=1e-12)
        assert file.shape == (256, 512)
        assert file.count == 4
        assert (file.read(4) == 255).all()
    assert web.resampling == "none"
    assert web.shift is not None
    assert (web.shift.row, web.shift.col) == pytest.approx((0, 0), abs=0.01)


@pytest.mark.parametrize(
    ("crs", "transform", "ratio"),
    [
        ("EPSG:3857", Affine(10, 0, 1_000_000, 0, -10, 8_399_738), 2.0),  # 60 degrees north
        ("EPSG:4326", Affine(1e-4, 0, 10, 0, -1e-4, 60), None),
        ("EPSG:32632", Affine(10, 0, 500_000, 0, -10, 6_600_000), 1.0),
    ],
)
def test_pixels_that_are_no_metres_are_told(crs, transform, ratio, write_raster, tmp_path):
    image = write_raster("image.tif", noise(2, 20, 20), crs=crs, transform=transform)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        report = align(image, Grid.of(image), tmp_path / "out.tif")
    ground = report.ground
    assert ground is not None
    if ratio is None:
        assert (ground.x, ground.y) == pytest.approx((5.58, 11.14), rel=2e-3)
        assert "degrees" in str(caught[0].message)
    else:
        assert ground.told_x == 10
        assert ground.told_x / ground.x == pytest.approx(ratio, rel=5e-3)
        assert [str(w.message).count("5.0") for w in caught] == ([2] if ratio == 2 else [])
    assert report.notes == (() if ratio == 1 else (ground.note,))


def test_an_overview_that_is_read_is_told(write_raster, tmp_path):
    image = write_raster("image.tif", noise(3, 512, 512, seed=1), tiled=True)
    with rasterio.open(image, "r+") as file:
        file.build_overviews([2, 4, 8], Resampling.average)
    onto = Grid(crs="EPSG:32619", transform=UTM * Affine.scale(16), height=32, width=32)
    report = align(image, onto, tmp_path / "out.tif")
    assert report.resampling == "average"
    assert report.ratio == pytest.approx(16)
    assert "64 x 64 px of 80 x 80" in report.read
    with rasterio.open(image) as file, rasterio.open(report.out) as out:
        blocks = file.read().reshape(3, 32, 16, 32, 16).mean(axis=(2, 4))
        np.testing.assert_allclose(out.read(), blocks, atol=1.6)  # means of rounded means


def test_overviews_are_averages_or_modes(write_raster, tmp_path):
    data = noise(1, 600, 520)
    image, mask = write_raster("image.tif", data), write_raster("mask.tif", data % 3 + 1)
    onto = Grid.of(image)
    picture = align(image, onto, tmp_path / "a.tif", categorical=False, overviews=True)
    labels = align(mask, onto, tmp_path / "b.tif", categorical=True, overviews=True)
    with rasterio.open(picture.out, OVERVIEW_LEVEL=0) as file:
        blocks = data[0].reshape(300, 2, 260, 2).mean(axis=(1, 3))
        np.testing.assert_allclose(file.read(1), blocks, atol=0.51)
    with rasterio.open(labels.out, OVERVIEW_LEVEL=0) as file:
        assert set(np.unique(file.read(1))) == {1, 2, 3}
        blocks = (data[0] % 3 + 1).reshape(300, 2, 260, 2).swapaxes(1, 2).reshape(300, 260, 4)
        sure = (np.sort(blocks)[..., 1] == np.sort(blocks)[..., 2]) & (
            (blocks[..., :1] == blocks).sum(axis=-1) >= 3
        )
        np.testing.assert_array_equal(file.read(1)[sure], blocks[..., 0][sure])


@pytest.mark.parametrize("compress", ["zstd", "deflate", "lzw", "none"])
def test_compression_is_as_asked(compress, image, tmp_path):
    report = align(image, Grid.of(image), tmp_path / "out.tif", compress=compress)
    with rasterio.open(report.out) as file:
        assert file.profile.get("compress", "none") == compress


def test_an_image_that_is_empty_where_it_lies_has_no_coverage(tmp_path):
    grid = Grid(crs="EPSG:32619", transform=UTM, height=30, width=30)
    empty = ArraySource(
        data=np.ones((1, 30, 30), np.float32), valid=np.zeros((30, 30), bool), grid=grid
    )
    with pytest.warns(UserWarning, match="no pixel is valid"):
        report = align(empty, grid, tmp_path / "out.tif")
    assert report.coverage == 0
    assert report.missing == "nodata nan"
