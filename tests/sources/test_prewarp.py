import importlib
import subprocess
import sys
import textwrap
from typing import Literal

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.enums import ColorInterp, MaskFlags

from geoseg.errors import ConfigError, SourceError, StoreError
from geoseg.grid import Grid
from geoseg.sources.array import ArraySource
from geoseg.sources.base import Chip, RasterSource
from geoseg.sources.geotiff import GeoTIFFSource
from geoseg.sources.prewarp import materialize
from geoseg.sources.transformed import Transform
from geoseg.sources.warp import WarpedSource
from geoseg.window import Window
from tests.support.waiting import PATIENCE

GRID = Grid(
    crs="EPSG:32618", transform=Affine(9, 0, 833_900, 0, -9, 4_104_300), height=301, width=555
)
TARGET = Grid(
    crs="EPSG:32619", transform=Affine(10, 0, 300_000, 0, -10, 4_100_000), height=270, width=520
)


class Classes(Transform):
    """Says that what comes out are numbers of classes."""

    type: Literal["materialize-test-classes"] = "materialize-test-classes"

    def __call__(self, chip):
        return chip

    def categorical_of(self, categorical):
        return True


def array(dtype="uint8", bands=2, *, gaps=0.0, grid=GRID, **fields):
    rng = np.random.default_rng(3)
    data = rng.integers(0, 120, (bands, *grid.shape)).astype(dtype)
    valid = rng.random(grid.shape) >= gaps
    valid[:256] = True  # of the first row of tiles
    return ArraySource(data=data, valid=valid, grid=grid, **fields)


def same(source, other, window=None):
    """Compare data where valid, and valid, of a window or of all."""
    assert source.grid == other.grid
    assert (source.dtype, source.band_names) == (other.dtype, other.band_names)
    first, second = (s.read(window or source.grid.whole) for s in (source, other))
    np.testing.assert_array_equal(first.valid, second.valid)
    np.testing.assert_array_equal(first.data[:, first.valid], second.data[:, first.valid])


@pytest.mark.parametrize("gaps", [0.0, 0.2])
@pytest.mark.parametrize(
    ("dtype", "bands"),
    [
        *(("uint8", 1), ("uint8", 3), ("uint8", 4), ("uint16", 6), ("int16", 2), ("float32", 5)),
        *(("int8", 1), ("uint32", 1), ("int64", 1), ("float64", 1), ("complex64", 1)),
    ],
)
def test_what_is_read_back_is_what_was_written(tmp_path, dtype, bands, gaps):
    source = array(dtype, bands, gaps=gaps)
    written = materialize(source, str(tmp_path / "new" / "out.tif"))
    assert written == GeoTIFFSource(uri=str(tmp_path / "new" / "out.tif"))
    same(source, written)
    with rasterio.open(written.uri) as file:
        assert file.block_shapes == [(256, 256)] * bands
        assert file.interleaving.value == ("BAND" if bands in (1, 5, 6) else "PIXEL")
        flag = MaskFlags.per_dataset if gaps else MaskFlags.all_valid
        assert file.mask_flag_enums[0] == [flag]
        assert ColorInterp.alpha not in file.colorinterp
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["out.tif"]


def test_nan_stays_not_valid(tmp_path):
    data = array("float32").data.copy()
    data[1, 280, 3:50] = np.nan
    source = ArraySource(data=data, grid=GRID)
    same(source, materialize(source, str(tmp_path / "out.tif")))


def test_band_names_are_kept_and_numbers_are_not_written_as_names(tmp_path):
    for names in (("red", "2", "nir"), ("1", "2", "3"), ("3", "1", "2")):
        source = array(bands=3, band_names=names)
        written = materialize(source, str(tmp_path / "out.tif"))
        assert written.band_names == names
    with rasterio.open(materialize(array(), str(tmp_path / "plain.tif")).uri) as file:
        assert file.descriptions == (None, None)


def test_a_warped_source_becomes_a_file_on_the_target_grid(tmp_path):
    source = array("uint16", 3, gaps=0.05)
    like = ArraySource(data=np.zeros(TARGET.shape, np.uint8), grid=TARGET)
    expected = WarpedSource(source=source, onto=TARGET)
    for grid in (TARGET, like):
        written = materialize(source, str(tmp_path / "out.tif"), grid)
        same(expected, written, Window(-5, -5, 290, 540))
    again = WarpedSource(source=written, onto=TARGET)
    assert again.plan.resampling == "none"  # a plain read from now on
    assert again.plan.offset == (0, 0)


def test_transforms_are_done_once(tmp_path):
    class Add(Transform):
        type: Literal["materialize-test-add"] = "materialize-test-add"

        def __call__(self, chip):
            return Chip(chip.data + np.uint8(1), chip.valid)

    source = array(transforms=(Add(),))
    written = materialize(source, str(tmp_path / "out.tif"))
    same(source, written)
    assert written.transforms == ()


def test_numbers_of_classes_stay_such(tmp_path):
    source = array(bands=1, gaps=0.1, transforms=(Classes(),))
    assert source.categorical
    written = materialize(source, str(tmp_path / "out.tif"), overviews=True)
    same(source, written)
    assert written.categorical
    assert set(np.unique(written.coarser(2).read(Window(0, 0, 90, 90)).data)) <= set(range(120))
    with pytest.warns(UserWarning, match="2 bands of uint8 hold numbers of classes"):
        materialize(array(transforms=(Classes(),)), str(tmp_path / "two.tif"))


