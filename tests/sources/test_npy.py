"""NpySource: arrays in .npy files as rasters."""

from __future__ import annotations

import numpy as np
import pytest

from geoseg.errors import SourceError
from geoseg.sources.npy import NpySource
from geoseg.window import Window


@pytest.fixture
def save(tmp_path):
    def write(array, name="a.npy", **options):
        np.save(tmp_path / name, array, **options)
        return str(tmp_path / name)

    return write


def test_axes_are_told_and_never_guessed(save):
    array = np.arange(3 * 5 * 7, dtype=np.int16).reshape(3, 5, 7)
    chw, hwc = save(array), save(np.moveaxis(array, 0, 2), "b.npy")
    for source in (NpySource(uri=chw, axes="chw"), NpySource(uri=hwc, axes="hwc")):
        assert source.grid.shape == (5, 7)
        assert source.band_names == ("1", "2", "3")
        assert np.array_equal(source.read(source.grid.whole).data, array)
    with pytest.raises(SourceError, match=r"a\.npy: has three axes, \(3, 5, 7\).*axes='hwc'"):
        _ = NpySource(uri=chw).grid


def test_a_window_past_the_edge_is_filled_and_not_valid(save):
    plane = np.arange(5 * 7, dtype=">u2").reshape(5, 7) + 1
    source = NpySource(uri=save(plane), nodata=9)
    assert source.dtype == np.dtype("uint16")
    chip = source.read(Window(-1, 4, 4, 6))
    expected = np.zeros((4, 6), np.uint16)
    expected[1:, :3] = plane[:3, 4:]
    inside = np.zeros((4, 6), bool)
    inside[1:, :3] = plane[:3, 4:] != 9
    assert chip.data.dtype == np.uint16
    assert chip.data.dtype.isnative
    assert np.array_equal(chip.data[0], expected)
    assert np.array_equal(chip.valid, inside)


def test_nan_and_infinity_are_not_valid_in_any_band_that_is_read(save):
    data = np.ones((2, 3, 4), np.float32)
    data[0, 1, 2], data[1, 0, 0] = np.nan, np.inf
    uri = save(data)
    both = NpySource(uri=uri, axes="chw").read(Window(0, 0, 3, 4))
    assert np.argwhere(~both.valid).tolist() == [[0, 0], [1, 2]]
    second = NpySource(uri=uri, axes="chw", bands=(2,)).read(Window(0, 0, 3, 4))
    assert np.argwhere(~second.valid).tolist() == [[0, 0]]
    with pytest.raises(SourceError, match="no band 3, it has 2"):
        _ = NpySource(uri=uri, axes="chw", bands=(3,)).band_names


def test_a_file_that_changes_is_read_anew_and_a_chip_is_a_copy(save):
    uri = save(np.zeros((4, 4), bool))
    source = NpySource(uri=uri)
    first = source.read(Window(0, 0, 4, 4))
    assert first.data.dtype == np.uint8
    first.data[...] = 7
    save(np.ones((6, 4), bool))
    assert source.grid.shape == (6, 4)
    assert source.read(source.grid.whole).data.tolist() == np.ones((1, 6, 4)).tolist()


def test_what_is_no_array_of_numbers_is_told_with_its_file(save, tmp_path):
    objects = save(np.array([{"a": 1}], object), "objects.npy", allow_pickle=True)
    (tmp_path / "text.npy").write_text("no array")
    whole = save(np.zeros((50, 50)), "whole.npy")
    (tmp_path / "cut.npy").write_bytes((tmp_path / "whole.npy").read_bytes()[:5000])
    save(np.zeros((2, 3, 4, 5)), "four.npy")
    save(np.zeros((0, 4)), "none.npy")
    save(np.zeros((4, 4), complex), "complex.npy")
    for name, words in (
        ("objects.npy", "Python objects"),
        ("text.npy", "is no .npy file"),
        ("cut.npy", "cut short"),
        ("missing.npy", "No such file"),
        ("four.npy", r"shape \(2, 3, 4, 5\)"),
        ("none.npy", r"shape \(0, 4\)"),
        ("complex.npy", "complex128"),
    ):
        with pytest.raises(SourceError, match=rf"{name}: .*{words}"):
            NpySource(uri=str(tmp_path / name)).check()
    NpySource(uri=whole).check()
    assert NpySource.from_yaml(NpySource(uri=objects).to_yaml()) == NpySource(uri=objects)
