import lmdb
import numpy as np
import pytest
import rasterio
from affine import Affine

from geoseg.classes import ClassMap
from geoseg.convert.restore import to_geotiff
from geoseg.convert.scenes import convert_scenes
from geoseg.errors import ConfigError, LabelError, SourceError, StoreError
from geoseg.grid import Grid
from geoseg.scene import Scene
from geoseg.sources.array import ArraySource
from geoseg.sources.geotiff import GeoTIFFSource
from geoseg.sources.lmdb import LMDBSource
from geoseg.sources.store.manifesttable import read_manifest
from geoseg.sources.store.reader import StoreReader
from geoseg.window import sliding

CLASSES = ClassMap.of("water", "forest", "field")


def noise(shape, dtype="uint16", seed=0, low=1):
    rng = np.random.default_rng(seed)
    if np.dtype(dtype).kind == "f":
        return rng.normal(size=shape).astype(dtype)
    return rng.integers(low, 200, shape).astype(dtype)


@pytest.fixture
def scene(write_raster):
    """Makes a scene of an image file, 3 bands of 23 x 31 px, and labels of class ids."""

    def make(name, *, dtype="uint16", labels=True, seed=0, data=None, **options):
        data = noise((3, 23, 31), dtype, seed) if data is None else data
        options = {"descriptions": ("red", "green", "nir"), **options}
        image = write_raster(f"{name}.tif", data, **options)
        ids = np.random.default_rng(seed + 50).integers(0, 3, data.shape[1:]).astype(np.uint8)
        ids[:4, :6] = 255
        mask = write_raster(f"{name}_mask.tif", ids, nodata=255) if labels else None
        return Scene.of(image, mask, classes=CLASSES if labels else None, id=name)

    return make


def inside(data, window, fill):
    """A window of an array, filled where it reaches past it."""
    found = np.full((*data.shape[:-2], *window.shape), fill, data.dtype)
    part = data[(..., *window.slices)]
    found[..., : part.shape[-2], : part.shape[-1]] = part
    return found


def rows(target):
    return read_manifest(target).table.set_index("key")


def test_windows_become_patches_of_named_bands_and_a_mask(scene, tmp_path):
    one = scene("north")
    target = str(tmp_path / "store")
    told = convert_scenes([one], target, size=(8, 11), stride=(5, 7))

    windows = list(sliding(one.grid, (8, 11), (5, 7)))
    reader = StoreReader(target)
    assert len(reader) == told.patches == told.written == len(windows)
    for window in windows:
        sample, found = one.read(window), reader.read(f"north_{window.row}_{window.col}")
        assert found.keys() == {"red", "green", "nir", "mask"}
        np.testing.assert_array_equal(
            [found[name] for name in ("red", "green", "nir")], sample.image.data
        )
        np.testing.assert_array_equal(found["mask"], sample.labels)
        assert found["mask"].dtype == np.uint8
        source = LMDBSource(uri=target, key=f"north_{window.row}_{window.col}")
        assert source.grid == one.grid.crop(window)
        assert source.band_names == ("red", "green", "nir", "mask")


def test_the_manifest_tells_of_classes_scenes_and_splits(scene, tmp_path):
    target = str(tmp_path / "store")
    convert_scenes({"train": [scene("a"), scene("b")], "test": [scene("c")]}, target)

    told, table = read_manifest(target).told, rows(target)
    assert ClassMap.model_validate(told["classes"]) == CLASSES
    assert told["scenes"] == ["a", "b", "c"]
    assert (told["mask"], told["valid"], told["kind"]) == ("mask", None, "scenes")
    assert list(table.index) == ["a", "b", "c"]
    assert list(table["split"]) == ["train", "train", "test"]
    assert list(table["source"]) == ["a", "b", "c"]
    assert list(table["nodata"].iloc[0])[3] == 255


