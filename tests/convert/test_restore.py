import errno
import json
import os
import warnings
from pathlib import Path

import numpy as np
import pytest
import rasterio
import safetensors.numpy
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st

from geoseg.convert.restore import to_geotiff
from geoseg.convert.restoring.names import file_names
from geoseg.errors import ConfigError, SourceError, StoreError
from geoseg.grid import Grid
from geoseg.sources.geotiff import GeoTIFFSource
from geoseg.sources.store.reader import StoreReader
from geoseg.sources.store.writer import StoreWriter

GRID = Grid(crs="EPSG:32633", transform=Affine(10, 0, 3e5, 0, -10, 5e6), height=12, width=18)


def noise(shape, dtype, seed=0):
    """Every bit at random, NaNs of all kinds among floats."""
    rng = np.random.default_rng(seed)
    raw = rng.integers(0, 256, (*shape, np.dtype(dtype).itemsize), dtype=np.uint8)
    return raw.view(dtype)[..., 0]


def same_bits(one, other):
    return (
        one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes()
    )


@pytest.fixture
def store(tmp_path):
    """Writes patches {key: (arrays, options)} and returns the store's path."""

    def write(patches, name="store"):
        with StoreWriter(str(tmp_path / name)) as writer:
            for key, (arrays, options) in patches.items():
                writer.write(key, arrays, **options)
        return str(tmp_path / name)

    return write


