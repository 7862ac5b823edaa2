"""Written predictions against written truth, by their runs."""

from itertools import permutations

import numpy as np
import pytest
from sklearn.metrics import f1_score, jaccard_score

from geoseg.errors import ConfigError, LabelError
from geoseg.learner.volumes.judging import judged
from geoseg.volumes import ArrayVolume, Rle, VolumeZip, VolumeZipWriter
from geoseg.volumes.exporting.copying import stored_names
from geoseg.volumes.writing.names import file_name

SHAPE = (3, 5, 7)


def masks_of(seed):
    rng = np.random.default_rng(seed)
    return {name: rng.random(SHAPE) < share for name, share in (("a", 0.5), ("b", 0.2))}


def volume(name, masks, **options):
    return ArrayVolume(name, np.zeros(SHAPE, np.uint8), masks, **options)


def test_scores_of_two_zips_are_those_of_scikit_learn(tmp_path):
    image = np.zeros(SHAPE, np.uint8)
    known, found = ([masks_of(2 * seed + part) for seed in range(3)] for part in (0, 1))
    with VolumeZipWriter(tmp_path / "t.zip", ["a", "b"]) as writer:
        for number, masks in enumerate(known):
            writer.write(f"v{number}", image, masks)
    with VolumeZipWriter(
        tmp_path / "p.zip", ["b", "a"], image_axes="DHW", rle_order="hwd"
    ) as writer:
        for number in (1, 0):
            writer.write(f"v{number}", image, found[number])
    report = judged(*(VolumeZip(tmp_path / f"{name}.zip").frame("train") for name in "tp"))
    assert list(report.volumes) == ["v1", "v0"]
    for name in ("a", "b"):
        truth, guess = (
            np.stack([one[name] for one in part[:2]]).ravel() for part in (known, found)
        )
        assert report.dice[name] == pytest.approx(f1_score(truth, guess))
        assert report.iou[name] == pytest.approx(jaccard_score(truth, guess))


def test_no_mask_is_decoded_where_runs_have_one_order(monkeypatch):
    one, other = volume("v", masks_of(0)), volume("v.npy", masks_of(1))
    monkeypatch.setattr(Rle, "decode", lambda self: pytest.fail("decoded"))
    assert 0 < judged([one], [other]).mean_dice < 1


@pytest.mark.parametrize(
    ("predicted", "kind", "text"),
    [
        ([volume("w", masks_of(0))], ConfigError, "1 of 1 predicted volumes are not in the truth.*'w'"),
        ([volume("v", masks_of(0)), volume("v.npy", masks_of(0))], ConfigError, "two volumes are called 'v'"),
        ([volume("v", {"a": np.ones(SHAPE, bool)})], ConfigError, r"has the classes \['a'\]"),
        ([volume("v", None, classes=["a", "b"])], LabelError, "has no masks"),
        ([ArrayVolume("v", np.zeros((1, 1, 2)), {}, ["a", "b"])], LabelError, r"\(1, 1, 2\) in the prediction"),
        ([], ConfigError, "no predicted volume"),
    ],
)  # fmt: skip
def test_what_cannot_be_compared_is_told(predicted, kind, text):
    with pytest.raises(kind, match=text):
        judged([volume("v", masks_of(0))], predicted)


@pytest.mark.parametrize(
    ("truth", "predicted", "names"),
    [
        (("a.tif", "b.nii.gz"), ("a.npy", "b.npy"), ["a", "b"]),
        (("a.tif", "a.nii"), ("a.tif.npy", "a.nii.npy"), ["a.tif", "a.nii"]),
        (("a.tif", "A.nii"), ("a.tif.npy", "A.nii.npy"), ["a.tif", "A.nii"]),
        (("a.tif", "a.nii"), ("a.tif", "a.nii"), ["a.tif", "a.nii"]),
        (("a.npy", "a.tif"), ("a.npy", "a.tif.npy"), ["a.npy", "a.tif"]),
        (("A.tif", "a.npy"), ("A.tif.npy", "a.npy"), ["A.tif", "a.npy"]),
        (("a.tif", "b.tif"), ("a.tif.npy", "b.tif.npy"), ["a", "b"]),
        (
            ("a.tif", "a.npy", "a.npy.tif"),
            ("a.tif", "a.npy", "a.npy.tif"),
            ["a.tif", "a.npy", "a.npy.tif"],
        ),
    ],
)
def test_volumes_belong_together_without_the_ends_of_their_files(truth, predicted, names):
    """Each has masks of its own, so that only the right pairs agree in all voxels."""
    known, found = (
        [volume(name, masks_of(seed)) for seed, name in enumerate(files)]
        for files in (truth, predicted)
    )
    report = judged(known, found[::-1])
    assert list(report.volumes) == names[::-1]
    assert report.mean_dice == 1


@pytest.mark.parametrize(
    "truth", [("a.tif", "A.nii"), ("a.tif", "a.nii"), ("a.nii", "a.tif.npy", "a.tif")]
)
def test_a_volume_of_the_very_same_name_is_found_among_others_that_are_alike(truth):
    known = [volume(name, masks_of(seed)) for seed, name in enumerate(truth)]
    right = volume("a.tif", masks_of(truth.index("a.tif")))
    assert judged(known, [right]).mean_dice == 1


NAMES = [
    *("a", "a.npy", "a.tif", "a.nii", "a.nii.gz", "A", "A.npy", "A.TIF"),
    *("a.tif.npy", "a.npy.tif", "b.npy", "v1.0", "v1.0.npy", "v1.tif"),
]


@pytest.mark.parametrize("count", [1, 2, 3])
def test_each_volume_is_found_by_the_name_that_a_prediction_stores_it_by(count):
    """Each has a shape of its own, so that no other pair is compared."""
    compared = 0
    for names in permutations(NAMES, count):
        files = [file_name(name) for name in stored_names(names)]
        if len({file.lower() for file in files}) < count:
            continue  # no writer takes both
        known, found = (
            [
                ArrayVolume(name, np.zeros((1, 1, n), np.uint8), {"a": np.ones((1, 1, n), bool)})
                for n, name in enumerate(part, start=1)
            ]
            for part in (names, files)
        )
        report = judged(known, found[::-1])
        assert [one[0, 1] for one in report.volumes.values()] == [*range(count, 0, -1)]
        compared += 1
    assert compared > {1: 13, 2: 150, 3: 1000}[count]


def test_a_prediction_that_is_given_twice_is_told():
    one = volume("a.npy", masks_of(0))
    with pytest.raises(ConfigError, match="two volumes are called 'a'"):
        judged([one], [one, one])


def test_a_prediction_of_either_of_two_volumes_is_told():
    truth = [volume(name, masks_of(0)) for name in ("a.tif", "a.nii")]
    with pytest.raises(ConfigError, match=r"two volumes are called 'a': a\.tif and a\.nii"):
        judged(truth, [volume("a.npy", masks_of(0))])