def test_integers_keep_the_nodata_that_their_file_declares(scene, tmp_path):
    data = noise((3, 23, 31))
    data[1, 2:5, 3:9] = 7777
    one = scene("a", data=data, nodata=7777)
    target = str(tmp_path / "store")
    convert_scenes([one], target, size=16, edge="pad")

    for window in sliding(one.grid, 16, 16, "pad"):
        found = LMDBSource(
            uri=target, key=f"a_{window.row}_{window.col}", bands=("red", "green", "nir")
        )
        chip, expected = found.read(found.grid.whole), one.read(window).image
        np.testing.assert_array_equal(chip.valid, expected.valid)
        np.testing.assert_array_equal(chip.data, inside(data, window, 7777))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_floats_that_are_not_valid_are_nan(scene, tmp_path, dtype):
    data = noise((3, 23, 31), dtype)
    data[0, 3, 4], data[2, 8, 9] = -9999, np.inf
    one = scene("a", data=data, nodata=-9999)
    target = str(tmp_path / "store")
    convert_scenes([one], target, size=16, edge="pad")

    for window in sliding(one.grid, 16, 16, "pad"):
        found = StoreReader(target).read(f"a_{window.row}_{window.col}")
        known = np.where((data == -9999) | np.isinf(data), np.nan, data).astype(dtype)
        for name, band in zip(("red", "green", "nir"), known, strict=True):
            np.testing.assert_array_equal(found[name], inside(band, window, np.nan))


@pytest.mark.parametrize(
    ("nodata", "size"), [((0, 7, None), None), ((0, 7, None), 9), ((0, 0, 0), 9)]
)
def test_bands_that_are_measured_are_kept_where_another_one_is_missing(tmp_path, nodata, size):
    data = noise((3, 23, 31), low=8)
    data[0, 2:5, 3:9], data[1, 4:9, 7:12], data[2, 20:, :3] = 0, 7, 0
    vrt = tmp_path / "a.vrt"
    with rasterio.open(
        tmp_path / "a.tif", "w", driver="GTiff", count=3, height=23, width=31, dtype="uint16",
        crs="EPSG:32633", transform=Affine(10, 0, 3e5, 0, -10, 5e6),
    ) as file:  # fmt: skip
        file.write(data)
    vrt.write_text(vrt_of(str(tmp_path / "a.tif"), nodata))
    convert_scenes(
        [Scene(id="a", image=GeoTIFFSource(uri=str(vrt)))], str(tmp_path / "s"), size=size
    )

    missing = [
        np.zeros((23, 31), bool) if n is None else data[i] == n for i, n in enumerate(nodata)
    ]
    reader = StoreReader(str(tmp_path / "s"))
    for key in reader:
        row, col = map(int, key.split("_")[1:]) if size else (0, 0)
        part = (slice(row, row + (size or 23)), slice(col, col + (size or 31)))
        found = reader.read(key)
        for name, band, absent in zip("123", data, missing, strict=True):
            np.testing.assert_array_equal(found[name], np.where(absent, 0, band)[part])
        if nodata[1]:
            np.testing.assert_array_equal(found["valid"] == 0, np.any(missing, axis=0)[part])


def vrt_of(path, nodata):
    """A file whose bands have a nodata each, which a GeoTIFF cannot tell."""
    bands = "".join(
        f'<VRTRasterBand dataType="UInt16" band="{i}">'
        + ("" if number is None else f"<NoDataValue>{number}</NoDataValue>")
        + f"<SimpleSource><SourceFilename>{path}</SourceFilename><SourceBand>{i}</SourceBand>"
        "</SimpleSource></VRTRasterBand>"
        for i, number in enumerate(nodata, start=1)
    )
    transform = "<GeoTransform>300000, 10, 0, 5000000, 0, -10</GeoTransform>"
    head = '<VRTDataset rasterXSize="31" rasterYSize="23"><SRS>EPSG:32633</SRS>'
    return f"{head}{transform}{bands}</VRTDataset>"


def test_a_mask_in_the_file_becomes_an_array_of_its_own(scene, tmp_path):
    known = np.random.default_rng(4).random((23, 31)) < 0.8
    one = scene("a", mask=known, dtype="uint8")
    target = str(tmp_path / "store")
    convert_scenes([one], target, size=9)

    assert read_manifest(target).told["valid"] == "valid"
    for window in sliding(one.grid, 9):
        found = StoreReader(target).read(f"a_{window.row}_{window.col}")
        assert found["valid"].dtype == np.uint8
        np.testing.assert_array_equal(found["valid"] == 1, known[window.slices])
        assert not found["red"][found["valid"] == 0].any()


