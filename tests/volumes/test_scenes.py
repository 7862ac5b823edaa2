import io
import zipfile

import geopandas as gpd
import numpy as np
import pytest
from affine import Affine
from shapely import box

from geoseg.classes import ClassMap
from geoseg.errors import ConfigError, LabelError, SceneError, SourceError
from geoseg.grid import Grid
from geoseg.labels.sources import RasterLabels
from geoseg.scene import Scene
from geoseg.sources.array import ArraySource
from geoseg.sources.timestack import TimeStackSource
from geoseg.sources.transforms import MinMax
from geoseg.sources.vector import FrameSource
from geoseg.volumes import VolumeZip, VolumeZipWriter, scenes_to_zip, zip_to_scenes

CLASSES = ClassMap.of("background", "river", "ice")
GRID = Grid(crs="EPSG:32619", transform=Affine(10, 0, 5e5, 0, -10, 4e6), height=5, width=7)
TIMES = ("2020-06-01", "2020-06-13", "2020-06-25T10:00:00Z")
BANDS = ("red", "nir")


def pixels(seed=0, *, valid=None, grid=GRID, bands=2):
    data = np.random.default_rng(seed).integers(1, 999, (bands, *grid.shape)).astype("uint16")
    return ArraySource(data=data, valid=valid, grid=grid, band_names=BANDS[:bands])


def ids_of(seed=0):
    return np.random.default_rng(seed).integers(0, 3, GRID.shape).astype("uint8")


def labels_of(seed=0, *, ids=None, classes=CLASSES):
    data = ids_of(seed) if ids is None else ids
    return RasterLabels(source=ArraySource(data=data, grid=GRID), classes=classes)


def flat_scene(name="flat", seed=0, **options):
    return Scene(id=name, image=pixels(seed), labels=labels_of(seed), **options)


def stack_scene(name="stack", *, labels=None, **options):
    dates = tuple(pixels(seed) for seed in range(3))
    return Scene(
        id=name, image=TimeStackSource(sources=dates, times=TIMES, **options), labels=labels
    )


def dated():
    return [labels_of(seed) for seed in range(3)]


def first_row(uri, split="train", **options):
    return VolumeZip(uri, **options).frame(split)[0]


@pytest.fixture
def uri(tmp_path):
    return str(tmp_path / "volumes.zip")


def same_scene(found, expected):
    assert (found.id, found.grid) == (expected.id, expected.grid)
    whole = expected.grid.whole
    assert found.image.band_names == expected.image.band_names
    one, other = found.read(whole), expected.read(whole)
    np.testing.assert_array_equal(one.image.data, other.image.data)
    assert one.image.data.dtype == other.image.data.dtype
    if other.labels is not None:
        np.testing.assert_array_equal(one.labels, other.labels)


@pytest.mark.parametrize("image_axes", ["HWD", "DHW"])
@pytest.mark.parametrize("rle_order", ["dhw", "hwd"])
def test_flat_scenes_come_back_as_they_were(uri, image_axes, rle_order):
    scenes = [flat_scene("one", 0), flat_scene("two", 1)]
    scenes_to_zip(scenes, uri, image_axes=image_axes, rle_order=rle_order)
    opened = VolumeZip(uri)
    assert opened.classes == ("river", "ice")
    assert opened.frame("train")[0].shape == (1, 5, 7)
    back = zip_to_scenes(opened)
    for found, expected in zip(back, scenes, strict=True):
        same_scene(found, expected)
        assert found.labels.class_map == CLASSES


def test_a_scene_without_a_place_stays_so(uri):
    data = np.arange(35, dtype="float32").reshape(1, 5, 7)
    plain = Scene(id="plain", image=ArraySource(data=data))
    scenes_to_zip([plain], uri, classes=["river"], split="test")
    row = first_row(uri, "test", train=None, test="test.pq")
    assert (row.crs, row.transform, row.times, row.facts.channel_names) == (None, None, None, None)
    (back,) = zip_to_scenes(VolumeZip(uri, train=None, test="test.pq"), "test")
    same_scene(back, plain)
    assert back.labels is None


def test_dates_become_slices_with_labels_each(uri):
    scene = stack_scene()
    scenes_to_zip([scene], uri, labels={"stack": dated()}, folds={"stack": "north"})
    row = first_row(uri)
    stack = scene.image.read_stack(GRID.whole)
    np.testing.assert_array_equal(row.image(), stack.data.transpose(1, 0, 2, 3))
    expected = np.stack([ids_of(seed) for seed in range(3)])
    np.testing.assert_array_equal(row.masks(), [expected == 1, expected == 2])
    assert (row.times, row.crs, row.transform) == (TIMES, GRID.crs, GRID.transform)
    assert (row.facts.channel_names, row.fold) == (BANDS, "north")


