import json
import struct

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given, settings
from hypothesis import strategies as st

from geoseg.errors import SourceError, StoreError
from geoseg.sources.store import safetensors_format
from geoseg.sources.store.safetensors_format import encode, layout_of, view, views

DTYPES = (
    "bool", "uint8", "int8", "uint16", "int16", "float16", "uint32", "int32", "float32", "uint64",
    "int64", "float64",
)  # fmt: skip


def contiguous(array):
    """What the library needs: it writes other memory orders wrong without a word."""
    return np.array(array, array.dtype.newbyteorder("="), order="C")


def decoded(value):
    layout = layout_of(value, where="here")
    return views(value, layout, layout.tensors)


@st.composite
def arrays(draw):
    dtype = np.dtype(draw(st.sampled_from(DTYPES)))
    shape = tuple(draw(st.lists(st.integers(0, 4), max_size=4)))
    numbers = np.arange(np.prod(shape, dtype=int)) * draw(st.integers(1, 900))
    array = numbers.astype(dtype).reshape(shape)
    kind = draw(st.sampled_from(("plain", "big-endian", "fortran", "strided", "reversed")))
    if kind == "big-endian":
        array = array.astype(dtype.newbyteorder(">"))
    elif kind == "fortran":
        array = np.asfortranarray(array) if shape else array
    elif kind == "strided" and shape:
        array = np.repeat(array, 2, axis=-1)[..., ::2]
    elif kind == "reversed" and shape:
        array = array[::-1]
    return array


names = st.text(max_size=6).filter(lambda name: name != "__metadata__")
mappings = st.dictionaries(names, arrays(), max_size=6)


@given(mappings)
def test_the_bytes_are_those_of_the_library_whatever_the_memory_order(given_arrays):
    plain = {name: contiguous(array) for name, array in given_arrays.items()}

    assert encode(given_arrays) == safetensors.numpy.save(plain)


@given(mappings)
def test_what_the_library_has_written_is_read(given_arrays):
    plain = {name: contiguous(array) for name, array in given_arrays.items()}
    found = decoded(safetensors.numpy.save(plain))

    assert found.keys() == plain.keys()
    for name, array in plain.items():
        assert (found[name].dtype, found[name].shape) == (array.dtype, array.shape)
        np.testing.assert_array_equal(found[name], array)


@pytest.mark.parametrize("shift", range(8))
def test_arrays_that_are_not_aligned_in_memory_are_copies(shift):
    value = encode({"a": np.arange(5.0), "b": np.arange(3, dtype="int16")})
    memory = np.zeros(len(value) + 8 + shift, np.uint8)
    here = memory[shift : shift + len(value)]
    here[:] = np.frombuffer(value, np.uint8)
    found = views(here, layout_of(value, where="here"), ("b", "a"))

    assert list(found) == ["b", "a"]
    assert all(array.flags.aligned for array in found.values())
    assert np.shares_memory(found["a"], memory) == (here.ctypes.data % 8 == 0)
    np.testing.assert_array_equal(found["a"], np.arange(5.0))
    np.testing.assert_array_equal(found["b"], np.arange(3))


def test_views_of_bytes_cannot_be_written():
    value = encode({"a": np.arange(5.0)})
    array = view(value, layout_of(value, where="here").tensors["a"])

    assert not array.flags.writeable
    assert not array.flags.owndata


def test_the_same_names_with_other_shapes_get_other_headers():
    for shape, dtype in [((2, 3), "u2"), ((3, 2), "u2"), ((3, 2), "i2"), ((2, 3), "u2")]:
        sample = {"a": np.ones(shape, dtype), "b": np.zeros((1, 1), dtype)}

        assert encode(sample) == safetensors.numpy.save(sample)


def test_the_caches_of_headers_are_bounded(monkeypatch):
    monkeypatch.setattr(safetensors_format, "_KEPT", 3)
    for i in range(1, 20):
        array = np.arange(i)
        np.testing.assert_array_equal(decoded(encode({"a": array}))["a"], array)

    assert len(safetensors_format._written) <= 3
    assert len(safetensors_format._parsed) <= 3