def test_past_the_edge_of_a_file_that_declares_nothing_an_array_tells(scene, tmp_path):
    one = scene("a")
    target = str(tmp_path / "store")
    convert_scenes([one], target, size=20, edge="pad")
    found = StoreReader(target).read("a_20_20")
    np.testing.assert_array_equal(found["valid"].nonzero()[0].max(), 2)
    assert found["valid"].sum() == 3 * 11


def test_a_file_that_is_wholly_valid_needs_neither_mark_nor_array(scene, tmp_path):
    target = str(tmp_path / "store")
    convert_scenes([scene("a", labels=False)], target, size=9)
    assert StoreReader(target).layout("a_0_0").tensors.keys() == {"red", "green", "nir"}
    assert list(rows(target)["nodata"].iloc[0]) in ([None] * 3, [np.nan] * 3)


def test_scenes_with_different_nodata_get_an_array(scene, tmp_path):
    target = str(tmp_path / "store")
    convert_scenes([scene("a", nodata=0), scene("b", nodata=9999)], target)
    assert "valid" in StoreReader(target).layout("a").tensors


def test_a_number_that_is_given_marks_and_must_not_be_a_valid_pixel(scene, tmp_path):
    known = np.ones((23, 31), bool)
    known[5:9, 2:4] = False
    one = scene("a", mask=known, labels=False)
    convert_scenes([one], str(tmp_path / "store"), nodata=0)
    found = StoreReader(str(tmp_path / "store")).read("a")
    np.testing.assert_array_equal(found["nir"] != 0, known)

    taken = int(one.read(one.grid.whole).image.data[0, 0, 0])
    with pytest.raises(SourceError, match=f"valid pixels have the value {taken}"):
        convert_scenes([one], str(tmp_path / "other"), nodata=taken)
    with pytest.raises(ConfigError, match="which no pixel of uint16 can be"):
        convert_scenes([one], str(tmp_path / "other"), nodata=-1)
    assert not (tmp_path / "other").exists()


def test_windows_outside_the_aoi_are_left_out_and_the_rest_of_it_ignored(
    scene, tmp_path, write_raster
):
    import geopandas as gpd
    from shapely.geometry import box

    one = scene("a")
    left, _, _, top = one.grid.bounds
    frame = gpd.GeoDataFrame(geometry=[box(left, top - 60, left + 50, top)], crs=one.grid.crs)
    frame.to_file(tmp_path / "aoi.geojson")
    part = one.model_copy(update={"aoi": str(tmp_path / "aoi.geojson")})
    target = str(tmp_path / "store")
    told = convert_scenes([part], target, size=8)

    assert list(StoreReader(target)) == ["a_0_0"]
    assert told.patches == 1
    assert read_manifest(target).told["outside_aoi"] == len(sliding(one.grid, 8)) - 1
    ids = StoreReader(target).read("a_0_0")["mask"]
    assert (ids[6:] == 255).all()
    assert (ids[:, 5:] == 255).all()
    np.testing.assert_array_equal(ids[:6, :5], one.read(sliding(one.grid, 8)[0]).labels[:6, :5])


def test_an_image_on_another_grid_is_warped_and_has_an_array(scene, tmp_path):
    one = scene("a")
    grid = Grid(
        crs=one.grid.crs,
        transform=one.grid.transform @ Affine.translation(-4, 3),
        height=20,
        width=20,
    )
    moved = one.model_copy(update={"reference": grid})
    target = str(tmp_path / "store")
    convert_scenes([moved], target)
    found, expected = StoreReader(target).read("a"), moved.read(grid.whole)
    np.testing.assert_array_equal(found["valid"] == 1, expected.image.valid)
    np.testing.assert_array_equal(found["mask"], expected.labels)


def test_rows_of_the_image_are_read_once(tmp_path, monkeypatch):
    read, original = [], ArraySource.read

    def counting(source, window):
        read.append(window.height)
        return original(source, window)

    monkeypatch.setattr(ArraySource, "read", counting)
    one = Scene(id="a", image=ArraySource(data=noise((2, 40, 30))))
    convert_scenes([one], str(tmp_path / "store"), size=16, stride=8)
    assert sum(read) == 40
    assert max(read) == 16


