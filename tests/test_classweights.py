"""Class weights against their formulas, by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geoseg.classweights import class_weights
from geoseg.errors import ConfigError
from geoseg.learner import losses

RULES = ["none", "inverse", "sqrt", "median", "effective"]


def normal(*raw):
    return pytest.approx(np.array(raw) / np.mean(raw))


def test_no_rule_is_all_alike():
    assert class_weights("none", [1, 100, 0]) == (1, 1, 1)


def test_inverse_frequency():
    assert class_weights("inverse", [100, 300, 600]) == normal(6, 2, 1)


def test_inverse_square_root():
    assert class_weights("sqrt", [100, 400, 1600]) == normal(4, 2, 1)


def test_median_frequency_looks_only_at_images_that_hold_the_class():
    # Images of 100 and 200 px; class 1 is only in the second. f: 160 / 300, 40 / 200, 100 / 300.
    f = np.array([160 / 300, 40 / 200, 100 / 300])
    assert class_weights("median", [[60, 0, 40], [100, 40, 60]]) == normal(*(np.median(f) / f))


def test_median_frequency_of_totals_is_inverse_frequency():
    assert class_weights("median", [7, 30, 900]) == pytest.approx(
        class_weights("inverse", [7, 30, 900])
    )


def test_the_effective_number_with_a_beta_is_that_of_its_formula():
    beta = 0.99
    raw = [(1 - beta) / (1 - beta**n) for n in (5, 50, 500)]
    assert class_weights("effective", [5, 50, 500], beta=beta) == normal(*raw)


def test_the_effective_number_by_itself_takes_beta_from_the_mean_of_the_counts():
    beta = 1 - 1 / 200  # the mean of 10, 90 and 500; the class without a pixel does not count
    raw = [(1 - beta) / (1 - beta**n) for n in (10, 90, 500)]
    with pytest.warns(UserWarning, match="1 classes have no labelled pixel"):
        weights = class_weights("effective", [10, 0, 90, 500])
    assert weights[1] == 1
    assert [weights[0], *weights[2:]] == normal(*raw)


def test_the_effective_number_goes_from_all_alike_to_inverse():
    counts = [1000, 20_000, 3_000_000]
    assert class_weights("effective", counts, beta=0) == (1, 1, 1)
    near = class_weights("effective", counts, beta=1 - 1e-13)
    assert near == pytest.approx(class_weights("inverse", counts), rel=1e-2)
    assert class_weights("effective", [1, 1]) == (1, 1)


@pytest.mark.parametrize("rule", RULES)
@given(st.lists(st.integers(1, 1 << 40), min_size=1, max_size=8), st.integers(1, 50))
def test_weights_have_a_mean_of_one_fall_with_the_count_and_hang_on_shares_alone(
    rule, counts, times
):
    weights = class_weights(rule, counts)
    assert np.mean(weights) == pytest.approx(1)
    by_count = np.array(weights)[np.argsort(counts)]
    assert (np.diff(by_count) <= 1e-9 * by_count[:-1]).all()
    more = class_weights(rule, [count * times for count in counts])
    # Of few pixels, beta ** n is not yet an exponential function.
    exact = rule != "effective" or np.mean(counts) > 1e6
    assert not exact or more == pytest.approx(weights, rel=1e-5)


@pytest.mark.parametrize("rule", RULES[1:])
@given(rows=st.lists(st.tuples(*[st.integers(0, 99)] * 3), min_size=1, max_size=6))
def test_the_order_of_images_changes_nothing(rule, rows):
    counts = np.array(rows) + 1
    assert class_weights(rule, counts[::-1]) == pytest.approx(class_weights(rule, counts))


@pytest.mark.parametrize("rule", RULES[1:])
def test_a_class_without_a_pixel_weighs_one_and_is_named(rule):
    with pytest.warns(UserWarning, match="2 classes have no labelled pixel .*: water, ice") as seen:
        weights = class_weights(rule, {"water": 0, "forest": 100, "rock": 50, "ice": 0})
    assert seen[0].filename == __file__
    assert weights[0] == weights[3] == 1
    assert weights[1:3] == pytest.approx(class_weights(rule, [100, 50]))


@pytest.mark.parametrize("rule", RULES[1:])
def test_no_pixel_at_all_is_an_error(rule):
    with pytest.raises(ConfigError, match="need labelled pixels, but no class has one"):
        class_weights(rule, [0, 0])


@pytest.mark.parametrize("counts", [[1, -1], [0.5, 0.5], [np.nan, 1], [np.inf, 1]])
def test_counts_that_are_no_whole_numbers_are_refused(counts):
    with pytest.raises(ConfigError, match=r"counts hold \[.*expected whole numbers of pixels"):
        class_weights("inverse", counts)


@pytest.mark.parametrize("counts", [[], 3, np.ones((2, 2, 2)), [[]]])
def test_counts_of_another_shape_are_refused(counts):
    with pytest.raises(ConfigError, match=r"expected \(class,\) or \(image, class\)"):
        class_weights("inverse", counts)


def test_an_unknown_rule_lists_the_known_ones():
    with pytest.raises(ConfigError, match=r"no rule 'medain' .*inverse, sqrt, median, effective"):
        class_weights("medain", [1, 2])


@pytest.mark.parametrize("beta", [-0.1, 1, float("nan")])
def test_a_beta_out_of_range_is_refused(beta):
    with pytest.raises(ConfigError, match="expected 0 to below 1"):
        class_weights("effective", [1, 2], beta=beta)


def test_a_beta_for_another_rule_is_refused():
    with pytest.raises(ConfigError, match="not to 'sqrt'; leave it out"):
        class_weights("sqrt", [1, 2], beta=0.9)


def test_the_weights_are_those_that_a_loss_takes():
    assert losses.class_weights is class_weights
    loss = losses.build("cross_entropy", class_weights=losses.class_weights("sqrt", [4, 1]))
    assert loss.class_weights == pytest.approx((2 / 3, 4 / 3))
