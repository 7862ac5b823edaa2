"""Augmentations as they are written: names, kinds, lists, and what is wrong with them."""

from __future__ import annotations

import pickle
from typing import Literal

import pytest
import torch
from pydantic import ValidationError

from geoseg.errors import ConfigError
from geoseg.learner import augment
from geoseg.learner.augments import (
    D4,
    Augment,
    AugmentField,
    BandDropout,
    CutMix,
    Elastic,
    Light,
    Noise,
    Rotate,
    Zoom,
    named,
)
from geoseg.spec import Spec
from tests.learner.chips import assert_same, generator, random_batch

ALL = "d4+rotate+zoom+elastic+light+brightness+noise+band_dropout+cutmix"


class Holder(Spec):
    augmentation: str | tuple[AugmentField, ...] = "d4"


class Inverted(Augment):
    """A kind of a user's own."""

    type: Literal["test-inverted"] = "test-inverted"

    def change(self, batch, generator):
        return {**batch, "image": -batch["image"]}


def test_names_stand_for_kinds_with_their_defaults():
    assert named("none") == ()
    assert named("d4+light+ rotate ") == (D4(), Light(), Rotate())
    assert [kind.type for kind in named(ALL)] == ALL.split("+")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("rotat", r"no augmentation 'rotat'; known: band_dropout.*; did you mean 'rotate'\?"),
        ("d4+lihgt", r"no augmentation 'lihgt'; .* did you mean 'light'\?"),
        ("d5", r"no augmentation 'd5'; known: .*cutmix, d4, elastic, .*none"),
        ("d4+", r"no augmentation ''"),
        ("", r"no augmentation ''"),
        ("none+d4", r"'none\+d4': 'none' stands alone"),
    ],
)
def test_an_unknown_name_is_told_with_the_nearest(text, said):
    for taker in (named, augment.build):
        with pytest.raises(ConfigError, match=said):
            taker(text)


def test_a_field_takes_names_fields_and_kinds_and_survives_yaml_and_pickle():
    given = ["d4", {"type": "rotate", "degrees": [-20, 20], "p": 1}, Noise(amount=0.5)]
    held = Holder(augmentation=given)
    assert held.augmentation == (D4(), Rotate(degrees=(-20, 20), p=1), Noise(amount=0.5))
    assert Holder.from_yaml(held.to_yaml()) == held
    assert pickle.loads(pickle.dumps(held)) == held
    assert hash(Holder.from_yaml(held.to_yaml())) == hash(held)


@pytest.mark.parametrize("kind", named(ALL), ids=lambda kind: kind.type)
def test_each_kind_survives_a_round_trip(kind):
    assert Augment.model_validate(kind.model_dump(mode="json")) == kind


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["rotat"], r"did you mean 'rotate'"),
        ([{"type": "rotate", "degree": [0, 1]}], r"nearest known key: degrees"),
        ([{"type": "rotate", "degrees": [9, 1]}], r"the lower end 9 comes first"),
        ([{"type": "spin"}], r"type is 'spin', expected one of: band_dropout"),
    ],
)
def test_a_field_tells_what_is_wrong(given, said):
    with pytest.raises(ValidationError, match=said):
        Holder(augmentation=given)


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        (Rotate, {"p": 1.1}),
        (Rotate, {"p": -0.1}),
        (Rotate, {"degrees": (0, float("inf"))}),
        (Zoom, {"scale": (0, 1)}),
        (Zoom, {"scale": (2, 1)}),
        (Elastic, {"cell": 0}),
        (Light, {"contrast": 1.5}),
        (Noise, {"amount": -1}),
        (BandDropout, {"share": 2}),
        (CutMix, {"share": (0.5, 0.1)}),
    ],
)
def test_options_are_checked(kind, options):
    with pytest.raises(ValidationError, match=next(iter(options))):
        kind(**options)


@pytest.mark.parametrize(
    "what",
    [
        "d4+rotate+noise",
        ["d4", "rotate", "noise"],
        ("d4", {"type": "rotate"}, {"type": "noise", "p": 0.5}),
        (D4(), {"type": "rotate"}, Noise()),
        [D4(), "rotate+noise"],
        [augment.d4, Rotate(), Noise()],
    ],
    ids=["text", "names", "fields", "mixed", "text in a list", "callable"],
)
def test_all_ways_to_write_it_do_the_same(what):
    batch = random_batch(6, 3, 8, 8)
    state = generator(2)
    expected = batch
    for kind in (D4(), Rotate(), Noise()):
        expected = kind(expected, state)
    assert_same(augment.build(what)(batch, generator(2)), expected)


def test_a_single_kind_or_its_fields_need_no_list():
    batch = random_batch()
    expected = Rotate(p=1)(batch, generator())
    assert_same(augment.build(Rotate(p=1))(batch, generator()), expected)
    assert_same(augment.build({"type": "rotate", "p": 1})(batch, generator()), expected)
    assert augment.build([])(batch, generator()) is batch


@pytest.mark.parametrize("dtype", [torch.float32, torch.uint16], ids=str)
@pytest.mark.parametrize(("bands", "height", "width"), [(1, 9, 5), (4, 8, 8), (13, 5, 12)])
def test_all_kinds_together_keep_the_form_repeat_and_leave_what_they_were_given(
    bands, height, width, dtype
):
    text = ALL if dtype.is_floating_point else "d4+rotate+zoom+elastic+cutmix"
    change = augment.build(text)
    batch, copy = (random_batch(6, bands, height, width, dtype=dtype) for _ in range(2))
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    first, second, other = (change(batch, generator(seed)) for seed in (1, 1, 2))
    assert torch.equal(torch.rand(2), expected)
    assert_same(first, second)
    assert not torch.equal(first["image"], other["image"])
    assert_same(batch, copy)
    assert set(first["mask"].unique().tolist()) <= {3, 5, 8}
    for key in batch:
        assert (first[key].shape, first[key].dtype) == (batch[key].shape, batch[key].dtype)


def test_a_kind_of_ones_own_is_drawn_and_named_like_the_others():
    batch = random_batch(400, 1, 2, 2)
    batch["image"] += 1
    got = augment.build([{"type": "test-inverted", "p": 0.5}])(batch, generator())
    inverted = (got["image"] < 0).flatten(1).all(dim=1)
    assert inverted.double().mean().item() == pytest.approx(0.5, abs=0.1)
    assert torch.equal(got["image"][~inverted], batch["image"][~inverted])


def test_what_is_no_augmentation_is_refused():
    with pytest.raises(ConfigError, match=r"a name such as 'd4', .* got int"):
        augment.build(3)