def test_a_stack_comes_back_as_a_stack_without_its_labels(uri):
    scene = stack_scene()
    scenes_to_zip([scene], uri, labels={"stack": dated()})
    (back,) = zip_to_scenes(VolumeZip(uri), label_axis="drop")
    same_scene(back, scene)
    assert back.labels is None
    assert back.image.times == TIMES


def test_a_stack_can_be_split_into_scenes_with_their_labels(uri):
    scenes_to_zip([stack_scene()], uri, labels={"stack": dated()})
    back = zip_to_scenes(VolumeZip(uri), label_axis="split")
    for seed, scene in enumerate(back):
        same_scene(scene, flat_scene(f"stack_{seed}", seed))


def test_one_label_map_is_repeated_only_when_asked(uri):
    scene = stack_scene(labels=labels_of())
    with pytest.raises(SceneError, match="one label map for 3 dates"):
        scenes_to_zip([scene], uri)
    scenes_to_zip([scene], uri, label_axis="repeat")
    np.testing.assert_array_equal(first_row(uri).masks()[0], np.stack([ids_of() == 1] * 3))
    (back,) = zip_to_scenes(VolumeZip(uri), label_axis="collapse")
    same_scene(back, scene)


def test_labels_of_several_slices_are_no_label_map(uri):
    scenes_to_zip([stack_scene()], uri, labels={"stack": dated()})
    with pytest.raises(LabelError, match=r"stack\.npy.* slice by slice, 3 of them.*'split'"):
        zip_to_scenes(VolumeZip(uri))
    with pytest.raises(LabelError, match="differ from slice to slice at"):
        zip_to_scenes(VolumeZip(uri), label_axis="collapse")


def test_slices_without_times_become_bands(uri):
    image = np.random.default_rng(0).random((2, 3, 5, 7), np.float32)
    with VolumeZipWriter(uri, ["river"]) as writer:
        writer.write("a", image, None, "test")
    (scene,) = zip_to_scenes(VolumeZip(uri, train=None, test="test.pq"), "test")
    assert scene.image.band_names == ("0/1", "0/2", "1/1", "1/2", "2/1", "2/2")
    found = scene.image.read(scene.grid.whole).data
    np.testing.assert_array_equal(found, [image[c, d] for d in range(3) for c in range(2)])


def test_dates_on_other_grids_are_brought_onto_the_stacks(uri):
    other = Grid(crs=GRID.crs, transform=Affine(5, 0, 5e5, 0, -5, 4e6), height=10, width=14)
    sources = (pixels(0), pixels(1, grid=other))
    stack = TimeStackSource(sources=sources, times=TIMES[:2], resampling="nearest")
    scene = Scene(id="a", image=stack)
    scenes_to_zip([scene], uri, classes=["river"], split="test")
    found = first_row(uri, "test", train=None, test="test.pq").image()
    np.testing.assert_array_equal(found, stack.read_stack(GRID.whole).data.transpose(1, 0, 2, 3))


def test_a_stack_on_another_reference_is_written_on_that(uri):
    other = Grid(
        crs=GRID.crs, transform=Affine(20, 0, 5e5 + 10, 0, -20, 4e6 - 10), height=2, width=3
    )
    scene = stack_scene().model_copy(update={"reference": other})
    scenes_to_zip([scene], uri, classes=["river"], split="test")
    row = first_row(uri, "test", train=None, test="test.pq")
    assert (row.shape, row.transform) == ((3, 2, 3), other.transform)
    bands = scene.pixels.read(other.whole).data
    np.testing.assert_array_equal(row.image(), bands.reshape(3, 2, 2, 3).transpose(1, 0, 2, 3))


def test_a_date_without_an_image_is_counted_as_not_valid(uri):
    stack = TimeStackSource(sources=(pixels(), None), times=TIMES[:2], require="any")
    scene = Scene(id="a", image=stack)
    with pytest.warns(UserWarning, match=r"35 of 70 voxels are not valid"):
        scenes_to_zip([scene], uri, classes=["river"], split="test")
    assert not first_row(uri, "test", train=None, test="test.pq").image()[:, 1].any()


def test_pixels_that_are_not_valid_keep_their_values_and_are_counted(uri):
    valid = np.ones(GRID.shape, bool)
    valid[0, :3] = False
    image = pixels(valid=valid)
    scene = Scene(id="a", image=image)
    with pytest.warns(UserWarning, match=r"3 of 35 voxels are not valid"):
        scenes_to_zip([scene], uri, classes=["river"], split="test")
    found = first_row(uri, "test", train=None, test="test.pq").image()
    np.testing.assert_array_equal(found[:, 0], image.data)


