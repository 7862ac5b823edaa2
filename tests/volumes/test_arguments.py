"""What is given of another type or with another meaning is refused where it is given, and said how to give it."""

from datetime import date
from pathlib import Path

import numpy as np
import pytest
from affine import Affine

from geoseg.classes import ClassMap
from geoseg.errors import ConfigError, LabelError
from geoseg.labels.sources import RasterLabels
from geoseg.scene import Scene
from geoseg.sources.array import ArraySource
from geoseg.volumes import ArrayVolume, Rle, VolumeZip, VolumeZipWriter, scenes_to_zip

IMAGE = np.arange(60, dtype=np.uint8).reshape(3, 4, 5)
MASK = IMAGE > 20


@pytest.fixture
def uri(tmp_path):
    return tmp_path / "a.zip"


@pytest.fixture
def written(uri):
    with VolumeZipWriter(uri, ["a"]) as writer:
        writer.write(Path("v"), IMAGE, {"a": MASK})
    return uri


def refused(uri, kind, text, *, name="v", image=IMAGE, masks=None, **options):
    with VolumeZipWriter(uri, ["a"]) as writer:
        writer.write("first", IMAGE, {})
        with pytest.raises(kind, match=text):
            writer.write(name, image, {} if masks is None else masks, **options)


@pytest.mark.parametrize("masks", [MASK, [MASK], (MASK,)])
def test_masks_without_names_are_refused(uri, masks):
    kind = type(masks).__name__
    refused(
        uri, ConfigError, rf"v\.npy: masks are given as {kind}, expected .*'a': mask", masks=masks
    )


@pytest.mark.parametrize("name", [3, None, b"v"])
def test_a_name_that_is_no_text_is_refused(uri, name):
    refused(uri, ConfigError, "a volume is named .*expected a text", name=name)


def test_paths_are_taken_for_names_and_folders(written):
    volumes = VolumeZip(written, train=Path("train.pq"), folder=Path("images"))

    assert volumes.frame("train")[0].name == "v.npy"


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"train": 3}, "train is 3, expected a path"),
        ({"test": ["test.pq"]}, "test is .*expected a path"),
        ({"folder": b"images"}, "folder is b'images', expected a path"),
    ],
)
def test_parts_of_a_zip_that_are_no_paths_are_refused(written, options, text):
    with pytest.raises(ConfigError, match=text):
        VolumeZip(written, **options)


@pytest.mark.parametrize("given", [None, 3, b"a.zip"])
def test_a_zip_that_is_no_path_is_refused(given):
    with pytest.raises(ConfigError, match=r"the zip is .*expected a path"):
        VolumeZip(given)


def test_runs_meet_runs_alone():
    rle = Rle.encode(MASK)
    for operation in (rle.__or__, rle.__and__, rle.__sub__):
        assert operation(3) is NotImplemented
    with pytest.raises(TypeError, match="unsupported operand"):
        rle | MASK


def scene():
    image = ArraySource(data=IMAGE[:1])
    labels = RasterLabels(
        source=ArraySource(data=MASK[0].astype(np.uint8)),
        classes=ClassMap.of("background", "river"),
    )
    return Scene(id="s", image=image, labels=labels)


@pytest.mark.parametrize(
    ("scenes", "options", "text"),
    [
        (scene(), {}, r"a single Scene, expected a list of them; pass \[scene\]"),
        (["s.tif"], {}, "scenes holds a str, expected a list of Scene"),
        ([scene()], {"classes": "river"}, "classes are 'river', expected a list"),
    ],
)
def test_what_are_no_scenes_or_classes_is_refused(uri, scenes, options, text):
    with pytest.raises(ConfigError, match=text):
        scenes_to_zip(scenes, uri, **options)


def test_scenes_go_to_a_path(uri):
    scenes_to_zip([scene()], uri)

    assert VolumeZip(uri).classes == ("river",)


GDAL = (5e5, 10.0, 0.0, 4e6, 0.0, -10.0)


@pytest.mark.parametrize("transform", [GDAL, list(GDAL), (*GDAL, 0, 0, 1), np.array(GDAL)])
def test_bare_numbers_are_no_transform(uri, transform):
    refused(uri, ConfigError, r"v\.npy: transform is .*Affine\.from_gdal", transform=transform)


