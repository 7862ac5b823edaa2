"""Mean and deviation of a data set of one's own."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from geoseg.errors import ConfigError, SourceError
from geoseg.learner.facts import scaled_statistics
from geoseg.learner.measured import facts_of_items


def dataset_statistics(dataset, **options):
    return scaled_statistics(facts_of_items(dataset, **options))


def items(count=5, dtype=np.uint8, seed=0):
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        image = rng.integers(0, 200, (2, 9, 12)).astype(dtype)
        image[1] = 7
        valid = rng.random((9, 12)) > 0.3
        found.append(
            {
                "image": torch.from_numpy(image),
                "mask": torch.zeros(9, 12, dtype=torch.int64),
                "valid": torch.from_numpy(valid),
            }
        )
    return found


@pytest.mark.parametrize(
    ("dtype", "scale"), [(np.uint8, 255), (np.uint16, 65535), (np.int16, 1), (np.float32, 1)]
)
def test_it_is_the_mean_and_deviation_of_valid_pixels_of_scaled_images(dtype, scale):
    data = items(dtype=dtype)
    pixels = np.concatenate([i["image"][0][i["valid"]].numpy() for i in data]).astype(float) / scale
    mean, std = dataset_statistics(data)
    assert mean == pytest.approx([pixels.mean(), 7 / scale])
    assert std == pytest.approx([pixels.std(), 1.0])


def test_only_some_items_are_looked_at_evenly_spread():
    data, seen = items(101), []

    class Told(torch.utils.data.Dataset):
        def __len__(self):
            return len(data)

        def __getitem__(self, index):
            seen.append(index)
            torch.rand(3)  # as an augmentation of one's own would
            return data[index]

    state = torch.random.get_rng_state()
    dataset_statistics(Told(), limit=5)
    assert seen == [0, 25, 50, 75, 100]
    assert torch.equal(torch.random.get_rng_state(), state)
    assert dataset_statistics(Told(), limit=1) == dataset_statistics(data[:1])


def test_items_that_are_no_samples_are_told():
    for wrong, words in (
        ([], "is empty"),
        ([(1, 2)], "item 0 of the data set is tuple"),
        ([{"image": torch.zeros(1, 4, 4), "mask": torch.zeros(4, 4)}], "lacks valid"),
        ([*items(1), {**items(1)[0], "image": torch.zeros(3, 9, 12)}], "3 channels of float32"),
        ([{**items(1)[0], "mask": torch.zeros(9, 11)}], r"mask \(9, 11\)"),
    ):
        with pytest.raises(ConfigError, match=words):
            dataset_statistics(wrong)
    nowhere = {**items(1)[0], "valid": torch.zeros(9, 12, dtype=torch.bool)}
    with pytest.raises(SourceError, match="no valid pixel"):
        dataset_statistics([nowhere])