def test_ignored_pixels_are_refused_unless_they_may_be_background(uri, tmp_path):
    ids = ids_of()
    ids[1, 2:4] = 255
    scene = Scene(id="a", image=pixels(), labels=labels_of(ids=ids))
    with pytest.raises(LabelError, match=r"'a': 2 of 35 voxels are ignored"):
        scenes_to_zip([scene], uri)
    assert not list(tmp_path.iterdir())
    with pytest.warns(UserWarning, match=r"2 of 35 voxels are ignored; they were written as"):
        scenes_to_zip([scene], uri, ignored="background")
    np.testing.assert_array_equal(first_row(uri).masks()[:, 0], [ids == 1, ids == 2])


def test_pixels_outside_the_aoi_are_ignored(uri):
    left, _, _, top = GRID.bounds
    area = gpd.GeoDataFrame(geometry=[box(left, top - 50, left + 30, top)], crs=GRID.crs)
    scene = flat_scene(aoi=FrameSource(frame=area))
    with pytest.warns(UserWarning, match=r"20 of 35 voxels are ignored"):
        scenes_to_zip([scene], uri, ignored="background")
    assert not first_row(uri).masks()[:, :, :, 3:].any()


def test_scenes_go_to_their_splits_and_folds(uri):
    scenes = [flat_scene(name, seed) for seed, name in enumerate("abcd")]
    splits = {"a": "train", "b": "validation", "c": "train", "d": "test"}
    scenes_to_zip(scenes, uri, split=splits, folds={"a": 1, "c": 0})
    opened = VolumeZip(uri, validation="validation.pq", test="test.pq")
    assert [(row.name, row.fold) for row in opened.frame("train")] == [("a.npy", 1), ("c.npy", 0)]
    assert [row.name for row in opened.frame("validation")] == ["b.npy"]
    assert opened.frame("test")[0].masks() is None
    assert opened.validate().errors == ()


def test_chosen_classes_are_written_in_their_order(uri):
    scenes_to_zip([flat_scene()], uri, classes=["ice", "river"])
    np.testing.assert_array_equal(first_row(uri).masks()[:, 0], [ids_of() == 2, ids_of() == 1])
    (back,) = zip_to_scenes(VolumeZip(uri), classes=CLASSES)
    same_scene(back, flat_scene())


def test_a_class_map_without_background_loses_no_class(uri):
    classes = ClassMap.of("river", "ice", "land")
    scene = Scene(id="a", image=pixels(), labels=labels_of(classes=classes))
    scenes_to_zip([scene], uri)
    assert VolumeZip(uri).classes == ("river", "ice", "land")
    (back,) = zip_to_scenes(VolumeZip(uri), classes=classes)
    same_scene(back, scene)


def test_voxels_in_no_mask_are_ignored_where_no_class_is_background(uri):
    mask = ids_of() == 1
    with VolumeZipWriter(uri, ["river"]) as writer:
        writer.write("a", pixels().data[:, None], {"river": mask[None]})
    (scene,) = zip_to_scenes(VolumeZip(uri), classes=ClassMap.of("land", "river"))
    found = scene.read(scene.grid.whole).labels
    np.testing.assert_array_equal(found, np.where(mask, 1, 255))


def test_voxels_of_two_classes_are_refused(uri):
    mask = np.zeros((1, 5, 7), bool)
    mask[0, 1, 2:6] = True
    with VolumeZipWriter(uri, ["river", "ice"]) as writer:
        writer.write("a", pixels().data[:, None], {"river": mask, "ice": mask})
    with pytest.raises(LabelError, match=r"a\.npy.* 4 voxels of the class 'ice' are in the mask"):
        zip_to_scenes(VolumeZip(uri))


def test_times_out_of_order_are_told_by_name(uri):
    with VolumeZipWriter(uri, ["river"]) as writer:
        writer.write("a", np.zeros((2, 3, 4)), {}, times=["2021-01-01", "2020-01-01"])
    with pytest.raises(SourceError, match=r"a\.npy.* times are no dates of a stack"):
        zip_to_scenes(VolumeZip(uri), label_axis="drop")


def test_writing_twice_gives_the_same_bytes(tmp_path):
    one, two = tmp_path / "one.zip", tmp_path / "two.zip"
    for path in (one, two):
        scenes_to_zip([flat_scene("a"), flat_scene("b", 1)], str(path))
    assert one.read_bytes() == two.read_bytes()
    assert sorted(tmp_path.iterdir()) == [one, two]


def test_blocks_of_rows_give_the_same_as_the_whole(uri, tmp_path, monkeypatch):
    scenes_to_zip([flat_scene()], uri)
    monkeypatch.setattr("geoseg.volumes.scenes.planes._BLOCK_VOXELS", 15)
    other = str(tmp_path / "other.zip")
    scenes_to_zip([flat_scene()], other)
    with zipfile.ZipFile(uri) as one, zipfile.ZipFile(other) as two:
        assert one.read("train.pq") == two.read("train.pq")
        np.testing.assert_array_equal(
            np.load(io.BytesIO(one.read("images/flat.npy"))),
            np.load(io.BytesIO(two.read("images/flat.npy"))),
        )


