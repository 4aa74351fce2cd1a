import numpy as np
import pytest
from estimates_made import drawn, made
from scipy import stats

from transferlab.comparison.planning import CHANCE, baseline_seeds, chance_to_decide, seeds_to_decide
from transferlab.comparison.statistics import estimates

MARGIN = 1.0


@pytest.mark.parametrize(
    ("seeds", "rows", "expected"),
    [(5, 1, 5), (5, 2, 8), (5, 5, 12), (5, 12, 18), (5, 48, 30), (8, 48, 30), (40, 3, 40), (4, 48, 4), (1, 9, 1)],
)
def test_a_baseline_has_more_seeds_the_more_rows_share_it(seeds: int, rows: int, expected: int):
    assert baseline_seeds(seeds, rows) == expected


def test_the_named_seeds_decide_as_often_as_said_and_fewer_less_often():
    differences = made(-3.0, 0.9)
    (seeds,) = seeds_to_decide(differences, MARGIN, 2)
    then, now = chance_to_decide(differences, np.array([seeds, 6], dtype=np.int64), MARGIN, 2)[:, 0]
    assert then >= CHANCE > now
    assert seeds_to_decide(differences, MARGIN, 12)[0] > seeds


def test_what_is_predicted_is_students_t_about_the_present_difference():
    """Drawn by hand: what the difference will be, and whether it then lies beyond the margin or within."""
    differences, seeds, rows = made(-2.5, 1.0), 30, 3
    drawn_t = stats.t.rvs(6, size=400_000, random_state=0)
    of_row, of_baseline = (
        differences.row_variance[0] / seeds,
        differences.baseline_variance / baseline_seeds(seeds, rows),
    )
    error = np.sqrt(of_row + of_baseline)
    degrees = (of_row + of_baseline) ** 2 / (of_row**2 / (4 + 25) + of_baseline**2 / 29)
    future = -2.5 + np.sqrt(1 - error**2) * drawn_t
    beyond = np.abs(future) > 1 + stats.t.isf(0.02 / 6, degrees) * error
    within = np.abs(future) < 1 - stats.t.isf(0.02, degrees) * error
    assert chance_to_decide(differences, np.array([seeds]), MARGIN, rows)[0, 0] == pytest.approx(
        (beyond | within).mean(), abs=0.005
    )


def test_a_row_on_the_margin_is_decided_by_no_number_that_is_named():
    seeds = seeds_to_decide(made(1.0, 0.0), MARGIN, 1)
    assert np.isnan(seeds).all()
    assert np.isnan(seeds_to_decide(made(0.0, np.nan), MARGIN, 1)).all()


def test_rows_are_planned_each_by_itself():
    points, baseline = drawn(2, rows=3)
    differences = estimates(points, baseline)
    (first, *_), again = seeds_to_decide(differences, MARGIN, 3), estimates(points[[1, 0, 2]], baseline)
    assert seeds_to_decide(again, MARGIN, 3)[1] == first