def test_notes_beside_the_arrays_are_read():
    value = safetensors.numpy.save({"a": np.arange(3)}, metadata={"place": "here"})

    assert layout_of(value, where="here").metadata == {"place": "here"}
    np.testing.assert_array_equal(decoded(value)["a"], np.arange(3))


notes = st.text(max_size=8)


@settings(max_examples=40)
@given(mappings, notes, notes)
def test_a_note_is_where_the_library_puts_it(given_arrays, name, note):
    plain = {name: contiguous(array) for name, array in given_arrays.items()}
    expected = safetensors.numpy.save(plain, metadata={name: note})

    assert encode(given_arrays, {name: note}) == expected
    if plain:  # without arrays, and notes without any, the library writes no JSON
        assert encode(given_arrays, metadata={}) == safetensors.numpy.save(plain, metadata={})


@settings(max_examples=40)
@given(mappings, st.dictionaries(notes, notes, max_size=5))
def test_notes_are_sorted_and_any_reader_takes_the_value(given_arrays, given_notes):
    value = encode(given_arrays, given_notes)
    backwards = dict(reversed(given_notes.items()))
    (length,) = struct.unpack_from("<Q", value)
    header = json.loads(value[8 : 8 + length])
    found = safetensors.numpy.load(value)

    assert value == encode(given_arrays, backwards)
    assert length % 8 == 0
    assert list(header["__metadata__"].items()) == sorted(given_notes.items())
    assert layout_of(value, where="here").metadata == given_notes
    assert found.keys() == given_arrays.keys() == decoded(value).keys()
    for name, array in given_arrays.items():
        np.testing.assert_array_equal(found[name], array)
        np.testing.assert_array_equal(decoded(value)[name], array)


def test_headers_that_differ_in_their_notes_are_parsed_once(monkeypatch):
    monkeypatch.setattr(safetensors_format, "_parsed", {})
    array = {"a": np.arange(6).reshape(2, 3)}
    found = [layout_of(encode(array, {"n": f"{i:04d}"}), where="here") for i in range(50)]

    assert len(safetensors_format._parsed) == 1
    assert len({*found}) == 1
    assert [layout.metadata["n"] for layout in found] == [f"{i:04d}" for i in range(50)]
    assert found[0] != layout_of(encode(array), where="here")


@pytest.mark.parametrize("notes", [{"a": 3}, {3: "a"}, {"a": None}, {"a": "\udcff"}])
def test_a_note_that_is_no_text_is_an_error(notes):
    with pytest.raises(StoreError, match=r"no text"):
        encode({"a": np.zeros(2)}, notes)


@pytest.mark.parametrize(
    ("array", "text"),
    [
        (np.zeros(2, "complex128"), "is complex128, expected one of: bool, complex64, float16"),
        (np.array(["a"]), "'a' is <U1"),
        (np.zeros(2, "datetime64[s]"), "convert it with astype"),
    ],
)
def test_a_dtype_without_a_name_in_the_format_is_an_error(array, text):
    with pytest.raises(StoreError, match=text):
        encode({"a": array})


def test_the_name_that_the_format_reserves_is_an_error():
    with pytest.raises(StoreError, match="reserves; rename it"):
        encode({"__metadata__": np.zeros(2)})


# Damage


def with_header(text, data=bytes(12)):
    header = text if isinstance(text, bytes) else json.dumps(text).encode()
    return struct.pack("<Q", len(header)) + header + data