def test_they_come_back_as_files_on_their_grids(scene, tmp_path):
    one = scene("a", nodata=0)
    convert_scenes([one], str(tmp_path / "store"), size=12)
    to_geotiff(str(tmp_path / "store"), str(tmp_path / "out"))
    with rasterio.open(tmp_path / "out/a_11_12/nir.tif") as file:
        window = sliding(one.grid, 12)[4]
        assert (window.row, window.col) == (11, 12)
        assert file.transform == one.grid.crop(window).transform
        assert file.nodata == 0
        np.testing.assert_array_equal(file.read(1), one.read(window).image.data[2])
    with rasterio.open(tmp_path / "out/a_11_12/mask.tif") as file:
        assert file.nodata == 255


def test_the_same_scenes_give_the_same_bytes(scene, tmp_path):
    one = scene("a", mask=np.random.default_rng(1).random((23, 31)) < 0.5)
    for name in ("one", "two"):
        convert_scenes([one], str(tmp_path / name), size=10, compression="zstd")
    for file in ("data.mdb", "manifest.parquet"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


def test_progress_tells_of_each_patch(scene, tmp_path):
    seen = []
    told = convert_scenes([scene("a")], tmp_path / "s", size=12, progress=seen.append)
    with lmdb.open(told.target, readonly=True, lock=False) as env, env.begin() as transaction:
        assert seen[-1].written_bytes == sum(len(value) for _, value in transaction.cursor())
    assert [p.done for p in seen] == list(range(1, told.patches + 1))
    assert {p.total for p in seen} == {told.patches}


def test_scenes_that_do_not_fit_each_other_are_refused(scene, tmp_path):
    target = str(tmp_path / "store")
    one = scene("a")
    for scenes, told in (
        ([], "there is no scene"),
        ([one, one], "1 ids are of two scenes, the first is 'a'"),
        ([one, scene("c", descriptions=("r", "g", "b"))], "scene 'c': bands"),
        ([one, scene("d", dtype="uint8")], "scene 'd': dtype uint8"),
        ([one, scene("b", labels=False)], "scene 'b': labels False"),
        ([scene("m", descriptions=("red", "mask", "nir"))], "from 'mask'"),
    ):
        with pytest.raises(ConfigError, match=told):
            convert_scenes(scenes, target)
    with pytest.raises(ConfigError, match="whole scenes have none"):
        convert_scenes([one], target, stride=4)
    with pytest.raises(ConfigError, match="no window of size 100"):
        convert_scenes([one], target, size=100, edge="drop")
    other = Scene.of(one.image.uri, one.labels.source.uri, classes=ClassMap.of("x"), id="b")
    with pytest.raises(ConfigError, match="scene 'b': classes"):
        convert_scenes([one, other], target)
    with pytest.raises(LabelError):
        convert_scenes([other], target)
    assert not (tmp_path / "store").exists()


def test_a_target_with_something_in_it_is_refused_unchanged(scene, tmp_path):
    (tmp_path / "store").mkdir()
    (tmp_path / "store/mine").write_text("kept")
    with pytest.raises(StoreError, match="something in it"):
        convert_scenes([scene("a")], str(tmp_path / "store"))
    assert (tmp_path / "store/mine").read_text() == "kept"


def test_a_source_whose_bands_are_missing_one_by_one_keeps_each(tmp_path):
    from geoseg.sources.timestack import TimeStackSource

    data = noise((2, 1, 9, 7), "float32")
    valid = np.random.default_rng(3).random((2, 9, 7)) < 0.5
    times = ("2020-01-01", "2020-02-01")
    source = TimeStackSource(
        sources=tuple(ArraySource(data=d, valid=v) for d, v in zip(data, valid, strict=True)),
        times=times,
        require="any",
    )
    convert_scenes([Scene(id="a", image=source)], str(tmp_path / "store"))
    found = StoreReader(str(tmp_path / "store")).read("a")
    for name, plane, known in zip(source.band_names, data[:, 0], valid, strict=True):
        np.testing.assert_array_equal(found[name], np.where(known, plane, np.nan))


def test_a_plain_file_with_bands_by_number_is_taken(write_raster, tmp_path):
    image = write_raster("x.tif", noise((2, 9, 13), "uint8"), nodata=0)
    source = GeoTIFFSource(uri=image, bands=(2,))
    convert_scenes([Scene(id="x", image=source)], str(tmp_path / "store"))
    with rasterio.open(image) as file:
        found = StoreReader(str(tmp_path / "store")).read("x")
        np.testing.assert_array_equal(found["2"], file.read(2))
