"""Pictures of volumes: slices and planes show the voxels that they name."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from geoseg import plot
from geoseg.classes import ClassMap
from geoseg.errors import ConfigError
from geoseg.learner.volumes.predicted import PredictedVolume
from geoseg.plot import slices
from geoseg.plot.view import stretched

pytest.importorskip("matplotlib")

SHAPE = (4, 11, 7)


@pytest.fixture
def row():
    rng = np.random.default_rng(0)
    image = rng.integers(0, 900, (1, *SHAPE)).astype("uint16")
    masks = np.zeros((2, *SHAPE), bool)
    masks[0, 2, 3:8, 1:6] = True
    masks[1, 1, 9, 2] = True
    return SimpleNamespace(
        name="a.npy",
        classes=("water", "ice"),
        times=("t0", "t1", "t2", "t3"),
        image=lambda: image,
        masks=lambda: masks,
    )


def shown(figure):
    """The arrays of a figure's pictures, in order."""
    return [np.asarray(image.get_array()) for ax in figure.axes for image in ax.get_images()]


def grey(*parts):
    """Slices (height, width) in greys of one stretch."""
    line = np.concatenate([part.ravel() for part in parts])[None, None]
    colors = stretched(line, np.ones(line.shape[1:], bool))[0]
    ends = np.cumsum([part.size for part in parts])[:-1]
    return [c.reshape(*p.shape, 3) for c, p in zip(np.split(colors, ends), parts, strict=True)]


def test_three_slices_meet_in_the_voxel_that_was_asked_for(row):
    image = row.image()[0]
    found = shown(plot.volume(image, at=(3, 9, 2)))
    plane, flat, column = grey(image[3], image[:, 9], image[:, :, 2])
    assert (found[0] == plane).all()
    assert (
        found[1] == column.transpose(1, 0, 2)
    ).all()  # beside the plane, rows in one line with it
    assert (found[2] == flat).all()


def test_masks_are_drawn_over_the_image_in_the_colours_of_the_legend(row):
    figure = plot.volume(row)
    image, masks = row.image()[0], row.masks()
    plane = grey(image[2], image[:, 3], image[:, :, 3])[0].astype(float)
    inside = masks[0, 2]
    colors = [info.color for info in ClassMap.of("water", "ice").classes]
    plane[inside] = np.round((plane[inside] + colors[0]) / 2)
    assert (shown(figure)[0] == plane).all()
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["water", "ice"]
    told = [patch.get_facecolor()[:3] for patch in legend.get_patches()]
    assert np.round(np.array(told) * 255).tolist() == [list(color) for color in colors]


def test_without_a_place_the_slices_go_through_the_masks(row):
    titles = [ax.get_title() for ax in plot.volume(row).axes]
    assert titles[:3] == ["plane 2: t2", "column 3", "row 3"]
    assert plot.volume(row.image()).axes[0].get_title() == "plane 2"  # the middle


def test_a_thin_depth_is_drawn_larger_and_told(row):
    thin = np.zeros((2, 40, 90), "uint8")
    thin[0, 0, 0] = 1
    figure = plot.volume(thin)
    assert "2 x 40 x 90 voxels; depth drawn 11.2 times as large" in figure.get_suptitle()
    assert "drawn" not in plot.volume(row.image()).get_suptitle()
    figure.draw_without_rendering()


def test_other_masks_take_the_place_of_the_rows_own(row):
    other = {"guess": np.ones(SHAPE, bool)}
    figure = plot.volume(row, other, at=(0, 0, 0))
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["guess"]
    stack = np.ones((2, *SHAPE), bool)
    figure = plot.volume(row.image(), stack)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["class 0", "class 1"]
    assert len(plot.volume(row, stack[0, None].repeat(2, axis=0)).legends) == 1


def test_three_channels_are_red_green_and_blue_and_what_is_no_number_is_white():
    image = np.random.default_rng(1).random((5, *SHAPE)).astype("float32")
    image[1, 2, 5, 3] = np.nan
    picture = shown(plot.montage(image, planes=[2]))[0]
    assert picture[5, 3].tolist() == [255, 255, 255]
    valid = np.isfinite(image[:3, 2]).all(axis=0)
    assert (picture == stretched(image[:3, 2], valid)).all()


def test_a_montage_shows_the_planes_in_their_order(row):
    figure = plot.montage(row, planes=[3, 0])
    image = row.image()[0]
    for found, plane in zip(shown(figure), grey(image[3], image[0]), strict=True):
        assert (found == plane).all()
    assert [ax.get_title() for ax in figure.axes[:2]] == ["3: t3", "0: t0"]
    assert figure.get_suptitle() == "a.npy: 2 of 4 planes of 11 x 7 voxels"


