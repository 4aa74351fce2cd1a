"""Estimates against a plain loop over rows and seeds, written from the definition, and against statsmodels."""

import math
from unittest.mock import patch

import numpy as np
import pytest
import statsmodels.api as sm
from estimates_made import drawn, made
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, special, stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.weightstats import CompareMeans, DescrStatsW

from transferlab.comparison.statistics import Array, estimates, holm, mean_interval

MARGIN = 1.0
NAN = math.nan


def floored(variances: list[float]) -> list[float]:
    """None below 1e-5 of the median of those that aren't 0."""
    return [max(one, 1e-5 * float(np.median([other for other in variances if other > 1e-18]))) for one in variances]


def by_hand(rows: Array, baseline: Array) -> list[tuple[float, float, float]]:
    """Difference, error and degrees of each row, by loops."""
    common = [[s for s in range(len(baseline)) if not math.isnan(row[s] + baseline[s])] for row in rows]
    y0 = [float(value) for value in baseline if not math.isnan(value)]
    means = [np.mean([row[s] for s in those]) for row, those in zip(rows, common, strict=True)]
    bases = [np.mean([baseline[s] for s in those]) for those in common]
    spreads = [np.var([row[s] for s in those], ddof=1) for row, those in zip(rows, common, strict=True)]
    weights = [1 / spread for spread in floored(spreads)]
    terms = [
        (k, s, weights[k], rows[k][s] - means[k], baseline[s] - bases[k])
        for k, those in enumerate(common)
        for s in those
    ]
    square_sum = sum(w * x**2 for _, _, w, _, x in terms)
    raw = sum(w * y * x for _, _, w, y, x in terms) / square_sum
    seeds = sorted({s for _, s, *_ in terms})
    noise, leverage = 0.0, 0.0
    for seed in seeds:
        here = [(w, y, x) for _, s, w, y, x in terms if s == seed]
        noise += (sum(w * (y - raw * x) for w, y, x in here) / sum(w for w, _, _ in here)) ** 2
        leverage += sum(w * x for w, _, x in here) ** 2
    square = max(noise / (len(seeds) - 2) * leverage / square_sum**2, 1 / square_sum)
    b = raw * max(0, 1 - square / raw**2)
    free = [len(those) - (2 if b else 1) for those in common]
    variances = [sum((y - b * x) ** 2 for k, _, _, y, x in terms if k == row) / free[row] for row in range(len(rows))]
    variances = floored(variances)
    moderated, degrees = variances, list(map(float, free))
    if len(rows) > 1:
        e = [math.log(v) - special.psi(f / 2) + math.log(f / 2) for v, f in zip(variances, free, strict=True)]
        wanted = np.var(e, ddof=1) - np.mean([special.polygamma(1, f / 2) for f in free])
        prior = 10.0
        if wanted > 0:
            prior = min(10.0, 2 * optimize.brentq(lambda x: special.polygamma(1, x) - wanted, 1e-3, 1e6))
        common_variance = math.exp(np.mean(e) + special.psi(prior / 2) - math.log(prior / 2))
        moderated = [(prior * common_variance + f * v) / (prior + f) for v, f in zip(variances, free, strict=True)]
        degrees = [min(prior + f, sum(free)) for f in free]
    differences = []
    for k, those in enumerate(common):
        away = bases[k] - np.mean(y0)
        first, second = moderated[k] / len(those), (1 - b) ** 2 * np.var(y0, ddof=1) / len(y0)
        total = first + second + (square * away**2 if b else 0)
        welch = total**2 / (first**2 / degrees[k] + second**2 / (len(y0) - 1))
        differences.append((means[k] - np.mean(y0) - b * away, math.sqrt(total), welch))
    return differences


