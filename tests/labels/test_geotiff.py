import pickle
import subprocess
import sys
import textwrap
import tracemalloc
from xml.etree import ElementTree as ET

import numpy as np
import pytest
import rasterio
import rasterio.shutil
from rio_cogeo import cog_validate

from geoseg.classes import ClassMap
from geoseg.errors import GridError, LabelError, StoreError
from geoseg.grid import Grid
from geoseg.labels import tiff
from geoseg.labels.base import LabelStore
from geoseg.labels.geotiff import GeoTIFFLabelStore
from geoseg.window import Window, sliding
from tests.support.waiting import PATIENCE

CLASSES = ClassMap.model_validate(
    [
        {"name": "background", "color": "#101010"},
        {"name": "Gebäude", "id": 7, "color": (200, 30, 40)},
        {"name": "road", "id": 3},
    ]
)
GRID = Grid(crs="EPSG:32619", transform=[10, 0, 5e5, 0, -10, 4e6], height=1300, width=1100)
ROTATED = Grid(crs="EPSG:32619", transform=[8, 2.5, 5e5, 3, -9, 4e6], height=70, width=50)
PICTURE = Grid(height=70, width=50)
LCC = (
    "+proj=lcc +lat_1=36.1666 +lat_2=34.3333 +lat_0=33.75 +lon_0=-79 +x_0=609601.22 +y_0=0 "
    "+datum=NAD83 +units=m +no_defs"
)


