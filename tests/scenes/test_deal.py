"""Dealing scenes out: everything once, in the shares, whatever the order, steady when scenes come."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geoseg.errors import SceneError
from geoseg.scenes.deal import deal

SHARES = {"train": 0.7, "valid": 0.2, "test": 0.1}


@given(st.integers(10, 60), st.integers(0, 5), st.randoms())
def test_every_scene_lies_in_one_part_near_its_share_in_any_order(count, seed, random):
    ids = [f"scene {i}" for i in range(count)]
    dealt = deal(ids, SHARES, seed)
    assert sorted(itertools.chain(*dealt.values())) == sorted(ids)
    for part, share in SHARES.items():
        assert abs(len(dealt[part]) - share * count) < 1
    random.shuffle(ids)
    assert deal(ids, SHARES, seed) == dealt


def test_another_seed_deals_otherwise():
    ids = [str(i) for i in range(30)]
    assert deal(ids, SHARES, 0) != deal(ids, SHARES, 1)


def test_one_scene_more_moves_few_others():
    ids = [f"s{i}" for i in range(100)]
    before, after = deal(ids, SHARES, 0), deal([*ids, "new"], SHARES, 0)
    moved = sum(len(set(before[part]) - set(after[part])) for part in SHARES)
    assert moved <= 3


def test_a_part_without_a_scene_is_an_error():
    with pytest.raises(SceneError, match=r"3 scenes are too few .*none is left for test"):
        deal(["a", "b", "c"], SHARES, 0)
