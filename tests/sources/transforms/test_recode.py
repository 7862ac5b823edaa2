"""Numbers and colours that become class ids."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio
from affine import Affine
from pydantic import ValidationError

from geoseg.errors import SourceError
from geoseg.sources.array import ArraySource
from geoseg.sources.base import Chip, RasterSource
from geoseg.sources.geotiff import GeoTIFFSource
from geoseg.sources.transforms.recode import Reclass, RGBToClass
from geoseg.spec import FrozenMap
from geoseg.window import Window

WHOLE = ["uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64"]
COLORS = {5: "#ff0000", 0: (0, 255, 0), 200: (10, 20, 30)}


def read(data, transform, valid=None):
    source = ArraySource(data=data, valid=valid, transforms=(transform,))
    chip = source.read(source.grid.whole)
    assert chip.data.dtype == source.dtype
    assert len(source.band_names) == len(chip.data)
    assert source.categorical
    return chip


def picture(ids, colors=COLORS):
    """(3, height, width) of class ids."""
    palette = RGBToClass(colors=colors).colors
    data = np.zeros((3, *ids.shape), "uint8")
    for number, color in palette.items():
        data[:, ids == number] = np.array(color, "uint8")[:, None]
    return data


@pytest.mark.parametrize("dtype", [*WHOLE, "float32", "float64"])
def test_reclass_gives_every_number_its_new_one(dtype):
    rng = np.random.default_rng(0)
    keys = [0, 1, 7, 100] if np.dtype(dtype).kind == "u" else [0, -1, 7, -100]
    mapping = dict(zip(keys, [3, 0, 1, 2], strict=True)) | {1_000_000_000: 3, -2: 1}
    data = rng.choice(keys, (2, 13, 31)).astype(dtype)
    chip = read(data, Reclass(mapping=mapping))
    expected = np.vectorize(mapping.get)(data)
    assert np.array_equal(chip.data, expected)
    assert chip.data.dtype == (dtype if np.dtype(dtype).kind in "ui" else "uint8")


@pytest.mark.parametrize(
    ("dtype", "mapping", "default", "expected"),
    [
        ("uint8", {1: 255}, None, "uint8"),
        ("uint8", {1: 300}, None, "uint16"),
        ("uint8", {1: 2}, 300, "uint16"),
        ("uint8", {1: -1}, None, "int8"),
        ("uint16", {1: -300}, 300, "int16"),
        ("int16", {1: 40_000}, None, "uint16"),
        ("float32", {1: 4}, None, "uint8"),
        ("float64", {1: -4}, 2**40, "int64"),
        ("int8", {1: 2**64 - 1}, None, "uint64"),
    ],
)
def test_ids_are_never_cut_to_fit_the_old_dtype(dtype, mapping, default, expected):
    chip = read(np.ones((1, 2, 3), dtype), Reclass(mapping=mapping, default=default))
    assert chip.data.dtype == expected
    assert (chip.data == mapping[1]).all()


@pytest.mark.parametrize("dtype", ["uint8", "int32", "float32"])
def test_numbers_that_are_not_mapped_are_told_with_their_counts_unless_not_valid(dtype):
    data = np.ones((1, 3, 5), dtype)
    data[0, 0] = [9, 9, 9, 7, 1]
    valid = np.ones((3, 5), bool)
    with pytest.raises(SourceError, match=r"9(\.0)? \(3 pixels\), 7(\.0)? \(1 pixel\); add them"):
        read(data, Reclass(mapping={1: 0}), valid)
    chip = read(data, Reclass(mapping={1: 0}, default=4), valid)
    assert chip.data[0].tolist() == [[4, 4, 4, 4, 0], [0] * 5, [0] * 5]
    valid[0, :4] = False
    chip = read(data, Reclass(mapping={1: 0}), valid)
    assert not chip.data[0][valid].any()
    assert np.array_equal(chip.valid, valid)


def test_an_error_names_the_file_and_the_place(tmp_path):
    data = np.zeros((9, 7), "uint8")
    data[4, 5] = 3
    uri = str(tmp_path / "a.tif")
    profile = {"driver": "GTiff", "count": 1, "height": 9, "width": 7, "dtype": "uint8"}
    with rasterio.open(
        uri, "w", **profile, crs="EPSG:32619", transform=Affine(1, 0, 0, 0, -1, 9)
    ) as file:
        file.write(data, 1)
    source = GeoTIFFSource(uri=uri, transforms=(Reclass(mapping={0: 1}),))
    assert source.read(Window(0, 0, 4, 7)).data.all()
    with pytest.raises(
        SourceError, match=r"a\.tif, rows 4\.\.8, columns 0\.\.6: Reclass: .* 3 \(1 pixel\)"
    ):
        source.read(Window(4, 0, 8, 7))


def test_many_numbers_that_are_not_mapped_do_not_flood_the_error():
    with pytest.raises(SourceError, match=r"10 \(1 pixel\), .* and 25 more; add"):
        read(np.arange(10, 40, dtype="int16").reshape(1, 5, 6), Reclass(mapping={0: 0}))


def test_a_fraction_is_no_class_and_wild_floats_that_are_not_valid_are_no_matter():
    data = np.array([[[1.5, np.nan, np.inf, 1]]])
    with pytest.raises(SourceError, match=r"1\.5 \(1 pixel\)"):
        read(data, Reclass(mapping={1: 0}))
    chip = read(data, Reclass(mapping={1: 5}), np.array([[False, False, False, True]]))
    assert chip.data[0, 0, 3] == 5


def test_large_numbers_are_told_apart_exactly():
    data = np.array([[[2**53, 2**53 + 1]]], "int64")
    chip = read(data, Reclass(mapping={2**53 + 1: 1, 2**53: 2}))
    assert chip.data.tolist() == [[[2, 1]]]


def test_colors_become_ids_in_one_band_called_class():
    ids = np.random.default_rng(1).choice(list(COLORS), (17, 23))
    source = ArraySource(data=picture(ids), transforms=(RGBToClass(colors=COLORS),))
    assert source.band_names == ("class",)
    assert source.dtype == np.uint8
    assert np.array_equal(read(picture(ids), RGBToClass(colors=COLORS)).data[0], ids)


def test_a_map_of_256_colors_and_colors_that_share_two_channels_are_told_apart():
    rng = np.random.default_rng(2)
    packed = rng.choice(1 << 24, 256, replace=False)
    packed[:3] = 0x0A0B0C, 0x0A0B0D, 0x0A0C0C
    colors = {i: (int(p >> 16), int(p >> 8 & 255), int(p & 255)) for i, p in enumerate(packed)}
    ids = rng.integers(0, 256, (40, 50))
    assert np.array_equal(read(picture(ids, colors), RGBToClass(colors=colors)).data[0], ids)


def test_mixed_channels_of_known_colors_are_an_unknown_color():
    data = np.array([255, 255, 0], "uint8").reshape(3, 1, 1)  # red of one and green of another
    with pytest.raises(SourceError, match=r"#ffff00 \(1 pixel\); add them"):
        read(data, RGBToClass(colors=COLORS))


def test_unknown_colors_are_told_with_counts_given_a_default_or_left_where_not_valid():
    data = picture(np.zeros((3, 4), int))
    data[:, 0] = np.array([[255], [255], [255]])
    data[:, 1, 0] = 1, 2, 3
    with pytest.raises(SourceError, match=r"#ffffff \(4 pixels\), #010203 \(1 pixel\); add them"):
        read(data, RGBToClass(colors=COLORS))
    chip = read(data, RGBToClass(colors=COLORS, default=9))
    assert chip.data[0].tolist() == [[9] * 4, [9, 0, 0, 0], [0] * 4]
    valid = np.ones((3, 4), bool)
    valid[0], valid[1, 0] = False, False
    assert not read(data, RGBToClass(colors=COLORS), valid).data[0][valid].any()


def test_with_a_tolerance_the_nearest_color_counts_and_the_rest_is_an_error():
    rng = np.random.default_rng(3)
    colors = {1: (100, 100, 100), 2: (110, 100, 100), 3: (0, 0, 0)}
    data = rng.integers(90, 120, (3, 60, 70)).astype("uint8")
    chip = read(data, RGBToClass(colors=colors, tolerance=6, default=77))
    known = np.array(list(colors.values()))[:, :, None, None]
    apart = np.abs(data.astype(int) - known)
    distance = np.where((apart <= 6).all(axis=1), apart.sum(axis=1), 9999)
    expected = np.where(distance.min(axis=0) < 9999, distance.argmin(axis=0) + 1, 77)
    assert np.array_equal(chip.data[0], expected)
    assert set(np.unique(expected)) == {1, 2, 77}
    with pytest.raises(SourceError, match=r"colours that no class has: .* more; add"):
        read(data, RGBToClass(colors=colors, tolerance=6))


def test_equally_near_colors_give_the_least_id_whatever_the_order_of_the_map():
    data = np.full((3, 1, 1), 5, "uint8")
    for items in ([(7, (4, 5, 5)), (2, (6, 5, 5))], [(2, (6, 5, 5)), (7, (4, 5, 5))]):
        assert read(data, RGBToClass(colors=dict(items), tolerance=1)).data.item() == 2


def test_other_bands_and_dtypes_than_a_picture_s_are_told():
    four = ArraySource(data=np.zeros((4, 2, 2), "uint8"), transforms=(RGBToClass(colors=COLORS),))
    with pytest.raises(SourceError, match=r"got 4 bands \(1, 2, 3, 4\), expected red, green"):
        _ = four.band_names
    deep = ArraySource(data=np.zeros((3, 2, 2), "uint16"), transforms=(RGBToClass(colors=COLORS),))
    with pytest.raises(SourceError, match="pixels are uint16, expected uint8"):
        deep.read(deep.grid.whole)


@pytest.mark.parametrize(
    ("kind", "fields", "text"),
    [
        (Reclass, {"mapping": {}}, "no number is mapped"),
        (Reclass, {"mapping": {1: 2**70}}, "more than 64 bits"),
        (RGBToClass, {"colors": {}}, "no colour is given"),
        (RGBToClass, {"colors": {256: "#000000"}}, "class id 256 is outside"),
        (RGBToClass, {"colors": {1: "#000000", 2: (0, 0, 0)}}, "#000000 is the colour of 1 and 2"),
        (RGBToClass, {"colors": {1: "black"}}, "'black' is no colour"),
        (RGBToClass, {"colors": {1: (0, 0, 256)}}, "less than or equal to 255"),
    ],
)
def test_maps_that_make_no_sense_are_refused(kind, fields, text):
    with pytest.raises(ValidationError, match=text):
        kind(**fields)


def test_maps_are_written_as_people_would():
    text = """
type: geotiff
uri: labels.tif
transforms:
- {type: rgb_to_class, colors: {0: "#00ff00", 5: [255, 0, 0]}}
- {type: reclass, mapping: {0: 1, 5: 0}}
"""
    to_class, reclass = RasterSource.from_yaml(text).transforms
    assert to_class == RGBToClass(colors={5: "#FF0000", 0: (0, 255, 0)})
    assert reclass.mapping == FrozenMap({0: 1, 5: 0})
    chip = Chip(picture(np.array([[0, 5]])), np.ones((1, 2), bool))
    assert reclass(to_class(chip)).data.tolist() == [[[1, 0]]]
