"""Measuring whole sources: blocks, percentiles, and results that are kept in a file."""

from __future__ import annotations

import json
import math
import os
import tracemalloc
import warnings
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import pytest
import rasterio
import rasterio.shutil
import yaml
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from geoseg.errors import ConfigError, SourceError
from geoseg.sources.array import ArraySource
from geoseg.sources.cache import forget
from geoseg.sources.geotiff import GeoTIFFSource
from geoseg.sources.handles import close_all
from geoseg.sources.stac import STACSource
from geoseg.sources.statistics import Statistics
from geoseg.sources.statistics.fitted import blocks
from geoseg.sources.statistics.percentiles import extremes_of, percentiles_of
from geoseg.sources.transforms.scaling import MinMax, Percentile, Standardize
from geoseg.spec import files_of


class Named(ArraySource):
    """An array that says it comes from a file."""

    type: Literal["named-for-tests"] = "named-for-tests"
    uri: str
    data: Any = np.arange(6.0).reshape(1, 2, 3)

    def to_yaml(self) -> str:
        return self.uri


DTYPES = ["uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64"]
FLOATS = ["float16", "float32", "float64"]
SHAPES = [(1, 1), (1, 700), (600, 1), (255, 3), (257, 259)]
PERCENTS = [0, 2, 25.5, 50, 98, 100]


def made(dtype, shape, seed=0, bands=2):
    rng = np.random.default_rng(seed)
    if np.dtype(dtype).kind == "f":
        data = rng.normal([[[0]], [[3]]], [[[1e-3]], [[900]]], (bands, *shape)).astype(dtype)
    else:
        limits = np.iinfo(dtype)
        data = rng.integers(limits.min, limits.max, (bands, *shape), dtype=dtype, endpoint=True)
    valid = rng.random(shape) > 0.3
    valid[0, 0] = True
    return data, valid


def write_tif(path, data, **options):
    bands, height, width = data.shape
    profile = {"driver": "GTiff", "count": bands, "height": height, "width": width}
    with rasterio.open(
        path,
        "w",
        **profile,
        dtype=data.dtype,
        crs="EPSG:32619",
        transform=Affine(10, 0, 5e5, 0, -10, 4e6),
        **options,
    ) as file:
        file.write(data)
    return str(path)


@pytest.mark.parametrize("shape", SHAPES)
def test_blocks_hold_every_pixel_once(shape):
    data = np.arange(np.prod(shape), dtype="uint32").reshape(1, *shape)
    found = [chip.data.ravel() for chip in blocks(ArraySource(data=data))]
    assert np.array_equal(np.sort(np.concatenate(found)), data.ravel())