@pytest.mark.parametrize("rows", [1, 2, 6])
@pytest.mark.parametrize("follows", [0, 0.3, 1.5, -1])
def test_it_is_the_definition_row_by_row(rows: int, follows: float):
    points, baseline = drawn(rows, rows, 6, 11, follows)
    points[0, 2] = baseline[7] = NAN  # a run that diverged
    if rows > 1:
        points[1, 9] = 85.0  # a seed that the others lack
    if rows > 2:
        points[2, :6] = 10.0  # a row that collapsed on one class
    differences = estimates(points, baseline)
    expected = np.array(by_hand(points, baseline))
    assert differences.mean == pytest.approx(expected[:, 0], abs=1e-8)
    assert differences.error == pytest.approx(expected[:, 1], rel=1e-7)
    assert differences.degrees == pytest.approx(expected[:, 2], rel=1e-6)
    assert differences.baseline_seeds == 10


def test_the_slope_of_one_row_is_a_regressions_shrunk_by_its_error():
    points, baseline = drawn(3, rows=1, seeds=8, baseline_seeds=8, follows=1.0)
    fit = sm.OLS(points[0], sm.add_constant(baseline)).fit()
    square = max(fit.bse[1] ** 2, points[0].var(ddof=1) / ((baseline - baseline.mean()) ** 2).sum())
    assert estimates(points, baseline).slope == pytest.approx(fit.params[1] * (1 - square / fit.params[1] ** 2))


def test_where_a_row_does_not_follow_it_is_welchs_test():
    """No slope is left, and one row has nobody to share a variance with."""
    points, baseline = drawn(4, rows=1, seeds=6, baseline_seeds=9, follows=0)
    differences = estimates(points, baseline)
    assert differences.slope == 0
    both = CompareMeans(DescrStatsW(points[0, :6]), DescrStatsW(baseline))
    assert (differences.interval(0.95)[0][0], differences.interval(0.95)[1][0]) == pytest.approx(
        both.tconfint_diff(usevar="unequal"), abs=1e-7
    )
    lower = both.ttest_ind("smaller", "unequal", value=-MARGIN)[1]
    upper = both.ttest_ind("larger", "unequal", value=MARGIN)[1]
    assert differences.q(MARGIN)[0] == pytest.approx(min(1, 2 * min(lower, upper)))


def test_many_comparisons_at_once_are_each_of_them():
    drawings = [drawn(seed, rows=4, follows=0.5 * seed) for seed in range(4)]
    whole = estimates(np.stack([rows for rows, _ in drawings]), np.stack([baseline for _, baseline in drawings]))
    for place, (rows, baseline) in enumerate(drawings):
        alone = estimates(rows, baseline)
        for name, values in vars(whole).items():
            np.testing.assert_allclose(values[place], vars(alone)[name], err_msg=name)


def test_rows_that_are_not_judged_lend_nothing_and_get_slope_and_prior():
    points, baseline = drawn(5, rows=3)
    strange = np.vstack([points, 40 + 30 * np.random.default_rng(0).standard_normal((1, 9))])
    strange[-1, 5:] = NAN
    alone, beside = estimates(points, baseline), estimates(strange, baseline, np.array([True, True, True, False]))
    assert beside.slope == alone.slope
    assert beside.error[:3] == pytest.approx(alone.error)
    assert beside.row_degrees[3] > 5 - 2


def test_a_baseline_that_all_rows_share_gains_from_further_seeds():
    points, baseline = drawn(6, follows=0)
    few = estimates(points[:, :5], baseline[:5])
    assert (estimates(points, baseline).baseline_seeds, few.baseline_seeds) == (9, 5)
    assert few.slope == estimates(points, baseline).slope == 0
    longer = np.concatenate([baseline, baseline])
    assert (
        estimates(np.hstack([points, np.full((3, 9), NAN)]), longer).error < estimates(points, baseline).error
    ).all()


def test_following_the_baseline_narrows_the_interval():
    in_step, baseline = drawn(7, rows=4, follows=1.5)
    shuffled = in_step.copy()
    shuffled[:, :5] = in_step[:, [3, 0, 4, 1, 2]]
    assert (estimates(in_step, baseline).error < estimates(shuffled, baseline).error).all()


