import struct

import lmdb
import numpy as np
import pyarrow as pa
import pytest
import safetensors.numpy
from hypothesis import given
from hypothesis import strategies as st

from geoseg.errors import SourceError
from geoseg.sources.lmdb import LMDBSource
from geoseg.sources.store.compression import compressed, compression_of, plain
from geoseg.sources.store.environments import close_stores
from geoseg.sources.store.reader import StoreReader
from geoseg.sources.store.safetensors_format import layout_of, views

MAGIC = b"\x28\xb5\x2f\xfd"
ARRAYS = {
    "B10": np.arange(600, dtype="uint16").reshape(20, 30) % 77,
    "B2": np.arange(150, dtype="int16").reshape(10, 15),
    "f": np.linspace(0, 1, 600, dtype="float32").reshape(20, 30),
}
VALUE = safetensors.numpy.save(ARRAYS)
FRAME = compressed(VALUE)


@pytest.fixture(autouse=True)
def nothing_open():
    yield
    close_stores()


def put(path, values):
    with lmdb.open(str(path), map_size=1 << 24) as env, env.begin(write=True) as txn:
        for key, value in values.items():
            txn.put(key.encode(), value)
    return str(path)


@given(st.binary(max_size=700), st.sampled_from([1, 90, 200]))
def test_a_value_comes_back_whatever_its_size(part, times):
    value = part * times  # frames with a size of 1, 2 and 4 bytes
    frame = compressed(value)

    assert bytes(plain(frame)) == value
    assert bytes(plain(memoryview(frame))) == value
    assert compression_of(frame) == "zstd"


@given(st.binary(max_size=200), st.sampled_from([1, 9, 22]))
def test_frames_of_other_levels_are_read(value, level):
    frame = pa.Codec("zstd", compression_level=level).compress(value, asbytes=True)

    assert bytes(plain(frame)) == value


def test_a_plain_value_is_passed_on_without_a_copy():
    assert plain(VALUE) is VALUE
    assert compression_of(VALUE) is None
    assert compression_of(b"") is None


def test_no_value_of_safetensors_begins_like_a_frame():
    (length,) = struct.unpack("<Q", MAGIC + bytes(4))

    assert length > 100_000_000  # the longest header that the library takes


# In stores


@pytest.fixture
def uri(tmp_path):
    """A store with plain and compressed values side by side."""
    return put(tmp_path / "s", {"plain": VALUE, "zstd": FRAME})


@pytest.mark.parametrize("key", ["plain", "zstd"])
@pytest.mark.parametrize("bands", [None, ("f", "B2")])
def test_plain_and_compressed_values_of_one_store_read_alike(uri, key, bands):
    reader = StoreReader(uri)
    found = reader.read(key, bands)
    with reader.views(key, bands) as views:
        seen = {name: view.copy() for name, view in views.items()}

    assert list(found) == list(seen) == list(bands or ("B2", "B10", "f"))
    for name, array in found.items():
        assert (array.dtype, array.flags.writeable) == (ARRAYS[name].dtype, True)
        np.testing.assert_array_equal(array, ARRAYS[name])
        np.testing.assert_array_equal(seen[name], ARRAYS[name])


@pytest.mark.parametrize("key", ["plain", "zstd"])
def test_bands_of_compressed_values_fill_arrays(uri, key):
    reader, out = StoreReader(uri), np.zeros((2, 20, 30), "float32")
    reader.read_into(key, ("f", "B10"), out)
    with reader.planes(key, ("B2", "f")) as planes:
        assert [plane.shape for plane in planes] == [(10, 15), (20, 30)]
        np.testing.assert_array_equal(planes[0], ARRAYS["B2"])

    np.testing.assert_array_equal(out, [ARRAYS["f"], ARRAYS["B10"]])
    assert reader.layout(key).tensors.keys() == ARRAYS.keys()