def test_overviews_are_averages_that_the_warp_reads(tmp_path):
    source = array("float32", 2, gaps=0.3)
    written = materialize(source, str(tmp_path / "out.tif"), overviews=True)
    coarse = written.coarser(2)
    assert coarse.grid.shape == (151, 278)
    assert written.coarser(99).grid.shape == (76, 139)
    chip, full = coarse.read(Window(0, 0, 60, 60)), source.read(Window(0, 0, 120, 120))
    blocks = full.data.reshape(2, 60, 2, 60, 2).mean(axis=(2, 4))
    assert np.abs(chip.data - blocks).mean() < 5  # its pixels cover a little less than 2 x 2
    assert blocks.std() > 15
    assert materialize(source, str(tmp_path / "none.tif")).coarser(99).overview is None


def test_a_picture_without_georeference_stays_one(tmp_path):
    source = array(grid=Grid(height=40, width=70), bands=3)
    same(source, materialize(source, str(tmp_path / "out.tif")))


def test_only_a_row_of_tiles_is_in_memory(tmp_path, monkeypatch):
    module = importlib.import_module("geoseg.sources.prewarp")
    monkeypatch.setattr(module, "_PART_BYTES", 8 * 256 * 256)
    asked, read = [], ArraySource.read

    def noted(self, window):
        asked.append(window)
        return read(self, window)

    monkeypatch.setattr(ArraySource, "read", noted)
    written = materialize(array("uint16", gaps=0.1), str(tmp_path / "out.tif"))
    monkeypatch.undo()
    assert {window.shape for window in asked[1:]} == {(256, 512), (256, 43), (45, 512), (45, 43)}
    same(array("uint16", gaps=0.1), written)


def test_an_input_is_never_overwritten(tmp_path, write_raster):
    uri = write_raster("in.tif", np.ones((9, 8), np.uint8))
    for source, grid in (
        (GeoTIFFSource(uri=uri), None),
        (WarpedSource(source=uri, onto=TARGET), None),
        (array(), GeoTIFFSource(uri=uri)),
    ):
        with pytest.raises(ConfigError, match=r"in\.tif: is read as an input too"):
            materialize(source, uri, grid)
    same(GeoTIFFSource(uri=uri), ArraySource(data=np.ones((9, 8), np.uint8), grid=Grid.of(uri)))


@pytest.mark.parametrize("uri", ["s3://bucket/out.tif", "/vsimem/out.tif"])
def test_files_are_written_to_local_paths_only(uri):
    with pytest.raises(StoreError, match="local paths only"):
        materialize(array(), uri)


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises(StoreError, match="is a folder"):
        materialize(array(), str(tmp_path))


@pytest.mark.parametrize("dtype", ["float16", "bool"])
def test_a_dtype_that_gdal_lacks_is_an_error(tmp_path, dtype):
    with pytest.raises(SourceError, match=f"no pixels of {dtype}; cast them"):
        materialize(array(dtype), str(tmp_path / "out.tif"))
    assert list(tmp_path.iterdir()) == []


class Breaking(RasterSource):
    """Fails below a row, like a damaged file."""

    type: Literal["materialize-test-breaking"] = "materialize-test-breaking"

    @property
    def grid(self):
        return GRID

    @property
    def band_names(self):
        return ("1",)

    @property
    def dtype(self):
        return np.dtype("uint8")

    def read(self, window):
        if window.row_stop > 256:
            raise SourceError("in.tif: cannot read; the file is truncated")
        return Chip(np.ones((1, *window.shape), np.uint8), np.ones(window.shape, bool))


def test_a_failed_write_leaves_what_was_there(tmp_path):
    path = tmp_path / "out.tif"
    with pytest.raises(SourceError, match=r"in\.tif: cannot read"):
        materialize(Breaking(), str(path))
    assert list(tmp_path.iterdir()) == []
    old = materialize(array(), str(path))
    for suffix in (".aux.xml", ".ovr"):
        (tmp_path / f"out.tif{suffix}").write_text("about the old file")
    with pytest.raises(SourceError):
        materialize(Breaking(), str(path))
    (tmp_path / "out.tif.ovr").unlink()
    same(array(), old)
    same(array("int16", 1), materialize(array("int16", 1), str(path)))
    assert [p.name for p in tmp_path.iterdir()] == ["out.tif"]


def run_with_file_size_limit(path, limit):
    """Write random pixels in a process whose files may not grow past a limit, like on a full disk."""
    code = f"""
        import resource, signal
        import numpy as np
        from geoseg.errors import StoreError
        from geoseg.sources.array import ArraySource
        from geoseg.sources.prewarp import materialize
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        rng = np.random.default_rng(0)
        data, valid = rng.integers(0, 250, (600, 700), np.uint8), rng.random((600, 700)) > 0.5
        resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, resource.RLIM_INFINITY))
        try:
            materialize(ArraySource(data=data, valid=valid), {str(path)!r}, overviews=True)
        except StoreError as error:
            raise SystemExit(str(error))
    """
    run = [sys.executable, "-c", textwrap.dedent(code)]
    return subprocess.run(run, capture_output=True, text=True, check=False, timeout=PATIENCE)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="no file size limits")
def test_a_full_disk_is_an_error_wherever_it_strikes(tmp_path):
    path = tmp_path / "out.tif"
    done = run_with_file_size_limit(path, 1 << 30)
    assert done.returncode == 0, done.stderr
    whole = path.stat().st_size
    path.unlink()
    for limit in (whole - 1, whole - 20_000, whole // 2, whole // 4):
        done = run_with_file_size_limit(path, limit)
        assert done.returncode == 1, limit
        assert "cannot be written whole" in done.stderr
        assert list(tmp_path.iterdir()) == []