def test_an_affine_made_of_them_is(uri):
    with VolumeZipWriter(uri, ["a"]) as writer:
        writer.write("v", IMAGE, {}, transform=Affine.from_gdal(*GDAL))

    assert VolumeZip(uri).frame("train")[0].transform == Affine(10, 0, 5e5, 0, -10, 4e6)


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        (
            np.arange("2020-01", "2020-04", dtype="M8[M]"),
            [date(2020, month, 1) for month in (1, 2, 3)],
        ),
        (
            np.arange("2020-02-28", "2020-03-02", dtype="M8[D]"),
            ["2020-02-28", "2020-02-29", "2020-03-01"],
        ),
        (
            np.array(["2020-01-01T10", "2020-01-01T11", "2020-01-01T12"], "M8[ns]"),
            ["2020-01-01T10:00:00", "2020-01-01T11:00:00", "2020-01-01T12:00:00"],
        ),
    ],
)
def test_times_of_numpy_are_taken(uri, times, expected):
    with VolumeZipWriter(uri, ["a"]) as writer:
        writer.write("v", IMAGE, {}, times=times)

    assert VolumeZip(uri).frame("train")[0].times == tuple(map(str, expected))


@pytest.mark.parametrize(
    "time", [np.datetime64("NaT"), np.datetime64(1, "ns"), np.datetime64(20_000, "Y")]
)
def test_times_of_numpy_that_python_has_none_for_are_refused(uri, time):
    refused(uri, ConfigError, r"v\.npy: .*no time of the years", times=[time] * 3)


HIDDEN = np.ma.masked_array(IMAGE, IMAGE < 30)


def test_a_mask_that_hides_voxels_is_refused_everywhere(uri):
    for mask in (HIDDEN > 10, HIDDEN == 3, np.ma.masked_array(MASK, MASK)):
        with pytest.raises(LabelError, match=r"masked array, \d+ of its voxels.*filled\(False\)"):
            Rle.encode(mask)
        with pytest.raises(LabelError, match=r"'v', class 'a': the mask is a masked array"):
            ArrayVolume("v", IMAGE, {"a": mask})
        with pytest.raises(LabelError, match="the mask is a masked array"):
            ArrayVolume("v", IMAGE, mask[np.newaxis], ["a"])
        refused(
            uri, LabelError, r"v\.npy, class 'a': the mask is a masked array", masks={"a": mask}
        )


def test_an_image_that_hides_voxels_is_refused(uri):
    class Lazy:
        shape, dtype = HIDDEN.shape, HIDDEN.dtype

        def __getitem__(self, key):
            return HIDDEN[key]

    refused(
        uri, ConfigError, r"v\.npy: the image is a masked array, 30 of its values", image=HIDDEN
    )
    with pytest.raises(ConfigError, match="its image is a masked array, 30 of its values"):
        ArrayVolume("v", HIDDEN)
    writer = VolumeZipWriter(uri, ["a"]).__enter__()
    with pytest.raises(ConfigError, match="masked array"):
        writer.write("v", Lazy(), {})
    writer.__exit__(ConfigError, None, None)


def test_masked_arrays_that_hide_nothing_are_as_any_other(uri):
    mask, image = np.ma.masked_array(MASK), np.ma.masked_array(IMAGE, np.zeros(IMAGE.shape, bool))
    with VolumeZipWriter(uri, ["a"]) as writer:
        writer.write("v", image, {"a": mask})
    row = VolumeZip(uri).frame("train")[0]

    np.testing.assert_array_equal(row.image()[0], IMAGE)
    np.testing.assert_array_equal(row.masks()[0], MASK)
    assert Rle.encode(HIDDEN.filled(0) > 30) == Rle.encode(IMAGE > 30)


def test_scores_that_hide_values_are_refused(uri):
    writer = VolumeZipWriter(uri, ["a"]).__enter__()
    writer.write("v", IMAGE, {})
    with pytest.raises(LabelError, match="scores are a masked array"):
        writer.write_scores("v", [np.ma.masked_array(MASK * 0.5, MASK)[np.newaxis]])
    writer.__exit__(LabelError, None, None)