def test_wide_rasters_come_in_pieces_and_thinning_is_asked_for():
    data = np.zeros((1, 600, 17_000), "uint8")
    data[:, 512:] = 1
    source = ArraySource(data=data)
    shapes = [block.data.shape[1:] for block in blocks(source)]
    assert shapes[:3] == [(256, 16384), (256, 616), (256, 16384)]
    assert sum(height * width for height, width in shapes) == data.size
    assert Statistics.of(source).count == data.size
    assert len(list(blocks(source, thin=4))) == 2
    thinned = Statistics.of(source, thin=4)
    assert thinned.count == 256 * 16384 + 88 * 16384
    assert thinned.mean == (pytest.approx(88 / 344),)
    with pytest.raises(ConfigError, match="thin is 0, expected 1"):
        Statistics.of(source, thin=0)


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "int32", "float32", "float64"])
@pytest.mark.parametrize("shape", SHAPES)
def test_statistics_of_a_source_are_numpys_over_valid_pixels_at_any_size(dtype, shape):
    data, valid = made(dtype, shape)
    if np.dtype(dtype).kind == "f":
        data[0, ~valid] = np.nan
        data[1, ~valid] = np.inf
    found = Statistics.of(ArraySource(data=data, valid=valid))
    pixels = data[:, valid].astype(float)
    assert found.count == valid.sum()
    np.testing.assert_allclose(found.mean, pixels.mean(axis=1), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(found.std, pixels.std(axis=1), rtol=1e-9, atol=1e-9)


def test_several_sources_are_one_data_set():
    first, second = made("uint16", (31, 17), 1), made("uint16", (3, 300), 2)
    sources = [ArraySource(data=data, valid=valid) for data, valid in (first, second)]
    pixels = np.concatenate([data[:, valid] for data, valid in (first, second)], axis=1)
    found = Statistics.of(sources)
    np.testing.assert_allclose(found.mean, pixels.mean(axis=1))
    np.testing.assert_allclose(found.std, pixels.std(axis=1))
    assert Standardize.of(sources) == Standardize(mean=found.mean, std=found.std)
    np.testing.assert_allclose(Percentile.of(sources).low, np.percentile(pixels, 2, axis=1))


@pytest.mark.parametrize("dtype", DTYPES + FLOATS)
def test_percentiles_and_extremes_are_numpys(dtype):
    data, valid = made(dtype, (61, 83))
    source = ArraySource(data=data, valid=valid)
    found = percentiles_of([source], PERCENTS)
    pixels = data[:, valid].astype("float64")
    expected = np.percentile(pixels, PERCENTS, axis=1)
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    assert extremes_of([source]) == (tuple(pixels.min(axis=1)), tuple(pixels.max(axis=1)))


@given(
    arrays(
        "float32",
        st.integers(1, 40),
        elements=st.floats(allow_nan=False, allow_infinity=False, width=32),
    ),
    st.floats(0, 100),
)
def test_percentiles_are_exact_for_any_floats(values, percent):
    found = percentiles_of([ArraySource(data=values[None, None])], [percent])[0][0]
    ordered = np.sort(values.astype("float64"))
    place = percent / 100 * (len(values) - 1)
    low, high = ordered[int(np.floor(place))], ordered[int(np.ceil(place))]
    assert found == pytest.approx(low + (high - low) * (place % 1), rel=1e-9, abs=1e-300)


def test_percentiles_of_sources_of_two_dtypes_are_of_all_pixels_together():
    one = np.array([[[250, 3, 7]]], "uint8")
    two = np.array([[[-5, 300]]], "int16")
    found = percentiles_of([ArraySource(data=one), ArraySource(data=two)], [0, 50, 60, 100])
    assert [value for (value,) in found] == pytest.approx(
        np.percentile([250, 3, 7, -5, 300], [0, 50, 60, 100])
    )


def test_percentiles_of_a_wide_float_raster_take_bounded_memory():
    data = np.random.default_rng(0).normal(0, 1, (1, 512, 20_000)).astype("float32")
    source = ArraySource(data=data, valid=np.ones(data.shape[1:], bool))
    tracemalloc.start()
    found = Percentile.of(source)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 160e6
    assert found.low == (pytest.approx(np.percentile(data, 2), rel=1e-6),)


def test_nothing_valid_infinite_pixels_and_strange_percentages_are_told():
    nothing = ArraySource(data=np.zeros((1, 3, 4)), valid=np.zeros((3, 4), bool))
    for kind in (Standardize, MinMax, Percentile):
        with pytest.raises(SourceError, match="no valid pixel"):
            kind.of(nothing)
    with pytest.raises(ConfigError, match="percentage 101 is outside"):
        Percentile.of(ArraySource(data=np.ones((1, 2, 2))), upper=101)
    with pytest.raises(ConfigError, match="lower is 98, expected less than upper, 2"):
        Percentile.of(ArraySource(data=np.ones((1, 2, 2))), lower=98, upper=2)


def test_nodata_is_left_out_and_a_valid_0_is_not(tmp_path):
    data = np.arange(12, dtype="int16").reshape(1, 3, 4)
    data[0, 1, 1] = -999
    uri = write_tif(tmp_path / "a.tif", data, nodata=-999)
    known = data[data != -999]
    found = Statistics.of(uri)
    assert found.count == 11
    assert found.mean == (pytest.approx(known.mean()),)
    assert MinMax.of(uri).low == (0,)
    assert Percentile.of(tmp_path / "a.tif", lower=0).low == (0,)


@pytest.mark.parametrize("kind", [Statistics, Standardize, MinMax, Percentile])
def test_a_result_is_kept_and_measured_anew_when_the_file_changes(tmp_path, kind, monkeypatch):
    data, _ = made("uint16", (40, 30))
    uri, kept = write_tif(tmp_path / "a.tif", data), tmp_path / "sub" / "kept.yaml"
    first = kind.of(uri, uri=str(kept))
    text = kept.read_text()
    with monkeypatch.context() as patch:
        patch.setattr(GeoTIFFSource, "read", lambda *_: pytest.fail("read again"))
        assert kind.of(uri, uri=str(kept)) == first
    assert kept.read_text() == text
    write_tif(tmp_path / "a.tif", data // 2)
    os.utime(tmp_path / "a.tif", ns=(1, 1))
    with pytest.warns(
        UserWarning, match=r"kept.yaml: was measured on other files, or on these before"
    ):
        second = kind.of(uri, uri=str(kept))
    assert second == kind.of(uri) != first
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert kind.of(uri, uri=str(kept)) == second


def test_other_options_and_other_bands_are_another_measurement(tmp_path):
    uri, kept = write_tif(tmp_path / "a.tif", made("uint16", (40, 30))[0]), tmp_path / "kept.yaml"
    Percentile.of(uri, uri=str(kept))
    with pytest.warns(UserWarning, match="other options; it is measured anew"):
        found = Percentile.of(uri, uri=str(kept), lower=5)
    assert found == Percentile.of(uri, lower=5)
    source = GeoTIFFSource(uri=uri, bands=(2,))
    with pytest.warns(UserWarning, match="other files"):
        assert len(Percentile.of(source, uri=str(kept), lower=5).low) == 1


def test_a_file_that_holds_something_else_is_left_alone(tmp_path):
    uri, other = write_tif(tmp_path / "a.tif", made("uint8", (4, 3))[0]), tmp_path / "b.yaml"
    with pytest.raises(ConfigError, match="is read as an input too"):
        Statistics.of(uri, uri=uri)
    for text in ("a: 1\n", "[1, 2", "kind: Statistics\nfingerprint: a\nresult: {mean: [1]}\n"):
        other.write_text(text)
        with pytest.raises(
            ConfigError, match=r"b\.yaml: is there already, but holds no Statistics"
        ):
            Statistics.of(uri, uri=str(other))
        assert other.read_text() == text
    other.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="holds no MinMax"):
        MinMax.of(uri, uri=str(other))
    other.unlink()
    Statistics.of(uri, uri=str(other))
    with pytest.raises(ConfigError, match="holds no MinMax of geoseg but Statistics"):
        MinMax.of(uri, uri=str(other))


def test_a_store_in_a_folder_is_measured_anew_when_a_file_in_it_changes(tmp_path):
    class Folder(ArraySource):
        """The text of an array in a folder."""

        type: Literal["folder-for-tests"] = "folder-for-tests"
        uri: str

        def to_yaml(self) -> str:
            return self.uri

    store, kept = tmp_path / "store", str(tmp_path / "kept.yaml")
    store.mkdir()
    for name in ("data.mdb", "lock.mdb"):
        (store / name).write_bytes(b"1")
    source = Folder(uri=str(store), data=np.arange(6.0).reshape(1, 2, 3))
    first = Statistics.of(source, uri=kept)
    (store / "lock.mdb").write_bytes(b"22")
    assert Statistics.of(source, uri=kept) == first
    (store / "data.mdb").write_bytes(b"22")
    with pytest.warns(UserWarning, match="measured anew"):
        Statistics.of(source, uri=kept)


def test_an_array_cannot_be_told_by_a_file(tmp_path):
    with pytest.raises(ConfigError, match="holds an array"):
        Statistics.of(ArraySource(data=np.ones((1, 2, 2))), uri=str(tmp_path / "a.yaml"))


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        ({"mean": [1.0, 2.0]}, "was changed after it was measured"),
        ({"mean": [1.0], "std": [2.0]}, "was changed after it was measured"),
        ({"count": 7}, "was changed after it was measured"),
        ({"count": 0}, r"result\.count: Input should be greater"),
        ({"mean": [1.0]}, "mean has 1 numbers and std 2"),
        ({"std": [-1.0, 1.0]}, r"result\.std\.0: Input should be greater"),
        ({"std": [1.0, math.nan]}, r"result\.std\.1: Input should be a finite number"),
        ({"mean": [math.inf, 1.0]}, r"result\.mean\.0: Input should be a finite number"),
        ({"mean": [], "std": []}, r"result\.mean: Tuple should have at least 1"),
        ({"mean": "many"}, r"result\.mean: "),
    ],
)
@pytest.mark.parametrize("kind", [Statistics, Standardize])
def test_a_kept_result_that_was_changed_or_damaged_is_an_error_that_names_the_cure(
    tmp_path, changed, text, kind
):
    uri, kept = write_tif(tmp_path / "a.tif", made("uint16", (40, 30))[0]), tmp_path / "kept.yaml"
    first = kind.of(uri, uri=str(kept))
    record = yaml.safe_load(kept.read_text())
    record["result"] |= changed
    kept.write_text(yaml.safe_dump(record))
    with pytest.raises(ConfigError, match=rf"kept\.yaml: .*{text}.*delete it to measure anew"):
        kind.of(uri, uri=str(kept))
    kept.unlink()
    assert kind.of(uri, uri=str(kept)) == first