def test_a_file_that_is_read_is_not_overwritten(write_raster, tmp_path):
    path = write_raster("a.tif", np.ones((1, 5, 7), "uint8"))
    with pytest.raises(ConfigError, match="is read as an input too"):
        scenes_to_zip([Scene.of(path)], path, classes=["river"], split="test")


@pytest.mark.parametrize(
    ("options", "kind", "text"),
    [
        ({"split": "valid"}, ConfigError, "split is 'valid', expected one of: train, validation"),
        ({"split": {}}, ConfigError, "split names no split for the scenes flat"),
        (
            {"split": {"flat": "train", "x": "test"}},
            ConfigError,
            "split names x, but the scenes are",
        ),
        ({"folds": {"other": 1}}, ConfigError, "folds names other, but the scenes are flat"),
        ({"labels": {"other": []}}, ConfigError, "labels names other"),
        ({"labels": {"flat": []}}, SceneError, "0 labels are given for 1 dates"),
        (
            {"label_axis": "mean"},
            ConfigError,
            "label_axis is 'mean', expected one of: error, repeat",
        ),
        ({"ignored": "skip"}, ConfigError, "ignored is 'skip', expected one of: error, background"),
        ({"classes": ["lake"]}, LabelError, "no class is called 'lake'"),
        ({"split": "test"}, ConfigError, "nothing tells the classes"),
    ],
)
def test_options_that_do_not_fit_are_refused(uri, options, kind, text):
    with pytest.raises(kind, match=text):
        scenes_to_zip([flat_scene()], uri, **options)


def test_scenes_that_do_not_fit_are_refused(uri):
    with pytest.raises(SceneError, match="scene 'a' has no labels"):
        scenes_to_zip([Scene(id="a", image=pixels())], uri)
    other = Scene(id="b", image=pixels(), labels=labels_of(classes=ClassMap.of("none", "a", "b")))
    with pytest.raises(LabelError, match="scene 'b' has the classes"):
        scenes_to_zip([flat_scene(), other], uri)
    scene = stack_scene(transforms=(MinMax(low=(0,), high=(9,)),))
    with pytest.raises(SceneError, match="transforms of its own"):
        scenes_to_zip([scene], uri, labels={"stack": dated()})
    mixed = [*dated()[:2], labels_of(classes=ClassMap.of("background", "ice", "river"))]
    with pytest.raises(SceneError, match="different class maps"):
        scenes_to_zip([stack_scene()], uri, labels={"stack": mixed})
    with pytest.raises(ConfigError, match="label_axis is 'keep'"):
        zip_to_scenes(None, label_axis="keep")


def test_scenes_of_slices_have_ids_of_their_own(uri):
    image = np.arange(105, dtype="uint8").reshape(3, 5, 7)
    with VolumeZipWriter(uri, ["river"]) as writer:
        for name, planes in (("a", 3), ("a_0", 1), ("b", 2), ("c", 1)):
            writer.write(name, image[:planes], {})
    found = [scene.id for scene in zip_to_scenes(VolumeZip(uri), label_axis="split")]
    assert found == ["a.npy_0", "a.npy_1", "a.npy_2", "a_0.npy", "b_0", "b_1", "c"]
    whole = [scene.id for scene in zip_to_scenes(VolumeZip(uri), label_axis="drop")]
    assert whole == ["a", "a_0", "b", "c"]


def test_scenes_that_can_only_be_called_alike_are_refused(uri):
    image = np.zeros((2, 5, 7), "uint8")
    with VolumeZipWriter(uri, ["river"]) as writer:
        for name, planes in (("a", 2), ("a_0", 1), ("a.npy_0", 1)):
            writer.write(name, image[:planes], {})
    with pytest.raises(SourceError, match=r"a\.npy.*would be called 'a\.npy_0', as another one"):
        zip_to_scenes(VolumeZip(uri), label_axis="split")


@pytest.mark.parametrize(
    ("count", "cure"), [(255, "pass classes=ClassMap"), (300, "scenes have 255 classes at most")]
)
def test_more_classes_than_a_class_map_holds_are_told(uri, count, cure):
    names = [f"c{number}" for number in range(count)]
    with VolumeZipWriter(uri, names) as writer:
        writer.write("a", np.ones((1, 5, 7), "uint8"), {"c7": np.ones((1, 5, 7), bool)})
    with pytest.raises(LabelError, match=rf"the {count} classes of the zip .*{cure}"):
        zip_to_scenes(VolumeZip(uri))
    if count == 255:
        (scene,) = zip_to_scenes(VolumeZip(uri), classes=ClassMap.of(*names))
        assert (scene.read(scene.grid.whole).labels == 7).all()