def random_ids(shape, seed=0):
    """Patches of classes and of ignored pixels."""
    values = np.array([0, 7, 3, 255], np.uint8)
    coarse = np.random.default_rng(seed).choice(values, (shape[0] // 9 + 1, shape[1] // 9 + 1))
    return coarse.repeat(9, axis=0).repeat(9, axis=1)[: shape[0], : shape[1]]


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


def write(path, grid, ids, *, cog=True, windows=None):
    store = GeoTIFFLabelStore(uri=str(path), cog=cog)
    with store.writer(grid, CLASSES) as writer:
        for window in windows or sliding(grid, (100, grid.width), edge="pad"):
            part = window.intersection(grid.whole)
            writer.write(part, ids[part.slices])
    return store


@pytest.mark.parametrize("cog", [True, False])
def test_rasterio_finds_the_ids_where_they_belong(tmp_path, cog):
    ids = random_ids(GRID.shape)
    write(tmp_path / "out.tif", GRID, ids, cog=cog)
    with rasterio.open(tmp_path / "out.tif") as file:
        np.testing.assert_array_equal(file.read(1), ids)
        assert file.crs == GRID.crs
        assert file.transform == GRID.transform
        assert (file.nodata, file.dtypes, file.count) == (255, ("uint8",), 1)
        assert file.block_shapes == [(512, 512)]
        assert file.compression.value in ("ZSTD", "DEFLATE")
        assert file.colorinterp[0].name == "palette"
        colors = file.colormap(1)
        assert colors[0] == (16, 16, 16, 255)
        assert colors[7] == (200, 30, 40, 255)
        assert colors[255][3] == 0
        assert file.tags()["AREA_OR_POINT"] == "Area"
        assert file.overviews(1) == ([2, 4] if cog else [])
    assert names_in(tmp_path) == ["out.tif", "out.tif.aux.xml"]


def test_gdal_finds_the_class_names_that_it_shows(tmp_path):
    path = tmp_path / "out.tif"
    write(path, GRID, random_ids(GRID.shape))
    rasterio.shutil.copy(path, tmp_path / "told.vrt", driver="VRT")
    band = ET.parse(tmp_path / "told.vrt").find("VRTRasterBand")
    names = [category.text or "" for category in band.find("CategoryNames")]
    assert names == ["background", "", "", "road", "", "", "", "Gebäude"]


def test_without_a_sidecar_there_is_the_map_only(tmp_path):
    store = GeoTIFFLabelStore(uri=str(tmp_path / "out.tif"), sidecar=False)
    with store.writer(PICTURE, CLASSES) as writer:
        writer.write(PICTURE.whole, random_ids(PICTURE.shape))
    assert names_in(tmp_path) == ["out.tif"]
    assert store.read().classes == CLASSES


def test_the_output_is_a_valid_cog(tmp_path):
    write(tmp_path / "out.tif", GRID, random_ids(GRID.shape))
    valid, errors, warned = cog_validate(tmp_path / "out.tif", strict=True, quiet=True)
    assert (valid, errors, warned) == (True, [], [])


def test_overviews_hold_the_most_frequent_id_and_invent_none(tmp_path):
    grid = Grid(height=1024, width=1024)
    ids = np.full(grid.shape, 7, np.uint8)
    ids[::2, ::2] = 0  # one of four pixels: nearest would pick just these
    ids[:, 600:] = 255
    write(tmp_path / "out.tif", grid, ids)
    with rasterio.open(tmp_path / "out.tif", overview_level=0) as file:
        small = file.read(1)
    assert (small[:, :300] == 7).all()
    assert (small[:, 300:] == 255).all()


@pytest.mark.parametrize("cog", [True, False])
@pytest.mark.parametrize(
    "grid", [GRID, ROTATED, PICTURE, Grid(crs=LCC, height=7, width=13)], ids=str
)
def test_what_was_written_is_read_back(tmp_path, grid, cog):
    ids = random_ids(grid.shape)
    labels = write(tmp_path / "out.tif", grid, ids, cog=cog).read()
    assert labels.classes == CLASSES
    assert labels.grid.shape == grid.shape
    assert labels.grid.offset_of(grid) == (0, 0)
    np.testing.assert_array_equal(labels.to_array(), ids)
    again = pickle.loads(pickle.dumps(labels))
    np.testing.assert_array_equal(again.to_array(), ids)


@pytest.mark.parametrize("shape", [(1, 1), (7, 13), (1, 600), (513, 2)])
@pytest.mark.parametrize("cog", [True, False])
def test_tiny_and_narrow_rasters_are_written(tmp_path, shape, cog):
    grid, ids = Grid(height=shape[0], width=shape[1]), random_ids(shape)
    labels = write(tmp_path / "out.tif", grid, ids, cog=cog).read()
    np.testing.assert_array_equal(labels.to_array(), ids)


@pytest.mark.parametrize(
    "window", [Window(-3, -4, 20, 30), Window(60, 40, 30, 30), Window(500, 0, 2, 3)], ids=str
)
def test_windows_past_the_edge_are_ignored_there(tmp_path, window):
    ids = random_ids(PICTURE.shape)
    wide = np.pad(ids, 600, constant_values=255)
    labels = write(tmp_path / "out.tif", PICTURE, ids).read()
    rows = slice(window.row + 600, window.row_stop + 600)
    expected = wide[rows, window.col + 600 : window.col_stop + 600]
    np.testing.assert_array_equal(labels.read(window), expected)


ORDERS = {
    "whole": [GRID.whole],
    "single rows": [Window(row, 0, 1, 1100) for row in range(1300)],
    "bands across rows of tiles": list(sliding(GRID, (300, 1100), edge="flush")),
    "bottom to top": list(reversed(sliding(GRID, (300, 1100), edge="pad"))),
    "squares": list(sliding(GRID, 170, edge="pad")),
    "a square between bands": [
        Window(0, 0, 700, 1100),
        Window(100, 50, 30, 40),
        Window(700, 0, 600, 1100),
    ],
}


@pytest.mark.parametrize("cog", [True, False])
@pytest.mark.parametrize("order", ORDERS)
def test_windows_may_come_in_any_order(tmp_path, order, cog):
    ids = random_ids(GRID.shape)
    store = write(tmp_path / "out.tif", GRID, ids, cog=cog, windows=ORDERS[order])
    np.testing.assert_array_equal(store.read().to_array(), ids)


def test_where_windows_overlap_the_last_one_counts(tmp_path):
    expected = np.zeros(GRID.shape, np.uint8)
    store = GeoTIFFLabelStore(uri=str(tmp_path / "out.tif"))
    windows = [(GRID.whole, 7), (Window(1290, 30, 5, 60), 3), (Window(1280, 0, 12, 1100), 0)]
    with store.writer(GRID, CLASSES) as writer:
        for window, class_id in windows:
            writer.write(window, np.full(window.shape, class_id, np.uint8))
            expected[window.slices] = class_id
    np.testing.assert_array_equal(store.read().to_array(), expected)


@pytest.mark.parametrize("cog", [True, False])
def test_bytes_do_not_depend_on_how_many_rows_come_at_once(tmp_path, cog):
    ids = random_ids(GRID.shape)
    outputs = []
    for rows in (1, 100, 512, 1300):
        path = tmp_path / f"{rows}.tif"
        write(path, GRID, ids, cog=cog, windows=sliding(GRID, (rows, 1100), edge="pad"))
        outputs.append(path.read_bytes())
    assert len(set(outputs)) == 1


@pytest.mark.parametrize("cog", [True, False])
def test_what_is_never_written_is_ignored(tmp_path, cog):
    ids = np.full(GRID.shape, 255, np.uint8)
    ids[600:610], ids[20:30, 40:60] = 7, 3
    windows = [Window(20, 40, 10, 20), Window(600, 0, 10, 1100)]
    labels = write(tmp_path / "out.tif", GRID, ids, cog=cog, windows=windows).read()
    np.testing.assert_array_equal(labels.to_array(), ids)
    empty = write(tmp_path / "empty.tif", GRID, ids, cog=cog, windows=[Window(0, 0, 1, 1)]).read()
    assert (empty.to_array() == 255).all()


def test_another_ignore_id_is_kept(tmp_path):
    classes = ClassMap.model_validate({"classes": [{"name": "a", "id": 4}], "ignore_id": 0})
    store = GeoTIFFLabelStore(uri=str(tmp_path / "out.tif"))
    with store.writer(PICTURE, classes) as writer:
        writer.write(Window(0, 0, 2, 2), np.full((2, 2), 4, np.uint8))
    labels = store.read()
    assert labels.classes.ignore_id == 0
    assert labels.to_array().sum() == 16
    assert (labels.read(Window(-1, -1, 2, 2)) == [[0, 0], [0, 4]]).all()


@pytest.mark.parametrize("cog", [True, False])
@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_an_interrupted_writer_leaves_the_old_file_and_nothing_else(tmp_path, cog, error):
    path = tmp_path / "out.tif"
    path.write_bytes(b"old")
    store = GeoTIFFLabelStore(uri=str(path), cog=cog)

    def interrupted():
        with store.writer(GRID, CLASSES) as writer:
            writer.write(Window(0, 0, 700, 1100), np.zeros((700, 1100), np.uint8))
            raise error

    with pytest.raises(error):
        interrupted()
    assert path.read_bytes() == b"old"
    assert names_in(tmp_path) == ["out.tif"]


def test_nothing_has_the_name_while_the_writer_is_open(tmp_path):
    path = tmp_path / "out.tif"
    with GeoTIFFLabelStore(uri=str(path)).writer(PICTURE, CLASSES) as writer:
        writer.write(PICTURE.whole, random_ids(PICTURE.shape))
        assert not path.exists()
    assert path.exists()


def test_a_new_output_replaces_the_old_one_with_its_sidecars_and_open_handles(tmp_path):
    path = tmp_path / "out.tif"
    first, second = random_ids(GRID.shape, seed=1), random_ids(PICTURE.shape, seed=2)
    store = write(path, GRID, first)
    np.testing.assert_array_equal(store.read().to_array(), first)
    for suffix in (".aux.xml", ".ovr", ".msk"):
        (tmp_path / f"out.tif{suffix}").write_text("about the old file")
    np.testing.assert_array_equal(write(path, PICTURE, second).read().to_array(), second)
    assert names_in(tmp_path) == ["out.tif", "out.tif.aux.xml"]
    assert "Gebäude" in (tmp_path / "out.tif.aux.xml").read_text(encoding="utf-8")


def test_labels_whose_file_was_replaced_by_one_of_another_size_are_an_error(tmp_path):
    path = tmp_path / "out.tif"
    labels = write(path, PICTURE, random_ids(PICTURE.shape)).read()
    write(path, GRID, random_ids(GRID.shape))

    with pytest.raises(
        StoreError, match=r"out\.tif: was replaced .* 1300 x 1100 px, expected 70 x 50"
    ):
        labels.read(Window(0, 0, 70, 50))


def _run_with_file_size_limit(path, limit, *, cog):
    """Write random bytes in a process whose files may not grow past a limit, like on a full disk."""
    code = f"""
        import resource, signal
        import numpy as np
        from geoseg.classes import ClassMap
        from geoseg.errors import StoreError
        from geoseg.grid import Grid
        from geoseg.labels.geotiff import GeoTIFFLabelStore
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        grid = Grid(height=1300, width=1100)
        classes = ClassMap.of(*(f"class {{i}}" for i in range(250)))
        ids = np.random.default_rng(0).integers(0, 250, grid.shape, np.uint8)
        resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, resource.RLIM_INFINITY))
        try:
            with GeoTIFFLabelStore(uri={str(path)!r}, cog={cog}).writer(grid, classes) as writer:
                writer.write(grid.whole, ids)
        except StoreError as error:
            raise SystemExit(str(error))
    """
    run = [sys.executable, "-c", textwrap.dedent(code)]
    return subprocess.run(run, capture_output=True, text=True, check=False, timeout=PATIENCE)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="no file size limits")
@pytest.mark.parametrize("cog", [True, False])
def test_a_full_disk_is_an_error_wherever_it_strikes(tmp_path, cog):
    path = tmp_path / "out.tif"
    done = _run_with_file_size_limit(path, 1 << 30, cog=cog)
    assert done.returncode == 0, done.stderr
    whole = path.stat().st_size
    path.unlink()
    path.with_name("out.tif.aux.xml").unlink()
    for limit in (whole - 1, whole - 9000, whole // 3):
        done = _run_with_file_size_limit(path, limit, cog=cog)
        assert done.returncode == 1, limit
        assert "cannot be written whole" in done.stderr
        assert names_in(tmp_path) == []


def test_windows_and_ids_that_do_not_fit_are_refused(tmp_path):
    store = GeoTIFFLabelStore(uri=str(tmp_path / "out.tif"), cog=False)
    with store.writer(PICTURE, CLASSES) as writer:
        with pytest.raises(GridError, match="reaches past the grid of 70 x 50 px"):
            writer.write(Window(60, 0, 11, 50), np.zeros((11, 50), np.uint8))
        with pytest.raises(LabelError, match=r"shape \(3, 50\), expected \(4, 50\)"):
            writer.write(Window(0, 0, 4, 50), np.zeros((3, 50), np.uint8))
        with pytest.raises(LabelError, match="ids are int64, expected uint8"):
            writer.write(Window(0, 0, 4, 50), np.zeros((4, 50), np.int64))
        with pytest.raises(LabelError, match=r"outside the class map: 1 \(200 px\)"):
            writer.write(Window(0, 0, 4, 50), np.ones((4, 50), np.uint8))


@pytest.mark.parametrize("uri", ["s3://bucket/out.tif", "/vsimem/out.tif"])
def test_outputs_are_local(uri):
    with pytest.raises(StoreError, match="local paths only"):
        GeoTIFFLabelStore(uri=uri).writer(PICTURE, CLASSES).__enter__()


def test_a_folder_that_cannot_be_made_is_an_error_before_the_work(tmp_path):
    (tmp_path / "file").touch()
    store = GeoTIFFLabelStore(uri=str(tmp_path / "file" / "out.tif"))
    with pytest.raises(StoreError, match="nothing can be written to the folder"):
        store.writer(PICTURE, CLASSES).__enter__()


def test_reading_what_is_not_there_is_an_error(tmp_path):
    with pytest.raises(StoreError, match=r"none\.tif: no such file"):
        GeoTIFFLabelStore(uri=str(tmp_path / "none.tif")).read()


def test_a_raster_without_classes_is_told_to_go_elsewhere(tmp_path):
    path = tmp_path / "other.tif"
    profile = {"driver": "GTiff", "height": 4, "width": 5, "count": 1, "dtype": "uint8"}
    with rasterio.open(path, "w", **profile, crs=GRID.crs, transform=GRID.transform) as file:
        file.write(np.zeros((1, 4, 5), np.uint8))
    with pytest.raises(StoreError, match=r"RasterLabels\(source=..., classes=...\)"):
        GeoTIFFLabelStore(uri=str(path)).read()


@pytest.mark.parametrize("cog", [True, False])
def test_a_truncated_file_is_an_error(tmp_path, cog):
    store = write(tmp_path / "out.tif", GRID, random_ids(GRID.shape), cog=cog)
    whole = (tmp_path / "out.tif").read_bytes()
    (tmp_path / "out.tif").write_bytes(whole[: len(whole) * 3 // 4])
    with pytest.raises(StoreError, match=r"out\.tif"):
        store.read().to_array()


def test_the_store_survives_yaml_and_text_stands_for_it(tmp_path):
    store = GeoTIFFLabelStore(uri=str(tmp_path / "out.tif"), cog=False)
    assert LabelStore.from_yaml(store.to_yaml()) == store
    assert pickle.loads(pickle.dumps(store)) == store
    assert len({store, GeoTIFFLabelStore(uri=store.uri, cog=False)}) == 1


def test_without_zstd_deflate_is_used(tmp_path, monkeypatch):
    monkeypatch.setattr(tiff, "codec", lambda: ("deflate", "zlevel"))
    ids = random_ids(PICTURE.shape)
    for cog in (True, False):
        store = write(tmp_path / "out.tif", PICTURE, ids, cog=cog)
        np.testing.assert_array_equal(store.read().to_array(), ids)
        with rasterio.open(tmp_path / "out.tif") as file:
            assert file.compression.value == "DEFLATE"


def test_memory_does_not_grow_with_the_height(tmp_path):
    def peak(height):
        grid = Grid(crs="EPSG:32619", transform=GRID.transform, height=height, width=700)
        rows = np.zeros((100, 700), np.uint8)
        store = GeoTIFFLabelStore(uri=str(tmp_path / "out.tif"))
        tracemalloc.start()
        with store.writer(grid, CLASSES) as writer:
            for row in range(0, height, 100):
                writer.write(Window(row, 0, 100, 700), rows)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak(1000)  # once for imports and caches
    assert peak(8000) < 1.2 * peak(1000)
