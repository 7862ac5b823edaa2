"""Which dialect masks look like."""

import numpy as np
import pytest

from geoseg.volumes import VolumeZip
from tests.volumes.rle.documented import documented_encoder
from tests.volumes.zip.zips import frame, npy, write

SHAPE = 12, 25, 40
"""(depth, height, width)."""


def ball(shape=SHAPE):
    """An ellipsoid (depth, height, width)."""
    axes = np.ogrid[tuple(slice(-1, 1, side * 1j) for side in shape)]
    return sum(axis**2 for axis in axes) < 0.6


def faces(mask):
    """Neighbours that differ, counted in signed arithmetic."""
    return sum(int(np.abs(np.diff(mask.astype(int), axis=axis)).sum()) for axis in range(3))


def zip_of(path, stored_and_texts, **options):
    """Of (stored array, text) a volume."""
    names = [f"{number}.npy" for number in range(len(stored_and_texts))]
    members = {"train.pq": frame(names, [[line, ""] for _, line in stored_and_texts])}
    members |= {
        f"i/{name}": npy(one) for name, (one, _) in zip(names, stored_and_texts, strict=True)
    }
    return VolumeZip(write(path, members), **options)


def literal(mask):
    """Stored (height, width, depth), for H2O's decoder."""
    return mask.transpose(1, 2, 0).astype(np.uint8), documented_encoder(mask)


def dhw(mask):
    """Stored as it is encoded."""
    return mask.astype(np.uint8), documented_encoder(mask)


def hfast(mask):
    """Stored (height, width, depth), and so encoded."""
    return mask.transpose(1, 2, 0).astype(np.uint8), documented_encoder(mask.transpose(1, 2, 0))


@pytest.mark.parametrize(
    ("dialect", "axes", "order", "name"),
    [
        (literal, "HWD", "dhw", "literal"),
        (dhw, "DHW", "dhw", "dhw or hfast"),
        (hfast, "HWD", "hwd", "dhw or hfast"),
    ],
)
def test_each_dialect_is_found_however_the_zip_is_read(tmp_path, dialect, axes, order, name):
    data = [dialect(ball())]
    right = zip_of(tmp_path / "a.zip", data, image_axes=axes, rle_order=order).diagnose_axes()

    assert (right.dialect, right.read_as, right.volumes) == (name, name, 1)
    assert right.variation[name] == faces(ball())
    assert set(right.variation) == {"literal", "dhw or hfast"}
    assert max(right.variation.values()) > 2 * faces(ball())
    for other in ("HWD", "DHW"):
        volumes = zip_of(tmp_path / f"{other}.zip", data, image_axes=other)
        read = (volumes.image_axes, volumes.rle_order)
        found = volumes.diagnose_axes()
        assert (found.dialect, found.variation) == (name, right.variation)
        assert (volumes.image_axes, volumes.rle_order) == read


def test_the_other_order_of_slices_first_is_neither_dialect(tmp_path):
    volumes = zip_of(tmp_path / "a.zip", [dhw(ball())], image_axes="DHW", rle_order="hwd")

    assert volumes.diagnose_axes().read_as is None


@pytest.mark.parametrize("shape", [(5, 40, 40), (30, 8, 8), (4, 60, 30)])
def test_a_zip_that_is_read_as_neither_dialect_is_ambiguous(tmp_path, shape):
    mask = ball(shape)
    data = [(mask.astype(np.uint8), documented_encoder(mask.transpose(1, 2, 0)))]
    volumes = zip_of(tmp_path / "a.zip", data, image_axes="DHW", rle_order="hwd")
    found = volumes.diagnose_axes()

    assert (found.dialect, found.read_as, found.volumes) == ("ambiguous", None, 1)
    assert min(found.variation.values()) < 0.8 * max(found.variation.values())
    np.testing.assert_array_equal(volumes.frame("train")[0].masks()[0], mask)


def test_masks_that_look_as_if_read_along_wrong_axes_are_a_warning(tmp_path):
    volumes = zip_of(tmp_path / "a.zip", [hfast(ball())])
    (warning,) = volumes.validate().warnings

    assert "smoother in the dialect dhw or hfast" in warning
    assert "VolumeZip(..., image_axes='HWD', rle_order='hwd', or image_axes='DHW'" in warning
    assert zip_of(tmp_path / "b.zip", [hfast(ball())], rle_order="hwd").validate().warnings == ()
    assert volumes.validate(axes=False).warnings == ()


@pytest.mark.parametrize(
    ("data", "counts"),
    [
        ([literal(ball((16, 16, 16)))], (0, 1, 0)),  # a cube
        ([literal(ball((1, 25, 40)))], (0, 1, 0)),  # flat: one rule for both
        ([literal(np.zeros(SHAPE, bool))], (0, 1, 0)),
        ([literal(np.ones(SHAPE, bool))], (1, 0, 0)),
        ([(np.zeros(SHAPE, np.uint8), "1 x")], (0, 0, 1)),
        ([literal(np.random.default_rng(0).random(SHAPE) < 0.5)], (1, 0, 0)),
    ],
)
def test_what_cannot_tell_is_ambiguous(tmp_path, data, counts):
    found = zip_of(tmp_path / "a.zip", data).diagnose_axes()

    assert found.dialect == "ambiguous"
    assert (found.volumes, found.undecided, found.unread) == counts


def test_volumes_that_cannot_tell_do_not_blur_those_that_can(tmp_path):
    data = [literal(ball((30, 30, 30))), literal(ball()), (np.zeros(SHAPE, np.uint8), "1 x")]
    found = zip_of(tmp_path / "a.zip", data).diagnose_axes()

    assert found.to_dict() == {
        "dialect": "literal",
        "variation": {"literal": faces(ball()), "dhw or hfast": found.variation["dhw or hfast"]},
        "volumes": 1,
        "undecided": 1,
        "unread": 1,
        "read_as": "literal",
    }


def test_a_zip_without_labels_is_ambiguous(tmp_path):
    uri = write(tmp_path / "a.zip", {"test.pq": frame(["v.npy"]), "i/v.npy": npy(ball())})

    assert VolumeZip(uri, train=None, test="test.pq").diagnose_axes().dialect == "ambiguous"
