"""Written predictions against written truth, by their runs."""

import numpy as np
import pytest
from sklearn.metrics import f1_score, jaccard_score

from geoseg.errors import ConfigError, LabelError
from geoseg.learner.volumes.judging import judged
from geoseg.volumes import ArrayVolume, Rle, VolumeZip, VolumeZipWriter

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


def test_a_prediction_of_either_of_two_volumes_is_told():
    truth = [volume(name, masks_of(0)) for name in ("a.tif", "a.nii")]
    with pytest.raises(ConfigError, match=r"two volumes are called 'a': a\.tif and a\.nii"):
        judged(truth, [volume("a.npy", masks_of(0))])
