"""One contract of all places for volumes: what one refuses, the other does, and what is left is told apart."""

from __future__ import annotations

import numpy as np
import pytest
from affine import Affine

from geoseg.errors import ConfigError, GridError, LabelError, StoreError
from geoseg.volumes import VolumeFolderWriter, VolumeZip, VolumeZipWriter
from geoseg.volumes.exporting.copying import copy_volumes
from geoseg.volumes.rle import Rle

SHAPE = (3, 4, 5)
IMAGE = np.zeros(SHAPE, "uint8")
PLACE = {"crs": 32619, "transform": Affine(30, 0, 4e5, 0, -30, 4e6)}
WATER = np.zeros(SHAPE, bool)
WATER[1, 2] = True
VALID = np.ones(SHAPE, bool)
VALID[:, :, 3:] = False


def opened(kind, path, classes=("water",)):
    if kind == "zip":
        return VolumeZipWriter(path / "a.zip", classes)
    return VolumeFolderWriter(path / "out", classes, kind=kind)


@pytest.fixture(params=["zip", "npy", "tiff", "geotiff"])
def store(request, tmp_path):
    with opened(request.param, tmp_path) as store:
        store.write("first", IMAGE, {"water": WATER}, **PLACE)
        yield store


@pytest.mark.parametrize(
    ("name", "options", "error", "text"),
    [
        ("First.npy", {}, StoreError, "was written already as first"),
        ("../a", {}, StoreError, "expected the name of a file without folders"),
        ("a", {"split": "nonsense"}, ConfigError, "split is 'nonsense', expected one of: train"),
        ("a", {"fold": 1.5}, ConfigError, "the fold is 1.5"),
        ("a", {"crs": "nowhere"}, GridError, "nowhere"),
        ("a", {"transform": Affine.scale(0)}, ConfigError, "the transform is"),
        ("a", {"channel_names": ["x", "y"]}, ConfigError, "2 names of channels are given"),
        ("a", {"times": ["2020-01-01"]}, ConfigError, "1 times are given, expected 3"),
        ("a", {"masks": None}, StoreError, "has no masks"),
        ("a", {"masks": {"snow": WATER}}, LabelError, "'snow', which is no class"),
        ("a", {"masks": {"water": WATER[1:]}}, LabelError, "class 'water': the mask has the shape"),
        (
            "a",
            {"valid": VALID[0]},
            LabelError,
            r"valid is bool \(4, 5\), expected bool \(3, 4, 5\)",
        ),
        ("a", {"valid": VALID * 1}, LabelError, "valid is int64"),
        (
            "a",
            {"valid": VALID},
            LabelError,
            "class 'water': the mask has 2 voxels where the image is not valid, first at plane 1, row 2, column 3",
        ),
        (
            "a",
            {"valid": VALID, "masks": {"water": Rle.encode(WATER, order="hwd")}},
            LabelError,
            "the mask has 2 voxels where the image is not valid",
        ),
    ],
)
def test_all_stores_refuse_the_same(store, name, options, error, text):
    given = {"masks": {"water": WATER}, "split": "train", **PLACE, **options}
    with pytest.raises(error, match=text):
        store.write(name, IMAGE, **given)
    store.write("second", IMAGE, {"water": WATER}, **PLACE)


@pytest.mark.parametrize(
    ("name", "options", "error"),
    [
        ("FIRST", {}, StoreError),
        ("a/b", {}, StoreError),
        ("a", {"split": "nonsense"}, ConfigError),
        ("a", {"fold": []}, ConfigError),
        ("a", {"transform": Affine.scale(0)}, ConfigError),
    ],
)
def test_a_row_is_refused_before_its_voxels_are_there(store, name, options, error):
    with pytest.raises(error):
        store.check(name, **{**PLACE, **options})
    one, other = (store.check(name, **PLACE) for name in ("a.npy", "b"))
    assert store.check("a", **PLACE) == one != other


def test_scores_are_written_once_and_after_their_volume(store):
    scores = np.full((1, *SHAPE), 0.5, "float32")
    store.write_scores("first", [scores])
    with pytest.raises(StoreError, match="has scores already"):
        store.write_scores("first", [scores * 0])
    with pytest.raises(StoreError, match="was not written"):
        store.write_scores("second", [scores])


@pytest.mark.parametrize("kind", ["zip", "npy"])
def test_a_store_that_is_not_open_is_not_written_to(tmp_path, kind):
    store = opened(kind, tmp_path)
    for call in (
        lambda: store.write("a", IMAGE, {}),
        lambda: store.check("a"),
        lambda: store.write_scores("a", []),
    ):
        with pytest.raises(StoreError, match="is not open"):
            call()


@pytest.mark.parametrize("change", [lambda s: s * 3, lambda s: s * np.nan, lambda s: s.astype(int)])
def test_a_folder_takes_probabilities_only(tmp_path, change):
    with opened("npy", tmp_path) as store:
        store.write("a", IMAGE, {})
        with pytest.raises(LabelError, match="expected probabilities"):
            store.write_scores("a", [change(np.full((1, *SHAPE), 0.9))])


def test_the_last_row_without_a_place_is_told_before_any_is_copied(tmp_path):
    with opened("zip", tmp_path) as store:
        store.write("a", IMAGE, {"water": WATER}, **PLACE)
        store.write("b", IMAGE, {"water": WATER})
    with (
        pytest.raises(StoreError, match="b: has no CRS"),
        opened("geotiff", tmp_path) as folder,
    ):
        list(copy_volumes(VolumeZip(tmp_path / "a.zip"), folder))
    assert not (tmp_path / "out").exists()
