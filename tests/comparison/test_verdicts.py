import numpy as np
import pytest
from estimates_made import made

from transferlab.comparison.statistics import Estimates
from transferlab.comparison.verdicts import verdicts

MARGIN = 1.0


def word(found: Estimates, level: float = 0.05) -> str:
    return str(verdicts(found, MARGIN, level)[0][0])


def several(*rows: Estimates) -> Estimates:
    shared = ("baseline_seeds", "slope", "baseline_variance")
    return Estimates(
        **{
            name: value if name in shared else np.concatenate([vars(row)[name] for row in rows])
            for name, value in vars(rows[0]).items()
        }
    )


@pytest.mark.parametrize(
    ("seeds", "mean", "error", "expected"),
    [
        (4, -9, 0.1, "inconclusive"),  # the first rule before the second
        (4, 0, 0.1, "inconclusive"),  # and before the third
        (5, -9, 0.1, "negative"),
        (5, 9, 0.1, "positive"),
        (5, 0.1, 0.2, "equivalent"),
        (5, 0.5, 0.1, "equivalent"),  # the third before the fourth: the interval excludes 0 too
        (5, -2, 0.6, "leaning_negative"),
        (5, 2, 0.6, "leaning_positive"),
        (5, 2, 0.95, "inconclusive"),  # the 90% interval excludes 0, the 95% one doesn't
        (5, 2, 4, "inconclusive"),
    ],
)
def test_first_rule_that_holds(seeds: int, mean: float, error: float, expected: str):
    assert word(made(mean, error, seeds)) == expected


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
    assert word(made(value, 0.0)) == expected


def test_what_is_unknown_is_inconclusive():
    assert word(made(-9, np.nan)) == "inconclusive"
    assert word(made(np.nan, np.nan)) == "inconclusive"


def test_the_direction_is_adjusted_and_equivalence_is_not():
    clear, null = made(-3, 0.6), made(0.1, 0.2)
    assert word(clear) == "negative"
    words, q = verdicts(several(clear, *[null] * 9), MARGIN)
    assert words.tolist() == ["leaning_negative", *["equivalent"] * 9]
    assert q[0] == pytest.approx(10 * clear.q(MARGIN)[0])


def test_rows_that_are_not_judged_get_no_word_and_no_part_in_the_adjustment():
    clear = made(-3, 0.6)
    words, q = verdicts(several(clear, clear, made(0, 5)), MARGIN, judged=np.array([True, False, False]))
    assert words.tolist() == ["negative", "", ""]
    assert q.tolist() == [clear.q(MARGIN)[0], 1, 1]


def test_a_look_is_held_to_a_smaller_chance_of_error():
    between, even = made(-3, 0.7), made(0.3, 0.3)
    assert 0.02 < between.q(MARGIN)[0] < 0.05
    assert (word(between), word(between, 0.02)) == ("negative", "leaning_negative")
    assert (word(even), word(even, 0.02)) == ("equivalent", "inconclusive")
    words, _ = verdicts(several(between, between), MARGIN, np.array([0.05, 0.12]))
    assert words.tolist() == ["leaning_negative", "negative"]