def test_a_montage_of_a_deep_volume_takes_planes_evenly():
    deep = np.zeros((31, 3, 5), "uint8")
    titles = [ax.get_title() for ax in plot.montage(deep, most=4).axes]
    assert titles[:4] == ["0", "10", "20", "30"]
    assert len(shown(plot.montage(deep[:1], most=4))) == 1


def test_long_sides_are_thinned_out(monkeypatch, row):
    monkeypatch.setattr(slices, "LONGEST", 4)
    picture = shown(plot.montage(row, planes=[2]))[0]
    image, mask = row.image()[0][2, ::3, ::2], row.masks()[0][2, ::3, ::2]
    expected = grey(image)[0].astype(float)
    color = ClassMap.of("water").classes[0].color
    expected[mask] = np.round((expected[mask] + color) / 2)
    assert (picture == expected).all()


@pytest.mark.parametrize(
    ("masks", "options", "text"),
    [
        (np.ones((1, *SHAPE), bool), {}, "1 masks for the 2 classes water, ice"),
        ({"a": np.ones((3, 3, 3), bool)}, {}, r"mask 'a' is bool of the shape \(3, 3, 3\)"),
        ({"a": np.ones(SHAPE)}, {}, "mask 'a' is float64"),
        ([np.ones(SHAPE, bool)], {}, "masks: a list, expected arrays"),
        (np.ones(SHAPE[1:], bool), {}, r"masks: an array of the shape \(11, 7\)"),
        ({"a": [[1]]}, {}, "the mask 'a': a list, expected"),
        (None, {"at": 5}, "at is 5, expected"),
        (None, {"at": (1.5, 0, 0)}, r"at is \(1\.5, 0, 0\)"),
        (None, {"at": (True, 0, 0)}, r"at is \(True, 0, 0\)"),
        (None, {"at": "abc"}, "at is 'abc'"),
        (None, {"at": (4, 0, 0)}, r"at is \(4, 0, 0\)"),
        (None, {"at": (0, -1, 0)}, r"at is \(0, -1, 0\)"),
        (None, {"at": (0, 0)}, r"at is \(0, 0\)"),
    ],
)
def test_what_does_not_fit_is_refused(row, masks, options, text):
    with pytest.raises(ConfigError, match=text):
        plot.volume(row, masks, **options)


def test_planes_that_are_not_there_are_refused(row):
    for planes in ([4], [-1], []):
        with pytest.raises(ConfigError, match="expected numbers from 0 to 3"):
            plot.montage(row, planes=planes)
    for planes in (3, [1.5], "ab"):
        with pytest.raises(ConfigError, match=r"planes are .*, expected numbers from 0 to 3"):
            plot.montage(row, planes=planes)
    for most in (0, "a", 1.5, True, None):
        with pytest.raises(ConfigError, match=f"most is {most!r}, expected at least one plane"):
            plot.montage(row, most=most)
    with pytest.raises(ConfigError, match=r"shape \(3, 4\)"):
        plot.montage(np.ones((3, 4)))


def test_places_may_come_from_numpy(row):
    image = row.image()[0]
    (plane, *_) = shown(plot.volume(image, at=np.array([3, 9, 2])))
    assert (plane == grey(image[3], image[:, 9], image[:, :, 2])[0]).all()
    assert len(shown(plot.montage(image, planes=np.arange(2), most=np.int64(3)))) == 2


def test_a_prediction_is_drawn_as_its_masks(row):
    classes = ClassMap.of("background", "water", "ice")
    ids = (row.masks() * np.array([1, 2])[:, None, None, None]).sum(axis=0).astype(np.uint8)
    ids[0, :2] = 255
    prediction = PredictedVolume("a.npy", classes, ids)
    for draw in (plot.volume, plot.montage):
        found, expected = draw(row, prediction), draw(row, row.masks())
        for one, other in zip(shown(found), shown(expected), strict=True):
            assert (one == other).all()
    overlapping = PredictedVolume("a.npy", ClassMap.of("water", "ice"), row.masks())
    assert (shown(plot.volume(row, overlapping))[0] == shown(plot.volume(row))[0]).all()


def test_what_has_no_image_is_told_to_be_passed_as_masks():
    classes = ClassMap.of("background", "box")
    prediction = PredictedVolume("a", classes, np.zeros((2, 3, 4), np.uint8))
    with pytest.raises(ConfigError, match=r"PredictedVolume has no image.*prediction\.masks\(\)"):
        plot.volume(prediction)
