"""Names of channels are learnt, compared and handed on."""

import warnings

import numpy as np
import pytest

from geoseg.errors import BundleError, ConfigError
from geoseg.learner import Learner, VolumeData
from geoseg.volumes import ArrayVolume, VolumeZip, VolumeZipWriter
from tests.learner.volumes.boxes import quick

SHAPE = (6, 16, 17)
NAMES = ("red", "nir")


def volume(name="a", names=NAMES):
    image = np.random.default_rng(0).integers(0, 256, (2, *SHAPE), np.uint8)
    return ArrayVolume(name, image, {"box": image[0] > 100}, channel_names=names)


class Bare:
    """A volume of one's own, that tells nothing of names."""

    def __init__(self, given):
        for member in ("name", "fold", "classes", "shape", "channels", "dtype", "crs", "transform",
                       "times", "image", "image_window", "rles", "masks"):  # fmt: skip
            setattr(self, member, getattr(given, member))


@pytest.fixture(scope="module")
def fitted():
    return Learner(["box"], quick(length=2)).fit([volume()])


def test_a_model_knows_the_names_of_the_channels_it_was_trained_on(fitted, tmp_path):
    assert fitted.data.band_names == NAMES
    fitted.save(str(tmp_path / "model.geoseg"))
    assert Learner.load(str(tmp_path / "model.geoseg")).data.band_names == NAMES
    assert Learner(["box"], quick(length=2)).fit([volume(names=None)]).data.band_names == ("1", "2")


@pytest.mark.parametrize("call", ["predict", "evaluate"])
def test_channels_in_another_order_are_refused_by_name(fitted, call):
    with pytest.raises(BundleError, match=r"'b'.*\(nir, red\).*trained on \(red, nir\)"):
        getattr(fitted, call)([volume(), volume("b", NAMES[::-1])])


@pytest.mark.parametrize("call", ["predict", "evaluate"])
def test_volumes_without_names_are_counted(fitted, call):
    given = [volume(), Bare(volume("b", None)), volume("c", None), volume("d", ("1", "2"))]
    with pytest.warns(UserWarning, match=r"3 of 4 volumes, first 'b'.*\(red, nir\)") as told:
        getattr(fitted, call)(given)
    assert [one.filename for one in told] == [__file__]


def test_volumes_of_a_training_name_their_channels_alike():
    with pytest.raises(ConfigError, match=r"'b' has the channels \(nir, red\), but volume 'a' has"):
        Learner(["box"], quick()).fit([volume(), volume("b", NAMES[::-1])])
    with pytest.warns(UserWarning, match="1 of 2 volumes, first 'b'"):
        _ = VolumeData([volume(), volume("b", None)], size=8).training


def test_volumes_for_validation_name_their_channels_as_those_for_training():
    other = [volume("b", NAMES[::-1])]
    with pytest.raises(ConfigError, match="for validation have the channels"):
        Learner(["box"], quick()).fit([volume()], other)
    with pytest.warns(UserWarning, match="1 of 1 volumes, first 'b'"):
        _ = VolumeData([volume()], [volume("b", None)], size=8).validation


def test_names_go_along_into_a_zip_and_out_of_it(fitted, tmp_path):
    for source, target in ((volume(), "one"), (None, "two")):
        with VolumeZipWriter(tmp_path / f"{target}.zip", ["box"]) as store:
            given = source or VolumeZip(tmp_path / "one.zip").frame("train")
            fitted.predict(given, store)
    (row,) = VolumeZip(tmp_path / "two.zip").frame("train")
    assert row.channel_names == NAMES


def test_there_are_as_many_names_as_channels():
    with pytest.raises(ConfigError, match="1 names for 2 channels"):
        volume(names=("red",))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert volume(names=None).channel_names is None
