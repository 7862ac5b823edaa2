"""Names of members beyond ASCII, as tools of several systems write them."""

import unicodedata
import zipfile

import numpy as np
import pytest

from geoseg.volumes import VolumeZip
from tests.volumes.zip.zips import frame, npy, ramp

COMPOSED = "Zürich-äß"
APART = unicodedata.normalize("NFD", COMPOSED)


def write_raw(path, names, *, system=3, encoding="utf-8"):
    """A zip whose names are bytes without the flag of UTF-8, as Info-ZIP and macOS write them."""

    class Raw(zipfile.ZipInfo):
        def _encodeFilenameFlags(self):  # noqa: N802 - as zipfile calls it
            return self.filename.encode(encoding), self.flag_bits & ~0x800

    with zipfile.ZipFile(path, "w") as file:
        for name, data in names.items():
            info = Raw(name)
            info.create_system = system
            file.writestr(info, data)
    return str(path)


def members(image, row, folder="images"):
    return {
        "train.pq": frame([row], [["", ""]]),
        f"{folder}/{image}": npy(ramp().transpose(1, 2, 0)),
    }


def same(volumes):
    np.testing.assert_array_equal(volumes.frame("train")[0].image()[0], ramp())
    report = volumes.validate()
    assert (report.errors, report.warnings) == ((), ())


@pytest.mark.parametrize("system", [3, 19])
def test_utf_8_that_is_not_flagged_is_understood(tmp_path, system):
    name = f"{COMPOSED}.npy"
    uri = write_raw(tmp_path / "a.zip", members(name, name), system=system)
    assert name not in " ".join(zipfile.ZipFile(uri).namelist())

    same(VolumeZip(uri))


def test_names_of_the_old_code_page_stay_what_they_are(tmp_path):
    name = "Zürich.npy"
    for system, encoding in ((0, "cp437"), (3, "cp437")):
        uri = write_raw(tmp_path / "a.zip", members(name, name), system=system, encoding=encoding)
        same(VolumeZip(uri))


@pytest.mark.parametrize(("image", "row"), [(APART, COMPOSED), (COMPOSED, APART)])
def test_letters_may_be_composed_in_one_place_and_not_in_the_other(tmp_path, image, row):
    uri = write_raw(tmp_path / "a.zip", members(f"{image}.npy", f"{row}.npy", folder=image))

    same(VolumeZip(uri))
    same(VolumeZip(uri, folder=row))


def test_two_members_that_differ_in_composition_alone_keep_their_own_names(tmp_path):
    data = {"train.pq": frame([f"{APART}.npy", f"{COMPOSED}.npy"], [["", ""]] * 2)}
    data |= {f"i/{name}.npy": npy(ramp() + place) for place, name in enumerate((APART, COMPOSED))}
    one, other = VolumeZip(write_raw(tmp_path / "a.zip", data), image_axes="DHW").frame("train")

    np.testing.assert_array_equal(one.image()[0], ramp())
    np.testing.assert_array_equal(other.image()[0], ramp() + 1)
