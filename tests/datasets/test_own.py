"""Data sets of one's own: the same items of an epoch from any process, and none before the epoch is known."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, Dataset

from geoseg.datasets import EpochLoader, EpochSampler
from geoseg.datasets.own import OwnItems


class Told(Dataset):
    """Keeps the epoch as any class would, unseen by other processes, and draws from all generators."""

    epoch = None

    def __len__(self):
        return 9

    def set_epoch(self, epoch):
        self.epoch = epoch

    def __getitem__(self, index):
        drawn = torch.rand(1).item(), np.random.rand(), random.random()  # noqa: NPY002
        return torch.tensor([-1 if self.epoch is None else self.epoch, index, *drawn]).double()


class Together(Told):
    def __getitems__(self, indices):
        return [self[index] for index in indices]


def epochs_of(data, *, workers, epochs, kind=EpochLoader):
    sampler = EpochSampler(data, seed=5)
    loader = kind(data, 2, sampler=sampler, num_workers=workers, persistent_workers=workers > 0)
    found = []
    for epoch in epochs:
        batches = iter(loader)
        sampler.set_epoch(epoch)  # after `iter`, as a resumed training does
        found.append(torch.cat(list(batches)))
    return found


@pytest.mark.parametrize("kind", [Told, Together])
def test_items_do_not_depend_on_workers_nor_on_the_epochs_before(kind):
    alone = epochs_of(OwnItems(kind(), seed=1), workers=0, epochs=(0, 1, 2))
    for epoch, items in enumerate(alone):
        assert (items[:, 0] == epoch).all()
        assert sorted(items[:, 1].tolist()) == list(range(9))
    for workers in (1, 2):
        others = epochs_of(OwnItems(kind(), seed=1), workers=workers, epochs=(0, 1, 2))
        assert all(map(torch.equal, alone, others))
    (later,) = epochs_of(OwnItems(kind(), seed=1), workers=1, epochs=(2,))
    assert torch.equal(later, alone[2])
    (other,) = epochs_of(OwnItems(kind(), seed=2), workers=0, epochs=(2,))
    assert not torch.equal(later[:, 2:], other[:, 2:])


def test_the_random_numbers_of_the_process_go_on_as_if_no_item_had_been_read():
    def drawn(read):
        torch.manual_seed(1)
        np.random.seed(1)  # noqa: NPY002
        random.seed(1)
        if read:
            data = OwnItems(Told())
            data.set_epoch(1)
            _ = data[3], data.__getitems__([1, 2])
        return torch.rand(1).item(), np.random.rand(), random.random()  # noqa: NPY002

    assert drawn(read=True) == drawn(read=False)


def test_a_data_set_without_an_epoch_is_told_none():
    class Bare(Told):
        set_epoch = None

    data = OwnItems(Bare())
    data.set_epoch(4)
    first, again = data[3], data[3]
    assert torch.equal(first, again)
    data.set_epoch(5)
    assert not torch.equal(first, data[3])
    assert len(data) == 9


def test_items_of_which_no_epoch_is_told_are_those_of_the_data_set():
    told = Told()
    assert OwnItems(told)[3][:2].tolist() == [-1, 3]
    assert told.epoch is None


def test_an_own_loader_reads_the_epoch_that_its_sampler_learns_after_iter():
    data = OwnItems(Told())
    sampler = EpochSampler(data, seed=5)
    sampler.set_epoch(3)
    expected = list(sampler)
    for workers in (0, 1):
        (found,) = epochs_of(data, workers=workers, epochs=(3,))
        assert found[:, 1].tolist() == expected
    # torch's own loader takes the order of the epoch in which it was asked for an iterator.
    data.set_epoch(0)
    (early,) = epochs_of(data, workers=1, epochs=(3,), kind=DataLoader)
    assert early[:, 1].tolist() != expected


def test_what_is_left_of_an_epoch_that_was_broken_off_does_not_come_in_the_next():
    data = OwnItems(Told())
    sampler = EpochSampler(data, seed=5)
    loader = EpochLoader(data, 2, sampler=sampler, num_workers=1, persistent_workers=True)
    sampler.set_epoch(0)
    next(iter(loader))
    sampler.set_epoch(1)
    assert torch.equal(
        torch.cat(list(loader)), epochs_of(OwnItems(Told()), workers=0, epochs=(1,))[0]
    )