def opened(path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
        return rasterio.open(path)


def files_in(folder):
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


@pytest.mark.parametrize(
    "dtype",
    ["u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f4", "f8", "c8"],
)
def test_values_come_back_bit_by_bit_in_one_file(store, tmp_path, dtype):
    arrays = {"B2": noise((12, 18), dtype, 1), "B10": noise((12, 18), dtype, 2)}
    uri = store({"patch": (arrays, {"grid": GRID})})
    told = to_geotiff(uri, str(tmp_path / "out"))

    assert files_in(tmp_path / "out") == ["patch.tif"]
    with rasterio.open(tmp_path / "out/patch.tif") as file:
        assert file.descriptions == ("B2", "B10")
        assert file.crs == GRID.crs
        assert file.transform == GRID.transform
        assert file.nodata is None
        assert file.tags()["GEOSEG_KEY"] == "patch"
        for band, expected in zip(file.read(), arrays.values(), strict=True):
            assert same_bits(band, expected)
    assert (told.patches, told.files, told.placed) == (1, 1, 1)
    assert told.bytes == (tmp_path / "out/patch.tif").stat().st_size


def test_bands_of_several_sizes_become_a_folder_on_the_same_ground(store, tmp_path):
    arrays = {"B01": noise((4, 6), "u2"), "B02": noise((12, 18), "u2"), "B8A": noise((6, 9), "u2")}
    uri = store({"patch": (arrays, {"grid": GRID, "nodata": 0})})
    assert to_geotiff(uri, str(tmp_path / "out")).files == 3

    for name, size in {"B01": 30, "B02": 10, "B8A": 20}.items():
        with rasterio.open(tmp_path / f"out/patch/{name}.tif") as file:
            assert file.transform == Affine(size, 0, 3e5, 0, -size, 5e6)
            assert file.bounds == rasterio.coords.BoundingBox(*GRID.bounds)
            assert (file.crs, file.nodata, file.descriptions) == (GRID.crs, 0, (name,))
            assert same_bits(file.read(1), arrays[name])


def test_nodata_of_each_kind_comes_back(store, tmp_path):
    nodata = {"f": float("nan"), "g": -9999.0}
    arrays = {name: noise((12, 18), "f4", i) for i, name in enumerate(nodata)}
    uri = store({"patch": (arrays, {"grid": GRID, "nodata": nodata})})
    to_geotiff(uri, str(tmp_path / "out"))

    with rasterio.open(tmp_path / "out/patch/f.tif") as file:
        assert np.isnan(file.nodata)
        assert same_bits(file.read(1), arrays["f"])
    with rasterio.open(tmp_path / "out/patch/g.tif") as file:
        assert file.nodata == -9999
        assert same_bits(file.read(1), arrays["g"])


def test_a_nodata_that_no_pixel_can_have_is_not_declared(store, tmp_path):
    uri = store({"patch": ({"a": noise((12, 18), "u1")}, {"nodata": -9999})})
    to_geotiff(uri, str(tmp_path / "out"))
    with opened(tmp_path / "out/patch.tif") as file:
        assert file.nodata is None


def test_split_and_labels_are_tags(store, tmp_path):
    more = {"split": "train", "labels": ["Pastures", "Forêt"]}
    uri = store({"a": ({"x": noise((3, 5), "u1")}, more), "b": ({"x": noise((3, 5), "u1")}, {})})
    to_geotiff(uri, str(tmp_path / "out"))
    with opened(tmp_path / "out/a.tif") as file:
        assert file.tags()["GEOSEG_SPLIT"] == "train"
        assert json.loads(file.tags()["GEOSEG_LABELS"]) == ["Pastures", "Forêt"]
        assert file.crs is None
    with opened(tmp_path / "out/b.tif") as file:
        assert not {"GEOSEG_SPLIT", "GEOSEG_LABELS"} & file.tags().keys()


def test_four_bands_of_bytes_have_no_alpha(store, tmp_path):
    arrays = {name: noise((12, 18), "u1", i) for i, name in enumerate("rgbn")}
    uri = store({"patch": (arrays, {"grid": GRID})})
    to_geotiff(uri, str(tmp_path / "out"))
    source = GeoTIFFSource(uri=str(tmp_path / "out/patch.tif"))
    assert source.band_names == tuple("rgbn")
    assert source.read(source.grid.whole).valid.all()


def test_a_large_patch_is_tiled_and_a_small_one_is_not(store, tmp_path):
    large = Grid(crs=GRID.crs, transform=GRID.transform, height=600, width=515)
    uri = store(
        {
            "large": ({"a": np.zeros(large.shape, "u2")}, {"grid": large}),
            "small": ({"a": np.zeros(GRID.shape, "u2")}, {"grid": GRID}),
        }
    )
    to_geotiff(uri, str(tmp_path / "out"))
    with rasterio.open(tmp_path / "out/large.tif") as file:
        assert (file.profile["tiled"], file.block_shapes[0]) == (True, (256, 256))
        assert file.compression.value == "DEFLATE"
    with rasterio.open(tmp_path / "out/small.tif") as file:
        assert not file.profile["tiled"]


def test_channels_are_bands(store, tmp_path):
    array = noise((3, 5, 7), "i2")
    uri = store({"p": ({"x": array, "y": array[:1]}, {})})
    to_geotiff(uri, str(tmp_path / "out"))
    with opened(tmp_path / "out/p.tif") as file:
        assert file.descriptions == ("x_1", "x_2", "x_3", "y")
        assert same_bits(file.read(), np.concatenate([array, array[:1]]))


def test_dtypes_that_geotiff_lacks_are_told_and_hold_the_same_values(store, tmp_path):
    half = np.arange(15, dtype="f2").reshape(3, 5) / 3
    uri = store({"p": ({"b": half > 2, "h": half}, {})})
    with pytest.warns(UserWarning, match="1 patches have bands of bool or float16"):
        to_geotiff(uri, str(tmp_path / "out"))
    with opened(tmp_path / "out/p/b.tif") as file:
        np.testing.assert_array_equal(file.read(1), half > 2)
    with opened(tmp_path / "out/p/h.tif") as file:
        assert same_bits(file.read(1).astype("f2"), half)


def test_arrays_that_are_no_planes_are_left_out_and_counted(store, tmp_path):
    uri = store({"p": ({"a": noise((3, 5), "u1"), "times": np.arange(4.0)}, {})})
    with pytest.warns(UserWarning, match="1 arrays that are no planes"):
        to_geotiff(uri, str(tmp_path / "out"))
    assert files_in(tmp_path / "out") == ["p.tif"]


def test_a_patch_without_pixels_is_an_error_and_leaves_nothing(store, tmp_path):
    uri = store({"p": ({"times": np.arange(4.0)}, {})})
    with pytest.raises(SourceError, match="p: holds no plane of pixels"):
        to_geotiff(uri, str(tmp_path / "out"))
    assert [path.name for path in tmp_path.iterdir()] == ["store"]


def test_keys_are_made_safe_for_file_systems(store, tmp_path):
    keys = ["a/b", "con", "x.TIF", "../up", "l" * 300, "s\u00fcd"]
    uri = store({key: ({"a": noise((3, 5), "u1", i)}, {}) for i, key in enumerate(keys)})
    to_geotiff(uri, str(tmp_path / "out"))
    found = {}
    for path in (tmp_path / "out").iterdir():
        with opened(path) as file:
            found[file.tags()["GEOSEG_KEY"]] = path.name
    assert found.keys() == {*keys}
    assert [found[key] for key in (*keys[:4], keys[5])] == [
        "a_b.tif", "_con.tif", "x.tif", "_up.tif", "s\u00fcd.tif",
    ]  # fmt: skip
    assert len(os.fsencode(found[keys[4]])) < 230


def odd(key):
    """Whether it does not name a file as it is."""
    return (
        set(key) & set('/\\:*?"<>|')
        or not key.isprintable()
        or key.strip(" ._") != key
        or "." in key
    )


@pytest.mark.slow
@given(st.lists(st.text(min_size=1, max_size=300), unique=True, max_size=5))
def test_each_key_has_a_name_of_its_own_or_the_run_is_refused(keys):
    try:
        stems = file_names(keys, "keys", cure="")
    except ConfigError:
        assert len({key.casefold() for key in keys}) < len(keys) or any(map(odd, keys))
        return
    assert len({stem.casefold() for stem in stems.values()}) == len(keys)
    for stem in stems.values():
        assert stem not in ("", ".", "..")
        assert not set(stem) & set('/\\:*?"<>|\0')
        assert len(stem.encode()) < 230


def test_two_keys_of_one_name_are_refused_before_anything_is_written(store, tmp_path):
    uri = store({key: ({"a": noise((3, 5), "u1")}, {}) for key in ("a:b", "a/b")})
    with pytest.raises(ConfigError, match=r"'a/b' and 'a:b' would both be written as 'a_b'"):
        to_geotiff(uri, str(tmp_path / "out"))
    assert not (tmp_path / "out").exists()
    assert to_geotiff(uri, str(tmp_path / "out"), keys=["a:b"]).files == 1


def test_some_keys_come_in_the_order_of_the_store_and_progress_tells_of_each(store, tmp_path):
    uri = store({key: ({"a": noise((3, 5), "u1")}, {}) for key in "cab"})
    seen = []
    told = to_geotiff(uri, str(tmp_path / "out"), keys=["c", "a", "c"], progress=seen.append)
    assert files_in(tmp_path / "out") == ["a.tif", "c.tif"]
    assert [(p.done, p.total) for p in seen] == [(1, 2), (2, 2)]
    assert seen[-1].written_bytes == told.bytes
    assert told.to_dict()["patches"] == 2
    with pytest.raises(SourceError, match="has no patch 'd'; near keys"):
        to_geotiff(uri, str(tmp_path / "other"), keys=["d"])


@pytest.mark.parametrize("as_file", [True, False])
def test_a_target_that_is_there_is_refused_unchanged(store, tmp_path, as_file):
    uri = store({"p": ({"a": noise((3, 5), "u1")}, {})})
    target = tmp_path / "out"
    (target if as_file else target / "kept").parent.mkdir(exist_ok=True)
    (target if as_file else target / "kept").write_text("mine")
    with pytest.raises(StoreError, match="is a file" if as_file else "something in it"):
        to_geotiff(uri, str(target))
    assert (target if as_file else target / "kept").read_text() == "mine"


def test_a_store_without_manifest_gives_files_without_place(store, tmp_path):
    uri = store({"p": ({"B2": noise((3, 5), "u1"), "B10": noise((3, 5), "u1")}, {"grid": None})})
    Path(uri, "manifest.parquet").unlink()
    assert to_geotiff(uri, str(tmp_path / "deep/out")).placed == 0
    with opened(tmp_path / "deep/out/p.tif") as file:
        assert file.descriptions == ("B2", "B10")


def test_a_manifest_of_another_store_is_an_error(store, tmp_path):
    one = store({"p": ({"a": noise((3, 5), "u1")}, {})}, "one")
    other = store({"p": ({"b": noise((3, 5), "u1")}, {})}, "other")
    Path(other, "manifest.parquet").replace(Path(one, "manifest.parquet"))
    with pytest.raises(SourceError, match="the manifest tells of the bands b, the store holds a"):
        to_geotiff(one, str(tmp_path / "out"))


def test_the_same_store_gives_the_same_bytes(store, tmp_path):
    uri = store({"p": ({"a": noise((30, 50), "f4")}, {"grid": None, "nodata": 3})})
    for name in ("one", "two"):
        to_geotiff(uri, str(tmp_path / name))
    assert (tmp_path / "one/p.tif").read_bytes() == (tmp_path / "two/p.tif").read_bytes()
    assert safetensors.numpy.load(StoreReader(uri).value("p"))["a"].shape == (30, 50)


def test_a_full_disk_is_told_and_leaves_nothing(store, tmp_path, monkeypatch):
    uri = store({key: ({"a": noise((3, 5), "u1")}, {}) for key in "pq"})
    whole, written = Path.write_bytes, []

    def full(path, content):
        written.append(path.name)
        if len(written) > 1:
            raise OSError(errno.ENOSPC, "No space left on device")
        return whole(path, content)

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(StoreError, match=r"out/q\.tif: cannot be written whole: .*No space left"):
        to_geotiff(uri, str(tmp_path / "out"))
    assert written == ["p.tif", "q.tif"]
    assert [path.name for path in tmp_path.iterdir()] == ["store"]
