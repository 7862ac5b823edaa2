"""Sampling as a value: YAML, bounds, and rules that contradict each other."""

from __future__ import annotations

import pickle

import pytest
from pydantic import ValidationError

from geoseg.sampling import Sampling

RULES = [
    Sampling(),
    Sampling(class_balance="balanced", scene_weights="equal"),
    Sampling(
        class_balance={"road": 0.25, "rare": 0.5},
        negative_share=0.25,
        background="other",
        min_valid=0.9,
        min_labelled=0.5,
        size_range=(100, 300),
        cache="/kept",
    ),
]


@pytest.mark.parametrize("rules", RULES)
def test_rules_survive_yaml_and_pickle(rules):
    assert Sampling.from_yaml(rules.to_yaml()) == rules
    assert pickle.loads(pickle.dumps(rules)) == rules
    assert hash(Sampling.model_validate(rules.model_dump())) == hash(rules)


def test_a_relative_cache_is_taken_from_the_folder_of_the_yaml_file(tmp_path):
    (tmp_path / "s.yaml").write_text("cache: kept\nclass_balance: {rare: 0.5}\n")
    rules = Sampling.from_yaml(tmp_path / "s.yaml")
    assert rules.cache == str(tmp_path / "kept")
    assert rules.class_balance == {"rare": 0.5}


@pytest.mark.parametrize(
    ("fields", "match"),
    [
        ({"class_balance": {"road": 0.7, "rare": 0.4}}, "1.1 together"),
        ({"class_balance": {"road": 0.7}, "negative_share": 0.5}, "1.2 together"),
        ({"class_balance": {"road": 0.0}}, "no class with a share"),
        ({"class_balance": {}}, "no class with a share"),
        ({"class_balance": {"road": 1.5}}, "less than or equal to 1"),
        ({"class_balance": "equal"}, "balanced"),
        ({"background": "other"}, "negative_share"),
        ({"size_range": (9, 3)}, "least, most"),
        ({"min_valid": -0.1}, "greater than or equal to 0"),
        ({"min_labeled": 0.1}, "min_labelled"),
    ],
)
def test_senseless_rules_are_errors(fields, match):
    with pytest.raises(ValidationError, match=match):
        Sampling.model_validate(fields)


def test_pixels_are_looked_at_only_where_a_rule_asks_for_them():
    for fields in ({}, {"scene_weights": "equal", "size_range": (3, 9), "cache": "x"}):
        assert not Sampling.model_validate(fields).looks_at_pixels
    for fields in (
        {"class_balance": "balanced"},
        {"negative_share": 0.0},
        {"min_valid": 0.1},
        {"min_labelled": 0.1},
    ):
        assert Sampling.model_validate(fields).looks_at_pixels