@pytest.mark.parametrize("kind", [MinMax, Percentile])
@pytest.mark.parametrize("part", ["result", "hash", "fingerprint"])
def test_no_part_of_a_kept_result_can_be_changed_unnoticed(tmp_path, kind, part):
    uri, kept = write_tif(tmp_path / "a.tif", made("uint16", (40, 30))[0]), tmp_path / "kept.yaml"
    first = kind.of(uri, uri=str(kept))
    record = yaml.safe_load(kept.read_text())
    record[part] = {**record[part], "high": [1e9, 1e9]} if part == "result" else "0" * 64
    kept.write_text(yaml.safe_dump(record))
    with pytest.raises(ConfigError, match=r"kept\.yaml: was changed after it was measured"):
        kind.of(uri, uri=str(kept))
    del record[part]
    kept.write_text(yaml.safe_dump(record))
    with pytest.raises(ConfigError, match=r"kept\.yaml: .*holds no .*delete it to measure anew"):
        kind.of(uri, uri=str(kept))
    kept.unlink()
    assert kind.of(uri, uri=str(kept)) == first


def test_a_kept_result_of_another_number_of_bands_is_an_error(tmp_path, write_raster):
    two = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    write_raster("a.tif", two)
    vrt, kept = str(tmp_path / "a.vrt"), str(tmp_path / "kept.yaml")
    with rasterio.open(tmp_path / "a.tif") as file:
        rasterio.shutil.copy(file, vrt, driver="VRT")

    class Untold(GeoTIFFSource):
        """A source that shows fewer bands than it did, though its text and files are the same."""

        type: Literal["untold-for-tests"] = "untold-for-tests"
        fewer: ClassVar[bool] = False

        @property
        def own_band_names(self):
            return super().own_band_names[: 1 if Untold.fewer else 2]

    source = Untold(uri=vrt)
    assert Statistics.of(source, uri=kept).count == 12
    Untold.fewer = True
    with pytest.raises(
        ConfigError, match=r"kept\.yaml: `mean` has 2 numbers, .* has 1 bands: .*delete"
    ):
        Statistics.of(source, uri=kept)