def test_the_value_is_plain_and_what_is_stored_is_as_it_is(uri):
    reader = StoreReader(uri)

    assert (reader.value("plain"), reader.value("zstd")) == (VALUE, VALUE)
    assert (reader.stored("plain"), reader.stored("zstd")) == (VALUE, FRAME)


def test_a_patch_source_reads_compressed_values(uri):
    one, other = (LMDBSource(uri=uri, key=key) for key in ("plain", "zstd"))

    np.testing.assert_array_equal(one.read(one.grid.whole).data, other.read(other.grid.whole).data)
    assert one.band_names == other.band_names


# Damage


def claiming(size, width=8):
    """A frame whose header tells this size in so many bytes."""
    mark = {4: 0x80, 8: 0xC0}[width] | 0x20
    return MAGIC + bytes([mark]) + size.to_bytes(width, "little") + FRAME[7:]


def streamed(value):
    """A frame that was begun before the size was known."""
    out = pa.BufferOutputStream()
    with pa.CompressedOutputStream(out, "zstd") as stream:
        stream.write(value)
    return out.getvalue().to_pybytes()


@pytest.mark.parametrize(
    ("frame", "text"),
    [
        (MAGIC, "no zstd header"),
        (MAGIC + b"\x08" + FRAME[5:], "no zstd header"),
        (FRAME[:6], "ends within the header"),
        (FRAME[:40], "cannot be decompressed"),
        (FRAME[:-1], "cannot be decompressed"),
        (FRAME + b"more", "cannot be decompressed"),
        (FRAME + FRAME, "cannot be decompressed"),
        (claiming(1 << 62), "claim to hold 4611686018427387904, which is more than they can"),
        (claiming(0xFFFFFFFF, 4), "claim to hold 4294967295"),
        (claiming(len(VALUE) + 1), "cannot be decompressed"),
        (claiming(len(VALUE) - 1), "cannot be decompressed"),
        (streamed(VALUE), "does not tell the size"),
        (compressed(VALUE[:-1]), "is no whole safetensors value"),
        (compressed(b""), "is no whole safetensors value: it is 0 bytes long"),
        (compressed(FRAME), "is no whole safetensors value"),
    ],
)
def test_a_damaged_frame_is_an_error_that_names_the_patch(tmp_path, frame, text):
    reader = StoreReader(put(tmp_path / "s", {"a": frame}))

    with pytest.raises(SourceError, match=rf"s: a: .*{text}"):
        reader.read("a")
    assert reader.stored("a") == frame


def test_a_bomb_is_refused_before_memory_is_taken(tmp_path):
    bomb = claiming(0xFFFFFFF0) + bytes(1 << 10)
    reader = StoreReader(put(tmp_path / "s", {"a": bomb}))

    with pytest.raises(SourceError, match="more than they can"):
        reader.read("a")


def test_too_little_memory_is_an_error_that_says_so(monkeypatch):
    class Codec:
        def decompress(self, *_, **__):
            raise pa.ArrowMemoryError("malloc failed")

    monkeypatch.setattr("geoseg.sources.store.compression._codec", Codec)
    with pytest.raises(SourceError, match=f"the value: .*{len(VALUE)} bytes, more than there is"):
        plain(FRAME)


@given(
    st.sampled_from([VALUE, FRAME]),
    st.lists(st.tuples(st.integers(0, len(VALUE) - 1), st.integers(0, 255)), max_size=3),
    st.integers(0, 60),
)
def test_damaged_values_are_errors_or_arrays_and_nothing_else(stored, flips, cut):
    damaged = bytearray(stored)
    for at, byte in flips:
        damaged[at % len(stored)] = byte
    damaged = bytes(damaged[: len(stored) - cut])
    try:
        value = plain(damaged, where="here")
        layout = layout_of(value, where="here")
        found = views(value, layout, layout.tensors)
    except SourceError:
        return
    expected = safetensors.numpy.load(bytes(value))

    assert found.keys() == expected.keys()
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name], array)
