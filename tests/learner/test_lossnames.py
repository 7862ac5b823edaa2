"""How names of losses are read, and that they are those that can be built."""

from dataclasses import fields

import pytest

from geoseg.errors import ConfigError
from geoseg.learner.losses.sums import KINDS
from geoseg.learner.lossnames import LOSSES, OPTIONS, WEIGHTED, check_options, check_weighted, terms


def test_the_names_and_options_are_those_of_the_losses():
    assert set(LOSSES) == set(KINDS)
    for name, kind in KINDS.items():
        weights = {"class_weights"} if name in WEIGHTED else set()
        assert {field.name for field in fields(kind)} == {"ignore_index", *weights, *OPTIONS[name]}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("dice", ((1.0, "dice"),)),
        ("cross_entropy+lovasz", ((1.0, "cross_entropy"), (1.0, "lovasz"))),
        (" 2 * focal + 1e-3*dice", ((2.0, "focal"), (0.001, "dice"))),
    ],
)
def test_a_text_is_read_as_factors_and_names(text, expected):
    assert terms(text) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("lovas", "no loss 'lovas'; known: .*; did you mean 'lovasz'"),
        ("", "no loss ''"),
        ("dice+", "no loss ''"),
        ("dice*0.5", r"no loss '0\.5'"),
        ("dice+focal+dice", r"names 'dice' more than once; .*'2\*dice'"),
        ("0*dice", r"factor of loss 'dice' is '0', expected a number above 0: '0\.5\*dice'"),
        ("-1*dice", "factor of loss 'dice' is '-1'"),
        ("nan*dice", "factor of loss 'dice' is 'nan'"),
        ("inf*dice", "factor of loss 'dice' is 'inf'"),
        ("half*dice", "factor of loss 'dice' is 'half'"),
        ("*dice", "factor of loss 'dice' is ''"),
        ("2*3*dice", r"factor of loss 'dice' is '2\*3'"),
    ],
)
def test_a_text_that_cannot_be_read_is_refused(text, message):
    with pytest.raises(ConfigError, match=message):
        terms(text)


def test_options_belong_to_one_of_the_losses():
    check_options("focal+dice", ["gamma", "smooth"])
    with pytest.raises(ConfigError, match=r"'focal\+dice' has no option 'alpha'; .*gamma, smooth"):
        check_options("focal+dice", ["gamma", "alpha"])


def test_class_weights_belong_to_one_of_the_losses():
    check_weighted("dice+focal")
    with pytest.raises(ConfigError, match=r"the loss is 'dice\+lovasz'; leave them out, or add"):
        check_weighted("dice+lovasz")