@pytest.mark.parametrize("name", ["a.tif.aux.xml", "a.tif.msk", "a.tif.ovr", "a.tfw", "a.tif-wal"])
def test_a_file_beside_it_that_appears_or_changes_is_a_change(tmp_path, name):
    source = Named(uri=write_tif(tmp_path / "a.tif", made("uint8", (4, 3))[0]))
    kept, beside = str(tmp_path / "kept.yaml"), tmp_path / name
    first = Statistics.of(source, uri=kept)
    beside.touch()  # SQLite makes an empty file as it reads
    assert Statistics.of(source, uri=kept) == first
    for text in ("<a/>", "<ab/>"):
        beside.write_text(text)
        with pytest.warns(UserWarning, match="measured anew"):
            Statistics.of(source, uri=kept)
        Statistics.of(source, uri=kept)
    beside.unlink()
    with pytest.warns(UserWarning, match="measured anew"):
        Statistics.of(source, uri=kept)


def test_nodata_told_beside_a_file_after_it_was_measured_counts(tmp_path):
    data = np.full((1, 6, 8), 5, "uint8")
    data[0, 3:] = 99
    uri, kept = write_tif(tmp_path / "a.tif", data), str(tmp_path / "kept.yaml")
    assert Statistics.of(uri, uri=kept).mean == (52,)
    (tmp_path / "a.tif.aux.xml").write_text(
        "<PAMDataset><PAMRasterBand band='1'><NoDataValue>99</NoDataValue></PAMRasterBand></PAMDataset>"
    )
    close_all()  # as a new process
    forget()
    with pytest.warns(UserWarning, match="measured anew"):
        assert Statistics.of(uri, uri=kept).mean == (5,)