def test_without_any_deviation_the_error_is_zero_and_the_mean_decides():
    # 0.81 − 0.80 and its like are off by 1e-16 each in its own way; in truth each difference is exactly 1 point.
    first, second = [0.81, 0.31 + 0.5, 0.92 - 0.11], [0.80, 0.30 + 0.5, 0.91 - 0.11]
    differences = estimates(100 * np.array([first]), 100 * np.array(second))
    assert (differences.mean.tolist(), differences.error.tolist(), differences.q(MARGIN).tolist()) == (
        [1.0],
        [0.0],
        [1.0],
    )
    assert estimates(np.array([[85.0] * 5]), np.array([80.0] * 5)).q(MARGIN).tolist() == [0.0]


@pytest.mark.parametrize(("baseline", "row"), [(75, 77), (149, 165), (433, 431)])
def test_equal_results_that_rounding_tells_apart_make_no_slope(baseline: int, row: int):
    """The mean of five equal ratios of 539 is off by the last digit, and so is each of them from it."""
    points, shared = np.full((1, 8), NAN), 100 * np.array([baseline / 539] * 5 + [(baseline + 9) / 539] * 3)
    points[0, :5] = 100 * row / 539
    differences = estimates(points, shared)
    assert differences.slope == 0
    assert differences.mean[0] == pytest.approx(points[0, 0] - shared.mean())


def test_a_baseline_without_deviation_has_no_slope():
    points, _ = drawn(8)
    differences = estimates(points[:, :5], np.full(5, 80.0))
    assert differences.slope == 0
    assert np.isfinite(differences.error).all()


@pytest.mark.parametrize("known", [0, 1])
def test_below_two_seeds_nothing_is_claimed(known: int):
    points, baseline = drawn(9)
    points[0, known:] = NAN
    differences = estimates(points, baseline)
    assert differences.seeds.tolist() == [known, 5, 5]
    assert math.isnan(differences.error[0])
    assert math.isnan(differences.interval(0.95)[0][0])
    assert math.isnan(differences.mean[0]) == (known == 0)
    assert differences.q(MARGIN)[0] == 1
    assert np.isfinite(differences.error[1:]).all()


def test_a_baseline_of_one_seed_or_none_tells_nothing():
    points, baseline = drawn(10)
    for known in (0, 1):
        kept = np.where(np.arange(9) < known, baseline, NAN)
        assert np.isnan(estimates(points, kept).error).all()
        assert (estimates(points, kept).q(MARGIN) == 1).all()


def test_rows_that_collapsed_on_one_value_keep_the_others_sound():
    points, baseline = drawn(11, rows=3)
    points[1, :5] = 10.0
    differences = estimates(points, baseline)
    assert (differences.error > 0).all()
    assert differences.q(MARGIN)[1] < 0.01


@settings(deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([-1.5, 0.0, 0.8]))
def test_q_and_interval_say_the_same(seed: int, follows: float):
    points, baseline = drawn(seed, follows=follows)
    differences = estimates(points, baseline)
    low, high = differences.interval(0.95)
    beyond = (high < -MARGIN) | (low > MARGIN)
    assert ((differences.q(MARGIN) < 0.05) == beyond).all()


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_agrees_with_statsmodels(q_values: list[float]):
    with patch("gc.collect"):  # which multipletests calls each time
        assert holm(q_values) == pytest.approx(multipletests(q_values, method="holm")[1])


def test_holm_of_nothing_is_nothing_and_of_many_is_of_each():
    assert len(holm([])) == 0
    q = np.random.default_rng(0).random((5, 4)) / 10
    assert holm(q).tolist() == [holm(row).tolist() for row in q]


def test_the_interval_of_a_mean_agrees_with_statsmodels():
    values = [0.71, 0.74, 0.69, 0.75]
    assert mean_interval(values) == pytest.approx(DescrStatsW(values).tconfint_mean(0.05))
    assert np.isnan(mean_interval([0.7])).all()


def test_q_is_students_t():
    q = made(4.0, 1.5).q(MARGIN)[0]
    assert q == pytest.approx(2 * stats.t.sf(3 / 1.5, 6))
