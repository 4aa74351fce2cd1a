import math
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.weightstats import DescrStatsW

from transferlab.comparison.statistics import holm, paired, seeds_to_decide, verdict

MARGIN = 1.0

points = st.lists(st.floats(-20, 20), min_size=5, max_size=12)


def differences(pairs: int, mean: float, deviation: float) -> list[float]:
    """Differences of exactly this mean and this deviation (ddof=1)."""
    raw = np.random.default_rng(pairs).normal(size=pairs)
    return list(mean + deviation * (raw - raw.mean()) / raw.std(ddof=1))


def word(values: list[float], family: int = 1) -> str:
    estimate = paired(values, MARGIN)
    return verdict(estimate, min(1.0, estimate.q * family), MARGIN)


@given(points)
def test_interval_and_q_agree_with_statsmodels(values: list[float]):
    assume(np.std(values) > 1e-3)
    estimate, independent = paired(values, MARGIN), DescrStatsW(values)
    assert (estimate.low, estimate.high) == pytest.approx(independent.tconfint_mean(0.05), abs=1e-5)
    assert (estimate.low90, estimate.high90) == pytest.approx(independent.tconfint_mean(0.10), abs=1e-5)
    below = independent.ttest_mean(-MARGIN, alternative="smaller")[1]
    above = independent.ttest_mean(MARGIN, alternative="larger")[1]
    assert estimate.q == pytest.approx(min(1, 2 * min(below, above)), rel=1e-4, abs=1e-9)


def test_by_hand():
    # Mean 4, squared deviations 4 + 1 + 0 + 1 + 4 = 10, deviation √2.5, standard error √.5, t(4) at .975 = 2.776445.
    estimate = paired([2, 3, 4, 5, 6], MARGIN)
    assert estimate.mean == 4
    assert estimate.deviation == pytest.approx(math.sqrt(2.5))
    assert estimate.high - 4 == pytest.approx(2.776445 * math.sqrt(0.5), abs=1e-6)
    assert estimate.q == pytest.approx(2 * stats.t.sf(3 / math.sqrt(0.5), 4))


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_agrees_with_statsmodels(q_values: list[float]):
    with patch("gc.collect"):  # which multipletests calls each time
        assert holm(q_values) == pytest.approx(multipletests(q_values, method="holm")[1])


def test_holm_of_nothing_is_nothing():
    assert len(holm([])) == 0


@given(points)
def test_with_one_row_negative_means_the_interval_lies_below_the_margin(values: list[float]):
    estimate = paired(values, MARGIN)
    assume(abs(estimate.high + MARGIN) > 1e-6)
    assume(abs(estimate.low - MARGIN) > 1e-6)
    assert (word(values) == "negative") == (estimate.high < -MARGIN)
    assert (word(values) == "positive") == (estimate.low > MARGIN)


@given(st.lists(st.floats(-1, 1), min_size=5, max_size=12))
def test_equivalent_is_two_one_sided_tests(values: list[float]):
    assume(np.std(values) > 1e-3)
    # Differences within the margin can't be claimed to lie beyond it, so rule 3 alone decides.
    sample = DescrStatsW(values)
    p = max(sample.ttest_mean(-MARGIN, alternative="larger")[1], sample.ttest_mean(MARGIN, alternative="smaller")[1])
    assume(abs(p - 0.05) > 1e-6)
    assert (word(values) == "equivalent") == (p < 0.05)


@pytest.mark.parametrize(
    ("pairs", "mean", "deviation", "expected"),
    [
        (4, -9, 0.1, "inconclusive"),  # rule 1 before rule 2
        (4, 0, 0.1, "inconclusive"),  # rule 1 before rule 3
        (5, -9, 0.1, "negative"),
        (5, 9, 0.1, "positive"),
        (5, 0.1, 0.2, "equivalent"),
        (5, 0.5, 0.1, "equivalent"),  # rule 3 before rule 4: the interval excludes 0 too
        (5, -2, 1.2, "leaning_negative"),
        (5, 2, 1.2, "leaning_positive"),
        (5, 2, 1.79, "inconclusive"),  # the 90% interval excludes 0, the 95% one doesn't
        (5, 2, 4, "inconclusive"),
    ],
)
def test_first_rule_that_holds(pairs: int, mean: float, deviation: float, expected: str):
    assert word(differences(pairs, mean, deviation)) == expected


def test_a_direction_is_claimed_below_five_percent():
    estimate = paired(differences(5, -2, 1.2), MARGIN)
    assert verdict(estimate, 0.0499, MARGIN) == "negative"
    assert verdict(estimate, 0.05, MARGIN) == "leaning_negative"


def test_the_direction_is_adjusted_and_equivalence_is_not():
    clear = differences(5, -3, 1)
    assert word(clear) == "negative"
    assert word(clear, family=10) == "leaning_negative"
    assert word(differences(5, 0.1, 0.2), family=1000) == "equivalent"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (-1.1, "negative"),
        (-1, "leaning_negative"),
        (-0.9, "equivalent"),
        (0, "equivalent"),
        (1, "leaning_positive"),
        (1.1, "positive"),
    ],
)
def test_without_deviation_the_mean_decides(value: float, expected: str):
    assert word([value] * 5) == expected


def test_rounding_error_is_no_deviation():
    # 0.81 - 0.80 and its like are off by 1e-16 each in its own way; in truth each difference is exactly 1 point.
    values = [100 * (a - b) for a, b in [(0.81, 0.80), (0.31, 0.30), (0.92, 0.91), (0.57, 0.56), (0.12, 0.11)]]
    assert len(set(values)) > 1
    assert paired(values, MARGIN).deviation == 0
    assert word(values) == "leaning_positive"


@pytest.mark.parametrize("values", [[], [-50.0]])
def test_below_two_pairs_nothing_is_claimed(values: list[float]):
    estimate = paired(values, MARGIN)
    assert math.isnan(estimate.deviation)
    assert math.isnan(estimate.low)
    assert estimate.q == 1
    assert word(values) == "inconclusive"


@pytest.mark.parametrize("family", [1, 5])
@pytest.mark.parametrize(("mean", "deviation"), [(-2, 2.5), (1.5, 2), (0.2, 3), (-0.5, 1)])
def test_seeds_to_decide_decide_and_one_fewer_does_not(mean: float, deviation: float, family: int):
    decided = {"negative", "positive", "equivalent"}
    seeds = seeds_to_decide(paired(differences(5, mean, deviation), MARGIN), MARGIN, family)
    assert seeds is not None
    assert seeds > 5
    assert word(differences(seeds, mean, deviation), family) in decided
    assert word(differences(seeds - 1, mean, deviation), family) not in decided


def test_seeds_to_decide_ends_at_a_thousand():
    # About (1.96·deviation/0.2)² pairs: 983 and 1498.
    assert seeds_to_decide(paired(differences(5, 1.2, 3.2), MARGIN), MARGIN, 1) == pytest.approx(983, abs=5)
    assert seeds_to_decide(paired(differences(5, 1.2, 3.95), MARGIN), MARGIN, 1) is None
    assert seeds_to_decide(paired([1.0] * 5, MARGIN), MARGIN, 1) is None
