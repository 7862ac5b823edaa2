"""Patches of stores give the same bytes from any process, also where the parent has read before."""

from __future__ import annotations

import hashlib
import os

import pytest
from torch.utils.data import DataLoader

from geoseg import LMDBDataset
from geoseg.datasets import collate
from geoseg.sources.store.environments import close_stores
from tests.datasets.lmdbstores import bigearthnet

KEYS = ("image", "mask", "valid", "labels")


@pytest.fixture
def data(tmp_path):
    uri = bigearthnet(tmp_path / "store", pairs=24)
    yield LMDBDataset(
        uri, join=("s1", "s2", "map"), labels="Data", mapping="bigearthnet-19", scene_labels=True
    )
    close_stores()


def digest(batches):
    sha = hashlib.sha256()
    for batch in batches:
        for key in KEYS:
            sha.update(batch[key].numpy().tobytes())
        sha.update(repr(batch["scene"]).encode())
    return sha.hexdigest()


@pytest.mark.slow
def test_workers_of_any_start_give_the_batches_of_this_process(data):
    alone = digest(DataLoader(data, 5, collate_fn=collate))  # the store is open here from now on
    one_by_one = [data[number] for number in range(len(data))]
    assert digest(collate(one_by_one[i : i + 5]) for i in range(0, 24, 5)) == alone
    for workers, start in ((2, "fork"), (4, "fork"), (2, "spawn"), (4, "spawn")):
        loader = DataLoader(
            data, 5, collate_fn=collate, num_workers=workers, multiprocessing_context=start
        )
        assert digest(loader) == alone, (workers, start)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_forked_worker_reads_while_the_parent_has_the_store_open(data):
    alone = digest(DataLoader(data, 5, collate_fn=collate))
    loader = DataLoader(data, 5, collate_fn=collate, num_workers=2, multiprocessing_context="fork")
    assert digest(loader) == alone == digest(DataLoader(data, 5, collate_fn=collate))