def test_the_manifest_of_a_single_file_and_of_a_folder_count(tmp_path):
    for uri, manifest in (
        ("one.lmdb", "one.lmdb.manifest.parquet"),
        ("s/data.mdb", "s/manifest.parquet"),
        ("s", "s/manifest.parquet"),
    ):
        (tmp_path / "s").mkdir(exist_ok=True)
        if uri != "s":
            (tmp_path / uri).write_bytes(b"1")
        kept = str(tmp_path / "kept.yaml")
        source = Named(uri=str(tmp_path / uri))
        Statistics.of(source, uri=kept)
        (tmp_path / manifest).write_bytes(b"1")
        with pytest.warns(UserWarning, match="measured anew"):
            Statistics.of(source, uri=kept)
        (tmp_path / manifest).unlink()
        Path(kept).unlink()


def test_the_files_of_a_stac_item_are_those_measured(tmp_path):
    pytest.importorskip("pystac")
    data = np.full((1, 6, 8), 5, "uint8")
    write_tif(tmp_path / "red.tif", data)
    item = {"type": "Feature", "stac_version": "1.0.0", "id": "i", "geometry": None, "links": []}
    asset = {"href": "./red.tif", "type": "image/tiff", "roles": ["data"]}
    item |= {"properties": {"datetime": "2020-06-01T00:00:00Z"}, "assets": {"red": asset}}
    (tmp_path / "i.json").write_text(json.dumps(item))
    source, kept = STACSource(uri=str(tmp_path / "i.json")), str(tmp_path / "kept.yaml")

    assert files_of(source) == (source.uri, str(tmp_path / "red.tif"))
    with pytest.raises(ConfigError, match=r"red\.tif: is read as an input too"):
        Statistics.of(source, uri=str(tmp_path / "red.tif"))
    assert Statistics.of(source, uri=kept).mean == (5,)
    write_tif(tmp_path / "red.tif", data * 2)
    os.utime(tmp_path / "red.tif", ns=(1, 1))
    with pytest.warns(UserWarning, match="measured anew"):
        assert Statistics.of(source, uri=kept).mean == (10,)