def entry(dtype="U8", shape=(12,), offsets=(0, 12)):
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (b"", "0 bytes long, too short"),
        (b"1234567", "7 bytes long"),
        (struct.pack("<Q", 1 << 60) + b"{}", "header of 1152921504606846976 bytes reaches past"),
        (with_header(b"\xff\xfe"), "no JSON"),
        (with_header(b'{"a": '), "no JSON"),
        (with_header(b"[" * 100_000), "no JSON"),
        (with_header([1]), "no JSON object"),
        (with_header({"a": entry(), "__metadata__": 3}), "__metadata__ is no JSON object"),
        (with_header({"__metadata__": 3, "a": entry()}), "__metadata__ is no JSON object"),
        (
            with_header({"__metadata__": {"n": 3}, "a": entry()}),
            "the note 'n' in __metadata__ is 3",
        ),
        (
            with_header({"a": entry(), "__metadata__": {"n": 3}}),
            "the note 'n' in __metadata__ is 3",
        ),
        (with_header(b'{"__metadata__":{"n":"x","n":"x"},"a":3}'), "twice"),
        (with_header(b'{"__metadata__":{"n":"x"},"__metadata__":{"n":"x"}}', b""), "twice"),
        (with_header(b'{"__metadata__":{"n":"x"},}', b""), "no JSON"),
        (with_header(b'{"__metadata__":{"n":'), "no JSON"),
        (with_header(b'{"__metadata__":'), "no JSON"),
        (with_header({"a": 3}), "'a' is no entry"),
        (with_header({"a": {"dtype": "U8", "shape": [12]}}), "'a' is no entry"),
        (with_header({"a": entry(offsets=[0])}), "'a' is no entry"),
        (with_header({"a": entry(shape="12")}), "'a' has shape"),
        (with_header({"a": entry(shape=[-12])}), "'a' has shape"),
        (with_header({"a": entry(shape=[1.5])}), "'a' has shape"),
        (with_header({"a": entry(shape=[True, 12])}), r"'a' has shape \(True, 12\)"),
        (with_header({"a": entry(shape=[0, 1 << 70], offsets=[0, 0])}), "more than numpy counts"),
        (with_header({"a": entry(shape=[1] * 70 + [12])}), "'a' has shape"),
        (with_header({"a": entry(offsets=[-1, 11])}), "'a' has shape"),
        (with_header({"a": entry(shape=[13])}), "13 bytes, but has 12"),
        (with_header({"a": entry(shape=[1 << 70])}), "but has 12"),
        (with_header({"a": entry(offsets=[0, 1 << 40], shape=[1 << 40])}), "tells of 1099511627"),
        (with_header({"a": entry(offsets=[1, 13])}), "begins at byte 1 of the data, expected 0"),
        (with_header({"a": entry(), "b": entry()}), "begins at byte 0 of the data, expected 12"),
        (with_header({"a": entry(shape=[4], offsets=[0, 4])}), "bytes long, its header tells of"),
        (with_header(b'{"a":{"dtype":"U8","shape":[12],"data_offsets":[0,12]},"a":1}'), "twice"),
    ],
)
def test_a_damaged_value_is_an_error_that_says_what_is_wrong(value, text):
    with pytest.raises(SourceError, match=text) as told:
        decoded(value)
    assert str(told.value).startswith("here: is no whole safetensors value")


@pytest.mark.parametrize("dtype", ["BF16", "F8_E4M3", ["U8"]])
def test_a_dtype_that_numpy_lacks_is_an_error_that_says_so(dtype):
    with pytest.raises(SourceError, match=r"numpy does not know.*convert it to F32"):
        decoded(with_header({"a": entry(dtype=dtype, shape=[6])}))


BANDS = {"B10": np.arange(6.0).reshape(2, 3), "B2": np.arange(7, dtype="int16")}
SAMPLE, NOTED = encode(BANDS), encode(BANDS, {"crs": "EPSG:32633", "n": '"'})


@given(st.booleans(), st.integers(0, len(SAMPLE) - 1), st.integers(0, 255), st.integers(0, 20))
def test_a_value_with_a_wrong_byte_is_an_error_or_read_as_the_library_does(noted, at, byte, cut):
    value = bytearray(NOTED if noted else SAMPLE)
    value[at] = byte
    value = bytes(value[: len(value) - cut])
    try:
        found = decoded(value)
    except SourceError:
        return
    expected = safetensors.numpy.load(value)

    assert found.keys() == expected.keys()
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name], array)
